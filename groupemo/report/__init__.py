"""An evaluation as a page, as Markdown, as tables, as a PDF, and inside a notebook."""

from groupemo.report.page import write_pdf, write_report

__all__ = ["write_pdf", "write_report"]
