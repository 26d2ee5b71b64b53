"""The labelling tool: people give faces a perceived expression, and nothing they do is lost.

::

    page or widget ── messages ──▶ Desk ── actions ──▶ Journal   SQLite, append-only: the truth
                                    │ ▲
                     export: CSV ◀──┘ └── Ledger   a fold of the journal: who said what

In the order in which to read them:

- What is kept: `actions` (what can be done, read from JSON), `journal` (where it is written),
  `state` (what it comes to), `album` (the photos it is about).
- What it means together: `consensus` (whose boxes are one face, what was settled), `agreement`,
  `exchange` (the label file, out and in).
- Who answers: `desk` (the messages, documented there), on `records` (journal, ledger and label
  file of one folder, kept in step) and `views` (what is shown to whom); `ordering`, `proposals`
  (the detector in the background), `warmup`, `saving` (the label file, a little later).
- Who shows it: `server` (HTTP around a desk), `security` (who is let in), `pictures`, `serving`
  (from the start to the end: what `groupemo label` calls); `widget` (the same in a notebook).
"""
