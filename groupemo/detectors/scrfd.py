"""SCRFD-2.5G: sample and computation redistributed for small faces, under ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groupemo.detectors._base import Found, Image, blob, checked, joined, padded
from groupemo.detectors._convolutional import STRIDE, Convolutional
from groupemo.models.session import run

__all__ = ["SCRFD", "decoded"]

_STRIDES = (8, 16, 32)
_ANCHORS = 2
"""Anchors at each point of the grid."""


class SCRFD(Convolutional):
    """Faces and landmarks by SCRFD-2.5G (Guo et al. 2021), the scrfd package's file.

    Parameters
    ----------
    min_score : float
        The score is the model's probability of a face, 0..1.
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
        overlap: float = 0.4,
    ) -> None:
        score = checked("min_score", min_score, 0, 1)
        super().__init__("scrfd", score, min_size, overlap, max_side)

    def _find(self, image: Image) -> Found:
        pixels = padded(image, STRIDE)
        outputs = run(self._session, blob([pixels], 1 / 128, (127.5, 127.5, 127.5)))
        width = pixels.shape[1]
        return decoded(
            [each.reshape(-1, each.shape[-1]) for each in outputs], width, self._min_score
        )


def decoded(outputs: Sequence[NDArray[Any]], width: int, min_score: float) -> Found:
    """Read the net's nine outputs: scores (n, 1), sides (n, 4) and points (n, 10) at each stride.

    Rows follow the grid, two a point. Sides are distances from the point to left,
    top, right and bottom, points offsets from it, in strides.
    """
    return joined(
        [
            _at_stride(outputs[level :: len(_STRIDES)], stride, width // stride, min_score)
            for level, stride in enumerate(_STRIDES)
        ]
    )


def _at_stride(
    outputs: Sequence[NDArray[Any]], stride: int, columns: int, min_score: float
) -> Found:
    scores, sides, points = outputs
    sure = np.flatnonzero(scores[:, 0] >= min_score)
    row, column = np.divmod(sure // _ANCHORS, columns)
    grid = np.stack([column, row], axis=1)
    boxes = np.concatenate([grid - sides[sure, :2], grid + sides[sure, 2:]], axis=1)
    landmarks = grid[:, None] + points[sure].reshape(-1, 5, 2)
    return Found(boxes * stride, scores[sure, 0], landmarks * stride)
