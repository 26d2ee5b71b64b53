"""Whether two runs on the same photos differ.

A difference is drawn like a figure: both runs weighed alike, one subtracted from
the other in each draw (`groupemo.metrics.uncertainty`). What is paired is the
photo, so what is hard about a photo cancels.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groupemo.metrics.uncertainty import Drawn, Method

__all__ = ["EXACT_BELOW", "holm", "mcnemar", "p_value"]

EXACT_BELOW = 25
"""Faces that only one of two runs got right, below which `mcnemar` is exact."""

_FARTHEST = 37.0
"""The z beyond which a p-value is too small for a float."""

_HALVINGS = 60


def p_value(
    drawn: ArrayLike,
    *,
    point: float | None = None,
    jackknife: ArrayLike | None = None,
    method: Method = "expanded",
) -> float:
    """Return the two-sided p-value of a difference: how surely its interval leaves out 0.

    It is 1 less the level of the narrowest interval that holds 0
    (`uncertainty.interval` with the same arguments), so it is below .05 exactly
    when the 95 % interval leaves out 0. With no correction it is twice the smaller
    of the shares of draws up to 0 and from 0 on, as in Efron & Tibshirani, "An
    Introduction to the Bootstrap", 1993, section 15.4. Where hardly a draw
    reaches 0, that share is the one of normal tails (`uncertainty.TAIL`): a
    difference of many standard errors has a p-value of as many, however few the
    draws, and can survive `holm`.

    Parameters
    ----------
    drawn : array_like, shape=(draws,)
        The difference in each draw.
    point : float, optional
        The difference itself.
    jackknife : array_like, shape=(n,), optional
        The difference with each photo left out.
    method : {"expanded", "bca", "percentile"}

    Returns
    -------
    float
        Above 0, at most 1; NaN where the interval is. 1 / (draws + 1) where all
        draws are alike and not 0, for they do not say how far 0 is.
    """
    draws = Drawn.of(drawn, point, jackknife, method)
    if not len(draws.values):
        return math.nan
    if draws.alike:
        return 1.0 if draws.values[0] == 0 else 1 / (len(draws.values) + 1)
    return math.erfc(_reach(draws) / math.sqrt(2))


def _reach(draws: Drawn) -> float:
    """Return how far out the bounds of the narrowest interval are that holds 0, as z."""
    near, far = 0.0, _FARTHEST
    for _ in range(_HALVINGS):
        middle = (near + far) / 2
        if draws.bound(-middle) <= 0 <= draws.bound(middle):
            far = middle
        else:
            near = middle
    return far


def mcnemar(only_a: int, only_b: int) -> float:
    """Return McNemar's two-sided p-value that both runs are right on as many faces.

    Exact (binomial, one half each) where fewer than `EXACT_BELOW` faces differ,
    else chi-square with continuity correction, (abs(b - c) - 1)^2 / (b + c) of
    one degree of freedom (McNemar, Psychometrika 12, 1947; Edwards,
    Psychometrika 13, 1948).

    It takes every face for an independent one. Faces of a photo are not: the
    p-value is too small where they are right or wrong together, and `p_value`
    is to be believed.

    Parameters
    ----------
    only_a, only_b : int
        Faces that only one of the two runs got right.

    Returns
    -------
    float
        1 where both are equal.
    """
    differ, apart = only_a + only_b, abs(only_a - only_b)
    if not apart:
        return 1.0
    if differ >= EXACT_BELOW:
        return math.erfc((apart - 1) / math.sqrt(2 * differ))
    tail = sum(math.comb(differ, few) for few in range(min(only_a, only_b) + 1))
    return tail / (1 << (differ - 1))


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return p-values corrected for how many there are, in their order.

    The i-th smallest of m becomes the greatest of (m - j + 1) p_j for j <= i, at
    most 1 (Holm, "A Simple Sequentially Rejective Multiple Test Procedure",
    Scandinavian Journal of Statistics 6, 1979). Those below .05 hold together:
    the chance of even one false finding among them is below .05, however they
    depend on each other.

    Parameters
    ----------
    p_values : array_like, shape=(m,)
        NaN stays NaN and does not count.
    """
    p = np.array(p_values, dtype=np.float64)
    order = np.argsort(p)[: (~np.isnan(p)).sum()]
    steps = p[order] * np.arange(len(order), 0, -1)
    p[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return p
