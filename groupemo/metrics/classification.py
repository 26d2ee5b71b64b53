"""How right the answers are, from the counts alone.

Conventions
-----------
Every function takes a `Tally` and says over what it is taken:

``"matched"``
    The classifier alone: faces that were found and answered.
``"end_to_end"``
    The whole way: a missed or abstained face costs its class recall, a phantom
    costs the class it was taken for precision.

Faces whose emotion is not known (*unsure*) count in neither. Leading axes of
the tally are kept. What has nothing to divide by is NaN, without a warning:
recall without a labelled face, precision without an answer, F1 without either.
F1 with labelled faces and no answer (or the reverse) is 0, by its formula.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from groupemo.errors import OptionError
from groupemo.metrics.tally import Tally, ratio

__all__ = [
    "Denominator",
    "accuracy",
    "answered",
    "balanced_accuracy",
    "cohen_kappa",
    "confusion",
    "f1",
    "macro",
    "matthews",
    "mean_over_answered",
    "mean_over_voted",
    "micro_f1",
    "micro_precision",
    "precision",
    "recall",
    "support",
    "weighted",
]

Denominator = Literal["matched", "end_to_end"]
Floats = NDArray[np.float64]
Counts = NDArray[Any]


def confusion(tally: Tally, over: Denominator) -> Counts:
    """Return the part of the table that counts: rows the truth, columns the answer.

    Parameters
    ----------
    tally : Tally
    over : {"matched", "end_to_end"}

    Returns
    -------
    np.ndarray
        Shape (..., k, k) for matched. For end to end (..., k + 1, k + 2), with
        a last row *no labelled face* and columns *abstained* and *missed*.

    Raises
    ------
    OptionError
        If `over` is neither.
    """
    k = tally.k
    if over == "matched":
        return tally.counts[..., :k, :k]
    if over == "end_to_end":
        return np.delete(tally.counts, k, axis=-2)
    raise OptionError(f"over is {over!r}: expected 'matched' or 'end_to_end'")


def support(tally: Tally, over: Denominator) -> Counts:
    """Return the labelled faces of each class, shape (..., k)."""
    return np.asarray(confusion(tally, over)[..., : tally.k, :].sum(axis=-1))


def answered(tally: Tally, over: Denominator) -> Counts:
    """Return the answers of each class, shape (..., k)."""
    return np.asarray(confusion(tally, over)[..., : tally.k].sum(axis=-2))


def precision(tally: Tally, over: Denominator) -> Floats:
    """Return how many of each class's answers are right, shape (..., k)."""
    return ratio(_right(tally), answered(tally, over))


def recall(tally: Tally, over: Denominator) -> Floats:
    """Return how many of each class's labelled faces are answered right, shape (..., k)."""
    return ratio(_right(tally), support(tally, over))


def f1(tally: Tally, over: Denominator) -> Floats:
    """Return the harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN), shape (..., k)."""
    return ratio(2 * _right(tally), support(tally, over) + answered(tally, over))


def accuracy(tally: Tally, over: Denominator) -> Floats:
    """Return how many of all labelled faces are answered right, shape (...).

    A phantom costs it nothing: see precision and F1.
    """
    return ratio(_right(tally).sum(axis=-1), support(tally, over).sum(axis=-1))


def balanced_accuracy(tally: Tally, over: Denominator) -> Floats:
    """Return the mean recall of the classes with labelled faces, shape (...)."""
    return macro(recall(tally, over), support(tally, over))


def micro_precision(tally: Tally, over: Denominator) -> Floats:
    """Return how many of all answers are right, shape (...); micro recall is the accuracy."""
    return ratio(_right(tally).sum(axis=-1), answered(tally, over).sum(axis=-1))


def micro_f1(tally: Tally, over: Denominator) -> Floats:
    """Return 2 TP / (2 TP + FP + FN) with all classes' counts together, shape (...).

    Matched, it equals the accuracy; end to end, a phantom costs it too.
    """
    asked = support(tally, over).sum(axis=-1) + answered(tally, over).sum(axis=-1)
    return ratio(2 * _right(tally).sum(axis=-1), asked)


def matthews(tally: Tally) -> Floats:
    """Return Matthews' correlation of label and answer, -1 to 1, shape (...); matched.

    For several classes (Gorodkin, Computational Biology and Chemistry 28, 2004):
    (c s - sum t p) / sqrt((s^2 - sum p^2)(s^2 - sum t^2)), with s faces, c right,
    t labelled and p answered of each class. NaN where all labels or all answers
    are of one class.
    """
    t, p = support(tally, "matched"), answered(tally, "matched")
    s, c = t.sum(axis=-1), _right(tally).sum(axis=-1)
    spread = (s**2 - (p**2).sum(axis=-1)) * (s**2 - (t**2).sum(axis=-1))
    return ratio(c * s - (t * p).sum(axis=-1), np.sqrt(np.maximum(spread, 0.0)))


def cohen_kappa(tally: Tally) -> Floats:
    """Return Cohen's kappa of label and answer, at most 1, shape (...); matched.

    (a - e) / (1 - e): a the accuracy, e the one expected of answers in the same
    shares given blindly (Cohen, Educational and Psychological Measurement 20,
    1960). NaN where e is 1.
    """
    t, p = support(tally, "matched"), answered(tally, "matched")
    s, c = t.sum(axis=-1), _right(tally).sum(axis=-1)
    blind = (t * p).sum(axis=-1)
    return ratio(c * s - blind, s**2 - blind)


def mean_over_answered(tally: Tally, name: str) -> Floats:
    """Return a sum such as `"log_loss"` a matched face, shape (...)."""
    return ratio(tally[name], support(tally, "matched").sum(axis=-1))


def mean_over_voted(tally: Tally, name: str) -> Floats:
    """Return a sum such as `"kl"` a found and answered face with votes, shape (...)."""
    return ratio(tally[name], tally["voted"])


def macro(values: Floats, support: Counts) -> Floats:
    """Average over classes, each class with labelled faces counting the same.

    Parameters
    ----------
    values : np.ndarray, shape=(..., k)
        One score a class. Undefined ones are left out, as scikit-learn does
        with `zero_division=nan`; among classes with labelled faces only
        precision can be undefined.
    support : np.ndarray, shape=(..., k)
        Labelled faces of each class, taken over the same.

    Returns
    -------
    np.ndarray, shape=(...)
    """
    return weighted(values, np.asarray(support > 0, dtype=np.int64))


def weighted(values: Floats, support: Counts) -> Floats:
    """Average over classes, each class counting as often as it is labelled; see `macro`."""
    weight = np.where(np.isnan(values), 0, support)
    return ratio(np.nansum(values * support, axis=-1), weight.sum(axis=-1))


def _right(tally: Tally) -> Counts:
    return np.diagonal(confusion(tally, "matched"), axis1=-2, axis2=-1)
