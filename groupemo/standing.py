"""How the runs of an evaluation stand: ranked, each in its part, and beside a person.

Reports and plots look at an evaluation through it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from groupemo.comparison import Comparisons
from groupemo.detectors.labelled import LABELLED
from groupemo.evaluation import Evaluation
from groupemo.figures import FIGURES, MAIN, Estimate
from groupemo.labels import Labels
from groupemo.metrics import agreement as people
from groupemo.metrics import classification as cls
from groupemo.metrics.anatomy import BINS, bin_counts
from groupemo.metrics.tally import Tally
from groupemo.metrics.uncertainty import weigh, weightings
from groupemo.plugins import is_stand_in
from groupemo.scores import Scores

__all__ = ["Gain", "Part", "Person", "Run", "Standing"]

Part = Literal["candidate", "floor", "reference"]


@dataclass(frozen=True)
class Gain:
    """What mending something adds to the main figure, and how many faces it is about."""

    name: str
    count: int
    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Run:
    """One detector x backend, and what it is in the comparison.

    Parameters
    ----------
    scores : Scores
    number : int
        Its rank, from 1.
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

    @cached_property
    def bins(self) -> dict[str, int]:
        """How many faces and detections are in each bin of the anatomy that is judged."""
        counts = bin_counts(self.scores.bins).sum(axis=0).max(axis=1)
        judged = dict(zip(BINS, counts.tolist(), strict=True))
        del judged["not judged"]
        return judged

    @cached_property
    def gains(self) -> list[Gain]:
        """What mending each bin that holds anything would gain, the greatest gain first."""
        rows = self.scores.anatomy(MAIN).reset_index().to_dict("records")
        gains = [
            Gain(row["bin"], self.bins[row["bin"]], row["gain"], row["low"], row["high"])
            for row in rows
            if not math.isnan(row["gain"]) and self.bins[row["bin"]]
        ]
        return sorted(gains, key=lambda gain: -gain.value)


@dataclass(frozen=True, eq=False)
class Person:
    """What one annotator, judged by the others, reaches: the human ceiling.

    A person looks at every labelled face, so *matched* and *end to end* are one.
    See `groupemo.metrics.agreement.human_tally`.

    Parameters
    ----------
    labels : Labels
        With votes, or of several annotators; without, nothing is known.
    """

    labels: Labels

    @classmethod
    def of(cls, scores: Scores) -> Person:
        """Return the person who labelled the photos of a run."""
        faces = {one.analysis.photo: one.labelled for one in scores.photos}
        return cls(Labels(faces))

    def estimate(self, figure: str) -> Estimate:
        """Return a figure with its interval over photos; NaN if unknown of people."""
        unknown = Estimate(FIGURES[figure], math.nan, math.nan, math.nan, 0)
        return self._estimates.get(figure.replace("end_to_end", "matched"), unknown)

    def classes(self) -> NDArray[np.float64]:
        """Return the F1 of each class, shape (k,); NaN if unknown."""
        (f1,) = cls.f1(weigh(self._tally, np.ones((1, len(self.labels)))), "matched")
        return np.asarray(f1)

    @cached_property
    def _tally(self) -> Tally:
        return people.human_tally(people.ballots(self.labels))

    @cached_property
    def _estimates(self) -> dict[str, Estimate]:
        faces = len(people.ballots(self.labels).compared.photo)
        points, drawn, jackknife = (
            people.ceilings(weigh(self._tally, each)) for each in weightings(len(self.labels))
        )
        return {
            name: FIGURES[name].estimate(values, drawn[name], jackknife[name], faces)
            for name, values in points.items()
        }


@dataclass(frozen=True, eq=False)
class Standing:
    """The runs of an evaluation, ranked.

    Parameters
    ----------
    evaluation : Evaluation
    """

    evaluation: Evaluation

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

    @cached_property
    def person(self) -> Person:
        """The human ceiling on these labels."""
        return Person(self.evaluation.labels)

    @cached_property
    def comparisons(self) -> Comparisons:
        """Every run against every other by the main figure."""
        return self.evaluation.comparisons(MAIN)

    def _of(self, part: Part) -> list[Run]:
        return [run for run in self.runs if run.part == part]


def _rank(run: Run) -> tuple[int, float]:
    value = run.main.value
    return (
        ("candidate", "floor", "reference").index(run.part),
        math.inf if math.isnan(value) else -value,
    )
