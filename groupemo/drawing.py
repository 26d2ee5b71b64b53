"""Faces on pixels: boxes with captions, blurring, JPEG. Pillow only, no matplotlib.

Conventions
-----------
An image is `(h, w, 3)` uint8 RGB; it is never written into. Boxes are `[x1, y1, x2, y2]` rows in
pixels and may stick out of the image.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from groupemo import boxes as _boxes
from groupemo.analysis import Analysis
from groupemo.errors import PhotoError

__all__ = [
    "COLORS",
    "UNANSWERED",
    "blur_faces",
    "captions",
    "data_uri",
    "draw_analysis",
    "draw_boxes",
    "encode_jpeg",
    "ink_on",
]

Pixels = NDArray[np.uint8]
Rect = Sequence[float]

COLORS: Mapping[str, str] = MappingProxyType(
    {
        "angry": "#d55e00",
        "disgust": "#009e73",
        "fear": "#cc79a7",
        "happy": "#e69f00",
        "sad": "#0072b2",
        "surprise": "#56b4e9",
        "neutral": "#bbbbbb",
    }
)
"""A colour for each class, told apart by colour-blind eyes (Okabe and Ito, 2008)."""

UNANSWERED = "#f0e442"
"""The colour where there is no answer, or a class of another name."""

_CELLS = 6
_WIDENED = 1.3


def draw_boxes(
    image: Pixels,
    boxes: ArrayLike,
    captions: Sequence[str] = (),
    colors: Sequence[str] = (),
) -> Pixels:
    """Return a copy of an image with boxes drawn and a caption on each.

    Lines and letters grow with the image; letters shrink towards the width of their box.

    Parameters
    ----------
    image : np.ndarray, shape=(h, w, 3)
    boxes : array_like, shape=(n, 4)
    captions : sequence of str, length n, optional
    colors : sequence of str, length n, optional
        CSS colours; `UNANSWERED` where left out.
    """
    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    rows = np.asarray(boxes, dtype=np.float64).reshape(-1, 4).tolist()
    hues = colors or [UNANSWERED] * len(rows)
    line = max(2, round(_side(picture) / 350))
    edge = max(1, line // 3)
    for box, color in zip(rows, hues, strict=True):
        draw.rectangle(_grown(box, edge), outline="black", width=line + 2 * edge)
        draw.rectangle(box, outline=color, width=line)
    taken: list[Rect] = list(rows)
    for box, text, color in zip(rows, captions, hues, strict=False):
        taken.append(_draw_caption(draw, box, text, color, taken))
    return np.asarray(picture)


def draw_analysis(image: Pixels, analysis: Analysis, *, blur: bool = False) -> Pixels:
    """Return a copy of a photo with an analysis' faces, answers and probabilities drawn.

    Which detector and backend it is by is written into the lower left corner.

    Parameters
    ----------
    image : np.ndarray, shape=(h, w, 3)
        The photo, at the size it was analyzed.
    analysis : Analysis
    blur : bool
        Make the faces that were found unrecognizable. Faces nobody found stay as they are.
    """
    found = analysis.faces.boxes
    base = blur_faces(image, found) if blur else image
    drawn = Image.fromarray(draw_boxes(base, found, *captions(analysis.probs, analysis.classes)))
    corner = [0, drawn.height, 0, drawn.height]
    signature = f"{analysis.detector} x {analysis.backend}"
    _draw_caption(ImageDraw.Draw(drawn), corner, signature, UNANSWERED, [corner])
    return np.asarray(drawn)


def captions(probs: ArrayLike, classes: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return for each face the answer with its probability, as "happy 93%", and its colour.

    Parameters
    ----------
    probs : array_like, shape=(n, k)
        A NaN row means no answer.
    classes : sequence of str, length k
    """
    rows = np.asarray(probs, dtype=np.float64).reshape(-1, len(classes))
    best = [None if np.isnan(row).any() else int(row.argmax()) for row in rows]
    texts = [
        "no answer" if i is None else f"{classes[i]} {row[i]:.0%}"
        for i, row in zip(best, rows, strict=True)
    ]
    return texts, [UNANSWERED if i is None else COLORS.get(classes[i], UNANSWERED) for i in best]


def ink_on(color: str) -> str:
    """Return black or white, whichever reads better on a colour given as #rrggbb."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 100 else "white"


def blur_faces(image: Pixels, boxes: ArrayLike) -> Pixels:
    """Return a copy of an image with what is in the boxes unrecognizable.

    Each box, widened by 30 %, is averaged to at most 6 x 6 cells and smoothed
    between them: less than five cells across the face itself, whatever its size.
    Pixels elsewhere stay as they are.

    Parameters
    ----------
    image : np.ndarray, shape=(h, w, 3)
    boxes : array_like, shape=(n, 4)
    """
    out = image.copy()
    height, width = image.shape[:2]
    wide = _boxes.clip(_boxes.scale(boxes, _WIDENED), width, height)
    for x1, y1, x2, y2 in _whole(wide):
        region = Image.fromarray(out[y1:y2, x1:x2])
        cells = tuple(max(1, min(_CELLS, side // 4)) for side in region.size)
        small = region.resize((cells[0], cells[1]), Image.Resampling.BOX)
        out[y1:y2, x1:x2] = np.asarray(small.resize(region.size, Image.Resampling.BILINEAR))
    return out


def encode_jpeg(image: Pixels, max_side: int | None = None, *, quality: int = 85) -> bytes:
    """Return an image as a JPEG file's bytes, no side longer than `max_side` pixels."""
    picture = Image.fromarray(image)
    if max_side is not None:
        picture.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()


def data_uri(image: Pixels, max_side: int | None = None, *, quality: int = 85) -> str:
    """Return an image as a JPEG inside an address, as a page's `src` takes it."""
    data = base64.b64encode(encode_jpeg(image, max_side, quality=quality))
    return "data:image/jpeg;base64," + data.decode()


def _whole(boxes: NDArray[np.float32]) -> list[list[int]]:
    """Return the whole pixels that boxes touch; boxes without area are left out."""
    kept = boxes[_boxes.nonempty(boxes)]
    pixels = np.concatenate([np.floor(kept[:, :2]), np.ceil(kept[:, 2:])], axis=1)
    return pixels.astype(int).tolist()  # type: ignore[no-any-return]


def _side(picture: Image.Image) -> float:
    return float(np.sqrt(picture.width * picture.height))


def _grown(box: Rect, by: float) -> list[float]:
    return [box[0] - by, box[1] - by, box[2] + by, box[3] + by]


def _draw_caption(
    draw: ImageDraw.ImageDraw, box: Rect, text: str, color: str, taken: Sequence[Rect]
) -> Rect:
    """Write a caption at its box where it covers least, and return what it takes."""
    picture = draw.im.size
    side = float(np.sqrt(picture[0] * picture[1]))
    least, most = max(9.0, side / 75), max(11.0, side / 35)
    wanted = (box[2] - box[0]) / max(1.0, 0.55 * len(text))
    font = _font(round(min(max(wanted, least), most)))
    pad = max(1, round(font.size / 6))
    left, top, right, bottom = font.getbbox(text)
    size = (right - left + 2 * pad, bottom - top + 2 * pad)
    x, y = _free_spot(box, size, taken, picture)
    area = [x, y, x + size[0], y + size[1]]
    draw.rectangle(area, fill=color, outline="black")
    draw.text((x + pad - left, y + pad - top), text, font=font, fill=ink_on(color))
    return area


def _free_spot(
    box: Rect, size: tuple[float, float], taken: Sequence[Rect], picture: tuple[int, int]
) -> tuple[float, float]:
    """Return the corner, above or below a box and inside the image, that covers least."""
    (x1, y1, x2, y2), (wide, tall) = box, size
    spots = [(x, y) for y in (y1 - tall, y2) for x in (x1, x2 - wide, (x1 + x2 - wide) / 2)]
    room = np.maximum(0, np.array(picture) - size)
    corners = np.clip(np.array(spots), 0, room)
    areas = np.concatenate([corners, corners + size], axis=1)[:, None]
    others = np.asarray(taken)[None]
    sides = np.minimum(areas[..., 2:], others[..., 2:]) - np.maximum(
        areas[..., :2], others[..., :2]
    )
    covered = np.prod(np.clip(sides, 0, None), axis=-1).sum(axis=1)
    x, y = corners[covered.argmin()].tolist()
    return x, y


@lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size=size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise PhotoError("Pillow was built without FreeType: captions cannot be drawn")
    return font
