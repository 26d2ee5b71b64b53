"""How many photos to label for an interval of the width one wants.

From a run on some photos already labelled (`plan`), or from assumptions before
any photo is labelled (`plan_ahead`). Widths fall about as 1 / sqrt(photos): half
the width takes four times the photos. More faces in the same photos help less,
for they go together.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from groupemo.errors import OptionError
from groupemo.figures import FIGURES, Weighed
from groupemo.metrics.uncertainty import DRAWS, Correction, defined, draw_weights
from groupemo.scores import Scores

__all__ = ["Plan", "plan", "plan_ahead"]

MOST = 1_000_000
"""Photos beyond which a plan is no plan."""

FEW = 30
"""Photos below which a run is little to plan from."""


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
        How many it takes, at most `MOST`.
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
        count = f"more than {MOST}" if self.photos >= MOST else f"about {self.photos}"
        said = (
            f"A {100 * self.level:g} % interval of {self.title} that is {self.width:g} wide takes"
            f" {count} labelled photos."
        )
        if self.labelled is None:
            return said
        now = dict(self.curve)[self.labelled]
        said += f" With the {self.labelled} of this run it is {now:.2g} wide"
        said += ": they are enough." if self.photos <= self.labelled else "."
        if self.labelled < FEW:
            said += f" Fewer than {FEW} photos are little to plan from: plan again with more."
        return said


def plan(
    scores: Scores,
    *,
    figure: str = "end_to_end_macro_f1",
    width: float = 0.1,
    level: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
) -> Plan:
    """Plan from a run: its photos stand for those to come.

    A study of m photos is what m photos drawn from the run's give (with
    replacement, so m may be greater than their number). Its interval is as wide
    as the figure spreads over many such studies, expanded like any interval for m
    photos (`groupemo.metrics.uncertainty`). The least m is sought by the law of
    1 / sqrt(m), each guess put right by drawing at the m it gives.

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
        If the figure or width means nothing, or the run does not make the figure
        vary: there is nothing to plan from.
    """
    if figure not in FIGURES:
        raise OptionError(f"no figure named {figure!r}; known: {', '.join(FIGURES)}")
    n = len(scores.photos)

    def width_at(photos: int) -> float:
        weights = draw_weights(n, draws=draws, seed=seed, photos=photos)
        drawn = defined(FIGURES[figure].of(Weighed(scores, weights)))
        if not len(drawn):
            return math.nan
        # n photos spread as if sqrt((n - 1) / n) of what they stand for
        expanded = Correction(df=photos - 1, stretch=math.sqrt(n / (n - 1)))
        low, high = np.quantile(drawn, [expanded.share(-_z(level)), expanded.share(_z(level))])
        return float(high - low)

    if n < 2 or not width_at(n) > 0:
        raise OptionError(f"{figure} does not vary over the run's {n} photos: nothing to plan from")
    return _plan(FIGURES[figure].full_title, width, level, width_at, n)


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
    for name, value, fits in (
        ("expect", expect, 0 < expect < 1),
        ("faces", faces, faces >= 1),
        ("icc", icc, 0 <= icc <= 1),
    ):
        if not fits:
            raise OptionError(f"{name} is {value}: out of range")
    variance = (1 + (faces - 1) * icc) * expect * (1 - expect) / faces

    def width_at(photos: int) -> float:
        return 2 * _z(level) * math.sqrt(variance / photos)

    return _plan(f"a share of {expect:g}", width, level, width_at)


def _plan(
    title: str,
    width: float,
    level: float,
    width_at: Callable[[int], float],
    labelled: int | None = None,
) -> Plan:
    if not width > 0:
        raise OptionError(f"width is {width}: expected a number above 0")
    photos = _least(width_at, width, labelled or 100)
    sizes = {max(2, math.ceil(photos * times)) for times in (0.25, 0.5, 1, 2)}
    sizes |= {labelled} if labelled else set()
    curve = tuple((each, width_at(each)) for each in sorted(sizes))
    return Plan(title, width, level, photos, curve, labelled)


def _least(width_at: Callable[[int], float], width: float, guess: int) -> int:
    """Return how many photos the width takes; a few steps, for the law is nearly true."""
    for _ in range(6):
        better = math.ceil(guess * (width_at(guess) / width) ** 2 - 1e-9)
        before, guess = guess, min(max(better, 2), MOST)
        if abs(guess - before) <= 0.01 * before:
            break
    return guess


def _z(level: float) -> float:
    if not 0 < level < 1:
        raise OptionError(f"level is {level}: expected a share above 0 and below 1")
    return NormalDist().inv_cdf((1 + level) / 2)
