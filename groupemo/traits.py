"""What a face looks like, in numbers: its size, its sharpness, its light, its pose.

Conventions
-----------
Boxes are `[x1, y1, x2, y2]` rows in pixels, images (h, w, 3) RGB, uint8, landmarks as in
`groupemo.faces.Faces`. One number a face; NaN where there is nothing to measure.
Left and right are the viewer's.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from groupemo.boxes import area, clip
from groupemo.crops import Image, cut, gray, resize

__all__ = ["SIDE", "pose", "relative_size", "size", "tone"]

SIDE = 64
"""Faces are resized to squares of this many pixels a side before their sharpness is taken."""

Floats = NDArray[np.float64]


def size(boxes: ArrayLike) -> Floats:
    """Return the side of the square of each box's area, in pixels, shape (n,)."""
    return np.asarray(np.sqrt(area(boxes)))


def relative_size(boxes: ArrayLike, width: float, height: float) -> Floats:
    """Return `size` over that of the whole photo, 0 to 1, shape (n,)."""
    return np.asarray(size(boxes) / np.sqrt(width * height))


def tone(image: Image, boxes: ArrayLike) -> dict[str, Floats]:
    """Return sharpness, brightness and contrast of each face's luma.

    Luma is ITU-R BT.601's, of the pixels of the box that lie in the image.

    sharpness
        The variance of the Laplacian (the four neighbours minus four times the pixel;
        Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR
        2000), in squared gray levels, at `SIDE` x `SIDE` pixels. Low means blurred,
        out of focus or too small to hold any detail. It grows with contrast.
    brightness
        Mean luma, 0 black to 1 white.
    contrast
        Standard deviation of luma, 0 to 0.5 (RMS contrast).

    Parameters
    ----------
    image : np.ndarray, shape=(h, w, 3)
        RGB, uint8; or (h, w), gray.
    boxes : array_like, shape=(n, 4)

    Returns
    -------
    dict of str to np.ndarray, shape=(n,)
    """
    height, width = image.shape[:2]
    luma = gray(image)
    rows = [_tone(cut(luma, box)) for box in clip(boxes, width, height)]
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return dict(zip(("sharpness", "brightness", "contrast"), table.T, strict=True))


def pose(landmarks: ArrayLike) -> dict[str, Floats]:
    """Return how far each face is turned and tilted, from its five landmarks.

    With e the way from the left eye to the right one, and d that from the middle
    between them to the nose:

    yaw
        2 d.e / e.e: how far the nose lies off the middle, in half eye distances. 0 is
        frontal, 1 has the nose below the right eye, -1 below the left. No angle: how
        many degrees it is depends on how far the nose stands out.
    roll
        atan2(e_y, e_x), in degrees: 0 is upright, above 0 tilted clockwise.

    Both are NaN where the eyes are one point.

    Parameters
    ----------
    landmarks : array_like, shape=(n, 5, 2)
        Left eye, right eye, nose, left and right mouth corner, in pixels.

    Returns
    -------
    dict of str to np.ndarray, shape=(n,)
    """
    points = np.asarray(landmarks, dtype=np.float64).reshape(-1, 5, 2)
    left, right, nose = points[:, 0], points[:, 1], points[:, 2]
    eyes = right - left
    squared = (eyes**2).sum(axis=1)
    apart = squared > 0
    off = ((nose - (left + right) / 2) * eyes).sum(axis=1)
    yaw = 2 * off / np.where(apart, squared, np.nan)
    roll = np.where(apart, np.degrees(np.arctan2(eyes[:, 1], eyes[:, 0])), np.nan)
    return {"yaw": yaw, "roll": roll}


def _tone(face: Image) -> tuple[float, float, float]:
    if not face.size:
        return (np.nan,) * 3
    edges = cv2.Laplacian(resize(face, (SIDE, SIDE)), cv2.CV_64F)
    return float(edges.var()), float(face.mean()) / 255, float(face.std()) / 255
