"""The labelling tool: people give faces a perceived expression, and nothing they do is lost.

::

    page or widget ── messages ──▶ Desk ── actions ──▶ Journal   SQLite, append-only: the only truth
                                    │ ▲
                     export: CSV ◀──┘ └── Ledger   a fold of the journal: what each annotator has said

`desk` documents the messages.
"""
