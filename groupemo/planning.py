"""How many photos to label for an interval of the width one wants.

From a run on some photos already labelled (`plan`), or from assumptions before
any photo is labelled (`plan_ahead`). Widths fall about as 1 / sqrt(photos): half
the width takes four times the photos, and a run that gets the width wrong by a
tenth gets the photos wrong by a fifth. More faces in the same photos help less,
for they go together.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from groupemo.errors import OptionError
from groupemo.figures import FIGURES, MAIN, Weighed
from groupemo.metrics.uncertainty import (
    DRAWS,
    Correction,
    Weights,
    draw_weights,
    interval,
    student,
    weightings,
)
from groupemo.scores import Scores

__all__ = ["Plan", "in_digits", "plan", "plan_ahead"]

MOST = 1_000_000
"""Photos beyond which a plan is no plan."""

FEW = 30
"""Photos below which a run is little to plan from."""

REACH = (0.25, 0.5, 1, 2, 4, 8)
"""Numbers of photos that are drawn from a run, as multiples of its own."""


@dataclass(frozen=True)
class Plan:
    """How many labelled photos a wanted interval takes.

    Parameters
    ----------
    title : str
        Of the figure: "end-to-end macro-F1".
    width : float
        Wanted, from the lower to the upper bound.
    level : float
        Of the interval, 0.95.
    photos : int
        The fewest whose interval is no wider.
    curve : tuple of (int, float)
        Photos, and the width of the interval with as many; more photos last.
    labelled : int, optional
        The photos of the run planned from, in `curve` too.
    """

    title: str
    width: float
    level: float
    photos: int
    curve: tuple[tuple[int, float], ...]
    labelled: int | None = None

    @property
    def sentence(self) -> str:
        """The plan in words."""
        said = (
            f"A {100 * self.level:g} % interval of {self.title} that is {self.width:g} wide takes"
            f" about {self.photos} labelled photos."
        )
        if self.labelled is None:
            return said
        now = dict(self.curve)[self.labelled]
        said += f" With the {self.labelled} of this run it is {in_digits(now)} wide"
        few = self.labelled < FEW
        low, high = self.rough if few else (self.photos, self.photos)
        if high <= self.labelled:
            return f"{said}: they are enough."
        rough = f" Planned from so few it is rough, {low} to {high}: plan again with more."
        return f"{said}.{rough if few else ''}"

    @property
    def rough(self) -> tuple[int, int]:
        """How few and how many photos it may as well take, planned from a run of so many.

        Photos are as a variance, and one of n values is off by sqrt(2 / (n - 1)), one
        standard error, on a log scale. Not less than that, for values with long tails.
        """
        times = math.exp(_z(0.95) * math.sqrt(2 / (self.labelled - 1))) if self.labelled else 1.0
        return max(2, round(self.photos / times)), round(self.photos * times)


def plan(
    scores: Scores,
    *,
    figure: str = MAIN,
    width: float = 0.1,
    level: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
) -> Plan:
    """Plan from a run: its photos stand for those to come.

    With as many photos as the run has the interval is as wide as the run's own. A
    study of m photos is what m photos drawn from the run's give (with replacement,
    so m may be greater than their number): the width goes with how much the figure
    spreads over many such studies, for a few m, by a power law in between and
    1 / sqrt(m) beyond; and with Student's t, whose degrees of freedom grow as m.

    Parameters
    ----------
    scores : Scores
    figure : str
        One of `groupemo.figures.FIGURES`.
    width : float
        Wanted, above 0.
    level : float
    draws, seed : int

    Raises
    ------
    OptionError
        If the figure or width means nothing, or the figure has no interval on the
        run's photos: there is nothing to plan from.
    """
    if figure not in FIGURES:
        raise OptionError(f"no figure named {figure!r}; known: {', '.join(FIGURES)}")
    chosen, n = FIGURES[figure], len(scores.photos)

    def of(weights: Weights) -> NDArray[np.float64]:
        return chosen.of(Weighed(scores, weights))

    (point,), drawn, jackknife = map(of, weightings(n, draws, seed))
    low, high = interval(
        drawn,
        point=float(point),
        jackknife=jackknife,
        level=level,
        least=chosen.least,
        most=chosen.most,
    )
    if not high > low:
        raise OptionError(
            f"{figure} has no interval on the run's {n} photos: nothing to plan from; label more,"
            " or plan from the share you expect: --expect (plan_ahead)"
        )
    sizes = np.array(sorted({max(2, round(n * times)) for times in REACH}))
    spreads = np.array(
        [_spread(of(draw_weights(n, draws=draws, seed=seed, photos=each))) for each in sizes]
    )
    law = _power_law(sizes, spreads, n)
    df, z = Correction.fit(0.5, jackknife).df, _z(level)

    def width_at(photos: int) -> float:
        expanded = student(z, df * photos / n) / student(z, df)
        return min((high - low) * law(photos) * expanded, chosen.most - chosen.least)

    return _plan(chosen.full_title, width, level, width_at, chosen.most - chosen.least, n)


def _spread(drawn: NDArray[np.float64]) -> float:
    """Return the standard deviation of the draws, NaN where most are undefined."""
    finite = drawn[np.isfinite(drawn)]
    return float(finite.std()) if 2 * len(finite) > len(drawn) else math.nan


def _power_law(
    sizes: NDArray[np.int64], spreads: NDArray[np.float64], n: int
) -> Callable[[int], float]:
    """Return how the spread falls with the number of photos: 1 at `n`, and never rising."""
    known = (spreads > 0) | (sizes == n)
    sizes, spreads = sizes[known], spreads[known]
    [at] = np.flatnonzero(sizes == n)
    spreads[:at] = np.maximum.accumulate(spreads[at::-1])[:0:-1]
    spreads[at:] = np.minimum.accumulate(spreads[at:])
    xs, ys = np.log(sizes), np.log(spreads / spreads[at])

    def law(photos: int) -> float:
        near = min(max(photos, sizes[0]), sizes[-1])
        return math.exp(np.interp(math.log(near), xs, ys)) * math.sqrt(near / photos)

    return law


def plan_ahead(
    expect: float,
    *,
    faces: float = 8.0,
    icc: float = 0.1,
    width: float = 0.1,
    level: float = 0.95,
) -> Plan:
    """Plan from assumptions, for a share of faces such as a recall or an accuracy.

    Width = 2 z sqrt(deff p (1 - p) / (photos m)), with the design effect
    deff = 1 + (m - 1) icc (Kish, "Survey Sampling", 1965): how many times more
    faces it takes because those of a photo go together.

    Parameters
    ----------
    expect : float
        The share p expected, above 0 and below 1; 0.5 is the most cautious.
    faces : float
        Faces a photo, m, at least 1.
    icc : float
        How much faces of a photo go together: their correlation, 0 (not at all) to
        1 (all alike).
    width, level : float

    Raises
    ------
    OptionError
        If an assumption is out of range.
    """
    for name, value, fits, expected in (
        ("expect", expect, 0 < expect < 1, "a share above 0 and below 1"),
        ("faces", faces, 1 <= faces < math.inf, "a number of 1 or more"),
        ("icc", icc, 0 <= icc <= 1, "a number from 0 to 1"),
    ):
        if not fits:
            raise OptionError(f"{name} is {value}: expected {expected}")
    variance = (1 + (faces - 1) * icc) * expect * (1 - expect) / faces
    z = _z(level)

    def width_at(photos: int) -> float:
        return min(2 * z * math.sqrt(variance / photos), 1.0)

    return _plan(f"a share of {expect:g}", width, level, width_at, 1.0)


def _plan(
    title: str,
    width: float,
    level: float,
    width_at: Callable[[int], float],
    widest: float,
    labelled: int | None = None,
) -> Plan:
    if not 0 < width < widest:
        below = "" if math.isinf(widest) else f" and below {widest:g}, the whole range"
        raise OptionError(f"width is {width}: expected a number above 0{below}")
    narrowest = width_at(MOST)
    if not narrowest <= width:
        raise OptionError(
            f"width is {width}: it would take more than {MOST} labelled photos;"
            f" the narrowest to be had is about {in_digits(1.01 * narrowest)}"
        )
    photos = 2 + bisect_left(range(2, MOST), True, key=lambda each: width_at(each) <= width)
    sizes = {max(2, math.ceil(photos * times)) for times in (0.25, 0.5, 1, 2)}
    sizes |= {labelled} if labelled else set()
    curve = tuple((each, width_at(each)) for each in sorted(sizes))
    return Plan(title, width, level, photos, curve, labelled)


def in_digits(width: float) -> str:
    """Return a width above 0 with three significant digits, never as a power of ten.

    Examples
    --------
    >>> in_digits(0.1414), in_digits(0.00035)
    ('0.141', '0.000350')
    """
    decimals = 2 - math.floor(math.log10(width))
    return f"{width:.{max(decimals, 0)}f}"


def _z(level: float) -> float:
    if not 0 < level < 1:
        raise OptionError(f"level is {level}: expected a share above 0 and below 1")
    return NormalDist().inv_cdf((1 + level) / 2)
