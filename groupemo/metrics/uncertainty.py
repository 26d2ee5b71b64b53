"""How sure a figure is: the Bayesian bootstrap over photos.

Faces of one photo share its light, its camera and its occasion, so photos are
drawn, not faces. A draw gives every photo a random weight, uniform over all ways
to share out one whole (Rubin, "The Bayesian Bootstrap", Annals of Statistics 9,
1981). The plain bootstrap leaves photos out, and with them whole classes: its
macro averages are then taken over other classes than the figure itself. Here
every class is in every draw. Tallies add, so all draws are one matrix product.

What an interval does not know
------------------------------
- It speaks of photos like these. One photo says nothing about others: no
  interval. A few say little, and where every photo gives the same figure, such
  as a recall of 1, the interval has no width and claims too much.
- A class with a face or two has hardly an answer to vary: a macro average that
  hangs on it is less sure than its interval.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groupemo.metrics.tally import Tally

__all__ = ["DRAWS", "Weights", "draw_weights", "interval", "leave_one_out", "weigh"]

Weights = NDArray[np.float64]
"""What each photo weighs in each draw, shape (draws, n)."""

DRAWS = 2000
"""Draws of a bootstrap unless told otherwise."""


def draw_weights(n: int, *, draws: int = DRAWS, seed: int = 0) -> Weights:
    """Return what each of `n` photos weighs in each draw, shape (draws, n), 1 on average.

    Fewer than two photos give no draw, shape (0, n): one always has all the weight.
    """
    if n < 2:
        return np.zeros((0, n))
    return np.asarray(n * np.random.default_rng(seed).dirichlet(np.ones(n), size=draws))


def leave_one_out(n: int) -> Weights:
    """Return the weights of the jackknife, shape (n, n): each row leaves one photo out."""
    return 1.0 - np.eye(n)


def weigh(stacked: Tally, weights: Weights) -> Tally:
    """Return the weighted sum of tallies in each draw: any figure of it is a figure a draw.

    Parameters
    ----------
    stacked : Tally
        One a photo on the leading axis: counts of shape (n, k + 2, k + 2).
    weights : np.ndarray, shape=(draws, n)
        Two runs on the same photos are compared with the same weights: their
        difference is then a paired one.

    Returns
    -------
    Tally
        One a draw, stacked on the leading axis; its counts are float64.
    """
    n, side = len(stacked.counts), stacked.counts.shape[-1]
    counts = weights @ stacked.counts.reshape(n, side * side).astype(np.float64)
    return Tally(counts.reshape(-1, side, side), weights @ stacked.sums, weights @ stacked.overlap)


def interval(
    drawn: ArrayLike,
    *,
    point: float | None = None,
    jackknife: ArrayLike | None = None,
    level: float = 0.95,
) -> tuple[float, float]:
    """Return the percentile interval of the draws that are defined; NaN where none is.

    Parameters
    ----------
    drawn : array_like, shape=(draws,)
    point : float, optional
        The figure itself.
    jackknife : array_like, shape=(n,), optional
        The figure with each photo left out.
    level : float
        The share of draws inside.
    """
    values = np.asarray(drawn, dtype=np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
