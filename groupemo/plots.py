"""Pictures of results for notebooks and papers: functions that take and return matplotlib Axes.

Where no Axes are given, a new figure is made without pyplot, so that nothing
global changes and nothing has to be closed: `plot_confusion(scores).figure.savefig(...)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from groupemo.drawing import UNANSWERED, captions, ink_on
from groupemo.emotions import EMOTIONS
from groupemo.errors import OptionError
from groupemo.evaluation import Evaluation
from groupemo.faces import Faces
from groupemo.figures import HEADLINE
from groupemo.metrics import classification as cls
from groupemo.metrics.tally import ratio
from groupemo.scores import Scores

__all__ = ["draw_faces", "plot_comparison", "plot_confusion", "plot_per_class"]


def draw_faces(
    image: NDArray[np.uint8],
    faces: Faces,
    probs: ArrayLike | None = None,
    classes: Sequence[str] = EMOTIONS,
    ax: Axes | None = None,
) -> Axes:
    """Show an image with its faces boxed, and the answer for each where `probs` are given.

    Parameters
    ----------
    image : np.ndarray, shape=(h, w, 3)
        RGB uint8.
    faces : Faces
    probs : array_like, shape=(n, k), optional
        A NaN row means no answer.
    classes : sequence of str, length k
    ax : Axes, optional
    """
    height, width = image.shape[:2]
    axes = _axes(ax, (8, 8 * height / width))
    axes.imshow(image)
    axes.set_axis_off()
    n = len(faces)
    words, hues = ([""] * n, [UNANSWERED] * n) if probs is None else captions(probs, classes)
    for (x1, y1, x2, y2), word, hue in zip(faces.boxes.tolist(), words, hues, strict=True):
        for color, line in (("black", 3), (hue, 1.5)):
            axes.add_patch(
                Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=color, linewidth=line)
            )
        if word:
            patch = {"facecolor": hue, "edgecolor": "none", "pad": 1}
            ink = ink_on(hue)
            axes.text(x1, y1, word, fontsize=8, va="bottom", color=ink, bbox=patch, clip_on=True)
    return axes


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
    rows, columns = list(scores.classes), list(scores.classes)
    if over == "end_to_end":
        rows, columns = [*rows, "no labelled face"], [*columns, "abstained", "missed"]
    shares = ratio(counts, np.broadcast_to(counts.sum(axis=1, keepdims=True), counts.shape))
    axes = _axes(ax, (0.75 * len(columns) + 1.5, 0.6 * len(rows) + 1.5))
    axes.imshow(np.nan_to_num(shares), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), count in np.ndenumerate(counts):
        share = shares[row, column]
        text = f"{count}\n{share:.0%}" if count else "0"
        ink = "white" if share > 0.6 else "#555" if not count else "black"
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color=ink)
    axes.set_xticks(range(len(columns)), columns, rotation=45, ha="right")
    axes.set_yticks(range(len(rows)), rows)
    axes.set(xlabel="answered", ylabel="labelled (perceived expression)")
    axes.set_title(f"{_pair(scores)}, {over.replace('_', ' ')}, n = {counts.sum()}", fontsize=10)
    return axes


def plot_per_class(
    scores: Scores, ax: Axes | None = None, *, over: cls.Denominator = "end_to_end"
) -> Axes:
    """Plot precision, recall and F1 of each class, its labelled faces beside its name.

    What is not defined (no labelled face, no answer) is left out.

    Parameters
    ----------
    scores : Scores
    ax : Axes, optional
    over : {"end_to_end", "matched"}
    """
    axes = _axes(ax, (6, 0.45 * len(scores.classes) + 1.3))
    support = cls.support(scores.tally, over)
    rows = np.arange(len(scores.classes))
    series: dict[str, tuple[Any, str, str]] = {
        "precision": (cls.precision, "^", "#0072b2"),
        "recall": (cls.recall, "s", "#d55e00"),
        "F1": (cls.f1, "o", "black"),
    }
    for name, (figure, marker, color) in series.items():
        axes.plot(figure(scores.tally, over), rows, marker, color=color, label=name, alpha=0.85)
    names = [f"{name} (n = {n})" for name, n in zip(scores.classes, support, strict=True)]
    axes.set_yticks(rows, names)
    axes.set(xlim=(-0.03, 1.03), ylim=(len(rows) - 0.5, -0.5))
    axes.grid(axis="y", color="#ddd")
    axes.set_axisbelow(True)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
    axes.set_xlabel(f"{_pair(scores)}, {over.replace('_', ' ')}")
    return axes


def plot_comparison(
    evaluation: Evaluation, metric: str = "end_to_end_macro_f1", ax: Axes | None = None
) -> Axes:
    """Plot one figure of every detector x backend with its 95 % interval over photos, best first.

    Parameters
    ----------
    evaluation : Evaluation
    metric : str
        A headline figure: see `groupemo.figures.HEADLINE`. Low is best for cross-entropy.
    ax : Axes, optional

    Raises
    ------
    OptionError
        If `metric` is none of them.
    """
    if metric not in HEADLINE:
        raise OptionError(f"metric {metric!r}: expected one of {', '.join(HEADLINE)}")
    table = evaluation.table().sort_values(metric, ascending=metric.endswith("log_loss"))
    axes = _axes(ax, (6, 0.4 * len(table) + 1.2))
    rows = np.arange(len(table))
    low, high = table[f"{metric}_low"], table[f"{metric}_high"]
    axes.hlines(rows, low, high, color="#0072b2", linewidth=2)
    axes.plot(table[metric], rows, "o", color="#0072b2")
    axes.set_yticks(rows, [" x ".join(pair) for pair in table.index])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(left=0, right=None if metric.endswith("log_loss") else 1)
    axes.grid(axis="x", color="#ddd")
    axes.set_axisbelow(True)
    photos = len(evaluation.labels)
    axes.set_xlabel(f"{metric.replace('_', ' ')} (95 % interval over {photos} photos)")
    return axes


def _axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    if ax is not None:
        return ax
    with mpl.rc_context({"figure.constrained_layout.use": True}):
        return Figure(figsize=size, dpi=110).add_subplot()


def _pair(scores: Scores) -> str:
    return " x ".join(scores.pair)
