"""YuNet: the default detector, 76,000 parameters, through OpenCV."""

from __future__ import annotations

import cv2
import numpy as np

from groupemo.detectors._base import Found, Image, View, Whole, checked, padded, shrunk
from groupemo.errors import ModelError
from groupemo.models import store

__all__ = ["YuNet"]

_SMALLEST = 64
"""OpenCV 4.14 returns garbage for a long image less than 33 pixels high: such are padded."""

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
        try:
            self._net = cv2.FaceDetectorYN.create(
                str(file.path), "", (320, 320), score, overlap, _MOST
            )
        except cv2.error as error:
            raise ModelError(f"{file.path}: OpenCV cannot read it: {error}") from error

    def _views(self, image: Image) -> list[View]:
        views = super()._views(image)
        large = max(views[0].pixels.shape) > _LARGE
        return [*views, shrunk(image, _OVERVIEW)] if large else views

    def _find(self, image: Image) -> Found:
        bgr = cv2.cvtColor(padded(image, _SMALLEST), cv2.COLOR_RGB2BGR)
        self._net.setInputSize((bgr.shape[1], bgr.shape[0]))
        _, rows = self._net.detect(bgr)
        if rows is None:
            return Found.nothing(landmarks=True)
        # a row: x, y, w, h, the five points (the subject's right eye is the viewer's left), score
        boxes = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
        return Found(boxes, rows[:, 14], rows[:, 4:14].reshape(-1, 5, 2))
