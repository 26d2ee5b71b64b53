"""An evaluation as a page, as Markdown, as tables, and inside a notebook."""
