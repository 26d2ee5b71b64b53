"""Printing: tables and JSON on standard output, everything else on standard error.

Names of photos come from anywhere: nothing in them is taken for markup or for
a terminal's control codes.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from groupemo.plugins import STAND_IN, is_stand_in

if TYPE_CHECKING:
    from groupemo.analysis import Analysis

__all__ = [
    "NONE",
    "briefly",
    "complain",
    "counted",
    "end",
    "failures",
    "figure",
    "marked",
    "note_stand_ins",
    "plain",
    "print_json",
    "print_note",
    "print_table",
    "resumable",
]

NONE = "-"
"""Stands where there is no figure."""


def plain(text: object) -> str:
    """Return the text with escapes for what cannot be printed.

    Examples
    --------
    >>> plain("two" + chr(10) + "lines") == "two" + chr(92) + "nlines"
    True
    """
    return "".join(one if one.isprintable() else _escaped(one) for one in str(text))


def complain(text: str) -> None:
    """Print on standard error; lines after the first are indented."""
    first, *more = map(plain, text.split("\n"))
    typer.echo("\n".join([first, *(f"  {line.strip()}" for line in more)]), err=True)


def briefly(reason: str) -> str:
    """Return, of an error that lists what was tried, the last thing tried."""
    tried = [line for line in reason.split("\n") if line.startswith("  - ")]
    return tried[-1].removeprefix("  - ") if tried else reason


def print_note(text: object) -> None:
    """Print a line of explanation under a result."""
    Console(highlight=False).print(Text(plain(text)))


def counted(number: int, thing: str) -> str:
    """Return "1 photo", "2 photos"."""
    return f"{number} {thing}" + "s" * (number != 1)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; a column named with a closing `>` is set to the right.

    In a terminal too narrow for it words fold first, numbers where there is no other
    way; a file or a pipe gets the table as wide as it is.
    """
    console = Console(highlight=False)
    cells = [[_cell(value) for value in row] for row in rows]
    tables = [_table(title, columns, cells, kept) for kept in ("words", "numbers", "nothing")]
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = max(console.width, _measured(console, tables[0]).maximum)
    fitting = (table for table in tables if _measured(console, table).minimum <= console.width)
    console.print(next(fitting, tables[-1]))


def _table(title: str, columns: Sequence[str], cells: Sequence[Sequence[Text]], kept: str) -> Table:
    """Return a table that keeps whole: its words and numbers, its numbers, or nothing."""
    table = Table(
        title=Text(title, style="bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for at, name in enumerate(columns):
        texts = [name.removesuffix(">"), *(row[at].plain for row in cells)]
        number = name.endswith(">")
        parts = [part for text in texts for part in (text.splitlines() if number else text.split())]
        whole = kept == "words" or (number and kept == "numbers")
        table.add_column(
            texts[0],
            justify="right" if number else "left",
            overflow="fold",
            min_width=max(map(len, parts), default=0) if whole else None,
        )
    for row in cells:
        table.add_row(*row)
    return table


def _measured(console: Console, table: Table) -> Measurement:
    return Measurement.get(console, console.options.update(max_width=10_000), table)


def print_json(value: Any) -> None:
    """Print a value as JSON; an undefined figure becomes null."""
    typer.echo(json.dumps(_defined(value), indent=2, allow_nan=False))


def figure(value: float, low: float = math.nan, high: float = math.nan) -> Text:
    """Return a figure with its interval below it.

    Examples
    --------
    >>> print(figure(0.714, 0.62, 0.79))
    0.71
    [0.62, 0.79]
    """
    if math.isnan(value):
        return Text(NONE)
    interval = "" if math.isnan(low) else f"\n[{low:.2f}, {high:.2f}]"
    return Text(f"{value:.2f}{interval}")


def marked(backend: str) -> str:
    """Return a backend's label with a star in place of the words."""
    return backend.replace(STAND_IN, "*")


def note_stand_ins(backends: Iterable[str]) -> None:
    """Explain the star, if there is one."""
    if any(is_stand_in(backend) for backend in backends):
        print_note("* stand-in weights: not the published model")


def failures(analyses: Iterable[Analysis]) -> list[dict[str, str]]:
    """Return photo, stage and reason of each failure, each once."""
    told = ((one.photo, one.failure.stage, one.failure.reason) for one in analyses if one.failure)
    return [
        {"photo": photo, "stage": stage, "reason": reason}
        for photo, stage, reason in dict.fromkeys(told)
    ]


def end(failed: Sequence[Mapping[str, str]]) -> None:
    """Name the photos that failed, and end with exit code 3 if there are any."""
    for failure in failed:
        complain(f"failed: {plain(failure['reason'])}")
    if failed:
        raise typer.Exit(3)


@contextmanager
def resumable(file: Path) -> Iterator[None]:
    """Say what an interrupted command leaves behind, and end with exit code 130."""
    try:
        yield
    except KeyboardInterrupt as error:
        begun = file.exists() and file.stat().st_size > 0
        kept = f"what was done is kept in {file}; " if begun else ""
        complain(f"interrupted: {kept}run the same command again to go on")
        raise typer.Exit(130) from error


def _cell(value: object) -> Text:
    return value if isinstance(value, Text) else Text(plain(value))


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()


def _defined(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _defined(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_defined(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
