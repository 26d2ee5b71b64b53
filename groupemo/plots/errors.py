"""Where the errors are: in which bin, whose they are, and on which faces."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes

from groupemo.errors import OptionError
from groupemo.evaluation import Evaluation
from groupemo.figures import FIGURES, MAIN
from groupemo.plots._axes import (
    BLACK,
    BLUE,
    GRAY,
    ORANGE,
    PURPLE,
    QUIET,
    SKY,
    VERMILLION,
    YELLOW,
    Dot,
    around,
    counted,
    draw_dots,
    heading,
    name_rows,
    new_axes,
    note,
    plain,
    run_name,
)
from groupemo.scores import Scores
from groupemo.slices import MIN_FACES, MIN_PHOTOS, Slices
from groupemo.standing import Run, Standing

__all__ = ["plot_ablation", "plot_anatomy", "plot_gains", "plot_slices"]

_BINS: Mapping[str, tuple[str, str, str]] = {
    "correct": (BLUE, "", "white"),
    "wrong emotion": (ORANGE, "", BLACK),
    "abstained": (GRAY, "..", BLACK),
    "ambiguous label": ("white", "", BLACK),
    "localisation": (SKY, "//", BLACK),
    "missed": (VERMILLION, "\\\\", BLACK),
    "duplicate": (YELLOW, "xx", BLACK),
    "phantom": (PURPLE, "++", BLACK),
}
"""Colour, hatch and ink of each bin of `groupemo.metrics.anatomy`."""

_OWNERS = {"": BLUE, "crop": PURPLE, "detector": VERMILLION, "classifier": ORANGE}

_NARROW = 0.05
"""A part of the longest bar that is too narrow for its count."""


def plot_anatomy(evaluation: Evaluation, ax: Axes | None = None) -> Axes:
    """Plot how many faces and detections of each run are in each bin, best run first.

    Parameters
    ----------
    evaluation : Evaluation
    ax : Axes, optional
    """
    runs = Standing(evaluation).runs
    axes = new_axes(ax, (7, 0.42 * len(runs) + 2))
    counts = {name: np.array([run.bins[name] for run in runs]) for name in _BINS}
    left = np.zeros(len(runs), dtype=np.int64)
    totals = np.sum(list(counts.values()), axis=0)
    longest = totals.max(initial=0)
    name_rows(axes, [f"{run_name(run.scores)}\n(n = {total})"
                     for run, total in zip(runs, totals, strict=True)])  # fmt: skip
    for name, count in counts.items():
        color, hatch, ink = _BINS[name]
        if not count.any():
            continue
        bars = axes.barh(range(len(runs)), count, 0.7, left, color=color, hatch=hatch,
                         edgecolor="#777", linewidth=0.5, label=name)  # fmt: skip
        wide = [str(n) if n > _NARROW * longest else "" for n in count]
        for text in axes.bar_label(bars, wide, label_type="center", fontsize=8, color=ink):
            text.set_bbox({"facecolor": color, "edgecolor": "none", "pad": 0.5})
        left = left + count
    axes.set_xlabel("labelled faces and detections", fontsize=9)
    if longest:
        heading(axes, "", legend=4)
    else:
        note(axes, "nothing was labelled and nothing was found")
    return axes


def plot_gains(scores: Scores, ax: Axes | None = None) -> Axes:
    """Plot what mending each bin would add to the end-to-end macro-F1, with intervals.

    One bin at a time: gains do not add up.

    Parameters
    ----------
    scores : Scores
    ax : Axes, optional
    """
    gains = Run(scores).gains
    axes = new_axes(ax, (6, 0.42 * len(gains) + 1.4))
    if gains:
        draw_dots(axes, [Dot(gain.name, gain.value, gain.low, gain.high, f"n = {gain.count}")
                         for gain in gains])  # fmt: skip
        around(axes, [end for gain in gains for end in (gain.value, gain.low, gain.high)])
        axes.axvline(0, color=BLACK, linewidth=1)
    else:
        note(axes, "there is nothing to mend, or nothing to judge")
    photos = counted(len(scores.photos), "photo")
    axes.set_xlabel(f"gain in end-to-end macro-F1 (95 % interval over {photos})", fontsize=9)
    heading(axes, run_name(scores, 60))
    return axes


def plot_ablation(
    evaluation: Evaluation, detector: str, backend: str, figure: str = MAIN, ax: Axes | None = None
) -> Axes:
    """Plot what a figure becomes as crops, detections and answers are put right in turn.

    Parameters
    ----------
    evaluation : Evaluation
        With a run of the backend on the labelled faces; see `Evaluation.ablation`.
    detector, backend : str
    figure : str
        Over "end_to_end" or "group".
    ax : Axes, optional

    Raises
    ------
    OptionError
        As `Evaluation.ablation`.
    """
    steps = evaluation.ablation(detector, backend, figure)
    scores, chosen = evaluation[detector, backend], FIGURES[figure]
    axes = new_axes(ax, (6.5, 3))
    before = steps["value"].shift(fill_value=0.0)
    names = [f"{step}\n({whose}'s)" if whose else str(step) for step, whose in steps["of"].items()]
    name_rows(axes, names)
    axes.barh(range(len(steps)), steps["value"] - before, 0.6, before,
              color=[_OWNERS[whose] for whose in steps["of"]], edgecolor="#777")  # fmt: skip
    for row, (step, start) in enumerate(zip(steps.itertuples(), before, strict=True)):
        axes.text(1.02, row, _told(row, step), transform=axes.get_yaxis_transform(), va="center",
                  fontsize=8, color=QUIET)  # fmt: skip
        if row:
            axes.plot([start, start], [row - 1, row], color=QUIET, linewidth=1)
    around(axes, [*steps["value"]], chosen.least, chosen.most)
    n = scores.estimates()[figure].n
    axes.set_xlabel(f"{chosen.full_title} (n = {n} {chosen.unit}, {len(scores.photos)} photos)",
                    fontsize=9)  # fmt: skip
    heading(axes, run_name(scores, 60))
    return axes


def plot_slices(found: Slices, figure: str | None = None, ax: Axes | None = None) -> Axes:
    """Plot one figure of each group of faces with its interval; hollow where support is small.

    Parameters
    ----------
    found : Slices
        From `groupemo.slices.slices`.
    figure : str, optional
        One of those sliced; the first unless told otherwise.
    ax : Axes, optional

    Raises
    ------
    OptionError
        If the figure was not sliced.
    """
    names = list(dict.fromkeys(found.frame["figure"]))
    if figure is not None and figure not in names:
        raise OptionError(f"figure {figure!r}: expected one of {', '.join(names) or 'none'}")
    rows = found.frame[found.frame["figure"] == (figure or next(iter(names), ""))]
    axes = new_axes(ax, (6, 0.42 * len(rows) + 1.6))
    if not len(rows):
        note(axes, f"no face has a value of {found.by}")
        return axes
    chosen = FIGURES[str(rows["figure"].iloc[0])]
    draw_dots(axes, [_group(row, chosen.undefined) for row in rows.itertuples()])
    ends = rows[["value", "low", "high"]].to_numpy().ravel()
    around(axes, ends, chosen.least, chosen.most)
    few = f"; hollow: under {MIN_FACES} faces or {MIN_PHOTOS} photos" * (not rows["enough"].all())
    axes.set_xlabel(f"{chosen.full_title} (95 % interval){few}", fontsize=9)
    gaps = found.gaps[found.gaps["figure"] == chosen.name]
    heading(axes, f"by {plain(found.by)}{_gap(gaps.itertuples())}")
    return axes


def _group(row: object, why: str) -> Dot:
    group, value, low, high, n, photos, enough = (
        getattr(row, name) for name in ("group", "value", "low", "high", "n", "photos", "enough")
    )
    name, text = plain(fill(str(group), 30)), f"n = {n}, {counted(photos, 'photo')}"
    color = BLUE if enough else GRAY
    return Dot(name, value, low, high, text, why, color, filled=bool(enough))


def _gap(rows: Iterable[object]) -> str:
    for row in rows:
        gap, low, high, best, worst = (
            getattr(row, name) for name in ("gap", "low", "high", "best", "worst")
        )
        if not math.isnan(gap):
            span = f" ({low:.2f} to {high:.2f})" if not math.isnan(low + high) else ""
            return f"\nworst gap {gap:.2f}{span}: {plain(best)} over {plain(worst)}"
    return ""


def _told(row: int, step: object) -> str:
    value, gain, low, high = (getattr(step, name) for name in ("value", "gain", "low", "high"))
    if math.isnan(value):
        return "undefined"
    if not row:
        return f"{value:.2f}"
    return f"{gain:+.2f}" + ("" if math.isnan(low + high) else f" ({low:.2f} to {high:.2f})")
