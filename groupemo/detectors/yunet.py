"""YuNet: the default detector, 76,000 parameters, under ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from groupemo.detectors._base import (
    Found,
    Image,
    View,
    Whole,
    blob,
    checked,
    joined,
    padded,
    shrunk,
)
from groupemo.models import store
from groupemo.models.session import open_session, run

__all__ = ["YuNet"]

_STRIDES = (8, 16, 32)
"""Pixels from one point of each of the net's three grids to the next."""

_FIXED, _OPEN = b"\n\x03\x08\x80\x05", (b"\n\x03\x12\x01h", b"\n\x03\x12\x01w")
"""A side of the input as the file has it, 640 pixels, and as long a spelling of "any number": the
net takes any picture whose sides are multiples of 32."""

_LARGE = 1280
"""YuNet misses most faces higher than about 500 pixels: from this side length on, a photo is
searched a second time, at `_OVERVIEW` pixels."""

_OVERVIEW = 640

_MOST = 5000
"""Candidates kept before overlapping ones are merged."""


class YuNet(Whole):
    """Faces and landmarks by YuNet (`face_detection_yunet_2023mar.onnx`, MIT).

    The photo is searched at its own size, and at 640 pixels too where it is
    longer than 1280, as the net was trained on faces of 10 to 300 pixels.

    Parameters
    ----------
    min_score : float
        YuNet's score is the square root of class probability times predicted
        IoU, 0..1. At the default of 0.7 phantoms are rare; 0.6 gives some.
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
        overlap: float = 0.3,
    ) -> None:
        score = checked("min_score", min_score, 0, 1)
        super().__init__(score, min_size, overlap, max_side)
        file = store.fetch("yunet")
        self.models = {file.path.name: file.sha256}
        model = file.path.read_bytes()
        for side in _OPEN:
            model = model.replace(_FIXED, side, 1)
        self._session = open_session(file.path, model)

    def _views(self, image: Image) -> list[View]:
        [view] = super()._views(image)
        if max(view.pixels.shape) <= _LARGE:
            return [view]
        overview = shrunk(view.pixels, _OVERVIEW)
        return [view, overview._replace(factor=view.factor * overview.factor)]

    def _find(self, image: Image) -> Found:
        pixels = padded(image, _STRIDES[-1])
        outputs = [each[0] for each in run(self._session, blob([pixels], 1, bgr=True))]
        found = joined(
            [
                _decoded(stride, pixels.shape[1] // stride, outputs[level::3], self._min_score)
                for level, stride in enumerate(_STRIDES)
            ]
        )
        return found.pick(np.argsort(-found.scores)[:_MOST])


def _decoded(
    stride: int, columns: int, outputs: list[NDArray[np.float32]], min_score: float
) -> Found:
    """Read one grid's outputs, a row a point: class, objectness, box (n, 4), points (n, 10).

    Boxes are the centre's offset and the logarithm of the size, in strides; points
    are offsets, the subject's right eye first, which is the viewer's left.
    """
    classes, objects, boxes, points = outputs
    scores: NDArray[Any] = np.sqrt(classes[:, 0] * objects[:, 0])
    sure = np.flatnonzero(scores >= min_score)
    corner = np.stack([sure % columns, sure // columns], axis=1)
    centre, half = corner + boxes[sure, :2], np.exp(boxes[sure, 2:]) / 2
    landmarks = corner[:, None] + points[sure].reshape(-1, 5, 2)
    edges = np.concatenate([centre - half, centre + half], axis=1)
    return Found(edges * stride, scores[sure], landmarks * stride)
