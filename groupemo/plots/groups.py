"""Photos as groups: who is in them, and what a mean makes of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from groupemo.drawing import COLORS, ink_on
from groupemo.emotions import EMOTIONS
from groupemo.plots._axes import QUIET, SMALL, heading, name_rows, new_axes, note, plain

__all__ = ["plot_groups"]


def plot_groups(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Plot the shares of the expressions in each photo; beside it what they come to.

    Each part has its number of faces written in it. At the right: mean valence, the
    spread of valence between the faces, and diversity.

    Parameters
    ----------
    table : pd.DataFrame
        Of `groupemo.group_table`.
    ax : Axes, optional
    """
    axes = new_axes(ax, (9, 0.34 * max(len(table), 2) + 1.5))
    counts = table[list(EMOTIONS)].to_numpy(dtype=np.float64)
    sums = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, sums, out=np.zeros_like(counts), where=sums > 0)
    name_rows(axes, [plain(f"{name} (n = {round(n)})")
                     for name, n in zip(table.index, sums[:, 0], strict=True)])  # fmt: skip
    starts = np.cumsum(shares, axis=1) - shares
    for column in np.flatnonzero(counts.any(axis=0)).tolist():
        color = COLORS[EMOTIONS[column]]
        axes.barh(np.arange(len(table)), shares[:, column], left=starts[:, column], height=0.8,
                  color=color, edgecolor="white", label=EMOTIONS[column])  # fmt: skip
        for row in np.flatnonzero(counts[:, column]).tolist():
            middle = starts[row, column] + shares[row, column] / 2
            axes.text(middle, row, f"{counts[row, column]:.3g}", ha="center", va="center",
                      fontsize=SMALL, color=ink_on(color))  # fmt: skip
    beside = table[["valence", "spread", "diversity"]].to_numpy(dtype=np.float64)
    told = ["valence  spread  diversity", *("{:7.2f}  {:6.2f}  {:9.2f}".format(*row)
                                            for row in beside + 0.0)]  # fmt: skip
    for row, text in enumerate(told, start=-1):
        axes.text(1.02, row, text.replace("nan", "  -"), transform=axes.get_yaxis_transform(),
                  va="center", fontsize=SMALL, family="monospace", color=QUIET)  # fmt: skip
    axes.grid(visible=False)
    axes.set(xlim=(0, 1), xlabel="share of the faces (perceived expression)")
    if not counts.any():
        note(axes, "no face has an expression")
    heading(axes, "", legend=4 if counts.any() else 0)
    return axes
