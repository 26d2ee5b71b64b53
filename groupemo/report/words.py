"""Numbers as words: the page and the Markdown write them alike."""

from __future__ import annotations

import math

from groupemo.difference import p_words
from groupemo.figures import Estimate
from groupemo.plugins import STAND_IN as STAND_IN_LABEL

__all__ = [
    "DASH",
    "MINUS",
    "STAND_IN",
    "STAND_IN_LABEL",
    "interval",
    "known",
    "listed",
    "number",
    "p_value",
    "percent",
    "plural",
    "points",
    "span",
    "unbounded",
]

STAND_IN = "stand-in weights: not the published model's accuracy"
"""The note wherever a figure of a backend without its published weights is shown."""

DASH, MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"


def known(value: float) -> bool:
    """Return whether a figure is defined."""
    return not math.isnan(value)


def number(value: float, places: int = 2) -> str:
    """Return a number as text, a dash where it is not defined."""
    if not known(value):
        return DASH
    return f"{round(value, places) + 0.0:.{places}f}".replace("-", MINUS)  # + 0.0: no -0.0


def percent(share: float) -> str:
    """Return a share as percent, a dash where it is not defined."""
    return f"{share:.0%}" if known(share) else DASH


def points(value: float, places: int = 1) -> str:
    """Return a difference with its sign, in points: hundredths."""
    shown = number(100 * value, places)
    return f"+{shown}" if round(100 * value, places) > 0 else shown


def p_value(p: float) -> str:
    """Return a p-value without its "p": ".004"; a dash where it is not defined."""
    return p_words(p).removeprefix("p").strip(" =") if known(p) else DASH


def span(low: float, high: float, places: int = 2) -> str:
    """Return an interval in words; nothing where there is none."""
    return f"{number(low, places)} to {number(high, places)}" if known(low + high) else ""


def unbounded(estimate: Estimate) -> bool:
    """Return whether a figure has a value, but no interval."""
    return known(estimate.value) and not known(estimate.low + estimate.high)


def interval(estimate: Estimate) -> str:
    """Return " (95 % interval 0.20 to 0.34)"; nothing where there is none."""
    said = span(estimate.low, estimate.high)
    return f" (95 % interval {said})" if said else ""


def plural(n: int, one: str, many: str = "") -> str:
    """Return "1 photo", "2 photos"; thousands apart."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def listed(words: list[str]) -> str:
    """Return "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)
