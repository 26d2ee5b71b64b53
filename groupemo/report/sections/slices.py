"""Slices: the best run on parts of the faces, and the worst gap between them."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from groupemo import slices as cut
from groupemo.figures import FIGURES, Figure
from groupemo.report.axes import UNIT, Axis
from groupemo.report.grid import Grid, Run
from groupemo.report.words import known, number, span

__all__ = ["Group", "Panel", "Slices", "slices"]

MOST_PHOTOS = 200
"""More photos are not read again for sharpness, brightness and contrast."""

TITLES: Mapping[str, str] = {
    "size": "side of the face",
    "yaw": "yaw: how far the nose is off the middle of the eyes",
    "roll": "roll: how far the head is tilted",
    "score": "detector's score",
    "sharpness": "sharpness",
    "brightness": "brightness",
    "contrast": "contrast",
}
"""What slices are made by, besides the label file's own columns."""

SHOWN = ("end_to_end_accuracy", "detection_precision", "matched_accuracy")
"""The figure shown: the first of these that means something in a slice."""


@dataclass(frozen=True)
class Group:
    """One part of the faces."""

    name: str
    value: float
    low: float
    high: float
    n: int
    enough: bool


@dataclass(frozen=True)
class Panel:
    """One way to cut the faces; `told` where two groups have support, `gap` in words."""

    by: str
    title: str
    figure: Figure
    groups: Sequence[Group]
    told: bool
    gap: str


@dataclass(frozen=True)
class Slices:
    """The best run, part by part; `thin` are the cuts that leave too few faces in a part."""

    run: Run
    panels: Sequence[Panel]
    axis: Axis
    least: tuple[int, int]
    unread: bool
    thin: Sequence[str]


def slices(grid: Grid) -> Slices | None:
    """Return the slices of the first run; None where no cut leaves two groups with support.

    The label file's own columns are always there.
    """
    run = grid.candidates[0]
    near = len(run.scores.photos) <= MOST_PHOTOS
    own = [name for name in cut.slice_names(run.scores) if name not in cut.BUILT_IN]
    made = list(_panels(grid, run, own, near))
    panels = [panel for panel in made if panel.told or panel.by in own]
    if not panels:
        return None
    thin = [panel.by for panel in made if panel not in panels]
    return Slices(run, panels, UNIT, (cut.MIN_FACES, cut.MIN_PHOTOS), not near, thin)


def _panels(grid: Grid, run: Run, own: Sequence[str], near: bool) -> Iterator[Panel]:
    measured = cut.tones(run.scores, grid.evaluation.photos) if near else {}
    for by in (*own, *TITLES):
        if by in cut.PIXELS and not near:
            continue
        panel = _panel(run, by, measured)
        if panel:
            yield panel


def _panel(run: Run, by: str, measured: cut.Tones) -> Panel | None:
    found = cut.slices(run.scores, by, measured=measured)
    name = next((name for name in SHOWN if (found.frame["figure"] == name).any()), None)
    if name is None:
        return None
    groups = [
        Group(one["group"], one["value"], one["low"], one["high"], one["n"], one["enough"])
        for one in found.frame[found.frame["figure"] == name].to_dict("records")
    ]
    (gap,) = found.gaps[found.gaps["figure"] == name].to_dict("records")
    return Panel(by, TITLES.get(by, by), FIGURES[name], groups, known(gap["gap"]), _gap(gap))


def _gap(gap: Mapping[Hashable, Any]) -> str:
    if not known(gap["gap"]):
        return "Too few faces to say how far the groups are apart."
    if not gap["gap"]:
        return "No gap: the groups are alike."
    size, within = number(100 * gap["gap"], 1), span(100 * gap["low"], 100 * gap["high"], 1)
    surely = f"95 % interval {within}" if within else "no interval"
    chance = ": chance alone may make as much" if gap["low"] <= 0 else ""
    return f"Worst gap: {size} points, {gap['best']} over {gap['worst']} ({surely}){chance}."
