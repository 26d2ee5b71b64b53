"""Runs beside each other: one figure of each, and the differences between them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from textwrap import fill

from matplotlib.axes import Axes

from groupemo.comparison import Comparison, Comparisons
from groupemo.difference import p_words
from groupemo.errors import OptionError
from groupemo.evaluation import Evaluation
from groupemo.figures import FIGURES, HEADLINE, MAIN, Estimate, Figure
from groupemo.plots._axes import (
    BLACK,
    BLUE,
    GRAY,
    QUIET,
    Dot,
    around,
    counted,
    draw_dots,
    heading,
    new_axes,
    note,
    plain,
    run_name,
)
from groupemo.standing import Run, Standing

__all__ = ["plot_comparison", "plot_differences"]

MOST = 40
"""Differences drawn at most."""

Pair = tuple[str, str]

_LOOK = {
    "candidate": (BLUE, "o", True),
    "floor": (GRAY, "D", True),
    "reference": (BLACK, "s", False),
}
_KIND = {
    "candidate": "",
    "floor": "same answer for every face",
    "reference": "given the labelled boxes",
}


def plot_comparison(evaluation: Evaluation, figure: str = MAIN, ax: Axes | None = None) -> Axes:
    """Plot one figure of every detector x backend with its 95 % interval, best first.

    Lines say between what the runs lie: what the best constant answer reaches, and
    what a person does where faces have votes. Runs given the labelled boxes come last.
    Figures of detection are the detectors' alone: one row for each, and no such lines.

    Parameters
    ----------
    evaluation : Evaluation
    figure : str
        Its name in `groupemo.figures.FIGURES`.
    ax : Axes, optional

    Raises
    ------
    OptionError
        If there is no such figure.
    """
    if figure not in FIGURES:
        raise OptionError(f"figure {figure!r}: expected one of {', '.join(FIGURES)}")
    standing, chosen = Standing(evaluation), FIGURES[figure]
    sign = -1 if chosen.higher_is_better else 1
    runs = list(_rows(standing.runs, chosen))
    runs.sort(key=lambda one: (list(_LOOK).index(one[1]), _last(sign * one[2].value)))
    axes = new_axes(ax, (7, 0.42 * len(runs) + 1.6))
    draw_dots(axes, [_dot(*one) for one in runs])

    floors = [sign * each.value for _, part, each in runs if part == "floor"]
    floor = sign * min(floors, key=_last, default=math.nan)
    human = standing.person.estimate(figure)
    lines = (
        (f"constant answer {floor:.2f}", floor, ":", QUIET),
        (f"human ceiling {human.value:.2f}{_span(human)}", human.value, "--", BLACK),
    )
    shown = [line for line in lines if not math.isnan(line[1])]
    for label, value, dashes, color in shown:
        axes.axvline(value, linestyle=dashes, color=color, linewidth=1.2, zorder=0.9, label=label)
    ends = [end for *_, each in runs for end in (each.value, each.low, each.high)]
    around(axes, [*ends, *(line[1] for line in shown)], chosen.least, chosen.most)
    better = "" if chosen.higher_is_better else "lower is better; "
    photos = counted(len(evaluation.labels), "photo")
    axes.set_xlabel(f"{chosen.full_title} ({better}95 % interval over {photos})", fontsize=9)
    heading(axes, "", legend=len(shown))
    return axes


def plot_differences(
    found: Comparison | Comparisons, ax: Axes | None = None, *, of: Pair | None = None
) -> Axes:
    """Plot paired differences with their 95 % intervals around a line at none.

    Of two runs the headline figures, above 0 where the first is better. Of all runs
    with all one figure, each pair's better run first, the greatest differences first;
    those that survive Holm's correction are filled.

    Parameters
    ----------
    found : Comparison or Comparisons
        From `groupemo.compare` or `Evaluation.comparisons`.
    ax : Axes, optional
    of : tuple of str, optional
        Of all pairs, draw those that this detector and backend are in.
    """
    if isinstance(found, Comparisons):
        dots, title = _pairs(found, of), found.sentence()
        label = f"difference of {found.figure.full_title}, p after correction"
    else:
        dots, title = list(_figures(found)), f"{found.a} against {found.b}"
        label = f"how much better {found.a} is"
    axes = new_axes(ax, (7, 0.42 * min(len(dots), MOST) + 1.6))
    if not dots:
        note(axes, "fewer than two runs: there is nothing to compare")
        return axes
    draw_dots(axes, dots[:MOST])
    axes.axvline(0, color=BLACK, linewidth=1)
    around(axes, [end for dot in dots[:MOST] for end in (dot.value, dot.low, dot.high)])
    over = f" (95 % interval over {counted(len(found.photos), 'photo')})"
    axes.set_xlabel(plain(fill(label + over, 60)), fontsize=9)
    left_out = f"\n{MOST} of {len(dots)} are drawn" if len(dots) > MOST else ""
    heading(axes, plain(fill(title, 60)) + left_out)
    return axes


def _rows(runs: Iterable[Run], figure: Figure) -> Iterator[tuple[str, str, Estimate]]:
    """Yield what a row is called, its part in the comparison and its figure.

    Backends have no part in detection: there a row is a detector.
    """
    if figure.over != "detection":
        yield from ((run_name(run.scores), run.part, run.estimates[figure.name]) for run in runs)
        return
    for detector, run in {run.detector: run for run in runs}.items():
        part = "reference" if run.part == "reference" else "candidate"
        yield plain(detector), part, run.estimates[figure.name]


def _dot(name: str, part: str, each: Estimate) -> Dot:
    color, marker, filled = _LOOK[part]
    kind = f"\n({_KIND[part]})" if _KIND[part] else ""
    text = f"{each.value:.2f}, n = {each.n}" if not math.isnan(each.value) else f"n = {each.n}"
    return Dot(name + kind, each.value, each.low, each.high, text,
               each.figure.undefined, color, marker, filled)  # fmt: skip


def _figures(found: Comparison) -> Iterator[Dot]:
    for name in HEADLINE:
        if name in found.differences:
            each = found.differences[name]
            unit = " (nats)" if name.endswith("log_loss") else ""
            surely = not each.gain[1] <= 0 <= each.gain[2]
            yield Dot(each.figure.full_title + unit, *each.gain, _p(each.p),
                      each.figure.undefined, filled=surely)  # fmt: skip


def _pairs(found: Comparisons, of: Pair | None) -> list[Dot]:
    dots = []
    rows = zip(found.pairs, found.differences, found.corrected, found.survive, strict=True)
    for (a, b), each, p, survives in rows:
        if of is not None and tuple(of) not in (a, b):
            continue
        value, low, high = each.gain
        if value < 0:
            a, b, value, low, high = b, a, -value, -high, -low
        name = plain(f"{' x '.join(a)}\nover {' x '.join(b)}")
        dots.append(Dot(name, value, low, high, _p(float(p)), each.figure.undefined,
                        BLUE if survives else GRAY, filled=bool(survives)))  # fmt: skip
    return sorted(dots, key=lambda dot: _last(-dot.value))


def _span(each: Estimate) -> str:
    return "" if math.isnan(each.low + each.high) else f" ({each.low:.2f} to {each.high:.2f})"


def _p(value: float) -> str:
    return "" if math.isnan(value) else p_words(value)


def _last(value: float) -> float:
    """Sort what is undefined last."""
    return math.inf if math.isnan(value) else value
