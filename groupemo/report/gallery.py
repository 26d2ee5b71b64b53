"""The gallery: a few of each pair's errors as small pictures, faces blurred unless shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from groupemo.analysis import read_again
from groupemo.boxes import xywh_to_xyxy
from groupemo.drawing import COLORS, UNANSWERED, blur_faces, data_uri, draw_boxes
from groupemo.errors import PhotoError
from groupemo.evaluation import Evaluation
from groupemo.scores import Scores

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["KINDS", "Group", "Item", "galleries", "records"]

SIDE = 144
"""Pixels of a picture's side."""

CONTEXT = 2.2
"""How much wider than its face a picture is."""


@dataclass(frozen=True)
class Kind:
    """One kind of error: how many are shown, which first, and the words for it."""

    most: int
    first: str
    title: str
    order: str
    text: str


KINDS: Mapping[str, Kind] = {
    "wrong emotion": Kind(
        10,
        "prob_answered",
        "Wrong expression",
        "surest first",
        "labelled {labelled}, answered {answered} ({prob_answered:.2f})",
    ),
    "phantom": Kind(
        6,
        "score",
        "Phantom faces: found where none is labelled",
        "highest score first",
        "no labelled face, answered {answered} (score {score:.2f})",
    ),
    "missed": Kind(
        6, "size", "Missed faces", "largest first", "labelled {labelled}, not found"
    ),
    "abstained": Kind(
        2, "score", "No answer", "highest score first", "labelled {labelled}, no answer"
    ),
}  # fmt: skip
"""At most 24 pictures a pair."""

Box = tuple[float, ...]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Item:
    """One picture: the photo it is cut from, what is wrong, and the JPEG as a data URI or None."""

    photo: str
    text: str
    box: Box
    source: str | None


@dataclass(frozen=True)
class Group:
    """The pictures of one kind of error, and how many there are in all."""

    title: str
    order: str
    items: Sequence[Item]
    total: int


def galleries(evaluation: Evaluation, *, show_faces: bool) -> dict[tuple[str, str], list[Group]]:
    """Return each pair's errors with pictures; a photo out of reach gives none.

    Unless `show_faces`, every face that is labelled or that any pair found is
    blurred before pictures are cut, those at a picture's edge included.
    """
    chosen = {scores.pair: _chosen(scores) for scores in evaluation.scores}
    wanted: dict[str, dict[Box, str]] = {}
    for groups in chosen.values():
        for word, (rows, _) in groups.items():
            for row in rows:
                wanted.setdefault(row["photo"], {})[_box(row)] = _color(word)
    cut = {
        (name, box): source
        for name, boxes in wanted.items()
        for box, source in _cut(evaluation, name, boxes, show_faces).items()
    }
    return {
        pair: [_group(word, rows, total, cut) for word, (rows, total) in groups.items() if total]
        for pair, groups in chosen.items()
    }


def _chosen(scores: Scores) -> dict[str, tuple[list[dict[str, Any]], int]]:
    errors = scores.errors()
    errors["size"] = errors["w"] * errors["h"]
    return {word: _first(errors[errors["outcome"] == word], kind) for word, kind in KINDS.items()}


def _first(rows: pd.DataFrame, kind: Kind) -> tuple[list[dict[str, Any]], int]:
    shown = rows.sort_values(kind.first, ascending=False, kind="stable").head(kind.most)
    return records(shown), len(rows)


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table as dicts, their values untouched."""
    return [dict(zip(frame.columns, row, strict=True)) for row in frame.to_numpy(dtype=object)]


def _group(
    word: str, rows: list[dict[str, Any]], total: int, cut: Mapping[tuple[str, Box], str]
) -> Group:
    kind = KINDS[word]
    items = [
        Item(row["photo"], _text(kind, row), _box(row), cut.get((row["photo"], _box(row))))
        for row in rows
    ]
    return Group(kind.title, kind.order, items, total)


def _text(kind: Kind, row: Mapping[str, Any]) -> str:
    return kind.text.format(**{**row, "answered": row["answered"] or "nothing"})


def _box(row: Mapping[str, Any]) -> Box:
    return tuple(float(row[side]) for side in "xywh")


def _color(word: str) -> str:
    return COLORS["surprise"] if word == "missed" else UNANSWERED


def _cut(
    evaluation: Evaluation, name: str, boxes: Mapping[Box, str], show_faces: bool
) -> dict[Box, str]:
    """Return the pictures of one photo as data URIs; none where it is out of reach."""
    runs = [p for scores in evaluation.scores for p in scores.photos if p.analysis.photo == name]
    try:
        image = read_again(runs[0].analysis, evaluation.photos.get(name))
    except PhotoError:
        return {}
    if not show_faces:
        seen = [runs[0].labelled.boxes, *(run.analysis.faces.boxes for run in runs)]
        image = blur_faces(image, np.concatenate(seen))
    return {box: data_uri(_context(image, box, color), quality=75) for box, color in boxes.items()}


def _context(image: Pixels, box: Box, color: str) -> Pixels:
    """Return a square of the image around a box, or what of it lies inside, the box drawn."""
    x1, y1, x2, y2 = xywh_to_xyxy([box])[0].tolist()
    half = max(x2 - x1, y2 - y1) * CONTEXT / 2
    left, top = max(0, int((x1 + x2) / 2 - half)), max(0, int((y1 + y2) / 2 - half))
    right, bottom = int(np.ceil((x1 + x2) / 2 + half)), int(np.ceil((y1 + y2) / 2 + half))
    region = Image.fromarray(image[top:bottom, left:right])
    factor = SIDE / max(region.size)
    size = (max(1, round(region.width * factor)), max(1, round(region.height * factor)))
    corners = (np.array([x1, y1, x2, y2]) - [left, top, left, top]) * factor
    return draw_boxes(np.asarray(region.resize(size)), [corners], colors=[color])
