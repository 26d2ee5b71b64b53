"""One run class by class."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from groupemo.figures import Weighed
from groupemo.metrics import classification as cls
from groupemo.metrics.tally import Tally, ratio
from groupemo.metrics.uncertainty import interval, weightings
from groupemo.plots._axes import (
    BLACK,
    BLUE,
    QUIET,
    VERMILLION,
    heading,
    name_rows,
    new_axes,
    plain,
    run_name,
    undefined,
)
from groupemo.scores import Scores
from groupemo.standing import Person

__all__ = ["draw_counts", "plot_confusion", "plot_per_class"]

_SERIES: Mapping[str, tuple[Callable[..., NDArray[np.float64]], str, str]] = {
    "precision": (cls.precision, "^", BLUE),
    "F1": (cls.f1, "o", BLACK),
    "recall": (cls.recall, "s", VERMILLION),
}


def plot_confusion(
    scores: Scores, ax: Axes | None = None, *, over: cls.Denominator = "end_to_end"
) -> Axes:
    """Plot the confusion matrix: in each cell the count, and its share of the row in percent.

    Parameters
    ----------
    scores : Scores
    ax : Axes, optional
    over : {"end_to_end", "matched"}
        With missed faces, abstentions and phantoms, or the classifier alone.
    """
    counts = cls.confusion(scores.tally, over)
    rows, columns = [plain(name) for name in scores.classes], list(scores.classes)
    if over == "end_to_end":
        rows, columns = [*rows, "no labelled face"], [*columns, "abstained", "missed"]
    axes = new_axes(ax, (0.75 * len(columns) + 1.8, 0.6 * len(rows) + 1.5))
    draw_counts(axes, counts, rows, columns)
    axes.set(xlabel="answered", ylabel="labelled (perceived expression)")
    heading(axes, f"{_title(scores, over)}, n = {counts.sum()}")
    return axes


def draw_counts(
    axes: Axes, counts: NDArray[np.int64], rows: Sequence[str], columns: Sequence[str]
) -> None:
    """Draw a table of counts: in each cell the count, and its share of the row in percent."""
    sums = counts.sum(axis=1)
    shares = ratio(counts, np.broadcast_to(sums[:, None], counts.shape))
    axes.imshow(np.nan_to_num(shares), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), count in np.ndenumerate(counts):
        share = shares[row, column]
        text = f"{count}\n{share:.0%}" if count else "0"
        ink = "white" if share > 0.6 else QUIET if not count else "black"
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color=ink)
    axes.set_xticks(range(len(columns)), [plain(name) for name in columns], rotation=45, ha="right")
    named = [f"{name} (n = {n})" for name, n in zip(rows, sums, strict=True)]
    axes.set_yticks(range(len(rows)), named)


def plot_per_class(
    scores: Scores, ax: Axes | None = None, *, over: cls.Denominator = "end_to_end"
) -> Axes:
    """Plot precision, recall and F1 of each class with intervals, its labelled faces beside it.

    What is not defined (no labelled face, no answer) is left out. Where faces have votes,
    a dashed line in each row is the F1 of a person: one annotator, judged by the others.

    Parameters
    ----------
    scores : Scores
    ax : Axes, optional
    over : {"end_to_end", "matched"}
    """
    k = len(scores.classes)
    axes = new_axes(ax, (6, 0.55 * k + 1.6))
    support = cls.support(scores.tally, over)
    name_rows(axes, [f"{plain(name)} (n = {n})"
                     for name, n in zip(scores.classes, support, strict=True)])  # fmt: skip
    known = np.zeros(k, dtype=bool)
    for offset, (name, (figure, marker, color)) in zip((-0.22, 0, 0.22), _SERIES.items(),
                                                       strict=True):  # fmt: skip
        values, bounds = _with_intervals(scores, partial(figure, over=over))
        axes.hlines(np.arange(k) + offset, *bounds.T, color=color, linewidth=1.5, alpha=0.7)
        axes.plot(values, np.arange(k) + offset, marker, color=color, label=name, markersize=5)
        known |= np.isfinite(values)
    human = Person.of(scores).classes()
    people = np.flatnonzero(np.isfinite(human))
    if len(people):
        axes.vlines(human[people], people - 0.42, people + 0.42, color=QUIET, linestyle="--",
                    linewidth=1.2, label="a person's F1")  # fmt: skip
    for row in np.flatnonzero(~known).tolist():
        undefined(axes, row, "neither labelled nor answered", width=30)
    axes.set(xlim=(-0.03, 1.03), xlabel=f"95 % interval over {len(scores.photos)} photos")
    heading(axes, _title(scores, over), legend=4 if len(people) else 3)
    return axes


def _with_intervals(
    scores: Scores, figure: Callable[[Tally], Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a figure of each class, shape (k,), and its bounds, shape (k, 2)."""
    values, drawn, jackknife = (
        np.asarray(figure(Weighed(scores, weights).tally), dtype=np.float64)
        for weights in weightings(len(scores.photos))
    )
    bounds = [
        interval(drawn[:, c], point=float(value), jackknife=jackknife[:, c], least=0, most=1)
        for c, value in enumerate(values[0])
    ]
    return values[0], np.array(bounds)


def _title(scores: Scores, over: str) -> str:
    return f"{run_name(scores)}, {over.replace('_', '-')}"
