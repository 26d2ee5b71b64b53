"""The written report: chapters, what fills them, and the page they are printed from.

`python -m reports.written` writes reports/groupemo-report.pdf. In the order in which to read:

- `chapters/`: Markdown with template calls. No figure is typed in them.
- `tables`: the tables of reports/*.md, and their cells.
- `demo`: the evaluation that `make demo` has saved.
- `example`: the worked example, computed.
- `facts`: single values that chapters say in passing.
- `pictures`: what is drawn of all these, faces blurred.
- `book`: chapters become one page of HTML, and that a PDF.
"""
