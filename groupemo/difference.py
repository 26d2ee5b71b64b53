"""One figure of two runs on the same photos, and the words for it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from groupemo.figures import Figure

__all__ = ["DECIMALS", "Difference", "amount", "p_words"]

DECIMALS = 12
"""Differences that are 0 when rounded to so many decimals are 0."""

_NATS = ("log_loss", "cross_entropy", "kl", "js")
"""What the names of figures in nats end in."""


@dataclass(frozen=True)
class Difference:
    """One figure of two runs on the same photos; NaN where undefined.

    Parameters
    ----------
    figure : Figure
    a, b : float
    low, high : float
        The 95 % interval of a - b.
    p : float
        Two-sided, below .05 where the interval leaves out 0; see `metrics.paired.p_value`.
    """

    figure: Figure
    a: float
    b: float
    low: float
    high: float
    p: float

    @property
    def difference(self) -> float:
        """The figure of a less that of b."""
        return round(self.a - self.b, DECIMALS)

    @property
    def equal(self) -> bool:
        """Whether the runs are equal whichever photos are drawn: there is nothing to test."""
        return bool(self.difference == self.low == self.high == 0)

    @property
    def gain(self) -> tuple[float, float, float]:
        """How much better a is than b, with its interval; negative where it is worse."""
        if self.figure.higher_is_better:
            return self.difference, self.low, self.high
        return -self.difference, -self.high, -self.low

    @property
    def could_hide(self) -> float:
        """How much worse a may be than b, for all the interval says; NaN without one."""
        low = self.gain[1]
        return low if math.isnan(low) else max(0.0, -low)

    def fell(self, margin: float = 0.0) -> bool:
        """Say whether a is worse than b by more than `margin`, with the whole interval.

        A figure that only b has fell, too: nothing is left of a to judge.
        """
        return self.gain[2] < -margin or (math.isnan(self.a) and not math.isnan(self.b))

    def sentence(self, a: str, b: str) -> str:
        """Say which of the runs called `a` and `b` is better, by how much, and how surely."""
        title, (gain, low, high) = self.figure.full_title, self.gain
        lacking = [name for name, value in ((a, self.a), (b, self.b)) if math.isnan(value)]
        if lacking:
            return f"{title} of {' and '.join(lacking)} is undefined: {self.figure.undefined}"
        if self.equal:
            return f"{a} and {b} have the same {title}, whichever photos are drawn"
        worse = gain < 0
        if worse:
            gain, low, high = -gain, -high, -low
        of = "" if _is_number(self.figure) else "of "
        by = f"{b} by {amount(self.figure, gain)} {of}{title}"
        if not math.isnan(low):
            span = f"{_number(self.figure, low)} to {_number(self.figure, high)}"
            by += f" (95 % interval {span}, {p_words(self.p)})"
        if low > 0:
            return f"{a} is {'worse' if worse else 'better'} than {by}"
        unsure = "" if not math.isnan(low) else ", without an interval"
        return (
            f"no telling which is better: {a} is {'behind' if worse else 'ahead of'} {by}{unsure}"
        )


def amount(figure: Figure, value: float) -> str:
    """Return a difference in words: points for a share, nats, or a bare number.

    Examples
    --------
    >>> from groupemo.figures import FIGURES
    >>> amount(FIGURES["end_to_end_macro_f1"], 0.041)
    '4.1 points'
    >>> amount(FIGURES["matched_log_loss"], 0.041)
    '0.041 nats'
    """
    unit = "nats" if _in_nats(figure) else "points" if _is_share(figure) else ""
    return f"{_number(figure, value)} {unit}".strip()


def p_words(p: float) -> str:
    """Return a p-value as papers write it.

    >>> p_words(0.0042), p_words(0.312), p_words(1.0)
    ('p = .004', 'p = .31', 'p = 1')
    """
    if p < 0.001:
        return "p < .001"
    digits = f"{p:.3f}" if p < 0.1 else f"{p:.2f}"
    return "p = 1" if digits == "1.00" else f"p = {digits[1:]}"


def _in_nats(figure: Figure) -> bool:
    return figure.name.endswith(_NATS)


def _is_share(figure: Figure) -> bool:
    return (figure.least, figure.most) == (0, 1) and not _in_nats(figure)


def _is_number(figure: Figure) -> bool:
    return math.isinf(figure.most) and not _in_nats(figure)


def _number(figure: Figure, value: float) -> str:
    scale, decimals = (100, 1) if _is_share(figure) else (1, 3)
    return f"{round(scale * value, decimals) + 0.0:.{decimals}f}"  # + 0.0: no -0.0
