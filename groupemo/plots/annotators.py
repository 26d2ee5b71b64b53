"""Two annotators side by side."""

from __future__ import annotations

from collections import Counter

import numpy as np
from matplotlib.axes import Axes

from groupemo.errors import LabelError
from groupemo.labels import CODES, Labels, label_word
from groupemo.metrics.agreement import NOT_LABELLED, agreement, by_annotator
from groupemo.plots._axes import heading, new_axes, note, plain
from groupemo.plots.classes import draw_counts

__all__ = ["plot_agreement"]


def plot_agreement(
    labels: Labels, pair: tuple[str, str] | None = None, ax: Axes | None = None
) -> Axes:
    """Plot what one annotator called the faces against what another did.

    In each cell the faces, and their share of the row in percent. Words that neither used
    are left out. The title has Cohen's kappa, which is of the seven expressions alone: who
    says *unsure* or *ignore* names none.

    Parameters
    ----------
    labels : Labels
    pair : tuple of str, optional
        Names of two annotators, whose words are the rows and the columns; by default the
        first two.
    ax : Axes, optional

    Raises
    ------
    LabelError
        If nobody of that name labelled anything.
    """
    people, table = by_annotator(labels)
    chosen = people[:2] if pair is None else pair
    for name in chosen:
        if name not in people:
            known = ", ".join(people) or "none is named"
            raise LabelError(f"no annotator {name!r} in the labels; annotators: {known}")
    if len(chosen) < 2:
        axes = new_axes(ax, (4, 2))
        axes.set_axis_off()
        note(axes, f"annotators: {', '.join(map(plain, people)) or 'none'}; agreement takes two")
        return axes
    one, other = (people.index(name) for name in chosen)
    said = table[:, [one, other]]
    both = said[(said != NOT_LABELLED).all(axis=1)]
    used = [label for label in CODES if label in both]
    axes = new_axes(ax, (0.75 * len(used) + 2.4, 0.6 * len(used) + 1.7))
    if used:
        times = Counter(map(tuple, both.tolist()))
        counts = np.array([[times[row, column] for column in used] for row in used])
        words = [label_word(label) for label in used]
        draw_counts(axes, counts, words, words)
    else:
        note(axes, "no face has both")
    axes.set(xlabel=plain(chosen[1]), ylabel=plain(chosen[0]))
    kappa = agreement(labels).kappa[one, other]
    figure = "kappa undefined" if np.isnan(kappa) else f"kappa {kappa:.2f}"
    heading(axes, f"{plain(' and '.join(chosen))}, n = {len(both)} faces\n{figure}")
    return axes
