"""The tables of reports/*.md: whole, in part, or one cell; what is not there is an error."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from groupemo.errors import GroupemoError

__all__ = ["OTHERS", "Missing", "Page", "Pages", "Table", "point", "text_of"]

OTHERS = {
    "card": "groupemo/nets/card.md",
    "datasheet": "groupemo/nets/datasheet.md",
    "labels": "labels/README.md",
}
"""Files with tables that do not stand in reports/."""


class Missing(GroupemoError):
    """A chapter asks for something that no file has."""


@dataclass(frozen=True)
class Table:
    """One table, its cells as they are written.

    Parameters
    ----------
    section : str
        The heading it stands under.
    header, sides : sequence of str
        Names of the columns, and where their cells stand.
    rows : sequence of sequence of str
    """

    section: str
    header: Sequence[str]
    sides: Sequence[str]
    rows: Sequence[Sequence[str]]

    def columns(self, names: Sequence[str]) -> Table:
        """Return these columns, in this order."""
        places = [_place(self.header, name) for name in names]
        return replace(
            self,
            header=[self.header[place] for place in places],
            sides=[self.sides[place] for place in places],
            rows=[[row[place] for place in places] for row in self.rows],
        )

    def markdown(self) -> str:
        """Return the table as it would be written."""
        return "\n".join(f"| {' | '.join(row)} |" for row in (self.header, self.sides, *self.rows))


@dataclass(frozen=True)
class Page:
    """One file of tables.

    Parameters
    ----------
    path : Path
    """

    path: Path

    @cached_property
    def lines(self) -> list[str]:
        """The file's lines."""
        try:
            return self.path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise Missing(f"{self.path}: {error.strerror}; `make bench` makes it") from error

    @cached_property
    def tables(self) -> list[Table]:
        """All tables, in order."""
        return list(_read(self.lines))

    @cached_property
    def sections(self) -> list[str]:
        """The headings."""
        return [line.lstrip("#").strip() for line in self.lines if re.match(r"#+ ", line)]

    def table(self, section: str = "", columns: Sequence[str] = ()) -> Table:
        """Return the first table of a section, the file's first where none is named."""
        found = [one for one in self.tables if section in ("", one.section)]
        if not found:
            raise Missing(
                f"{self.path}: no table under the heading {section!r}; headings:"
                f" {', '.join(self.sections)}"
            )
        return found[0].columns(columns) if columns else found[0]

    def cell(self, section: str, row: str | Sequence[str], column: str) -> str:
        """Return the one cell in a row, named by its first cells, and a column.

        Raises
        ------
        Missing
            If there is none, or more than one; names file, section, row and column.
        """
        wanted = [row] if isinstance(row, str) else list(row)
        found = {
            line[_place(one.header, column)]
            for one in self.tables
            if section in ("", one.section) and column in map(text_of, one.header)
            for line in one.rows
            if [text_of(cell) for cell in line[: len(wanted)]] == wanted
        }
        if len(found) != 1:
            raise Missing(
                f"{self.path}: {len(found) or 'no'} cells in section {section!r}, row"
                f" {' | '.join(wanted)!r}, column {column!r}: expected one"
            )
        return text_of(found.pop())


class Pages:
    """The files of tables, by name: those of reports/, and `OTHERS`.

    Parameters
    ----------
    root : Path
        The project's folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._read: dict[str, Page] = {}

    def page(self, name: str) -> Page:
        """Return one file."""
        if name not in self._read:
            self._read[name] = Page(self.root / OTHERS.get(name, f"reports/{name}.md"))
        return self._read[name]

    def cell(self, name: str, section: str, row: str | Sequence[str], column: str) -> str:
        """Return one cell of a file."""
        return self.page(name).cell(section, row, column)

    def value(self, name: str, section: str, row: str | Sequence[str], column: str) -> float:
        """Return a cell's first number."""
        return point(self.cell(name, section, row, column))


def text_of(cell: str) -> str:
    """Return a cell without the marks of Markdown."""
    return re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", cell).strip()


def point(cell: str) -> float:
    """Return a cell's first number.

    Raises
    ------
    Missing
        If it has none.
    """
    found = re.search(r"[-+\N{MINUS SIGN}]?\d[\d,]*\.?\d*(e[-+]\d+)?", cell)
    if not found:
        raise Missing(f"no number in the cell {cell!r}")
    return float(found[0].replace(",", "").replace("\N{MINUS SIGN}", "-"))


def _place(header: Sequence[str], name: str) -> int:
    names = [text_of(each) for each in header]
    if name not in names:
        raise Missing(f"no column {name!r}; known: {', '.join(names)}")
    return names.index(name)


def _read(lines: Sequence[str]) -> Iterator[Table]:
    section, block = "", list[list[str]]()
    for line in (*lines, ""):
        if line.startswith("|"):
            block.append(_cells(line))
            continue
        if len(block) > 1:
            yield Table(section, block[0], block[1], block[2:])
        block = []
        if re.match(r"#+ ", line):
            section = line.lstrip("#").strip()


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
