"""The labelling tool: people give faces a perceived expression, and nothing they do is lost.

::

    page or widget ── messages ──▶ Desk ── actions ──▶ Journal   SQLite, append-only: the truth
                                    │ ▲
                     export: CSV ◀──┘ └── Ledger   a fold of the journal: who said what

`desk` documents the messages.
"""
