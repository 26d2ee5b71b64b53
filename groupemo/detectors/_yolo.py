"""How YOLOv8, 11 and 12 face models say where the faces are, read from the file itself.

Two layouts exist in the wild, each with no landmarks, or five of (x, y) or (x, y, visible):

- *rows*: what an Ultralytics export gives, (1, 5 + points, n) or transposed:
  centre x, centre y, width, height, score, then the points, in input pixels.
- *heads*: three maps (1, 65 + points, h, w), undecoded: 4 sides x 16 distance
  bins, whose softmax's expectation is the distance of the side from the cell's
  centre in strides; the face's logit; points as 2 v + cell, in strides.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groupemo.detectors._base import Found
from groupemo.errors import ModelError

__all__ = ["Decode", "check_one_class", "decoder", "from_heads", "from_rows"]

Maps = Sequence[NDArray[Any]]
Decode = Callable[[Maps, tuple[int, int], float], Found]
"""(one image's outputs, input height and width, least score) -> faces in input pixels."""

_BINS = 16
_POINTS = (0, 10, 15)
"""How many values five landmarks may take."""


def check_one_class(names: str | None, where: str) -> None:
    """Refuse a file whose metadata names several classes, as Ultralytics writes them.

    Raises
    ------
    ModelError
        If it does.
    """
    try:
        known = ast.literal_eval(names or "{}")
    except (ValueError, SyntaxError):
        return  # another program's words: the shapes decide
    if isinstance(known, dict) and len(known) > 1:
        some = ", ".join(map(str, list(known.values())[:3]))
        raise ModelError(f"{where}: not a face model: it knows {len(known)} classes ({some}, ...)")


def decoder(shapes: Sequence[tuple[int, ...]], where: str) -> Decode:
    """Return how outputs of these shapes, without the batch axis, are read.

    Raises
    ------
    ModelError
        If they are not those of a YOLO face model.
    """
    if len(shapes) == 1 and len(shapes[0]) == 2:
        for axis in (0, 1):
            if shapes[0][axis] - 5 in _POINTS:
                return from_rows
    if len(shapes) == 3 and all(
        len(shape) == 3 and shape[0] - 4 * _BINS - 1 in _POINTS for shape in shapes
    ):
        return from_heads
    raise ModelError(
        f"{where}: not a YOLO face model: its outputs have shapes"
        f" {', '.join(map(str, shapes))}; expected (5, 15 or 20, n) for a box, one score and"
        " landmarks, or three heads (65, 75 or 80, h, w); export it for one class and without NMS"
    )


def from_rows(outputs: Maps, size: tuple[int, int], min_score: float) -> Found:
    """Read the export's layout."""
    rows = outputs[0] if outputs[0].shape[0] - 5 in _POINTS else outputs[0].T
    sure = rows[:, rows[4] >= min_score].T
    half = sure[:, 2:4] / 2
    boxes = np.concatenate([sure[:, :2] - half, sure[:, :2] + half], axis=1)
    return Found(boxes, sure[:, 4], _points(sure[:, 5:]))


def from_heads(outputs: Maps, size: tuple[int, int], min_score: float) -> Found:
    """Read three undecoded heads."""
    heads = [_from_head(head, size[0] / head.shape[1], min_score) for head in outputs]
    boxes, scores, points = zip(*heads, strict=True)
    landmarks = None if points[0] is None else np.concatenate(points)
    return Found(np.concatenate(boxes), np.concatenate(scores), landmarks)


def _from_head(head: NDArray[Any], stride: float, min_score: float) -> Found:
    face = 4 * _BINS
    scores = 1 / (1 + np.exp(-np.clip(head[face], -80, 80)))
    row, column = np.nonzero(scores >= min_score)
    cells = head[:, row, column].T
    corner = np.stack([column, row], axis=1).astype(np.float32)
    sides = _expectation(cells[:, :face].reshape(-1, 4, _BINS))
    boxes = np.concatenate([corner + 0.5 - sides[:, :2], corner + 0.5 + sides[:, 2:]], axis=1)
    points = _points(cells[:, face + 1 :])
    if points is not None:
        points = (2 * points + corner[:, None]) * stride
    return Found(boxes * stride, scores[row, column], points)


def _points(values: NDArray[Any]) -> NDArray[Any] | None:
    """Return landmarks, shape (n, 5, 2), from rows of five (x, y) or (x, y, visible)."""
    n, length = values.shape
    return values.reshape(n, 5, length // 5)[..., :2] if length else None


def _expectation(logits: NDArray[Any]) -> NDArray[Any]:
    """Return the mean bin under the softmax of the last axis."""
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True, initial=-np.inf))
    mean: NDArray[Any] = (weights @ np.arange(_BINS, dtype=np.float32)) / weights.sum(axis=-1)
    return mean
