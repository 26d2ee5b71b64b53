"""How sure a figure is: the bootstrap over photos.

Faces of one photo share its light, its camera and its occasion, so photos are
drawn, not faces (the cluster bootstrap: Davison and Hinkley, *Bootstrap Methods
and their Application*, 1997, section 3.8). Tallies add, so drawing photos again
is a sum with whole weights, and all draws are one matrix product.

What an interval does not know
------------------------------
- It speaks of photos like these. One photo says nothing about others: no
  interval. A few say little, and where every photo gives the same figure, such
  as a recall of 1, the interval has no width and claims too much.
- A draw in which a figure is not defined is left out.
- A draw may hold no face of a rare class; its macro averages are then taken
  over the other classes, so their intervals are lopsided where a class is in a
  few photos only.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groupemo.metrics.tally import Tally

__all__ = ["DRAWS", "bootstrap", "draw_weights", "interval"]

DRAWS = 2000
"""Draws of a bootstrap unless told otherwise."""


def draw_weights(n: int, *, draws: int = DRAWS, seed: int = 0) -> NDArray[np.int64]:
    """Return how often each of `n` photos is in each draw, shape (draws, n), rows summing to n.

    Fewer than two photos give no draw, shape (0, n): drawn again, one is always itself.
    """
    if n < 2:
        return np.zeros((0, n), dtype=np.int64)
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=draws)


def bootstrap(
    tallies: Tally, statistic: Callable[[Tally], ArrayLike], weights: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return a statistic on each draw.

    Parameters
    ----------
    tallies : Tally
        One a photo, stacked on the leading axis: counts of shape (n, k + 2, k + 2).
    statistic : callable
        From a stacked Tally to an array whose leading axis is the draws.
    weights : np.ndarray, shape=(draws, n)
        From `draw_weights`. Two runs on the same photos are compared with the
        same weights: their difference is then a paired one.

    Returns
    -------
    np.ndarray, shape=(draws, ...)
    """
    n, side = len(tallies.counts), tallies.counts.shape[-1]
    flat = weights.astype(np.float64) @ tallies.counts.reshape(n, side * side)
    drawn = Tally(
        np.rint(flat).astype(np.int64).reshape(-1, side, side),
        weights @ tallies.loss,
        weights @ tallies.clipped,
        weights @ tallies.ignored,
    )
    return np.asarray(statistic(drawn), dtype=np.float64)


def interval(drawn: ArrayLike, *, level: float = 0.95) -> tuple[float, float]:
    """Return the percentile interval of the draws that are defined; NaN where none is.

    Parameters
    ----------
    drawn : array_like, shape=(draws,)
    level : float
        The share of draws inside.
    """
    values = np.asarray(drawn, dtype=np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
