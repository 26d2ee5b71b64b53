"""Curves: confidence against truth, risk against coverage, precision against recall."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes

from groupemo.figures import Estimate
from groupemo.metrics import calibration as cal
from groupemo.metrics.detection import Ranking
from groupemo.planning import Plan, in_digits
from groupemo.plots._axes import (
    BLACK,
    BLUE,
    GRAY,
    GRID,
    QUIET,
    VERMILLION,
    Dashes,
    as_runs,
    curve_look,
    heading,
    new_axes,
    note,
    plain,
    run_name,
)
from groupemo.scores import Scores

__all__ = ["plot_precision_recall", "plot_reliability", "plot_risk_coverage", "plot_width"]


def plot_reliability(scores: Scores, ax: Axes | None = None, *, adaptive: bool = False) -> Axes:
    """Plot the reliability diagram: how often answers of each confidence are right.

    On the diagonal confidence is true; a bar down to the dot is overconfidence, one
    up to it the opposite. Beneath is how many faces each bin holds.

    Parameters
    ----------
    scores : Scores
    ax : Axes, optional
        Its lower fifth goes to the counts.
    adaptive : bool
        Bins of about equal count instead of equal width.
    """
    axes = new_axes(ax, (4.8, 5.4))
    found = cal.reliability(scores.answers, adaptive=adaptive)
    filled = found.count > 0
    confidence, accuracy = found.confidence[filled], found.accuracy[filled]
    axes.plot([0, 1], [0, 1], color=GRAY, linewidth=1)
    over = confidence > accuracy
    for chosen, color, dashes in ((over, VERMILLION, "-"), (~over, BLUE, ":")):
        axes.vlines(confidence[chosen], confidence[chosen], accuracy[chosen], color=color,
                    linestyle=dashes, linewidth=3)  # fmt: skip
    axes.plot(confidence, accuracy, "o-", color=BLACK, markersize=5, linewidth=1, clip_on=False)
    axes.set(xlim=(0, 1), ylim=(-0.4, 1), xlabel="confidence", ylabel="share of right answers")
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.grid(color=GRID)
    axes.set_axisbelow(True)

    counts = axes.inset_axes((0, 0, 1, 0.22))
    counts.bar(
        found.edges[:-1],
        found.count,
        np.diff(found.edges),
        align="edge",
        color=GRAY,
        edgecolor="white",
        linewidth=0.5,
    )
    counts.set(xlim=(0, 1), xticks=(), ylabel="faces")
    counts.spines[["top", "right"]].set_visible(False)
    title = run_name(scores)
    if not filled.any():
        note(axes, "no face with a known expression was found and answered")
        heading(axes, f"{title}, n = 0")
        return axes
    ece = scores.estimates()["matched_adaptive_ece" if adaptive else "matched_ece"]
    kind = "adaptive ECE" if adaptive else "ECE"
    heading(axes, f"{title}\n{kind} {_with_interval(ece)}, n = {ece.n}")
    return axes


def plot_risk_coverage(runs: Scores | Iterable[Scores], ax: Axes | None = None) -> Axes:
    """Plot the share of wrong answers when only the surest faces are answered.

    Parameters
    ----------
    runs : Scores or iterable of Scores
        A curve each, with its area (AURC, lower is better) in the legend.
    ax : Axes, optional
    """
    many = as_runs(runs)
    axes = new_axes(ax, (5.6, 4 + 0.17 * len(many)))
    drawn = [scores for scores in many if len(scores.answers)]
    for scores, (color, dashes) in _styled(drawn):
        found = cal.risk_coverage(scores.answers)
        area = scores.estimates()["matched_aurc"]
        name = f"{run_name(scores, 60)}: AURC {_with_interval(area)}, n = {area.n}"
        axes.plot(found.coverage, found.risk, color=color, linestyle=dashes, label=name)
        axes.plot(1, found.risk[-1], "o", color=color, clip_on=False)
    axes.set(xlim=(0, 1), ylim=(0, None), xlabel="coverage: share of the faces that is answered",
             ylabel="risk: share of those that is wrong")  # fmt: skip
    _finish(axes, drawn, many, "without an answer")
    return axes


def plot_precision_recall(runs: Scores | Iterable[Scores], ax: Axes | None = None) -> Axes:
    """Plot each detector's precision against its recall as its threshold falls, at IoU 0.5.

    The mark at the end is all it kept: a detector's own threshold cuts its curve off.

    Parameters
    ----------
    runs : Scores or iterable of Scores
        One curve for each detector among them, with its AP50 in the legend.
    ax : Axes, optional
    """
    many = list({scores.detector: scores for scores in reversed(as_runs(runs))}.values())[::-1]
    axes = new_axes(ax, (5.6, 4 + 0.17 * len(many)))
    drawn = [one for one in many if _ranking(one).faces.sum() and len(_ranking(one))]
    for scores, (color, dashes) in _styled(drawn):
        recall, precision = _precision_recall(_ranking(scores))
        ap = scores.estimates()["detection_ap50"]
        name = f"{plain(scores.detector)}: AP50 {_with_interval(ap)}, n = {ap.n}"
        axes.plot(recall, precision, color=color, linestyle=dashes, label=name)
        axes.plot(recall[-1], precision[-1], "o", color=color, clip_on=False)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall: share of the labelled faces",
             ylabel="precision: share of the detections")  # fmt: skip
    _finish(axes, drawn, many, "without a labelled face or a detection")
    return axes


def plot_width(plan: Plan, ax: Axes | None = None) -> Axes:
    """Plot how wide an interval is with so many labelled photos.

    Parameters
    ----------
    plan : Plan
        From `groupemo.planning`.
    ax : Axes, optional
    """
    axes = new_axes(ax, (5.6, 3.6))
    photos, widths = zip(*plan.curve, strict=True)
    axes.plot(photos, widths, "o-", color=BLUE)
    axes.axhline(plan.width, color=VERMILLION, linestyle="--", label=f"wanted: {plan.width:g}")
    axes.axvline(plan.photos, color=QUIET, linestyle=":", label=f"takes {plan.photos} photos")
    if plan.labelled is not None:
        now = dict(plan.curve)[plan.labelled]
        axes.plot(plan.labelled, now, "s", color=BLACK, markersize=8,
                  label=f"now: {in_digits(now)} with {plan.labelled}")  # fmt: skip
    axes.set(xlim=(0, None), ylim=(0, None), xlabel="labelled photos",
             ylabel=f"width of the {100 * plan.level:g} % interval")  # fmt: skip
    axes.grid(color=GRID)
    axes.legend(frameon=False, fontsize=8)
    heading(axes, plan.title)
    return axes


def _ranking(scores: Scores) -> Ranking:
    """Return the detections by falling score at IoU 0.5."""
    return scores.detections.rankings[0]


def _precision_recall(ranking: Ranking) -> tuple[np.ndarray, np.ndarray]:
    """Return recall and precision where each distinct score is the threshold."""
    last = np.append(np.diff(ranking.score) < 0, True)
    right = np.cumsum(ranking.hit)[last]
    return right / ranking.faces.sum(), right / (np.flatnonzero(last) + 1)


def _styled(runs: Sequence[Scores]) -> Iterable[tuple[Scores, tuple[str, Dashes]]]:
    return ((run, curve_look(at)) for at, run in enumerate(runs))


def _finish(axes: Axes, drawn: Sequence[Scores], many: Sequence[Scores], lacking: str) -> None:
    axes.grid(color=GRID)
    if drawn:
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False, fontsize=8)
    if len(drawn) < len(many):
        left_out = ", ".join(run_name(one, 60) for one in many if one not in drawn)
        text = f"left out, {lacking}: {left_out}"
        if drawn:
            axes.text(
                0.02, 0.02, text, transform=axes.transAxes, color=QUIET, fontsize=7, wrap=True
            )
        else:
            note(axes, text)


def _with_interval(each: Estimate) -> str:
    known = not np.isnan(each.low + each.high)
    return f"{each.value:.2f}" + (f" ({each.low:.2f} to {each.high:.2f})" if known else "")
