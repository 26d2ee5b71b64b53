"""Photos as wholes."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from groupemo.figures import Estimate
from groupemo.metrics.group import rows
from groupemo.plots._axes import BLUE, GRAY, GRID, heading, new_axes, note, run_name
from groupemo.scores import Scores

__all__ = ["plot_valence"]


def plot_valence(scores: Scores, ax: Axes | None = None) -> Axes:
    """Plot each photo's answered mean valence against the labelled one.

    Lines part negative, neutral and positive groups; a dot's area is how many photos
    are there. Photos without a labelled or an answered face are left out.

    Parameters
    ----------
    scores : Scores
    ax : Axes, optional
    """
    axes = new_axes(ax, (4.8, 5))
    table = rows(scores.groups)
    both = np.stack([table["labelled_valence"], table["answered_valence"]], axis=1)
    places, times = np.unique(both[np.isfinite(both).all(axis=1)], axis=0, return_counts=True)
    for cut in (-1 / 3, 1 / 3):
        axes.axvline(cut, color=GRAY, linestyle=":", linewidth=1)
        axes.axhline(cut, color=GRAY, linestyle=":", linewidth=1)
    axes.plot([-1, 1], [-1, 1], color=GRAY, linewidth=1)
    axes.scatter(
        places[:, 0],
        places[:, 1],
        s=28 * times,
        color=BLUE,
        alpha=0.6,
        edgecolor="white",
        linewidth=0.5,
        zorder=2,
    )
    words = ("negative", "neutral", "positive")
    axes.set_xticks((-2 / 3, 0, 2 / 3), words)
    axes.set_yticks((-2 / 3, 0, 2 / 3), words, rotation=90, va="center")
    axes.set(xlim=(-1.08, 1.08), ylim=(-1.08, 1.08), aspect="equal",
             xlabel="labelled mean valence", ylabel="answered mean valence")  # fmt: skip
    axes.tick_params(length=0)
    axes.set_facecolor("white")
    for side in axes.spines.values():
        side.set_color(GRID)
    if not len(places):
        note(axes, "no photo has a labelled and an answered face")
    known = scores.estimates()
    right = _figure(known["group_valence_accuracy"], "right class")
    correlation = _figure(known["group_valence_pearson"], "correlation")
    left_out = len(scores.photos) - times.sum()
    photos = f"n = {times.sum()} photos" + (f", {left_out} left out" if left_out else "")
    heading(axes, f"{run_name(scores, 45)}\n{right}, {correlation}\n{photos}")
    return axes


def _figure(each: Estimate, word: str) -> str:
    return f"{word} undefined" if np.isnan(each.value) else f"{word} {each.value:.2f}"
