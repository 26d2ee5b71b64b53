"""How right a net is on faces with votes: every figure of a model card, with its interval.

Conventions
-----------
A face is *labelled* where its votes have one most frequent class: that is its label.
Cross-entropy against votes is taken over all faces. Intervals are those of
`groupemo.metrics.uncertainty`, over the photos that the faces came from; where each
face is a photo of its own, as in FER2013, over faces.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groupemo.emotions import EMOTIONS
from groupemo.metrics import agreement, calibration, classification
from groupemo.metrics.answers import Answers
from groupemo.metrics.probabilistic import entropy, soft_cross_entropy
from groupemo.metrics.scaling import cross_fit, scaled
from groupemo.metrics.tally import SUMS, Tally, ratio
from groupemo.metrics.uncertainty import DRAWS, Weights, interval, weigh, weightings

__all__ = ["TARGET", "Assessment", "ClassFigures", "Figure", "Threshold", "assess"]

TARGET = 0.95
"""The accuracy of the answered faces that the suggested threshold is chosen for."""

LEAST_ANSWERED = 30
"""Fewer answered faces say nothing of a threshold."""

CELLS = 2**25
"""Most draws x photos: 256 MiB; beyond 16,000 photos there are fewer draws."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """A figure, its 95 % interval (NaN where there is none), and the faces it stands on."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class ClassFigures:
    """How right the answers are for one class: labelled and answered faces, and figures."""

    name: str
    labelled: int
    answered: int
    recall: Figure
    precision: Figure
    f1: Figure


@dataclass(frozen=True)
class Threshold:
    """The lowest confidence, in hundredths, from which answers reach a wanted accuracy.

    Parameters
    ----------
    confidence : float
    coverage : float
        Share of the labelled faces that are answered.
    accuracy : Figure
        Of those.
    """

    confidence: float
    coverage: float
    accuracy: Figure


@dataclass(frozen=True, eq=False)
class Assessment:
    """How right a net is on faces with votes.

    Parameters
    ----------
    faces, labelled, photos : int
        All of them, those with one most frequent vote, and what they came from.
    figures : dict of str to Figure
        "accuracy", "balanced_accuracy", "macro_f1", "cross_entropy", "ece"; with the
        temperature taken out again "cross_entropy_before" and "ece_before"; with one
        fitted on other photos, in five folds, "ece_cross_fitted".
    classes : tuple of ClassFigures
    confusion : np.ndarray, shape=(7, 7)
        Rows the label, columns the answer.
    threshold : Threshold or None
        None where none reaches `TARGET` on `LEAST_ANSWERED` faces or more.
    commonest : (str, float)
        The most frequent label, and the accuracy of always answering it.
    doubt : float
        Mean entropy of the votes, nats: the least cross-entropy possible.
    human : dict of str to float
        Of one random voter judged by the others: see `groupemo.metrics.agreement`. Empty
        where votes are not counts of two voters or more.
    """

    faces: int
    labelled: int
    photos: int
    figures: Mapping[str, Figure]
    classes: tuple[ClassFigures, ...]
    confusion: NDArray[np.int64]
    threshold: Threshold | None
    commonest: tuple[str, float]
    doubt: float
    human: Mapping[str, float]


def assess(
    probs: Floats, votes: NDArray[Any], photos: NDArray[Any], *, temperature: float = 1.0
) -> Assessment:
    """Return how right probabilities are against votes.

    Parameters
    ----------
    probs : np.ndarray, shape=(n, 7)
        In the order of `EMOTIONS`.
    votes : np.ndarray, shape=(n, 7)
        Counts or shares, each row more than 0.
    photos : np.ndarray, shape=(n,)
        Which photo each face came from; any numbers.
    temperature : float
        That the logits of `probs` were divided by.
    """
    votes = votes.astype(np.float64)
    labels = agreement.majority(votes)
    known = labels >= 0
    names, photo = np.unique(photos, return_inverse=True)
    n, labelled = len(names), int(known.sum())

    def answers_of(rows: Floats) -> Answers:
        return Answers(photo[known], n, labels[known], rows[known])

    def tallies_of(rows: Floats) -> _Tallies:
        return _Tallies(_tally_each(rows, votes, labels, photo, n), n)

    def ece(given: Answers) -> Figure:
        return _estimate(partial(calibration.expected_calibration_error, given), n, labelled)

    before = scaled(probs, np.full(probs.shape[1], temperature), np.zeros(probs.shape[1]))
    answers, plain = answers_of(probs), answers_of(before)
    tallies = tallies_of(probs)
    tally = tallies.whole
    support = classification.support(tally, "matched")
    figures = {
        "accuracy": tallies.figure(_matched(classification.accuracy), labelled),
        "balanced_accuracy": tallies.figure(_matched(classification.balanced_accuracy), labelled),
        "macro_f1": tallies.figure(_macro_f1, labelled),
        "cross_entropy": tallies.figure(_cross_entropy, len(votes), most=math.inf),
        "cross_entropy_before": tallies_of(before).figure(
            _cross_entropy, len(votes), most=math.inf
        ),
        "ece": ece(answers),
        "ece_before": ece(plain),
        "ece_cross_fitted": ece(replace(plain, probs=cross_fit(plain, "temperature"))),
    }
    commonest = int(support.argmax())
    return Assessment(
        faces=len(votes),
        labelled=labelled,
        photos=n,
        figures=figures,
        classes=tuple(_class_figures(tallies, at) for at in range(len(EMOTIONS))),
        confusion=classification.confusion(tally, "matched").astype(np.int64),
        threshold=_threshold(answers),
        commonest=(EMOTIONS[commonest], float(ratio(support[commonest], labelled))),
        doubt=float(entropy(votes).mean()),
        human=_human(agreement.Ballots(photo, n, votes)),
    )


class _Tallies:
    """One tally a photo, weighed once for the figures, their draws and their jackknife."""

    def __init__(self, stacked: Tally, n: int) -> None:
        self._weighed = [weigh(stacked, weights) for weights in weightings(n, _draws(n))]
        points = self._weighed[0]
        self.whole = Tally(points.counts[0], points.sums[0])

    def figure(self, of: Callable[[Tally], Floats], n: int, *, most: float = 1.0) -> Figure:
        """Return a figure of a tally, bounded by 0 and `most`."""
        return _figure(*(np.asarray(of(each)) for each in self._weighed), n=n, most=most)


def _figure(points: Floats, drawn: Floats, jackknife: Floats, *, n: int, most: float) -> Figure:
    value = float(points[0])
    return Figure(
        value, *interval(drawn, point=value, jackknife=jackknife, least=0.0, most=most), n
    )


def _estimate(of: Callable[[Weights], Floats], photos: int, n: int) -> Figure:
    return _figure(*map(of, weightings(photos, _draws(photos))), n=n, most=1.0)


def _draws(n: int) -> int:
    return max(min(DRAWS, CELLS // max(n, 1)), 200)


def _tally_each(
    probs: Floats, votes: Floats, labels: NDArray[np.int64], photo: NDArray[np.int64], n: int
) -> Tally:
    """Return a tally a photo: a face without a label is unsure, and counts for votes alone."""
    k = votes.shape[1]
    counts = np.zeros((n, k + 2, k + 2), np.int64)
    np.add.at(counts, (photo, np.where(labels < 0, k, labels), probs.argmax(axis=1)), 1)
    sums = np.zeros((n, len(SUMS)))
    np.add.at(sums[:, SUMS.index("voted")], photo, 1.0)
    np.add.at(sums[:, SUMS.index("soft_cross_entropy")], photo, soft_cross_entropy(probs, votes))
    return Tally(counts, sums)


def _matched(of: Callable[..., Floats]) -> Callable[[Tally], Floats]:
    return lambda tally: of(tally, "matched")


def _macro_f1(tally: Tally) -> Floats:
    return classification.macro(
        classification.f1(tally, "matched"), classification.support(tally, "matched")
    )


def _cross_entropy(tally: Tally) -> Floats:
    return classification.mean_over_voted(tally, "soft_cross_entropy")


def _class_figures(tallies: _Tallies, at: int) -> ClassFigures:
    labelled = int(classification.support(tallies.whole, "matched")[at])
    answered = int(classification.answered(tallies.whole, "matched")[at])

    def figure(of: Callable[..., Floats], n: int) -> Figure:
        return tallies.figure(lambda tally: of(tally, "matched")[..., at], n)

    return ClassFigures(
        name=EMOTIONS[at],
        labelled=labelled,
        answered=answered,
        recall=figure(classification.recall, labelled),
        precision=figure(classification.precision, answered),
        f1=figure(classification.f1, labelled),
    )


def _threshold(answers: Answers) -> Threshold | None:
    curve = calibration.risk_coverage(answers)
    steps = np.arange(100) / 100
    last = np.searchsorted(-curve.threshold, -steps, side="right") - 1  # the least that is enough
    answered = np.append(curve.coverage, 0.0)[last] * len(answers)
    reached = (answered >= LEAST_ANSWERED) & (np.append(curve.risk, 1.0)[last] <= 1 - TARGET)
    if not reached.any():
        return None
    confidence = float(steps[reached.argmax()])
    sure = answers.confidence >= confidence
    sums = answers.per_photo(np.stack([sure & answers.right, sure], axis=1))

    def accuracy(weights: Weights) -> Floats:
        return ratio(*(weights @ sums).T)

    return Threshold(
        confidence, float(sure.mean()), _estimate(accuracy, answers.n, int(sure.sum()))
    )


def _human(cast: agreement.Ballots) -> dict[str, float]:
    if not len(cast.compared.votes):
        return {}
    each = agreement.human_tally(cast)
    told = agreement.ceilings(Tally(each.counts.sum(axis=0), each.sums.sum(axis=0)))
    names = ("matched_accuracy", "matched_balanced_accuracy", "matched_macro_f1")
    return {name.removeprefix("matched_"): float(told[name]) for name in names}
