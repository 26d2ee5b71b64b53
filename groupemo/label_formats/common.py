"""What the formats share: the rows being gathered, numbers, boxes and photo sizes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from groupemo.errors import LabelError
from groupemo.images import find_photos, read_photo
from groupemo.labels import LabelledFaces, Labels

Word = Callable[[str], int]
"""What a class word means: an index into `EMOTIONS`, `UNSURE` or `IGNORE`."""


@dataclass(frozen=True)
class Source:
    """What an import is told."""

    path: Path
    word: Word
    photos: Any
    annotator: str | None


@dataclass
class Rows:
    """The faces of one photo as they are gathered."""

    boxes: list[Sequence[float]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    annotator: str = ""

    def add(self, box: Sequence[float], label: int) -> None:
        """Take in one face: `[x1, y1, x2, y2]` in pixels and its label."""
        self.boxes.append(box)
        self.labels.append(label)

    def build(self) -> LabelledFaces:
        """Return the faces gathered, checked."""
        return LabelledFaces(self.boxes, self.labels, annotators=[self.annotator] * len(self.boxes))


Found = dict[str, Rows]
"""Photos by name, as an import gathers them."""


def read_label(word: str, where: str, parse: Word) -> int:
    """Return what a class word means; an error names where it stands."""
    try:
        return parse(word)
    except LabelError as error:
        raise LabelError(f"{where}: {error}") from None


def corners(xywh: Sequence[Any], where: str) -> list[float]:
    """Return `[x1, y1, x2, y2]` of a box given by its corner and size."""
    numbers = [number(value, where) for value in xywh]
    if len(numbers) != 4 or min(numbers[2:]) <= 0:
        raise LabelError(
            f"{where}: {list(xywh)} is no box: expected x, y, w, h with w and h above 0"
        )
    x, y, w, h = numbers
    return [x, y, x + w, y + h]


def number(value: Any, where: str) -> float:
    """Return a finite number, of which text may hold one; anything else is refused."""
    try:
        found = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise LabelError(f"{where}: {value!r} is not a finite number")
    return found


def sizes_of(photos: Any) -> dict[str, tuple[int, int]]:
    """Return width and height of each photo by name."""
    shapes = {photo.name: read_photo(photo).shape for photo in find_photos(photos)}
    return {name: (shape[1], shape[0]) for name, shape in shapes.items()}


def inside(labels: Labels, name: str, sizes: Mapping[str, tuple[int, int]]) -> LabelledFaces:
    """Return the faces of one photo, with their boxes cut to its size."""
    if name not in sizes:
        raise LabelError(f"{name}: labelled, but not among the {len(sizes)} photos")
    return labels[name].check_inside(*sizes[name], name)
