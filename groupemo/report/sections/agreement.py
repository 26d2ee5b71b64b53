"""How far the people who labelled agree, and the human ceiling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import NDArray

from groupemo.labels import Labels
from groupemo.metrics import agreement as people
from groupemo.metrics import classification as cls
from groupemo.metrics.tally import Tally
from groupemo.metrics.uncertainty import Weights, interval, weigh, weightings
from groupemo.report.grid import Grid

__all__ = ["Agreement", "Measure", "agreement", "ceiling", "class_ceilings"]


@dataclass(frozen=True)
class Measure:
    """One figure of agreement."""

    title: str
    text: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Agreement:
    """What is known of the annotators.

    Parameters
    ----------
    faces : int
        Faces with two votes or more.
    measures : sequence of Measure
    annotators : sequence of str
    kappa, shared : sequence of rows
        Of each pair of annotators, in their order.
    """

    faces: int
    measures: Sequence[Measure]
    annotators: Sequence[str]
    kappa: Sequence[Sequence[float]]
    shared: Sequence[Sequence[int]]


def agreement(grid: Grid) -> Agreement | None:
    """Return how far people agree; None where no face has two votes."""
    found = people.agreement(grid.evaluation.labels)
    if not found.faces:
        return None
    return Agreement(
        found.faces,
        list(_measures(grid.evaluation.labels)),
        found.annotators,
        found.kappa.tolist(),
        found.shared.tolist(),
    )


def ceiling(grid: Grid, figure: str) -> float:
    """Return what one annotator, judged by the others, reaches of a figure; NaN if unknown.

    A person looks at every labelled face, so *matched* and *end to end* are one.
    """
    values = people.ceilings(_person(grid))
    return float(values.get(figure.replace("end_to_end", "matched"), np.array([nan]))[0])


def class_ceilings(grid: Grid) -> list[float]:
    """Return the F1 of one annotator, judged by the others, for each class; NaN if unknown."""
    (f1,) = cls.f1(_person(grid), "matched")
    return [float(value) for value in f1]


def _person(grid: Grid) -> Tally:
    """Return what one annotator scores on all photos, shape (1, ...)."""
    human = people.human_tally(people.ballots(grid.evaluation.labels))
    return weigh(human, np.ones((1, len(human.counts))))


PERSON = "one annotator against the majority of the others"

MEASURES: Mapping[str, tuple[str, str]] = {
    "matched_macro_f1": ("human macro-F1", PERSON),
    "matched_accuracy": ("human accuracy", PERSON),
    "matched_kappa": ("human Cohen's kappa", PERSON),
    "fleiss": ("Fleiss' kappa", "agreement beyond chance, faces count alike"),
    "alpha": ("Krippendorff's alpha", "agreement beyond chance, votes count alike"),
    "matched_soft_cross_entropy": (
        "vote entropy", "how split a face's votes are, in nats; no cross-entropy with votes is less"
    ),
}  # fmt: skip
"""What is shown, in words."""


def _measures(labels: Labels) -> Iterator[Measure]:
    cast = people.ballots(labels)
    human = people.human_tally(cast)

    def figures(weights: Weights) -> dict[str, NDArray[np.float64]]:
        return {
            **people.ceilings(weigh(human, weights)),
            "fleiss": people.fleiss_kappa(cast, weights),
            "alpha": people.krippendorff_alpha(cast, weights),
        }

    point, drawn, jackknife = map(figures, weightings(cast.n))
    for name, (title, text) in MEASURES.items():
        value = float(point[name][0])
        bounds = interval(drawn[name], point=value, jackknife=jackknife[name])
        yield Measure(title, text, value, *bounds)
