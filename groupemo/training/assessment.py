"""How right a net is on faces with votes: every figure of a model card, with its interval.

Conventions
-----------
A face's *label* is its majority: `groupemo.training.faces_file.labels_of`. Figures are
the matched ones of `groupemo.figures`, as every face is given and answered: those
against votes stand on all faces, the others on those with a label. Intervals are
over the photos that the faces came from; where each face is a photo of its own, as in
FER2013, over faces.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groupemo.emotions import EMOTIONS
from groupemo.figures import FIGURES, Estimate, Figure, Weighed
from groupemo.metrics import agreement, calibration
from groupemo.metrics import classification as cls
from groupemo.metrics.answers import Answers
from groupemo.metrics.probabilistic import entropy
from groupemo.metrics.scaling import cross_fit, scaled
from groupemo.metrics.tally import Tally, ratio, tally_found
from groupemo.metrics.uncertainty import DRAWS, weightings

__all__ = ["ASSESSED", "TARGET", "Assessment", "GivenFaces", "Threshold", "assess"]

Floats = NDArray[np.float64]

ASSESSED = (
    "matched_accuracy",
    "matched_balanced_accuracy",
    "matched_macro_f1",
    "matched_soft_cross_entropy",
    "matched_ece",
)
"""The figures that are given."""

BY_CLASS: Mapping[Callable[[Tally, cls.Denominator], Floats], Any] = {
    cls.recall: cls.support,
    cls.precision: cls.answered,
    cls.f1: cls.support,
}
"""Each figure of a class, and the faces it stands on."""

CONFIDENCE = ("matched_soft_cross_entropy", "matched_ece")
"""Those that a temperature changes."""

TARGET = 0.95
"""The accuracy of the answered faces that the suggested threshold is chosen for."""

LEAST_ANSWERED = 30
"""Fewer answered faces say nothing of a threshold."""

CELLS = 2**25
"""Most draws x photos: 256 MiB; beyond 16,000 photos there are fewer draws."""


@dataclass(frozen=True, eq=False)
class GivenFaces:
    """Faces that a net was given, and its answers: what matched figures ask of `Scores`.

    Parameters
    ----------
    labels : np.ndarray, shape=(m,)
        -1 where there is none.
    probs : np.ndarray, shape=(m, k)
        A row with a NaN where it abstained.
    votes : np.ndarray, shape=(m, k)
    photo : np.ndarray, shape=(m,)
        The row of each face's photo, 0..n-1.
    n : int
        Photos.
    """

    labels: NDArray[np.int64]
    probs: Floats
    votes: NDArray[Any]
    photo: NDArray[np.int64]
    n: int

    @cached_property
    def stacked(self) -> Tally:
        """One tally a photo on a leading axis."""
        return tally_found(
            self.labels, self.probs, self.photo, self.n, self.votes.astype(np.float64)
        )

    @cached_property
    def tally(self) -> Tally:
        """Their sum."""
        return Tally(self.stacked.counts.sum(axis=0), self.stacked.sums.sum(axis=0))

    @cached_property
    def answers(self) -> Answers:
        """The answered faces with a label."""
        known = (self.labels >= 0) & ~np.isnan(self.probs).any(axis=1)
        return Answers(self.photo[known], self.n, self.labels[known], self.probs[known])

    def estimate(self, figure: Figure) -> Estimate:
        """Return a matched figure with its 95 % interval over photos."""
        scores: Any = self
        points, drawn, jackknife = map(figure.of, self._weighed)
        return figure.estimate(points, drawn, jackknife, int(figure.count(scores)))

    def estimates(self, names: Iterable[str]) -> dict[str, Estimate]:
        """Return the figures of these names."""
        return {name: self.estimate(FIGURES[name]) for name in names}

    @cached_property
    def _weighed(self) -> list[Weighed]:
        scores: Any = self
        draws = max(min(DRAWS, CELLS // max(self.n, 1)), 200)
        return [Weighed(scores, weights) for weights in weightings(self.n, draws)]


@dataclass(frozen=True)
class Threshold:
    """The lowest confidence, in hundredths, from which answers reach a wanted accuracy.

    Parameters
    ----------
    confidence : float
    coverage : float
        Share of the labelled faces that are answered.
    accuracy : Estimate
        Of those.
    """

    confidence: float
    coverage: float
    accuracy: Estimate


@dataclass(frozen=True, eq=False)
class Assessment:
    """How right a net is on faces with votes.

    Parameters
    ----------
    faces, labelled, photos : int
        All of them, those with a label, and what they came from.
    figures : dict of str to Estimate
        Of `ASSESSED`.
    unscaled : dict of str to Estimate
        Those that a temperature changes, with it taken out again.
    cross_fitted : Estimate
        The calibration error with a temperature that was fitted on other photos, in
        five folds.
    classes : dict of str to (dict of str to Estimate)
        Each class's "recall" (of the faces labelled so), "precision" (of those answered
        so) and "f1".
    confusion : np.ndarray, shape=(7, 7)
        Rows the label, columns the answer.
    threshold : Threshold or None
        None where none reaches `TARGET` on `LEAST_ANSWERED` faces or more.
    commonest : (str, float)
        The most frequent label, and the accuracy of always answering it.
    doubt : float
        Mean entropy of the votes, nats: the least cross-entropy possible.
    human : dict of str to float
        The first three figures of one random voter judged by the others: see
        `groupemo.metrics.agreement`. Empty where votes are not counts of two voters or more.
    """

    faces: int
    labelled: int
    photos: int
    figures: Mapping[str, Estimate]
    unscaled: Mapping[str, Estimate]
    cross_fitted: Estimate
    classes: Mapping[str, Mapping[str, Estimate]]
    confusion: NDArray[np.int64]
    threshold: Threshold | None
    commonest: tuple[str, float]
    doubt: float
    human: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON would hold it; what is undefined is None."""
        at = self.threshold
        return {
            "assessed": {"faces": self.faces, "labelled": self.labelled, "photos": self.photos},
            "figures": _told(self.figures),
            "without_temperature": _told(self.unscaled),
            "temperature_cross_fitted": _told({"matched_ece": self.cross_fitted}),
            "classes": {name: _told(each) for name, each in self.classes.items()},
            "confusion": self.confusion.tolist(),
            "threshold": at
            and {
                "target": TARGET,
                "confidence": at.confidence,
                "coverage": at.coverage,
                **_told({"matched_accuracy": at.accuracy}),
            },
            "commonest": {"class": self.commonest[0], "accuracy": _defined(self.commonest[1])},
            "least_cross_entropy": self.doubt,
            "human": {name: _defined(value) for name, value in self.human.items()},
        }


def _told(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    return {
        name: {
            **{bound: _defined(getattr(one, bound)) for bound in ("value", "low", "high")},
            "n": one.n,
        }
        for name, one in estimates.items()
    }


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else value


def assess(
    probs: Floats,
    labels: NDArray[np.int64],
    votes: NDArray[Any],
    photos: NDArray[Any],
    *,
    temperature: float = 1.0,
) -> Assessment:
    """Return how right probabilities are.

    Parameters
    ----------
    probs : np.ndarray, shape=(n, 7)
        In the order of `EMOTIONS`.
    labels : np.ndarray, shape=(n,)
        -1 for none.
    votes : np.ndarray, shape=(n, 7)
        Counts or shares, each row more than 0.
    photos : np.ndarray, shape=(n,)
        Which photo each face came from; any numbers.
    temperature : float
        That the logits of `probs` were divided by.
    """
    names, photo = np.unique(photos, return_inverse=True)
    faces = GivenFaces(labels, probs, votes, photo, len(names))
    k = len(EMOTIONS)
    unscaled = replace(faces, probs=scaled(probs, np.full(k, temperature), np.zeros(k)))
    refitted = probs.copy()
    refitted[labels >= 0] = cross_fit(unscaled.answers, "temperature")
    support = cls.support(faces.tally, "matched")
    commonest = int(support.argmax())
    return Assessment(
        faces=len(votes),
        labelled=int(support.sum()),
        photos=faces.n,
        figures=faces.estimates(ASSESSED),
        unscaled=unscaled.estimates(CONFIDENCE),
        cross_fitted=replace(faces, probs=refitted).estimate(FIGURES["matched_ece"]),
        classes={
            name: {of.__name__: faces.estimate(_of_class(of, at)) for of in BY_CLASS}
            for at, name in enumerate(EMOTIONS)
        },
        confusion=cls.confusion(faces.tally, "matched"),
        threshold=_threshold(faces),
        commonest=(EMOTIONS[commonest], float(ratio(support[commonest], support.sum()))),
        doubt=float(entropy(votes.astype(np.float64)).mean()),
        human=_human(agreement.Ballots(photo, faces.n, votes.astype(np.float64))),
    )


def _of_class(of: Callable[[Tally, cls.Denominator], Floats], at: int) -> Figure:
    return Figure(
        name=f"{of.__name__}_{EMOTIONS[at]}",
        title=of.__name__,
        over="matched",
        of=lambda run: of(run.tally, "matched")[:, at],
        count=lambda run: BY_CLASS[of](run.tally, "matched")[at],
        undefined="no such face",
    )


def _threshold(faces: GivenFaces) -> Threshold | None:
    answers = faces.answers
    curve = calibration.risk_coverage(answers)
    steps = np.arange(100) / 100
    last = np.searchsorted(-curve.threshold, -steps, side="right") - 1  # the least that is enough
    answered = np.append(curve.coverage, 0.0)[last] * len(answers)
    reached = (answered >= LEAST_ANSWERED) & (np.append(curve.risk, 1.0)[last] <= 1 - TARGET)
    if not reached.any():
        return None
    confidence = float(steps[reached.argmax()])
    sure = faces.probs.max(axis=1) >= confidence
    abstaining = replace(faces, probs=np.where(sure[:, None], faces.probs, np.nan))
    accuracy = abstaining.estimate(FIGURES["matched_accuracy"])
    return Threshold(confidence, accuracy.n / len(answers), accuracy)


def _human(cast: agreement.Ballots) -> dict[str, float]:
    if not len(cast.compared.votes):
        return {}
    each = agreement.human_tally(cast)
    told = agreement.ceilings(Tally(each.counts.sum(axis=0), each.sums.sum(axis=0)))
    return {name: float(told[name]) for name in ASSESSED[:3]}
