"""The answer: which run came closest to the hand labels, in words and as a dot plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import nan

import numpy as np

from groupemo.comparison import ALPHA, Comparisons, compare
from groupemo.difference import Difference
from groupemo.figures import Estimate
from groupemo.metrics import classification as cls
from groupemo.report.axes import Axis, axis
from groupemo.report.grid import MAIN, Grid, Run
from groupemo.report.words import (
    MINUS,
    STAND_IN,
    interval,
    known,
    listed,
    number,
    p_value,
)

__all__ = ["Answer", "Line", "answer"]

FEW_PHOTOS, FEW_FACES = 10, 10
"""Fewer than these are said to be few."""


@dataclass(frozen=True)
class Line:
    """A figure to compare with, drawn across all rows of a plot."""

    title: str
    kind: str
    estimate: Estimate

    @property
    def value(self) -> float:
        """Where it is drawn."""
        return self.estimate.value


@dataclass(frozen=True)
class Answer:
    """The answer.

    Parameters
    ----------
    lead : str
        One sentence.
    more : sequence of str
    cautions : sequence of str
        What makes it less sure than it looks.
    candidates, others : sequence of Run
        The rows of the plot; others are floors and references.
    lines : sequence of Line
    axis : Axis
    """

    lead: str
    more: Sequence[str]
    cautions: Sequence[str]
    candidates: Sequence[Run]
    others: Sequence[Run]
    lines: Sequence[Line]
    axis: Axis

    @property
    def sentences(self) -> list[str]:
        """All of it as text."""
        return [self.lead, *self.more, *self.cautions]

    @property
    def drawn(self) -> bool:
        """Whether there is a figure to draw."""
        return any(known(run.main.value) for run in self.candidates)


def answer(grid: Grid) -> Answer:
    """Return the answer."""
    best, human = grid.candidates[0], grid.person.estimate(MAIN)
    floors = [run.main for run in grid.floors if known(run.main.value)]
    lines = [Line("annotators' ceiling", "ceiling", human)] if known(human.value) else []
    if floors:
        best_floor = max(floors, key=lambda each: each.value)
        lines.append(Line("constant answer", "floor", best_floor))
    drawn = [value for run in grid.runs for value in (run.main.value, run.main.high)]
    found = known(best.main.value)
    return Answer(
        lead=_lead(grid, best) if found else NOTHING,
        more=[*_runner_up(grid), *_frame(grid, lines), *_halves(best)] if found else [],
        cautions=_cautions(grid, best) if found else [],
        candidates=grid.candidates,
        others=[*grid.floors, *grid.references],
        lines=lines,
        axis=axis([*drawn, *(line.value for line in lines)]),
    )


NOTHING = (
    "No labelled face here has a known expression that could be judged, so how right the"
    " answers are cannot be said."
)


def _lead(grid: Grid, best: Run) -> str:
    did = "came closest to" if len(grid.candidates) > 1 else "was compared with"
    return (
        f"{best.name} {did} the hand labels: end-to-end macro-F1"
        f" {number(best.main.value)}{interval(best.main)}."
    )


def _runner_up(grid: Grid) -> list[str]:
    first, *rest = grid.candidates
    if not rest or not known(rest[0].main.value):
        return []
    one, corrected = _compared(grid.comparisons, first, rest[0])
    told = one.sentence(first.name, rest[0].name).replace(" -", f" {MINUS}")
    said = f"{told[0].upper()}{told[1:]}." if told.startswith("no ") else f"{told}."
    tests = int(np.isfinite(grid.comparisons.corrected).sum())
    if tests < 2 or not known(corrected):
        return [said]
    survives = "survives" if corrected < ALPHA else "does not survive"
    return [
        f"{said} Corrected for all {tests} comparisons, p {_equals(p_value(corrected))}: the"
        f" difference {survives}."
    ]


def _compared(found: Comparisons, first: Run, second: Run) -> tuple[Difference, float]:
    """Return how the first run differs from the second, and the p-value after correction."""
    pair = first.scores.pair, second.scores.pair
    rows = zip(found.pairs, found.differences, found.corrected.tolist(), strict=True)
    for (a, b), one, corrected in rows:
        if (a, b) == pair:
            return one, corrected
        if (b, a) == pair:
            return replace(one, a=one.b, b=one.a, low=-one.high, high=-one.low), corrected
    return compare(first.scores, second.scores, figures=(MAIN,)).differences[MAIN], nan


def _equals(p: str) -> str:
    return p if p.startswith("<") else f"= {p}"


def _frame(grid: Grid, lines: Sequence[Line]) -> list[str]:
    """Say between which figures the answer lies: floor, reference and ceiling."""
    said = {"floor": "the same answer for every face reaches {}",
            "ceiling": "one annotator, judged by the others, reaches {}"}  # fmt: skip
    told = [said[line.kind].format(number(line.value))
            + (interval(line.estimate) if line.kind == "ceiling" else "")
            for line in reversed(lines)]  # fmt: skip
    given = [run for run in grid.references if known(run.main.value)]
    told += [f"{run.backend} with the labelled boxes given reaches {number(run.main.value)}"
             for run in given if run.backend == grid.candidates[0].backend]  # fmt: skip
    return [f"To compare: {'; '.join(told)}."] if told else []


def _halves(best: Run) -> list[str]:
    """Say how much of the way is the detector's, how much the backend's, in faces."""
    total = best.scores.overall()
    found, labelled, matched = (int(total[name]) for name in ("found", "labelled", "matched"))
    right = matched - int(total["wrong_emotion"])
    return [
        f"It found {found} of {labelled} labelled faces; where it found a face and answered, it"
        f" gave the labelled expression on {right} of {matched}."
    ]


def _cautions(grid: Grid, best: Run) -> list[str]:
    judged = len(best.scores.photos)
    told = _rare(best)
    if best.stand_in:
        told.append(f"Mind the {STAND_IN}.")
    if judged == 1:
        told.append("One photo says nothing about others: there are no intervals.")
    elif judged < FEW_PHOTOS:
        told.append(f"With so few photos ({judged}), the intervals themselves are rough.")
    return told


def _rare(best: Run) -> list[str]:
    support = cls.support(best.scores.tally, "end_to_end")
    rare = [f"{name} ({int(n)})" for name, n in zip(best.scores.classes, support, strict=True)
            if 0 < n < FEW_FACES]  # fmt: skip
    if not rare:
        return []
    return [
        f"Few faces stand for {listed(rare)}: the macro-F1 hangs on them, and is less sure than"
        " it looks."
    ]
