"""How sure a figure is: the bootstrap over photos.

Faces of one photo share its light, its camera and its occasion, so photos are
drawn, not faces (Davison & Hinkley, "Bootstrap Methods and their Application",
1997, section 3.8). A draw takes as many photos as there are, with replacement; a
photo's weight is how often it came up. Tallies add, so all draws are one matrix
product.

An interval is read off the sorted draws: not at 2.5 % and 97.5 %, which is too
narrow for few photos and blind to skew, but where these corrections put it.

- *Bias and acceleration* (BCa; Efron, "Better Bootstrap Confidence Intervals",
  Journal of the American Statistical Association 82, 1987): from the share of
  draws below the figure, and from the skew of its jackknife.
- *Expansion* (Hesterberg, "What Teachers Should Know About the Bootstrap", The
  American Statistician 69, 2015): Student's t in place of the normal, times
  sqrt(n / (n - 1)). The degrees of freedom are not n - 1 but what the jackknife
  leaves of them: few where few photos carry the figure, such as those with the
  faces of a rare class (Satterthwaite, "An Approximate Distribution of Estimates
  of Variance Components", Biometrics Bulletin 2, 1946).
- *Re-centring*. A figure that is greater the fewer faces there are, such as a
  calibration error, is greater still in the draws, which hold fewer distinct
  faces. Where hardly a draw lies on one side of the figure (`MOVED`), BCa would
  read a bound, or both, off the last few of them; instead the draws are moved, to
  have the figure for their median, and not corrected for bias.
- *Normal tails*. The last `TAIL` of the draws on either side are too few to read
  a bound off; beyond them the draws are taken as normal.

Of the ways compared in docs/uncertainty.md this one covers best.

What an interval does not know
------------------------------
- It speaks of photos like these. One photo says nothing about others: no
  interval. Nor is there one where the draws are alike, such as where every face was
  found, or so many of them that it has no width: that does not make it certain.
- A macro average is taken over the classes a draw has. A class with a few faces
  comes and goes between draws, as it would between sets of photos.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groupemo.errors import OptionError
from groupemo.metrics.tally import Tally

__all__ = [
    "DRAWS",
    "Correction",
    "Drawn",
    "Method",
    "Weights",
    "draw_weights",
    "estimate",
    "interval",
    "leave_one_out",
    "student",
    "weigh",
    "weightings",
]

Floats = NDArray[np.float64]
Weights = NDArray[np.float64]
"""What each photo weighs in each draw, shape (draws, n)."""

Method = Literal["expanded", "bca", "percentile"]
"""How an interval is read off the draws: BCa and expansion, BCa alone, or neither."""

DRAWS = 2000
"""Draws of a bootstrap unless told otherwise."""

LEAST_DRAWS = 20
"""Fewer draws say next to nothing of their outer shares."""

GROUPS = 1000
"""Rows of a jackknife at most."""

MOVED = 0.25
"""Share of draws on one side of the figure below which they are re-centred."""

TAIL = 0.005
"""Share of the draws, on either side, beyond which they are taken as normal."""

_NORMAL = NormalDist()
_EDGE = -_NORMAL.inv_cdf(TAIL)
_ALIKE = 1e-12
_FARTHEST = 700.0  # exp of more is beyond a float


def draw_weights(
    n: int, *, draws: int = DRAWS, seed: int = 0, photos: int | None = None
) -> Weights:
    """Return how often each of `n` photos comes up in each draw, shape (draws, n).

    Parameters
    ----------
    n : int
        Fewer than two photos give no draw, shape (0, n): one always has all the weight.
    draws, seed : int
    photos : int, optional
        How many photos a draw takes, `n` unless told otherwise: what a study of
        that many photos like these would see.

    Raises
    ------
    OptionError
        If there is no draw, or the seed is below 0.
    """
    if draws < 1 or seed < 0:
        raise OptionError(f"draws is {draws}, seed {seed}: expected at least 1, and at least 0")
    if n < 2:
        return np.zeros((0, n))
    taken = np.random.default_rng(seed).multinomial(photos or n, np.full(n, 1 / n), size=draws)
    return taken.astype(np.float64)


def leave_one_out(n: int) -> Weights:
    """Return the weights of the jackknife, shape (n, n): each row leaves one photo out.

    Beyond `GROUPS` photos, shape (GROUPS, n): each row leaves one group out, every
    GROUPS-th photo, as `n` rows would take memory by the square (delete-a-group
    jackknife; Shao & Tu, "The Jackknife and Bootstrap", 1995, section 5.2).
    """
    groups = min(n, GROUPS)
    kept: NDArray[np.bool_] = np.arange(n) % max(groups, 1) != np.arange(groups)[:, None]
    return kept.astype(np.float64)


@lru_cache(maxsize=2)
def weightings(n: int, draws: int = DRAWS, seed: int = 0) -> tuple[Weights, Weights, Weights]:
    """Return all weights an estimate takes: of the figure, of its draws, of its jackknife.

    Equal arguments give the same arrays, which are not to be written to.

    Raises
    ------
    OptionError
        If there are too few draws to read an interval from, or the seed is below 0.
    """
    if draws < LEAST_DRAWS:
        raise OptionError(f"draws is {draws}: expected {LEAST_DRAWS} or more")
    every = np.ones((1, n)), draw_weights(n, draws=draws, seed=seed), leave_one_out(n)
    for weights in every:
        weights.setflags(write=False)
    return every


def estimate(
    of: Callable[[Weights], Floats], n: int, *, draws: int = DRAWS, seed: int = 0, **options: Any
) -> tuple[float, float, float]:
    """Return a figure with its interval over photos: value, low, high.

    Parameters
    ----------
    of : callable
        Weights of shape (draws, n) -> the figure in each draw, shape (draws,).
    n : int
        Photos.
    draws, seed : int
    **options
        Of `interval`: level, least, most.
    """
    points, drawn, jackknife = map(of, weightings(n, draws, seed))
    point = float(points[0])
    return point, *interval(drawn, point=point, jackknife=jackknife, **options)


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
    method: Method = "expanded",
    least: float = -math.inf,
    most: float = math.inf,
    difference: bool = False,
) -> tuple[float, float]:
    """Return the interval that holds a share `level` of the draws.

    Parameters
    ----------
    drawn : array_like, shape=(draws,)
        The figure in each draw; those where it is undefined are left out.
    point : float, optional
        The figure itself.
    jackknife : array_like, shape=(n,), optional
        The figure with each photo left out. Without it or `point`, the method
        is "percentile".
    level : float
        Above 0 and below 1.
    method : {"expanded", "bca", "percentile"}
        See `Correction`.
    least, most : float
        The figure's bounds: the interval's are cut to them.
    difference : bool
        Of a difference, draws that are alike are taken at their word, an interval
        without width: two equal runs differ by 0.

    Returns
    -------
    low, high : float
        NaN where the figure is undefined in half of the draws, or without one
        of the photos: one photo says nothing about others. NaN, too, where so many
        of the draws are alike that there is no width: that is not certainty.

    Raises
    ------
    OptionError
        If `level` is out of range.
    """
    if not 0 < level < 1:
        raise OptionError(f"level is {level}: expected a share above 0 and below 1")
    draws = Drawn.of(drawn, point, jackknife, method)
    if not len(draws.values):
        return math.nan, math.nan
    z = _NORMAL.inv_cdf((1 + level) / 2)
    low, high = (min(max(draws.bound(side), least), most) for side in (-z, z))
    if high - low <= _ALIKE and not difference:
        return math.nan, math.nan
    return low, high


@dataclass(frozen=True, eq=False)
class Drawn:
    """The draws of a figure, and how an interval is read off them.

    Parameters
    ----------
    values : np.ndarray, shape=(draws,)
        Those that are defined, sorted and, where need be, re-centred; none where
        they are too few to trust.
    correction : Correction
    """

    values: Floats
    correction: Correction

    @classmethod
    def of(
        cls,
        drawn: ArrayLike,
        point: float | None = None,
        jackknife: ArrayLike | None = None,
        method: Method = "expanded",
    ) -> Drawn:
        """Return what `interval` and `metrics.paired.p_value` read; parameters are theirs."""
        values = np.sort(_defined(drawn, jackknife))
        if method == "percentile" or point is None or jackknife is None or not len(values):
            return cls(values, Correction())
        below = float(((values < point).mean() + (values <= point).mean()) / 2)
        if not MOVED <= below <= 1 - MOVED:
            values, below = values + (point - np.median(values)), 0.5
        return cls(values, Correction.fit(below, jackknife, method))

    @property
    def alike(self) -> bool:
        """Whether all are the same but for rounding."""
        return bool(np.ptp(self.values) <= _ALIKE)

    def bound(self, z: float) -> float:
        """Return the bound of the interval at normal quantile `z`; greater for greater z."""
        score = self.correction.score(z)
        near = _cut(score, _EDGE)
        inner = _quantile(self.values, _NORMAL.cdf(near))
        return inner if score == near else inner + (score - near) * self._spread

    @cached_property
    def _spread(self) -> float:
        return float(self.values.std())


@dataclass(frozen=True)
class Correction:
    """Which share of the draws lies below the bound of an interval.

    For a normal quantile z (-1.96 and 1.96 for 95 %)::

        share = Phi(z0 + w / (1 - a w))
        w = z0 + stretch t        with Student's t as far out as z

    In a w, which has a pole, w counts up to the normal quantile of `TAIL` (2.58). The
    defaults correct nothing.

    Parameters
    ----------
    z0 : float
        Bias: normal quantile of the share of draws below the figure, ties halved.
    a : float
        Acceleration, sum(d^3) / (6 sum(d^2)^1.5): d is the mean of the jackknife
        less each of its values.
    df : float
        Degrees of freedom, 2 / (sum(d^4) / sum(d^2)^2 - 1 / n), at most n - 1:
        twice the squared variance of the figure by the variance of that variance.
    stretch : float
        sqrt(n / (n - 1)): the draws of n photos spread too little by as much.
    """

    z0: float = 0.0
    a: float = 0.0
    df: float = math.inf
    stretch: float = 1.0

    @classmethod
    def fit(cls, below: float, jackknife: ArrayLike, method: Method = "expanded") -> Correction:
        """Return the correction of "bca" or "expanded", with a share `below` of the draws."""
        z0 = _NORMAL.inv_cdf(below)
        without = np.asarray(jackknife, dtype=np.float64)
        n, d = len(without), without.mean() - without
        d /= np.abs(d).max() or 1.0
        second, third, fourth = (float((d**power).sum()) for power in (2, 3, 4))
        second = second or 1.0
        a = third / (6 * second**1.5)
        if method == "bca":
            return cls(z0, a)
        df = 2 / max(fourth / second**2 - 1 / n, 2 / (n - 1))
        return cls(z0, a, df, math.sqrt(n / (n - 1)))

    def score(self, z: float) -> float:
        """Return the normal quantile of the share of draws below the bound at `z`."""
        w = self.z0 + self.stretch * student(z, self.df)
        return self.z0 + w / (1 - self.a * _cut(w, _EDGE))


def _defined(drawn: ArrayLike, jackknife: ArrayLike | None) -> Floats:
    """Return the draws that are finite, or none of them if they are too few to trust.

    Too few is no more than half, or a jackknife value that is not finite: the
    figure then hangs on one photo.
    """
    values = np.asarray(drawn, dtype=np.float64)
    finite = values[np.isfinite(values)]
    hangs = jackknife is not None and not np.isfinite(jackknife).all()
    return finite[:0] if hangs or 2 * len(finite) <= len(values) else finite


def _cut(z: float, most: float) -> float:
    return min(max(z, -most), most)


def _quantile(values: Floats, share: float) -> float:
    """Return the quantile of sorted values as `np.quantile` does, at a fraction of its time."""
    at, between = divmod(share * (len(values) - 1), 1)
    low, high = values[int(at)], values[min(int(at) + 1, len(values) - 1)]
    return float(low + between * (high - low))


def student(z: float, df: float) -> float:
    """Return the quantile of Student's t that is as far out as z.

    Wallace, "Bounds on Normal Approximations to Student's and the Chi-Square
    Distributions", Annals of Mathematical Statistics 30, 1959:
    z = (8 df + 1) / (8 df + 3) sqrt(df ln(1 + t^2 / df)). At 95 % it is within
    0.5 % of the true t from 4 degrees of freedom on, and above it below that.
    """
    if math.isinf(df):
        return z
    grown = (z * (8 * df + 3) / (8 * df + 1)) ** 2 / df
    return math.copysign(math.sqrt(df * math.expm1(min(grown, _FARTHEST))), z)
