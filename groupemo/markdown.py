"""Markdown: tables, and text that is shown as it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = ["escaped", "table"]


def escaped(text: object) -> str:
    """Return text that Markdown shows as it is, in one line."""
    line = " ".join(str(text).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]|#!~])", r"\\\1", line)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; where a column's name ends in `>`, its cells stand to the right.

    Examples
    --------
    >>> print(table(["Backend", "Faces>"], [["fer", "12"]]))
    | Backend | Faces |
    | --- | ---: |
    | fer | 12 |
    """
    names = [name.removesuffix(">") for name in header]
    sides = ["---:" if name.endswith(">") else "---" for name in header]
    cells = ([cell.replace("|", "\\|") for cell in row] for row in (names, sides, *rows))
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)
