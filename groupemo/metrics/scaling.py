"""Making confidences true: temperature and vector scaling, fitted on labelled faces.

Both turn a row of probabilities p into softmax(scale * ln p + bias), p clipped at
`MIN_PROB` (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017).
NaN rows stay NaN.

``"temperature"``
    One scale, 1 / T, for all classes, and no bias: answers stay what they are. T
    makes the cross-entropy on the labelled faces least, within `TEMPERATURES`. A
    net's logits in place of ln p would give the same: they differ by a constant a row.
``"vector"``
    A scale and a bias a class: answers may change, so that it needs more faces.
    They make least the summed cross-entropy plus half of
    |scale - 1|^2 + |bias|^2: a normal prior of unit variance about leaving the
    probabilities alone. It weighs as much as a face or two, and keeps a class
    without a labelled face from being ruled out for good.

Both sums are convex: there is one best, whatever the start.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from groupemo.errors import OptionError
from groupemo.metrics.answers import Answers
from groupemo.metrics.probabilistic import MIN_PROB

__all__ = [
    "METHODS",
    "TEMPERATURES",
    "Method",
    "cross_fit",
    "fit_scaling",
    "fit_temperature",
    "scaled",
]

Method = Literal["temperature", "vector"]

METHODS: tuple[str, ...] = get_args(Method)

TEMPERATURES = (0.01, 100.0)
"""Least and greatest temperature: where all answers are right, less is always better."""

STEPS = 100
"""Most steps of Newton's method, which takes about ten."""

Floats = NDArray[np.float64]


def scaled(probs: Floats, scale: Floats, bias: Floats) -> Floats:
    """Return softmax(scale * ln p + bias) of each row, shape (f, k)."""
    return _softmax(scale * _logs(probs) + bias)


def fit_scaling(answers: Answers, method: Method) -> tuple[Floats, Floats]:
    """Return the scale and bias, shape (k,) each, that fit the labels best.

    Parameters
    ----------
    answers : Answers
        At least one face.
    method : {"temperature", "vector"}

    Raises
    ------
    OptionError
        If the method is neither.
    """
    probs, labels = answers.probs, answers.labels
    k = probs.shape[1]
    if method == "temperature":
        return np.full(k, 1 / fit_temperature(probs, np.eye(k)[labels])), np.zeros(k)
    if method == "vector":
        return _vector(_logs(probs), labels)
    raise OptionError(f"method is {method!r}: expected one of {', '.join(METHODS)}")


def cross_fit(answers: Answers, method: Method, *, folds: int = 5, seed: int = 0) -> Floats:
    """Return every face's probabilities scaled as fitted on other photos, shape (f, k).

    Photos that have a face are dealt at random into `folds` parts; each part is
    scaled by what was fitted on the others. All rows are NaN where one photo has all
    the faces.
    """
    photos, place = np.unique(answers.photo, return_inverse=True)
    fold = np.random.default_rng(seed).permutation(len(photos))[place] % folds
    probs = np.full(answers.probs.shape, np.nan)
    for part in range(folds):
        here = fold == part
        rest = replace(answers, photo=answers.photo[~here], labels=answers.labels[~here],
                       probs=answers.probs[~here])  # fmt: skip
        if len(rest):
            probs[here] = scaled(answers.probs[here], *fit_scaling(rest, method))
    return probs


def fit_temperature(probs: Floats, shares: Floats) -> float:
    """Return the temperature that makes the cross-entropy against shares of votes least.

    Halves the range of 1 / T about where the slope of the cross-entropy, which rises, is 0.

    Parameters
    ----------
    probs, shares : np.ndarray, shape=(f, k)
        Rows that sum to 1, at least one; for a label all of the share is its class's.
    """
    logs = _logs(probs)
    given = (shares * logs).sum(axis=1, keepdims=True)

    def slope(scale: float) -> float:
        return float(((_softmax(scale * logs) * logs).sum(axis=1, keepdims=True) - given).mean())

    if abs(slope(1.0)) < 1e-12:
        return 1.0
    low, high = 1 / TEMPERATURES[1], 1 / TEMPERATURES[0]
    for _ in range(64):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return 1 / low


def _vector(logs: Floats, labels: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Minimize by Newton's method, each step halved until the sum falls."""
    k = logs.shape[1]
    start = np.concatenate([np.ones(k), np.zeros(k)])
    chosen = np.eye(k)[labels]

    def logits(at: Floats) -> Floats:
        return at[:k] * logs + at[k:]

    def loss(at: Floats) -> float:
        z = logits(at)
        z -= z.max(axis=1, keepdims=True)
        costs = np.log(np.exp(z).sum(axis=1)) - (z * chosen).sum(axis=1)
        return float(costs.sum() + ((at - start) ** 2).sum() / 2)

    at = start
    for _ in range(STEPS):
        probs = _softmax(logits(at))
        slope = _paired(logs, probs - chosen).sum(axis=0) + at - start
        step = np.linalg.solve(_curvature(logs, probs) + np.eye(2 * k), slope)
        gain = slope @ step
        if gain < 1e-9:
            return (at - step)[:k], (at - step)[k:]
        now = loss(at)
        while loss(at - step) > now - gain / 10_000:
            step, gain = step / 2, gain / 2
        at = at - step
    return at[:k], at[k:]


def _curvature(logs: Floats, probs: Floats) -> Floats:
    """Return the second derivatives of the cross-entropy by scale and bias, shape (2k, 2k)."""
    square, cross, plain = (
        np.diag((probs * factor).sum(axis=0)) for factor in (logs**2, logs, np.ones_like(logs))
    )
    mean = _paired(logs, probs)
    return np.block([[square, cross], [cross, plain]]) - mean.T @ mean


def _paired(logs: Floats, values: Floats) -> Floats:
    return np.concatenate([values * logs, values], axis=1)


def _logs(probs: Floats) -> Floats:
    return np.log(np.maximum(probs, MIN_PROB))


def _softmax(logits: Floats) -> Floats:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))
