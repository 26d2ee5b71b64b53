"""Arithmetic on boxes.

Conventions
-----------
A box is `[x1, y1, x2, y2]` in pixels, origin at the top left, half-open: the
box `[0, 0, 2, 1]` holds two pixels. Many boxes are an array of shape (n, 4).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "area",
    "clip",
    "iou_matrix",
    "nonempty",
    "scale",
    "square",
    "xywh_to_xyxy",
    "xyxy_to_xywh",
]

Boxes = NDArray[np.float32]


def xywh_to_xyxy(boxes: ArrayLike) -> Boxes:
    """Turn `[x, y, w, h]` rows, shape (n, 4), into `[x1, y1, x2, y2]` rows."""
    xywh = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    return np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1).astype(np.float32)


def xyxy_to_xywh(boxes: ArrayLike) -> Boxes:
    """Turn `[x1, y1, x2, y2]` rows, shape (n, 4), into `[x, y, w, h]` rows."""
    xyxy = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    return np.concatenate([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]], axis=1).astype(np.float32)


def area(boxes: ArrayLike) -> NDArray[np.float64]:
    """Return the area of each box in square pixels, shape (n,)."""
    xyxy = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    return np.asarray(np.prod(np.clip(xyxy[:, 2:] - xyxy[:, :2], 0, None), axis=1))


def nonempty(boxes: ArrayLike) -> NDArray[np.bool_]:
    """Return which boxes have any area, shape (n,)."""
    return area(boxes) > 0


def clip(boxes: ArrayLike, width: float, height: float) -> Boxes:
    """Cut boxes, shape (n, 4), to an image of `width` x `height` pixels."""
    xyxy = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    return np.clip(xyxy, 0, np.array([width, height, width, height], dtype=np.float32))


def scale(boxes: ArrayLike, factor: float) -> Boxes:
    """Grow boxes, shape (n, 4), about their centres by `factor` on each side length."""
    xyxy = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    centre, half = (xyxy[:, :2] + xyxy[:, 2:]) / 2, (xyxy[:, 2:] - xyxy[:, :2]) / 2 * factor
    return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)


def square(boxes: ArrayLike) -> Boxes:
    """Grow the shorter side of each box, shape (n, 4), about its centre until it is square."""
    xyxy = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    centre = (xyxy[:, :2] + xyxy[:, 2:]) / 2
    half = (xyxy[:, 2:] - xyxy[:, :2]).max(axis=1, keepdims=True, initial=0) / 2
    return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)


def iou_matrix(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Return the intersection over union of every box of `a` with every box of `b`.

    Parameters
    ----------
    a, b : array_like, shape=(n, 4) and (m, 4)
        Boxes in pixels. Two boxes without area have an IoU of 0.

    Returns
    -------
    np.ndarray, shape=(n, m)
        Each in 0..1.

    Examples
    --------
    >>> iou_matrix([[0, 0, 2, 2]], [[0, 0, 2, 2], [1, 0, 3, 2]]).round(3)
    array([[1.   , 0.333]])
    """
    first = np.asarray(a, dtype=np.float64).reshape(-1, 1, 4)
    second = np.asarray(b, dtype=np.float64).reshape(1, -1, 4)
    corner = np.maximum(first[..., :2], second[..., :2])
    other = np.minimum(first[..., 2:], second[..., 2:])
    inter = np.prod(np.clip(other - corner, 0, None), axis=-1)
    union = area(first)[:, None] + area(second)[None, :] - inter
    iou: NDArray[np.float64] = np.zeros_like(inter)
    np.divide(inter, union, out=iou, where=union > 0)
    return iou
