"""Pictures of photos for a page: parts and whole photos as JPEG, faces blurred unless shown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from groupemo.analysis import Analysis, read_again
from groupemo.drawing import blur_faces, data_uri, draw_boxes
from groupemo.errors import PhotoError
from groupemo.images import Photo

__all__ = ["BUDGET", "Box", "Part", "Pictures", "Shot", "take"]

BUDGET = 12_000_000
"""Characters of pictures a page may hold."""

PART_SIDE = 160
"""Pixels of the longer side of a part."""

PHOTO_SIDE = 1100
"""Pixels of the longer side of a photo, at most."""

CONTEXT = 2.2
"""How much wider than its face a part is."""

READERS = 4
"""Photos in memory at a time."""

Box = tuple[int, int, int, int]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Part:
    """What of a photo is cut out: the surroundings of the first box, with all boxes drawn.

    Parameters
    ----------
    boxes : tuple of (x1, y1, x2, y2)
        In pixels.
    colors : tuple of str
        One a box, as #rrggbb.
    """

    boxes: tuple[Box, ...]
    colors: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Shot:
    """A photo to take pictures of.

    Parameters
    ----------
    analysis : Analysis
        Any that was made of it.
    photo : Photo or None
        Where the pixels are, if not where the analysis says.
    parts : sequence of Part
    blurred : np.ndarray, shape=(n, 4)
        Boxes of the faces to make unrecognizable.
    """

    analysis: Analysis
    photo: Photo | None
    parts: Sequence[Part]
    blurred: NDArray[np.float32]


@dataclass(frozen=True)
class Pictures:
    """A photo and its parts as data URIs; what did not fit is empty."""

    photo: str
    parts: Mapping[Part, str]


def take(shots: Iterable[Shot], budget: int = BUDGET) -> list[Pictures | None]:
    """Return the pictures of each photo, which is read once; None where it is out of reach.

    Parameters
    ----------
    shots : iterable of Shot
    budget : int
        Characters of pictures. Parts come first, then photos, in the order of `shots`;
        what does not fit any more is left out.
    """
    with ThreadPoolExecutor(READERS) as readers:
        taken = list(readers.map(_take, shots))
    reached = [one for one in taken if one]
    parts = (source for one in reached for source in one.parts.values())
    fitting = _within(budget, chain(parts, (one.photo for one in reached)))
    cut = [{part: next(fitting) for part in one.parts} for one in reached]
    kept = (Pictures(next(fitting), sources) for sources in cut)
    return [next(kept) if one else None for one in taken]


def _within(budget: int, sources: Iterable[str]) -> Iterator[str]:
    """Yield each source that still fits, and an empty one for each that does not."""
    for source in sources:
        fits = len(source) <= budget
        budget -= len(source) if fits else 0
        yield source if fits else ""


def _take(shot: Shot) -> Pictures | None:
    try:
        image = read_again(shot.analysis, shot.photo)
    except PhotoError:
        return None
    blurred = blur_faces(image, shot.blurred)
    return Pictures(
        data_uri(blurred, PHOTO_SIDE, quality=70),
        {part: data_uri(_cut(blurred, part), quality=75) for part in shot.parts},
    )


def _cut(image: Pixels, part: Part) -> Pixels:
    """Return a square of the image, or what of it lies inside, with the part's boxes drawn."""
    x1, y1, x2, y2 = part.boxes[0]
    half = max(x2 - x1, y2 - y1) * CONTEXT / 2
    left, top = max(0, int((x1 + x2) / 2 - half)), max(0, int((y1 + y2) / 2 - half))
    right, bottom = math.ceil((x1 + x2) / 2 + half), math.ceil((y1 + y2) / 2 + half)
    region = Image.fromarray(image[top:bottom, left:right])
    factor = PART_SIDE / max(region.size)
    size = (max(1, round(region.width * factor)), max(1, round(region.height * factor)))
    corners = (np.array(part.boxes) - [left, top, left, top]) * factor
    return draw_boxes(np.asarray(region.resize(size)), corners, colors=part.colors)
