"""Pair by pair: the confusion matrix, the classes, the reliability diagram, every figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groupemo.calibration import photos_fitted_on
from groupemo.figures import FIGURES, Estimate
from groupemo.metrics import calibration as cal
from groupemo.metrics.answers import Answers
from groupemo.metrics.detection import lrp_components
from groupemo.metrics.joint import panoptic_per_class
from groupemo.metrics.tally import ratio
from groupemo.metrics.uncertainty import Weights, estimate
from groupemo.report.grid import Grid, Run
from groupemo.report.sections.table import OVER, Notes, clipped
from groupemo.report.words import known, number, plural, points, span, unbounded
from groupemo.scores import Scores

__all__ = ["Bin", "Cell", "ClassRow", "Pair", "Pairs", "Reliability", "pairs"]

OPEN = 2
"""How many pairs are shown unfolded where there are more than `FEW`."""

FEW = 4


@dataclass(frozen=True)
class Cell:
    """One cell of a confusion matrix: the count, its share of the row, whether it is right."""

    count: int
    share: float
    right: bool


@dataclass(frozen=True)
class ClassRow:
    """One class: F1 end to end with its interval, what it is made of, and a person's F1.

    The panoptic quality `pq` is `sq`, how well the boxes lie, times the F1.
    """

    name: str
    f1: float
    low: float
    high: float
    precision: float
    recall: float
    matched_f1: float
    n: int
    answered: int
    human: float
    pq: float
    sq: float


@dataclass(frozen=True)
class Bin:
    """One bin of a reliability diagram that holds a face."""

    left: float
    right: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Reliability:
    """The reliability diagram: its bins, the greatest count, and what it says."""

    bins: Sequence[Bin]
    most: int
    text: str


@dataclass(frozen=True)
class Pair:
    """Everything said of one run."""

    run: Run
    open: bool
    notes: Sequence[str]
    columns: Sequence[str]
    confusion: Sequence[tuple[str, Sequence[Cell], int]]
    classes: Sequence[ClassRow]
    reliability: Reliability | None
    figures: Sequence[tuple[str, Sequence[Estimate]]]
    footnotes: Notes
    lrp: Sequence[tuple[str, float]]
    clipped: str

    @property
    def unbounded(self) -> bool:
        """Whether a figure has a value, but no interval."""
        return any(unbounded(each) for _, some in self.figures for each in some)


@dataclass(frozen=True)
class Pairs:
    """All pairs, in the order of the grid."""

    pairs: Sequence[Pair]

    @property
    def human(self) -> bool:
        """Whether a person's F1 is known of any class."""
        return any(known(row.human) for pair in self.pairs for row in pair.classes)


def pairs(grid: Grid) -> Pairs:
    """Return what is said of each run."""
    few = len(grid.runs) <= FEW
    human = grid.person.classes().tolist()
    return Pairs([_pair(run, human, shown=few or run.number <= OPEN) for run in grid.runs])


def _pair(run: Run, human: Sequence[float], *, shown: bool) -> Pair:
    figures = [
        (OVER[over], [run.estimates[each.name] for each in FIGURES.values() if each.over == over])
        for over in ("end_to_end", "detection", "group", "matched")
    ]
    return Pair(
        run,
        shown,
        _notes(run),
        *_confusion(run.scores),
        _classes(run.scores, human),
        _reliability(run.scores),
        figures,
        Notes.of(each for _, some in figures for each in some),
        _lrp(run.scores),
        clipped([run]),
    )


def _notes(run: Run) -> list[str]:
    total, notes = run.scores.overall(), []
    if total["ignored"]:
        notes.append(
            f"{total['ignored']} of {plural(int(total['detected']), 'detection')} are not judged:"
            " in a region to leave out, or in a photo not labelled completely."
        )
    shared = photos_fitted_on(run.scores.analyses())
    if shared:
        notes.append(
            f"Its calibration was fitted on {plural(shared, 'photo')} of these: its probabilities"
            " look better here than they are."
        )
    return notes


def _lrp(scores: Scores) -> list[tuple[str, float]]:
    """Return the parts of the LRP error: what the boxes are off, phantoms, misses."""
    errors = (float(each) for each in lrp_components(scores.tally))
    return list(zip(("boxes off", "phantoms", "missed"), errors, strict=True))


def _confusion(scores: Scores) -> tuple[list[str], list[tuple[str, list[Cell], int]]]:
    """Return the columns and rows of the table of counts.

    The classes, *missed* and *no labelled face* are always there, *abstained* and
    *unsure* where they hold anything.
    """
    frame, k = scores.confusion(), len(scores.classes)
    counts = frame.to_numpy()
    rows = [i for i in range(k + 2) if i != k or counts[i].any()]
    columns = [j for j in range(k + 2) if j != k or counts[:, j].any()]
    sums = counts.sum(axis=1)
    shares = ratio(counts, np.broadcast_to(sums[:, None], counts.shape))
    return [str(frame.columns[j]) for j in columns], [
        (
            str(frame.index[i]),
            [Cell(int(counts[i, j]), float(shares[i, j]), i == j < k) for j in columns],
            int(sums[i]),
        )
        for i in rows
    ]


def _classes(scores: Scores, human: Sequence[float]) -> list[ClassRow]:
    rows = scores.per_class().reset_index().to_dict("records")
    pq, sq, _ = (each.tolist() for each in panoptic_per_class(scores.tally))
    return [
        ClassRow(
            name=str(row["class"]),
            f1=row["end_to_end_f1"],
            low=row["end_to_end_f1_low"],
            high=row["end_to_end_f1_high"],
            precision=row["end_to_end_precision"],
            recall=row["end_to_end_recall"],
            matched_f1=row["matched_f1"],
            n=row["end_to_end_support"],
            answered=row["end_to_end_answered"],
            human=ceiling,
            pq=quality,
            sq=placed,
        )
        for row, ceiling, quality, placed in zip(rows, human, pq, sq, strict=True)
    ]


def _reliability(scores: Scores) -> Reliability | None:
    answers = scores.answers
    if not len(answers):
        return None
    found = cal.reliability(answers)
    bins = [
        Bin(float(left), float(right), int(count), float(confidence), float(accuracy))
        for left, right, count, confidence, accuracy in zip(
            found.edges[:-1], found.edges[1:], found.count, found.confidence, found.accuracy,
            strict=True,
        )
        if count
    ]  # fmt: skip
    text = (
        f"Mean confidence {number(float(answers.confidence.mean()))}, right on"
        f" {number(float(answers.right.mean()))}: {_verdict(answers)}."
    )
    return Reliability(bins, max(each.count for each in bins), text)


def _verdict(answers: Answers) -> str:
    """Say whether confidence is above or below the share right, as surely as photos tell."""
    gaps = answers.per_photo(answers.confidence - answers.right)
    faces = answers.per_photo(np.ones(len(answers)))

    def gap(weights: Weights) -> NDArray[np.float64]:
        return ratio(weights @ gaps, weights @ faces)

    value, low, high = estimate(gap, answers.n)
    if low <= 0 <= high:
        return (
            f"no telling whether it is too sure: {points(value)} points (95 % interval"
            f" {points(low)} to {points(high)})"
        )
    sign = 1 if value > 0 else -1
    within = span(100 * min(sign * low, sign * high), 100 * max(sign * low, sign * high), 1)
    surely = f"95 % interval {within}" if within else "no interval"
    return (
        f"{'over' if value > 0 else 'under'}confident by {number(100 * abs(value), 1)} points"
        f" ({surely})"
    )
