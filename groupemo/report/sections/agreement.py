"""How far the people who labelled agree, and the human ceiling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan

import numpy as np

from groupemo.evaluation import Evaluation
from groupemo.metrics import agreement as people
from groupemo.metrics.uncertainty import draw_weights, interval, leave_one_out, weigh
from groupemo.report.grid import Grid

__all__ = ["Agreement", "Measure", "agreement", "ceiling"]


@dataclass(frozen=True)
class Measure:
    """One figure of agreement."""

    title: str
    text: str
    value: float
    low: float = nan
    high: float = nan


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
        [
            *_ceilings(grid.evaluation),
            Measure("Fleiss' kappa", "agreement beyond chance, faces count alike", found.fleiss),
            Measure("Krippendorff's alpha", "agreement beyond chance, votes count alike",
                    found.alpha),
            Measure("vote entropy", "how split the votes of a face are, in nats", found.entropy),
        ],
        found.annotators,
        found.kappa.tolist(),
        found.shared.tolist(),
    )  # fmt: skip


def ceiling(grid: Grid, figure: str) -> float:
    """Return what one annotator, judged by the others, reaches of a figure; NaN if unknown.

    A person looks at every labelled face, so *matched* and *end to end* are one.
    """
    total = people.human_tally(people.ballots(grid.evaluation.labels))
    once = weigh(total, np.ones((1, len(total.counts))))
    values = people.ceilings(once)
    return float(values.get(figure.replace("end_to_end", "matched"), np.array([nan]))[0])


CEILINGS: Mapping[str, str] = {
    "matched_macro_f1": "human macro-F1",
    "matched_accuracy": "human accuracy",
    "matched_kappa": "human Cohen's kappa",
}


def _ceilings(evaluation: Evaluation) -> list[Measure]:
    human = people.human_tally(people.ballots(evaluation.labels))
    n = len(human.counts)
    point, drawn, jackknife = (
        people.ceilings(weigh(human, weights))
        for weights in (np.ones((1, n)), draw_weights(n), leave_one_out(n))
    )
    measures = []
    for name, title in CEILINGS.items():
        value = float(point[name][0])
        low, high = interval(drawn[name], point=value, jackknife=jackknife[name])
        if not isnan(value):
            text = "one annotator against the majority of the others"
            measures.append(Measure(title, text, value, low, high))
    return measures
