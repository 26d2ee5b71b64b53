"""The table: the main figures of every run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from string import ascii_lowercase

from groupemo.figures import FIGURES, Estimate, Figure
from groupemo.metrics.probabilistic import MIN_PROB
from groupemo.report.grid import Grid, Run
from groupemo.report.words import known, plural, unbounded

__all__ = ["OVER", "Notes", "Row", "Table", "clipped", "table"]

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
    human : sequence of Estimate
        What a person reaches of each column, NaN where unknown; empty where nothing is known.
    clipped : str
        On how many faces the log-loss is not what the probabilities say.
    """

    groups: Sequence[tuple[str, int]]
    columns: Sequence[Figure]
    rows: Sequence[Row]
    notes: Notes
    human: Sequence[Estimate]
    clipped: str

    @property
    def unbounded(self) -> bool:
        """Whether a figure has a value, but no interval."""
        return any(unbounded(each) for row in self.rows for each in row.estimates)


def table(grid: Grid) -> Table:
    """Return the table of a grid, in its order."""
    columns = [FIGURES[name] for name in COLUMNS if name in FIGURES]
    rows = [
        Row(run, [run.estimates[figure.name] for figure in columns], _seconds(run))
        for run in grid.runs
    ]
    notes = Notes.of(each for row in rows for each in row.estimates)
    groups = [(OVER[over], len(list(some))) for over, some in groupby(columns, lambda f: f.over)]
    human = [grid.person.estimate(figure.name) for figure in columns]
    if not any(known(each.value) for each in human):
        human = []
    return Table(groups, columns, rows, notes, human, clipped(grid.runs))


def clipped(runs: Sequence[Run]) -> str:
    """Say on how many faces the log-loss is not what the probabilities say."""
    least = f"Log-loss takes a probability below {MIN_PROB:g} for {MIN_PROB:g}"
    counts = {run.name: int(run.scores.tally["clipped"]) for run in runs}
    if len(runs) == 1 or not any(counts.values()):
        return f"{least}: here on {plural(sum(counts.values()), 'face')}."
    return f"{least}: here on {', '.join(f'{n} of {name}' for name, n in counts.items() if n)}."


def _seconds(run: Run) -> float:
    """Return the mean seconds a photo that was read took; NaN where there is none."""
    each = [sum(photo.analysis.seconds.values()) for photo in run.scores.photos]
    return sum(each) / len(each) if each else float("nan")
