"""What a report is about: the runs of an evaluation, ranked, each in its part."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from groupemo.detectors.labelled import LABELLED
from groupemo.evaluation import Evaluation
from groupemo.figures import Estimate
from groupemo.plugins import is_stand_in
from groupemo.scores import Scores

__all__ = ["MAIN", "Grid", "Run"]

MAIN = "end_to_end_macro_f1"
"""The figure runs are ranked by."""

Part = Literal["candidate", "floor", "reference"]


@dataclass(frozen=True, eq=False)
class Run:
    """One detector x backend, and what it is in the comparison.

    Parameters
    ----------
    scores : Scores
    number : int
        Its place on the page, from 1.
    """

    scores: Scores
    number: int = 0

    @property
    def detector(self) -> str:
        """The detector's label."""
        return self.scores.detector

    @property
    def backend(self) -> str:
        """The backend's label."""
        return self.scores.backend

    @property
    def name(self) -> str:
        """Both labels in one."""
        return f"{self.detector} x {self.backend}"

    @property
    def part(self) -> Part:
        """What it is: a floor answers the same for every face; a reference is given the boxes."""
        if self.detector == LABELLED:
            return "reference"
        return "floor" if self.backend.partition(":")[0] == "prior" else "candidate"

    @property
    def stand_in(self) -> bool:
        """Whether the backend runs on weights that are not the published ones."""
        return is_stand_in(self.backend)

    @property
    def estimates(self) -> Mapping[str, Estimate]:
        """Every figure with its interval."""
        return self.scores.estimates()

    @property
    def main(self) -> Estimate:
        """The figure it is ranked by."""
        return self.estimates[MAIN]


@dataclass(frozen=True, eq=False)
class Grid:
    """An evaluation as a report looks at it.

    Parameters
    ----------
    evaluation : Evaluation
    show_faces : bool
        Show faces as they are.
    """

    evaluation: Evaluation
    show_faces: bool = False

    @cached_property
    def runs(self) -> list[Run]:
        """Candidates best first, then floors, then references."""
        ordered = sorted(map(Run, self.evaluation.scores), key=_rank)
        return [Run(run.scores, number) for number, run in enumerate(ordered, 1)]

    @cached_property
    def candidates(self) -> list[Run]:
        """The runs that may come first: all that are no reference where there are only floors."""
        return self._of("candidate") or self._of("floor") or self.runs

    @property
    def floors(self) -> list[Run]:
        """The runs that answer the same for every face."""
        return [run for run in self._of("floor") if run not in self.candidates]

    @property
    def references(self) -> list[Run]:
        """The runs that were given the labelled boxes."""
        return [run for run in self._of("reference") if run not in self.candidates]

    @property
    def stand_in(self) -> bool:
        """Whether any run has stand-in weights."""
        return any(run.stand_in for run in self.runs)

    def _of(self, part: Part) -> list[Run]:
        return [run for run in self.runs if run.part == part]


def _rank(run: Run) -> tuple[int, float]:
    value = run.main.value
    return (
        ("candidate", "floor", "reference").index(run.part),
        math.inf if math.isnan(value) else -value,
    )
