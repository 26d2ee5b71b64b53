"""How accuracy falls as faces get harder to read: a panel a kind, a line a backend."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

from groupemo.errors import OptionError
from groupemo.plots._axes import GRID, QUIET, SMALL, curve_look, new_axes, plain
from groupemo.robustness.disturbances import DISTURBANCES
from groupemo.robustness.figures import FIGURES

if TYPE_CHECKING:
    from groupemo.robustness.curves import Stress

__all__ = ["plot_robustness"]

COLUMNS = 3
"""Panels beside each other at most."""

MARKS = ("o", "s", "^", "D", "v", "P", "X")
"""One a backend, for prints without colour."""

PANEL = (3.6, 2.5)
"""Width and height a panel has, in inches, its names included."""

HEAD = 0.9
"""Inches above the panels, for title and legend."""


def plot_robustness(stress: Stress, ax: Axes | None = None, *, figure: str = "accuracy") -> Axes:
    """Plot a figure against each kind of disturbance, a line a backend with its interval.

    The vertical line is the undisturbed level: for sizes, which every level changes,
    the median side of the faces. The dotted line is what the best constant answer has.

    Parameters
    ----------
    stress : Stress
        From `groupemo.stress`.
    ax : Axes, optional
        The panels are laid out in it.
    figure : str
        One of `groupemo.robustness.figures.FIGURES`.

    Raises
    ------
    OptionError
        If there is no such figure.
    """
    if figure not in FIGURES:
        raise OptionError(f"figure {figure!r}: expected one of {', '.join(FIGURES)}")
    kinds = stress.kinds
    columns = min(COLUMNS, len(kinds))
    rows = math.ceil(len(kinds) / columns)
    axes = new_axes(ax, (columns * PANEL[0], rows * PANEL[1] + HEAD))
    axes.set_axis_off()
    panels = [axes.inset_axes(_place(at, columns, rows)) for at in range(len(kinds))]
    for kind, panel in zip(kinds, panels, strict=True):
        _draw(panel, stress, kind, figure)
    lowest, highest = zip(*(panel.get_ylim() for panel in panels), strict=True)
    for at, panel in enumerate(panels):
        panel.set_ylim(max(min(lowest), 0), max(highest))
        if at % columns == 0:
            panel.set_ylabel(FIGURES[figure].title, fontsize=SMALL)
    _head(axes, panels[0], stress)
    return axes


def _place(at: int, columns: int, rows: int) -> tuple[float, float, float, float]:
    """Return left, bottom, width and height of a panel in shares of the axes, row by row."""
    row, column = divmod(at, columns)
    wide, high = 1 / columns, 1 / rows
    return (column * wide + 0.1 * wide, 1 - (row + 0.78) * high, 0.86 * wide, 0.74 * high)


def _draw(panel: Axes, stress: Stress, kind: str, figure: str) -> None:
    about = DISTURBANCES[kind]
    for at, backend in enumerate(stress.answers):
        color, dashes = curve_look(at)
        levels, values, low, high = stress.curve(backend, kind, figure)
        panel.fill_between(levels, low, high, color=color, alpha=0.15, linewidth=0)
        panel.plot(levels, values, color=color, linestyle=dashes, marker=MARKS[at % len(MARKS)],
                   markersize=4, linewidth=1.4, label=plain(backend))  # fmt: skip
    at_rest = float(np.median(stress.sides)) if about.neutral is None else about.neutral
    panel.axvline(at_rest, color=QUIET, linewidth=1, zorder=0.8, label="undisturbed (size: median)")
    chance = stress.chance(figure)
    if not math.isnan(chance):
        panel.axhline(chance, color=QUIET, linewidth=1, linestyle=":", zorder=0.8,
                      label="best constant answer")  # fmt: skip
    if about.ratio and {*levels} != {at_rest}:  # a logarithmic axis needs two places
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(FixedLocator(list(levels)))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.set_xticklabels([f"{level:g}" for level in levels])
    panel.set_xlabel(about.title, fontsize=SMALL)
    panel.tick_params(labelsize=SMALL - 1)
    panel.grid(color=GRID)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)


def _head(axes: Axes, panel: Axes, stress: Stress) -> None:
    """Put what the figures stand on above the panels, and a legend between."""
    handles, names = panel.get_legend_handles_labels()
    axes.legend(handles, names, loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False,
                ncols=min(len(names), 4), fontsize=SMALL)  # fmt: skip
    title = (
        f"{len(stress.labels)} labelled faces in {len(stress.photos)} photos, labelled boxes;"
        " bands: 95 % intervals over photos"
    )
    axes.set_title(title, fontsize=9, pad=8 + 14 * math.ceil(len(names) / 4))
