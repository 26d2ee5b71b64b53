"""What all plots share: axes without pyplot, colours, names, and rows of dots with intervals."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from groupemo.scores import Scores

__all__ = [
    "BLACK", "BLUE", "GRAY", "GREEN", "GRID", "ORANGE", "PURPLE", "QUIET", "SKY",
    "VERMILLION", "YELLOW", "Dashes", "Dot", "around", "as_runs", "counted", "curve_look",
    "draw_dots", "heading", "name_rows", "new_axes", "note", "plain", "png", "run_name",
    "undefined",
]  # fmt: skip

BLUE, VERMILLION, GREEN, ORANGE = "#0072b2", "#d55e00", "#009e73", "#e69f00"
SKY, PURPLE, YELLOW, BLACK = "#56b4e9", "#cc79a7", "#f0e442", "#000000"
GRAY, QUIET, GRID = "#8d96a2", "#545b66", "#dde2e8"
"""Colours told apart by colour-blind eyes (Okabe and Ito, 2008), and grays."""

Dashes = str | tuple[int, tuple[int, ...]]

CURVES: tuple[tuple[str, Dashes], ...] = (
    (BLUE, "-"),
    (VERMILLION, "--"),
    (GREEN, ":"),
    (PURPLE, "-."),
    (ORANGE, (0, (6, 2, 1, 2, 1, 2))),
    (SKY, (0, (1, 3))),
    (BLACK, (0, (8, 4))),
)
"""Colour and dashes of each curve, for prints without colour; see `curve_look`."""

LETTERS, SMALL = 9, 8
"""Points of the letters of names, and of small ones."""


@dataclass(frozen=True)
class Dot:
    """A row of a dot plot: a figure with its interval.

    Parameters
    ----------
    name : str
        At the left.
    value, low, high : float
        NaN where undefined.
    text : str
        At the right: what it stands on.
    why : str
        Written in place of an undefined value.
    color, marker : str
    filled : bool
    """

    name: str
    value: float
    low: float = math.nan
    high: float = math.nan
    text: str = ""
    why: str = ""
    color: str = BLUE
    marker: str = "o"
    filled: bool = True


class ShownAxes(Axes):
    """Axes that show themselves in a notebook, where their figure is nobody else's."""

    def _repr_png_(self) -> bytes:
        return png(self.figure)


def new_axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """Return the axes given, or those of a new figure of that size, in inches."""
    if ax is not None:
        return ax
    with mpl.rc_context({"figure.constrained_layout.use": True}):
        return Figure(figsize=size, dpi=110).add_subplot(axes_class=ShownAxes)


def png(figure: Any) -> bytes:
    """Return a figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()


def plain(text: object) -> str:
    """Return text that is not read as mathematics."""
    return str(text).replace("$", r"\$")


def curve_look(at: int) -> tuple[str, Dashes]:
    """Return colour and dashes of a curve by its place; colours that come again are dashed anew."""
    again, place = divmod(at, len(CURVES))
    return CURVES[place][0], CURVES[(place + again) % len(CURVES)][1]


def run_name(scores: Scores, width: int = 34) -> str:
    """Return detector x backend, broken into lines."""
    return plain(fill(" x ".join(scores.pair), width, break_on_hyphens=False))


def counted(n: int, one: str) -> str:
    """Return "1 photo", "2 photos"."""
    return f"{n} {one if n == 1 else f'{one}s'}"


def as_runs(runs: Scores | Iterable[Scores]) -> list[Scores]:
    """Return one run or many as a list."""
    return [runs] if isinstance(runs, Scores) else list(runs)


def heading(axes: Axes, title: str, *, legend: int = 0) -> None:
    """Put a title above the axes, and a legend of so many columns between them."""
    if legend:
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=legend, frameon=False,
                    fontsize=SMALL)  # fmt: skip
    axes.set_title(title, fontsize=10, pad=24 if legend else 8)


def note(axes: Axes, text: str) -> None:
    """Write small words in the middle of the axes: why there is nothing to see."""
    axes.text(0.5, 0.5, fill(text, 40), transform=axes.transAxes, ha="center", va="center",
              color=QUIET, fontsize=9)  # fmt: skip


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Name the rows 0, 1, ... from the top, in letters that fit a row."""
    height = 72 * axes.bbox.height / axes.figure.dpi  # points
    lines = max((name.count("\n") + 1 for name in names), default=1)
    size = min(LETTERS, 0.75 * height / max(len(names), 1) / lines)
    axes.set_yticks(range(len(names)), names, fontsize=size)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="x", color=GRID)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def draw_dots(axes: Axes, dots: Sequence[Dot]) -> None:
    """Draw a row for each dot, the first at the top; an undefined one is said to be so."""
    name_rows(axes, [dot.name for dot in dots])
    for row, dot in enumerate(dots):
        axes.hlines(row, dot.low, dot.high, color=dot.color, linewidth=2)
        axes.plot(dot.value, row, dot.marker, color=dot.color, clip_on=False,
                  markerfacecolor=dot.color if dot.filled else "white")  # fmt: skip
        axes.text(1.02, row, dot.text, transform=axes.get_yaxis_transform(), va="center",
                  fontsize=SMALL, color=QUIET)  # fmt: skip
        if math.isnan(dot.value):
            undefined(axes, row, dot.why)


def undefined(axes: Axes, row: float, why: str, *, width: int = 60) -> None:
    """Say in a row why it is empty."""
    text = f"undefined: {why}" if why else "undefined"
    axes.text(0.01, row, fill(text, width), transform=axes.get_yaxis_transform(), va="center",
              fontsize=SMALL, color=QUIET)  # fmt: skip


def around(
    axes: Axes, values: Iterable[float], least: float = -np.inf, most: float = np.inf
) -> None:
    """Let the x axis hold 0 and the values, and nothing beyond the bounds."""
    ends = [0.0, *(value for value in values if math.isfinite(value))]
    ends = ends if len(ends) > 1 else [0.0, 1.0]
    low, high = max(least, min(ends)), min(most, max(ends))
    margin = 0.03 * (high - low or 1.0)
    axes.set_xlim(low - margin, high + margin)
