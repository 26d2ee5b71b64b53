"""Are the differences real: every run against every other, corrected for how many there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from groupemo.comparison import Comparisons as Found
from groupemo.difference import Difference
from groupemo.report.grid import Grid, Run
from groupemo.report.words import known

__all__ = ["Cell", "Comparisons", "Row", "comparisons"]

FEWEST = 2
"""Runs below which there is nothing to compare."""


@dataclass(frozen=True)
class Cell:
    """How much better the row's run is than the column's, in points; and whether it survives."""

    gain: float
    survives: bool


@dataclass(frozen=True)
class Row:
    """One comparison, the better run first."""

    better: Run
    worse: Run
    gain: tuple[float, float, float]
    p: float
    corrected: float
    survives: bool


@dataclass(frozen=True)
class Comparisons:
    """All comparisons.

    Parameters
    ----------
    found : groupemo.comparison.Comparisons
    runs : sequence of Run
    matrix : sequence of rows of Cell
        None where a run meets itself.
    rows : sequence of Row
        The surest first; `p` and `corrected` are p-values.
    """

    found: Found
    runs: Sequence[Run]
    matrix: Sequence[Sequence[Cell | None]]
    rows: Sequence[Row]


def comparisons(grid: Grid) -> Comparisons | None:
    """Return every run against every other; None for fewer than two."""
    runs = [*grid.candidates, *grid.floors]
    if len(runs) < FEWEST:
        return None
    found = grid.comparisons
    by_pair = {run.scores.pair: run for run in runs}
    cells: dict[tuple[Run, Run], Cell] = {}
    for (a, b), one, survives in zip(found.pairs, found.differences, found.survive, strict=True):
        gain = one.gain[0]
        cells[by_pair[a], by_pair[b]] = Cell(gain, bool(survives))
        cells[by_pair[b], by_pair[a]] = Cell(-gain, bool(survives))
    return Comparisons(
        found,
        runs,
        [[cells.get((row, column)) for column in runs] for row in runs],
        sorted(_rows(found, by_pair), key=_unsure),
    )


def _unsure(row: Row) -> tuple[bool, float, float, float]:
    """Sort the surest first, what cannot be tested last."""
    return not known(row.corrected), row.corrected, row.p, -row.gain[0]


def _rows(found: Found, runs: Mapping[tuple[str, str], Run]) -> list[Row]:
    return [
        _row(runs[a], runs[b], one, float(corrected), bool(survives))
        for (a, b), one, corrected, survives in zip(
            found.pairs, found.differences, found.corrected, found.survive, strict=True
        )
    ]


def _row(a: Run, b: Run, one: Difference, corrected: float, survives: bool) -> Row:
    gain, low, high = one.gain
    if gain < 0:
        a, b, (gain, low, high) = b, a, (-gain, -high, -low)
    return Row(a, b, (gain, low, high), one.p, corrected, survives)
