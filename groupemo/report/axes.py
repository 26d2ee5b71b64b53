"""Axes of the page's charts: round ticks, and places in percent of the width."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["UNIT", "Axis", "axis"]


@dataclass(frozen=True)
class Axis:
    """A scale from `low` to `high`.

    Parameters
    ----------
    low, high : float
    step : float
        Between ticks.
    """

    low: float
    high: float
    step: float

    @property
    def ticks(self) -> list[float]:
        """The ticks, from `low` to `high`."""
        count = round((self.high - self.low) / self.step)
        return [round(self.low + i * self.step, 6) for i in range(count + 1)]

    def at(self, value: float) -> float:
        """Return where a value lies, in percent of the width; ends beyond are cut."""
        share = (value - self.low) / (self.high - self.low)
        return round(100 * min(1.0, max(0.0, share)), 2)


UNIT = Axis(0.0, 1.0, 0.25)
"""From 0 to 1."""

NARROW = 1e-4
"""Values nearer to each other than this are drawn as one."""


def axis(values: Iterable[float], *, least: float = 0.0, ticks: int = 5) -> Axis:
    """Return a scale with round ticks that holds the values and `least`; NaN are left out."""
    held = [*(value for value in values if math.isfinite(value)), least]
    low, high = min(held), max(held)
    if high - low < NARROW:
        high = low + 1.0
    rough = (high - low) / ticks
    power = 10 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
    return Axis(step * math.floor(low / step), step * math.ceil(high / step), step)
