"""`compare`: two saved evaluations, before and after a change; a gate for anyone's own CI."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from rich.text import Text

import groupemo.cli._options as opt
from groupemo.cli._console import (
    NONE,
    complain,
    counted,
    marked,
    note_stand_ins,
    print_json,
    print_note,
    print_table,
)
from groupemo.errors import AnalysisError

if TYPE_CHECKING:
    from groupemo.comparison import Comparison
    from groupemo.difference import Difference
    from groupemo.figures import Figure
    from groupemo.scores import Scores

__all__ = ["FELL", "compare"]

FELL = 4
"""The exit code where a watched figure fell."""


class Change(NamedTuple):
    """A run before and after, and how much better it became."""

    before: Scores
    after: Scores
    comparison: Comparison

    @property
    def name(self) -> str:
        """What the run is called, on either side where that differs."""
        names = [" x ".join(run.pair) for run in (self.before, self.after)]
        return " -> ".join(dict.fromkeys(names))

    @property
    def figures(self) -> Sequence[Difference]:
        """The watched figures: `a` is after, `b` before."""
        return list(self.comparison.differences.values())

    def fell(self, margins: Margins) -> list[str]:
        """Return the watched figures that fell."""
        return [one.figure.full_title for one in self.figures if margins.fell(one)]

    @property
    def lost(self) -> list[str]:
        """The photos that could be judged before and cannot be after."""
        kept = set(self.comparison.photos)
        return [name for one in self.before.photos if (name := one.analysis.photo) not in kept]


@dataclass(frozen=True)
class Margins:
    """How far figures may fall: one number for all, and others for some."""

    usual: float
    of: Mapping[str, float]

    @classmethod
    def parse(cls, told: Sequence[str], watched: Sequence[str]) -> Margins:
        """Read "0.01" and "matched_log_loss=0.05"."""
        usual, of = 0.0, {}
        for each in told:
            name, named, number = each.rpartition("=")
            try:
                value = float(number)
            except ValueError:
                value = math.nan
            if not 0 <= value < math.inf:
                raise typer.BadParameter(f"{each!r}: expected X or NAME=X, X at least 0")
            if not named:
                usual = value
            elif name not in watched:
                raise typer.BadParameter(f"{each!r}: {name} is not watched: {', '.join(watched)}")
            else:
                of[name] = value
        return cls(usual, of)

    def fell(self, one: Difference) -> bool:
        """Say whether a figure fell by more than its margin."""
        return one.fell(self.of.get(one.figure.name, self.usual))

    def __str__(self) -> str:
        others = ", ".join(f"{name} {value:g}" for name, value in self.of.items())
        return f"{self.usual:g}" + (f" ({others})" if others else "")


def compare(
    before: Annotated[
        Path,
        typer.Argument(metavar="RUN_A", help="What evaluate wrote (--out).", show_default=False),
    ],
    after: Annotated[
        Path,
        typer.Argument(metavar="RUN_B", help="The same after a change.", show_default=False),
    ],
    figure: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A figure to watch. May be repeated; if not given: detection_recall,"
            " matched_log_loss, end_to_end_macro_f1.",
            show_default=False,
        ),
    ] = None,
    margin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X|NAME=X",
            help="How far figures may fall, 0 if not given: 0.01 is one point, or 0.01 nats."
            " With a name, for one figure. May be repeated.",
            show_default=False,
        ),
    ] = None,
    a: Annotated[
        str | None,
        typer.Option(
            "--a", metavar="RUN", help='One run of RUN_A: "yunet x groupemo".', show_default=False
        ),
    ] = None,
    b: Annotated[
        str | None, typer.Option("--b", metavar="RUN", help="One run of RUN_B.", show_default=False)
    ] = None,
    partial: Annotated[
        bool,
        typer.Option(
            "--partial", help="Pass though RUN_B lacks photos or runs that RUN_A could judge."
        ),
    ] = False,
    as_json: opt.Json = False,
) -> None:
    """Say whether a change made figures worse; ends with 4 if one fell.

    Compares runs of the same detector and backend on the photos both evaluations
    have, or the one run of each, whatever it is called. A figure fell where the
    whole 95 % interval of its change is worse than the margin, or where nothing is
    left to judge. What RUN_B lacks of RUN_A's photos and runs is an error.

    One figure of a change that matters nothing falls by chance one time in forty;
    the more are watched, the oftener: a margin guards against it.
    """
    from groupemo.comparison import WATCHED, joined
    from groupemo.comparison import compare as paired
    from groupemo.evaluation import load_evaluation

    watched = tuple(figure or WATCHED)
    margins = Margins.parse(margin or (), watched)
    old, new = load_evaluation(before).scores, load_evaluation(after).scores
    changes = []
    for was, now in joined(old, new, a=a, b=b):
        called = ("B", "A") if was.pair == now.pair else None
        changes.append(Change(was, now, paired(now, was, figures=watched, names=called)))
    fell = {change.name: names for change in changes if (names := change.fell(margins))}
    alone = [[] if a or b else _alone(runs, changes) for runs in (old, new)]
    if as_json:
        print_json(
            {
                "margin": margins.usual,
                "margins": margins.of,
                "fell": bool(fell),
                "not_compared": {"a": alone[0], "b": alone[1]},
                "comparisons": [_record(change, margins) for change in changes],
            }
        )
    else:
        print_note(f"A: {before}, B: {after}")
        for change in changes:
            _print(change, margins)
        note_stand_ins(run.backend for change in changes for run in change[:2])
        if any(alone):
            print_note(f"not compared: {', '.join(dict.fromkeys([*alone[0], *alone[1]]))}")
    for name, titles in fell.items():
        complain(f"fell: {name}: {', '.join(titles)}")
    if fell:
        raise typer.Exit(FELL)
    if not partial:
        _refuse_lost(alone[0], changes)
    if not as_json:
        typer.echo(f"passed: no figure fell by more than {margins}{_hidden(changes)}")


def _record(change: Change, margins: Margins) -> dict[str, Any]:
    comparison = change.comparison
    return {
        "a": change.before.pair,
        "b": change.after.pair,
        "photos": comparison.photos,
        "left_out": comparison.left_out,
        "figures": [
            {
                "figure": one.figure.name,
                "a": one.b,
                "b": one.a,
                "change": one.difference,
                "low": one.low,
                "high": one.high,
                "p": one.p,
                "fell": margins.fell(one),
                "could_hide": one.could_hide,
                "sentence": comparison.sentence(one.figure.name),
            }
            for one in change.figures
        ],
        "faces": comparison.faces,
        "right_in_a_alone": comparison.only_b,
        "right_in_b_alone": comparison.only_a,
        "mcnemar_p": comparison.mcnemar,
    }


def _print(change: Change, margins: Margins) -> None:
    from groupemo.difference import p_words

    comparison = change.comparison
    print_table(
        marked(change.name),
        ("Figure", "A>", "B>", "B - A>", "p>", "Fall it may hide>"),
        [
            (
                one.figure.full_title,
                _cell(one.b),
                _cell(one.a),
                _cell(one.difference, one.low, one.high),
                NONE if math.isnan(one.p) else p_words(one.p).removeprefix("p ").lstrip("= "),
                "fell" if margins.fell(one) else _may_hide(one),
            )
            for one in change.figures
        ],
    )
    for one in change.figures:
        print_note(comparison.sentence(one.figure.name))
    print_note(
        f"{counted(len(comparison.photos), 'photo')} of both. Of {comparison.faces} faces with a"
        f" known expression, A alone is right on {comparison.only_b}, B alone on"
        f" {comparison.only_a} (McNemar {p_words(comparison.mcnemar)}, were faces independent)."
    )
    if comparison.left_out:
        print_note(f"left out, not in both: {', '.join(comparison.left_out)}")


def _cell(value: float, low: float = math.nan, high: float = math.nan) -> Text:
    if math.isnan(value):
        return Text(NONE)
    return Text(f"{value:.3f}" + ("" if math.isnan(low) else f"\n[{low:.3f}, {high:.3f}]"))


def _may_hide(one: Difference) -> str:
    from groupemo.difference import amount

    return NONE if math.isnan(one.could_hide) else amount(one.figure, one.could_hide)


def _alone(runs: Sequence[Scores], changes: Sequence[Change]) -> list[str]:
    """Name the runs that were compared with none."""
    seen = [run for change in changes for run in change[:2]]
    return [" x ".join(run.pair) for run in runs if run not in seen]


def _refuse_lost(runs: Sequence[str], changes: Sequence[Change]) -> None:
    """Raise where something could be judged before and not after: no figure shows it."""
    photos = list(dict.fromkeys(name for change in changes for name in change.lost))
    lost = [f"{counted(len(photos), 'photo')} ({_some(photos)})"] if photos else []
    lost += [f"{counted(len(runs), 'run')} ({_some(runs)})"] if runs else []
    if lost:
        raise AnalysisError(
            f"RUN_B lacks {' and '.join(lost)} of RUN_A: nothing fell on what is left, but so much"
            " is not the whole: evaluate them too, or pass --partial"
        )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")


def _hidden(changes: Sequence[Change]) -> str:
    """Say how great a fall may have gone unseen: of each figure, the greatest of all runs."""
    from groupemo.difference import amount

    most: dict[Figure, float] = {}
    for one in (one for change in changes for one in change.figures):
        if not math.isnan(one.difference):
            fall = math.inf if math.isnan(one.could_hide) else one.could_hide
            most[one.figure] = max(fall, most.get(one.figure, 0.0))
    told = [
        f"{'any' if math.isinf(fall) else f'up to {amount(figure, fall)}'} of {figure.full_title}"
        for figure, fall in most.items()
        if fall
    ]
    return f"; falls that may be hidden: {', '.join(told)}" if told else ""
