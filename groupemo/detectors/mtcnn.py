"""MTCNN: three small networks in a row, over a pyramid of the photo, under ONNX Runtime."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from groupemo.boxes import area, iou_matrix, square
from groupemo.detectors._base import Floats, Found, Image, Whole, blob, checked, nms, resized
from groupemo.errors import OptionError
from groupemo.models import store
from groupemo.models.session import open_session, run

__all__ = ["MTCNN"]

_STEP = 0.707
"""Each level of the pyramid has half the area of the one below it."""

_WINDOW, _STRIDE = 12, 2
"""What the first network sees at once and how far it moves, in pixels of a level."""

_OVERLAPS = (0.5, 0.6, 0.7, 0.8)
"""Overlap allowed within a level, over levels, after the second and after the third network."""


class MTCNN(Whole):
    """Faces and landmarks by the multi-task cascade of 2016 (mtcnn-runtime's weights, Apache-2.0).

    Parameters
    ----------
    min_score : float
        The score is the third network's probability of a face, 0..1.
    thresholds : tuple of two floats
        What the first and the second network must give.
    min_face : float
        The smallest face searched, in pixels, at least 12; half of it takes
        about four times as long. A found box may be somewhat smaller.
    min_size : float
        The shortest box side kept, in pixels.
    max_side : int, optional
        A longer photo is shrunk to this length first. None: never.

    Raises
    ------
    OptionError, ModelError
        If an option means nothing, or a model file cannot be had or read.
    """

    def __init__(
        self,
        *,
        min_score: float = 0.9,
        thresholds: tuple[float, float] = (0.6, 0.7),
        min_face: float = 20,
        min_size: float = 0,
        max_side: int | None = None,
    ) -> None:
        super().__init__(checked("min_score", min_score, 0, 1), min_size, None, max_side)
        self._min_face = checked("min_face", min_face, _WINDOW)
        if not isinstance(thresholds, (tuple, list)) or len(thresholds) != 2:
            raise OptionError(f"thresholds is {thresholds!r}: expected two numbers from 0 to 1")
        self._thresholds = [checked("thresholds", value, 0, 1) for value in thresholds]
        files = [store.fetch(f"mtcnn-{name}") for name in ("pnet", "rnet", "onet")]
        self.models = {file.path.name: file.sha256 for file in files}
        self._propose, self._refine, self._output = (open_session(file.path) for file in files)

    def _find(self, image: Image) -> Found:
        if min(image.shape[:2]) <= self._min_face:
            return Found.nothing(landmarks=True)
        return self._final(image, self._refined(image, self._proposed(image)))

    def _proposed(self, image: Image) -> Floats:
        """Run the first network over the pyramid; return squares, shape (n, 4)."""
        levels = [self._level(image, scale) for scale in _scales(image, self._min_face)]
        windows, offsets, scores = (np.concatenate(part) for part in zip(*levels, strict=True))
        kept = nms(windows, scores, _OVERLAPS[1])
        return square(_shifted(windows[kept], offsets[kept]))

    def _level(self, image: Image, scale: float) -> tuple[Floats, Floats, Floats]:
        """Return one level's windows (n, 4) in image pixels, their offsets and scores."""
        height, width = (int(np.ceil(side * scale)) for side in image.shape[:2])
        small = resized(image, width, height, cv2.INTER_LINEAR)
        offsets, probs = run(self._propose, _input([small]))
        y, x = np.nonzero(probs[0, 1] > self._thresholds[0])
        corner = np.stack([x, y], axis=1) * _STRIDE + 1  # as in the authors' code, counting from 1
        windows = np.concatenate([corner, corner + _WINDOW], axis=1) / scale
        scores = probs[0, 1, y, x]
        kept = nms(windows, scores, _OVERLAPS[0])
        return windows[kept], offsets[0][:, y, x].T[kept], scores[kept]

    def _refined(self, image: Image, boxes: Floats) -> Floats:
        """Run the second network on each square; return fewer, better squares."""
        if not len(boxes):
            return boxes
        offsets, probs = run(self._refine, _crops(image, boxes, 24))
        sure = probs[:, 1] > self._thresholds[1]
        boxes, offsets, scores = boxes[sure], offsets[sure], probs[sure, 1]
        kept = nms(boxes, scores, _OVERLAPS[2])
        return square(_shifted(boxes[kept], offsets[kept]))

    def _final(self, image: Image, boxes: Floats) -> Found:
        """Run the third network on each square; return the faces."""
        if not len(boxes):
            return Found.nothing(landmarks=True)
        points, offsets, probs = run(self._output, _crops(image, boxes, 48))
        corner, side = boxes[:, None, :2], (boxes[:, 2:] - boxes[:, :2])[:, None]
        # the points come as five x, then five y, in parts of the square
        landmarks = corner + points.reshape(-1, 2, 5).transpose(0, 2, 1) * side
        found = Found(_shifted(boxes, offsets), probs[:, 1], landmarks)
        found = found.pick(found.scores >= self._min_score)
        return found.pick(_outermost(found.boxes, found.scores, _OVERLAPS[3]))


def _scales(image: Image, min_face: float) -> list[float]:
    """Return the pyramid's scales, from `min_face` pixels a window to the whole shorter side."""
    n = np.log(min_face / min(image.shape[:2])) / np.log(_STEP)
    return [_WINDOW / min_face * _STEP**level for level in range(int(np.ceil(n)))]


def _shifted(boxes: Floats, offsets: Floats) -> Floats:
    """Move each edge by its offset, given in parts of the box's side."""
    moved: Floats = boxes + offsets * np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    return moved


def _crops(image: Image, boxes: Floats, size: int) -> Floats:
    """Cut the squares out at `size` x `size`, black outside the photo, as the networks' input."""
    low = np.floor(boxes[:, :2]).astype(int)
    high = np.maximum(np.ceil(boxes[:, 2:]).astype(int), low + 1)
    margin = int(max(0, -low.min(), (high - [image.shape[1], image.shape[0]]).max()))
    sides = margin, margin, margin, margin
    wide = np.asarray(cv2.copyMakeBorder(image, *sides, cv2.BORDER_CONSTANT), np.uint8)
    cut = [
        wide[y1:y2, x1:x2] for (x1, y1), (x2, y2) in zip(low + margin, high + margin, strict=True)
    ]
    return _input([resized(piece, size, size, cv2.INTER_AREA) for piece in cut])


def _input(images: list[Image]) -> Floats:
    return blob(images, 1 / 128, (127.5, 127.5, 127.5))


def _outermost(boxes: Floats, scores: Floats, overlap: float) -> NDArray[np.int64]:
    """Return the rows that stay when a box mostly inside, or around, a surer one is left out."""
    order = np.argsort(-scores, kind="stable")
    inside = _shared_part(boxes[order]) > overlap
    kept: list[int] = []
    for row in range(len(order)):
        if not inside[row, kept].any():
            kept.append(row)
    return order[kept]


def _shared_part(boxes: Floats) -> Floats:
    """Return of each two boxes the intersection over the smaller area, shape (n, n)."""
    iou, size = iou_matrix(boxes, boxes), area(boxes)
    inter = iou / (1 + iou) * (size[:, None] + size[None, :])
    smaller = np.minimum(size[:, None], size[None, :])
    return inter / np.maximum(smaller, np.finfo(float).tiny)
