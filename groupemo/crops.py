"""Cut faces out of images, also where a box reaches beyond the edge.

Conventions
-----------
Boxes are `[x1, y1, x2, y2]` in pixels, half-open, as everywhere; a cut rounds
them to whole pixels. An image is (h, w) or (h, w, 3), uint8.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from groupemo import boxes as _boxes
from groupemo.errors import OptionError
from groupemo.faces import Faces

__all__ = ["Image", "crop", "cut", "gray", "has_pixels", "resize", "whole"]

Image = NDArray[np.uint8]

MOST_MARGIN = 10
"""Of the box's side, on each side: more shows no face, and fills memory."""


def crop(
    image: Image,
    faces: Faces,
    *,
    size: int | tuple[int, int] | None = None,
    margin: float = 0.0,
    square: bool = False,
) -> list[Image]:
    """Return one picture a face.

    Parameters
    ----------
    image : np.ndarray, shape=(h, w, 3)
        RGB, uint8.
    faces : Faces
        Boxes in the image's pixels.
    size : int or (int, int), optional
        Resize each picture to this many pixels: a side, or (height, width).
    margin : float
        Added on each side, as a fraction of the box's own width and height.
    square : bool
        Grow the shorter side until the box is square, after the margin.

    Returns
    -------
    list of np.ndarray, shape=(height, width, 3)
        RGB, uint8, in the order of `faces`, black beyond the image's edge. A
        box that rounds to no pixel at all gives a picture without pixels, or
        a black one of the wanted size.

    Raises
    ------
    OptionError
        If the margin or the size means nothing.

    Examples
    --------
    >>> image = np.zeros((60, 80, 3), np.uint8)
    >>> [face] = crop(image, Faces([[70, 10, 90, 50]]), margin=0.25, square=True)
    >>> face.shape
    (60, 60, 3)
    """
    shape = None if size is None else checked_size(size)
    wanted = _boxes.scale(faces.boxes, 1 + 2 * checked_margin(margin))
    pictures = [cut(image, box) for box in (_boxes.square(wanted) if square else wanted)]
    return pictures if shape is None else [resize(picture, shape) for picture in pictures]


def whole(boxes: ArrayLike) -> NDArray[np.int64]:
    """Round boxes, shape (n, 4), to whole pixels."""
    return np.rint(np.asarray(boxes, dtype=np.float64).reshape(-1, 4)).astype(np.int64)


def has_pixels(image: NDArray[Any], boxes: ArrayLike) -> NDArray[np.bool_]:
    """Return which boxes, shape (n, 4), hold a whole pixel of the image, shape (n,)."""
    height, width = image.shape[:2]
    return _boxes.nonempty(_boxes.clip(whole(boxes), width, height))


def cut(image: Image, box: ArrayLike, *, fill: int = 0) -> Image:
    """Return the pixels of one box, with `fill` where it reaches beyond the image."""
    x1, y1, x2, y2 = whole(box)[0]
    height, width = image.shape[:2]
    left, top, right, bottom = np.clip([x1, y1, x2, y2], 0, [width, height, width, height])
    inside = image[top:bottom, left:right]
    if (left, top, right, bottom) == (x1, y1, x2, y2):
        return inside
    picture = np.full((max(y2 - y1, 0), max(x2 - x1, 0), *image.shape[2:]), fill, image.dtype)
    if inside.size:
        picture[top - y1 : bottom - y1, left - x1 : right - x1] = inside
    return picture


def resize(picture: Image, shape: tuple[int, int]) -> Image:
    """Resize to (height, width): averaging when it shrinks, bilinear when it grows."""
    if not picture.size:
        return np.zeros((*shape, *picture.shape[2:]), picture.dtype)
    if picture.shape[:2] == shape:
        return picture
    shrinks = picture.shape[0] * picture.shape[1] > shape[0] * shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, shape[::-1], interpolation=how), picture.dtype)


def gray(image: Image) -> Image:
    """Return an image's luma (ITU-R BT.601), shape (h, w); a gray image as it is."""
    if image.ndim == 2:
        return image
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)


def checked_size(size: Any) -> tuple[int, int]:
    """Return `size` as (height, width); see `crop`."""
    pair = tuple(size) if isinstance(size, Sequence | np.ndarray) else (size, size)
    if len(pair) != 2 or not all(isinstance(side, int) and side > 0 for side in pair):
        raise OptionError(f"size is {size!r}: expected pixels, as a side or as (height, width)")
    return pair


def checked_margin(margin: float) -> float:
    """Return `margin` if it leaves a box with an area; see `crop`."""
    if not (isinstance(margin, int | float) and -0.5 < margin <= MOST_MARGIN):
        raise OptionError(
            f"margin is {margin!r}: expected a fraction above -0.5 and up to {MOST_MARGIN}, such as"
            " 0.25"
        )
    return float(margin)
