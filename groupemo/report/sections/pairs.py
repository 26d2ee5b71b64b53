"""Pair by pair: the confusion matrix, the classes, the reliability diagram, every figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from groupemo.calibration import photos_fitted_on
from groupemo.figures import FIGURES, Estimate
from groupemo.metrics import calibration as cal
from groupemo.metrics.tally import ratio
from groupemo.report.grid import Grid, Run
from groupemo.report.sections.agreement import class_ceilings
from groupemo.report.sections.table import OVER, Notes
from groupemo.report.words import known, number, plural
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
    """One class: F1 end to end with its interval, what it is made of, and a person's F1."""

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
    human = class_ceilings(grid)
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
    )


def _notes(run: Run) -> list[str]:
    total, notes = run.scores.overall(), []
    if total["ignored"]:
        notes.append(
            f"{total['ignored']} of {plural(int(total['detected']), 'detection')} are not judged:"
            " in a region to leave out, or in a photo not labelled completely."
        )
    if total["clipped"]:
        notes.append(f"The log-loss is clipped on {plural(int(total['clipped']), 'face')}.")
    shared = photos_fitted_on(run.scores.analyses())
    if shared:
        notes.append(
            f"Its calibration was fitted on {plural(shared, 'photo')} of these: its probabilities"
            " look better here than they are."
        )
    return notes


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
        )
        for row, ceiling in zip(rows, human, strict=True)
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
    promised, kept = float(answers.confidence.mean()), float(answers.right.mean())
    gap = promised - kept
    verdict = (
        "about as sure as it is right"
        if abs(gap) < 0.02
        else f"{'over' if gap > 0 else 'under'}confident by {100 * abs(gap):.0f} points"
    )
    text = f"Mean confidence {number(promised)}, right on {number(kept)}: {verdict}."
    return Reliability(bins, max(each.count for each in bins), text)
