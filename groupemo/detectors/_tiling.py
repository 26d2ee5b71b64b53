"""Tiles for detectors whose model sees a fixed number of pixels.

A large photo shrunk to 640 pixels loses its small faces. Tiles overlap by a
quarter: a face shorter than that lies whole in one of them, and a larger one
is found in the photo as a whole, which is always searched too. A box that
touches an edge where a tile cuts the photo is left out: it holds half a face.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from groupemo.detectors._base import Image, NativeDetector, View, checked

__all__ = ["OVERLAP", "FixedSize", "starts", "tiles"]

OVERLAP = 0.25
"""The part of a tile's side it shares with the next tile, at least."""

_EDGE = 2.0
"""A box that ends so many pixels from a cut, or fewer, was cut by it."""


class FixedSize(NativeDetector):
    """A detector whose model sees a fixed number of pixels.

    Parameters
    ----------
    tile : int, optional
        A photo larger than this is searched as a whole and in tiles of `tile` x
        `tile` pixels too. None: as a whole only.
    """

    def __init__(self, min_score: float, min_size: float, overlap: float, tile: int | None) -> None:
        super().__init__(min_score, min_size, overlap)
        self._tile = None if tile is None else int(checked("tile", tile, 64))

    def _views(self, image: Image) -> list[View]:
        whole = super()._views(image)
        if self._tile is None or max(image.shape[:2]) <= self._tile:
            return whole
        return whole + tiles(image, self._tile)


def starts(length: int, tile: int) -> NDArray[np.int64]:
    """Return where tiles of `tile` pixels start so that they cover `length` pixels evenly.

    Examples
    --------
    >>> starts(1000, 640)
    array([  0, 360])
    """
    if length <= tile:
        return np.zeros(1, np.int64)
    n = 1 + int(np.ceil((length - tile) / (tile * (1 - OVERLAP))))
    return np.linspace(0, length - tile, n).round().astype(np.int64)


def tiles(image: Image, tile: int) -> list[View]:
    """Cut `image` into overlapping tiles, row by row."""
    height, width = image.shape[:2]
    return [
        _tile(image, x, y, min(x + tile, width), min(y + tile, height))
        for y in starts(height, tile)
        for x in starts(width, tile)
    ]


def _tile(image: Image, x1: int, y1: int, x2: int, y2: int) -> View:
    height, width = image.shape[:2]
    cut = np.array([x1 > 0, y1 > 0, x2 < width, y2 < height])
    edges = np.array([_EDGE, _EDGE, x2 - x1 - _EDGE, y2 - y1 - _EDGE])
    open_ended = np.array([-np.inf, -np.inf, np.inf, np.inf])
    pixels = np.ascontiguousarray(image[y1:y2, x1:x2])
    return View(pixels, offset=np.array([x1, y1]), whole=np.where(cut, edges, open_ended))
