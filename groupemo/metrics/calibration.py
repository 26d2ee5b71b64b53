"""Whether confidences are true, and what is gained by answering only the sure faces.

Conventions
-----------
A face's *confidence* is the probability of its answer. Figures are taken over
the found and answered faces of a known class (`Answers`), one for each row of
`weights`: what each photo weighs. Without such a face, or where none weighs
anything, they are NaN.

A calibration error bins faces by their probability; in each bin it compares the
mean probability with the share that came true, and averages the differences by
the bins' weights. Bins hold their upper edge and not their lower one, the first
also 0 (Guo et al. 2017; scikit-learn's `calibration_curve`). *Adaptive* bins are
cut at the quantiles of the unweighted faces, so that each holds about as many;
equal probabilities share a bin, so that few distinct ones fill fewer bins. The
bins are the same in every draw.

A calibration error is never negative, and above 0 by chance: the more so, the
fewer faces there are. Compare it between runs on the same faces.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groupemo.errors import OptionError
from groupemo.metrics.answers import Answers
from groupemo.metrics.tally import ratio
from groupemo.metrics.uncertainty import Weights

__all__ = [
    "BINS",
    "Reliability",
    "RiskCoverage",
    "aurc",
    "classwise_calibration_error",
    "expected_calibration_error",
    "reliability",
    "risk_coverage",
]

BINS = 15
"""Bins of a calibration error unless told otherwise, as in Guo et al. (2017)."""

CELLS = 2**20
"""Most faces x draws held at a time: 8 MiB an array."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Reliability:
    """A reliability diagram: what was promised and what came true, bin by bin.

    Parameters
    ----------
    edges : np.ndarray, shape=(bins + 1,)
        From 0 to 1; adaptive bins may have no width.
    count : np.ndarray, shape=(bins,)
        Faces in each bin.
    confidence, accuracy : np.ndarray, shape=(bins,)
        Mean confidence and share of right answers; NaN in an empty bin.
    """

    edges: Floats
    count: NDArray[np.int64]
    confidence: Floats
    accuracy: Floats


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """What is gained by abstaining below a confidence.

    Parameters
    ----------
    threshold : np.ndarray, shape=(t,)
        Every confidence that occurs, the greatest first.
    coverage : np.ndarray, shape=(t,)
        The share of faces with at least that confidence; 1 at the end.
    risk : np.ndarray, shape=(t,)
        The share of wrong answers among them; 1 - accuracy at the end.
    """

    threshold: Floats
    coverage: Floats
    risk: Floats


def reliability(answers: Answers, *, bins: int = BINS, adaptive: bool = False) -> Reliability:
    """Return the reliability diagram of the answers (DeGroot & Fienberg 1983).

    Parameters
    ----------
    answers : Answers
    bins : int
    adaptive : bool
        Bins of about equal count instead of equal width.

    Raises
    ------
    OptionError
        If there is not one bin or more.
    """
    confidence = answers.confidence
    edges = _edges(confidence, bins, adaptive)
    where = _bin(confidence, edges)
    count, promised, kept = (
        np.bincount(where, each, minlength=bins)
        for each in (np.ones(len(answers)), confidence, answers.right)
    )
    return Reliability(edges, count.astype(np.int64), ratio(promised, count), ratio(kept, count))


def expected_calibration_error(
    answers: Answers, weights: Weights, *, bins: int = BINS, adaptive: bool = False
) -> Floats:
    """Return the expected calibration error of the confidences, 0 to 1, shape (draws,).

    ECE = sum_b (W_b / W) |accuracy_b - mean confidence_b|, W_b being the weight of
    the faces in bin b (Naeini et al., AAAI 2015; Guo et al., ICML 2017); with
    adaptive bins (Nguyen & O'Connor, EMNLP 2015; Nixon et al., CVPR Workshops 2019).

    Parameters
    ----------
    answers : Answers
    weights : np.ndarray, shape=(draws, n)
    bins : int
    adaptive : bool
        Bins of about equal count instead of equal width.

    Raises
    ------
    OptionError
        If there is not one bin or more.
    """
    probs, true = answers.confidence[:, None], answers.right[:, None]
    return _calibration_error(answers, weights, probs, true, bins, adaptive)


def classwise_calibration_error(
    answers: Answers, weights: Weights, *, bins: int = BINS, adaptive: bool = False
) -> Floats:
    """Return the calibration error of every class's probability, 0 to 1, shape (draws,).

    The mean over all k classes, those without a labelled face included, of
    sum_b (W_cb / W) |share of class c in b - mean probability of c in b|: every
    face counts in every class, so that W is the same for all (Kull et al.,
    NeurIPS 2019, classwise-ECE; Nixon et al. 2019, static calibration error). Its
    faces are mostly near 0, where little can go wrong: it is smaller than the ECE.

    Parameters are those of `expected_calibration_error`; adaptive bins are cut for
    each class.
    """
    true = np.eye(answers.probs.shape[1], dtype=bool)[answers.labels]
    return _calibration_error(answers, weights, answers.probs, true, bins, adaptive)


def risk_coverage(answers: Answers) -> RiskCoverage:
    """Return the risk-coverage curve (El-Yaniv & Wiener, JMLR 11, 2010).

    Faces of equal confidence enter at once. No face gives a curve without a point.
    """
    order, starts = _sure_first(answers)
    faces = np.diff(starts, append=len(answers)).cumsum()
    wrong = np.add.reduceat(~answers.right[order], starts, dtype=np.float64).cumsum()
    return RiskCoverage(
        answers.confidence[order][starts],
        faces / max(len(answers), 1),
        ratio(wrong, faces),
    )


def aurc(answers: Answers, weights: Weights) -> Floats:
    """Return the area under the risk-coverage curve, 0 to 1, shape (draws,); lower is better.

    The mean over faces of the risk at their own confidence (Geifman & El-Yaniv,
    NeurIPS 2017; Geifman et al., ICLR 2019): low where answers are right, and where
    the wrong ones are the least sure.

    Parameters
    ----------
    answers : Answers
    weights : np.ndarray, shape=(draws, n)
    """
    order, starts = _sure_first(answers)
    photo, wrong = answers.photo[order], ~answers.right[order]
    chunk = max(CELLS // max(len(answers), 1), 1)
    areas = [np.zeros(0)]
    for first in range(0, len(weights), chunk):
        each = weights[first : first + chunk, photo]
        mass = np.add.reduceat(each, starts, axis=1)
        covered = mass.cumsum(axis=1)
        risk = np.add.reduceat(each * wrong, starts, axis=1).cumsum(axis=1)
        np.divide(risk, covered, out=risk, where=covered > 0)
        areas.append(ratio((mass * risk).sum(axis=1), mass.sum(axis=1)))
    return np.concatenate(areas)


def _calibration_error(
    answers: Answers,
    weights: Weights,
    probs: Floats,
    true: NDArray[np.bool_],
    bins: int,
    adaptive: bool,
) -> Floats:
    """Return the mean over columns of `probs` (f, c) of their calibration errors.

    W_b times the difference of two means in a bin is the weighted sum over its
    faces of (came true - probability), and sums over faces are sums over photos.
    """
    columns = np.arange(probs.shape[1])
    where = np.empty(probs.shape, dtype=np.int64)
    for column in columns:
        where[:, column] = _bin(probs[:, column], _edges(probs[:, column], bins, adaptive))
    gaps = np.zeros((answers.n, len(columns), bins))
    np.add.at(gaps, (answers.photo[:, None], columns, where), true - probs)
    drawn = np.abs(weights @ gaps.reshape(answers.n, len(columns) * bins)).sum(axis=1)
    return ratio(drawn / len(columns), weights @ np.bincount(answers.photo, minlength=answers.n))


def _edges(values: Floats, bins: int, adaptive: bool) -> Floats:
    if bins < 1:
        raise OptionError(f"bins is {bins}: expected 1 or more")
    even = np.linspace(0, 1, bins + 1)
    if not adaptive or not len(values):
        return even
    return np.concatenate([[0.0], np.percentile(values, 100 * even[1:-1]), [1.0]])


def _bin(values: Floats, edges: Floats) -> NDArray[np.int64]:
    return np.searchsorted(edges[1:-1], values, side="left")


def _sure_first(answers: Answers) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the order of falling confidence, and where in it each new confidence starts."""
    order = np.argsort(-answers.confidence, kind="stable")
    falling = answers.confidence[order]
    return order, np.flatnonzero(np.diff(falling, prepend=np.inf))
