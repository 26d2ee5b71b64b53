"""An evaluation as a page, as Markdown, as tables, and inside a notebook."""

from groupemo.report.page import write_report

__all__ = ["write_report"]
