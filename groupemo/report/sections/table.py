"""The table: the main figures of every run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from string import ascii_lowercase

from groupemo.figures import FIGURES, Estimate, Figure
from groupemo.report.grid import Grid, Run
from groupemo.report.words import known

__all__ = ["OVER", "Notes", "Row", "Table", "table"]

COLUMNS = (
    "end_to_end_macro_f1",
    "end_to_end_accuracy",
    "matched_macro_f1",
    "matched_accuracy",
    "matched_log_loss",
    "detection_recall",
    "detection_precision",
    "detection_ap50",
)
"""The figures shown, of those there are."""

OVER = {
    "end_to_end": "End to end",
    "matched": "Matched",
    "detection": "Detection",
    "group": "Group",
}
"""What a figure is taken over, as a heading."""


class Notes(dict[str, str]):
    """Footnotes: a reason has one letter, however often it is given."""

    @classmethod
    def of(cls, estimates: Iterable[Estimate]) -> Notes:
        """Return the reasons why some of these are not defined."""
        lacking = (each.figure.undefined for each in estimates if not known(each.value))
        return cls(zip(dict.fromkeys(lacking), ascii_lowercase, strict=False))


@dataclass(frozen=True)
class Row:
    """One run's row."""

    run: Run
    estimates: Sequence[Estimate]
    seconds: float


@dataclass(frozen=True)
class Table:
    """The table.

    Parameters
    ----------
    groups : sequence of (heading, how many columns)
    columns : sequence of Figure
    rows : sequence of Row
    notes : Notes
        Why figures are not defined.
    """

    groups: Sequence[tuple[str, int]]
    columns: Sequence[Figure]
    rows: Sequence[Row]
    notes: Notes


def table(grid: Grid) -> Table:
    """Return the table of a grid, in its order."""
    columns = [FIGURES[name] for name in COLUMNS if name in FIGURES]
    rows = [
        Row(run, [run.estimates[figure.name] for figure in columns], _seconds(run))
        for run in grid.runs
    ]
    notes = Notes.of(each for row in rows for each in row.estimates)
    groups = [(OVER[over], len(list(some))) for over, some in groupby(columns, lambda f: f.over)]
    return Table(groups, columns, rows, notes)


def _seconds(run: Run) -> float:
    """Return the mean seconds a photo that was read took; NaN where there is none."""
    each = [sum(photo.analysis.seconds.values()) for photo in run.scores.photos]
    return sum(each) / len(each) if each else float("nan")
