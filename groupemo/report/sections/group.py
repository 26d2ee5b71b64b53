"""The group as a whole: its valence, and how its expressions are distributed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from groupemo.figures import FIGURES, Estimate, Figure
from groupemo.metrics.group import diversity, rows
from groupemo.report.grid import Grid, Run
from groupemo.report.sections.table import Notes
from groupemo.report.words import known

__all__ = ["Group", "Row", "group"]

MOST = 400
"""Photos drawn at most."""

WORDS = {-1: "negative", 0: "neutral", 1: "positive"}


@dataclass(frozen=True)
class Row:
    """One run's figures of photos."""

    run: Run
    estimates: Sequence[Estimate]


@dataclass(frozen=True)
class Group:
    """Photos as wholes.

    Parameters
    ----------
    columns : sequence of Figure
    rows : sequence of Row
    notes : Notes
    run : Run
        Whose photos are drawn.
    dots : sequence of (labelled, answered)
        The mean valence of each photo, from -1 to 1.
    photos : int
        How many could be compared.
    words : sequence of str
    matrix : sequence of rows of int
        Photos by labelled (rows) and answered (columns) valence.
    diversity : (labelled, answered)
        The mean evenness within a photo.
    """

    columns: Sequence[Figure]
    rows: Sequence[Row]
    notes: Notes
    run: Run
    dots: Sequence[tuple[float, float]]
    photos: int
    words: Sequence[str]
    matrix: Sequence[Sequence[int]]
    diversity: tuple[float, float]


def group(grid: Grid) -> Group | None:
    """Return what is said of photos as wholes; None where nothing can be."""
    columns = [figure for figure in FIGURES.values() if figure.over == "group"]
    run = grid.candidates[0]
    if not any(known(run.estimates[figure.name].value) for figure in columns):
        return None
    once = np.ones((1, len(run.scores.photos)))
    table = rows(run.scores.groups)
    sides = [table[f"{side}_valence"] for side in ("labelled", "answered")]
    both = np.isfinite(sides).all(axis=0)
    dots = np.stack(sides, axis=1)[both]
    kinds = np.stack([table[f"{side}_valence_class"] for side in ("labelled", "answered")])[:, both]
    matrix = [
        [int(((kinds[0] == labelled) & (kinds[1] == answered)).sum()) for answered in WORDS]
        for labelled in WORDS
    ]
    each = [Row(one, [one.estimates[figure.name] for figure in columns]) for one in grid.runs]
    return Group(
        columns,
        each,
        Notes.of(estimate for row in each for estimate in row.estimates),
        run,
        [(float(x), float(y)) for x, y in dots[:: max(1, len(dots) // MOST)]],
        len(dots),
        list(WORDS.values()),
        matrix,
        (
            float(diversity(run.scores.groups, once, "labelled")[0]),
            float(diversity(run.scores.groups, once, "answered")[0]),
        ),
    )
