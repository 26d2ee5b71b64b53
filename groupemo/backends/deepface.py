"""The emotion net of the `deepface` package, without the package.

Source of every step and number: deepface 0.0.103, `modules/detection.py`
(`extract_face` and what it calls), `modules/preprocessing.py` (`resize_image`)
and `models/demography/onnx/Emotion.py`: the path that `DeepFace.analyze` takes
once its detector has found a box.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from groupemo.backends._base import Net
from groupemo.crops import Image, cut, whole
from groupemo.emotions import EMOTIONS
from groupemo.errors import ModelError
from groupemo.faces import Faces
from groupemo.models import store
from groupemo.models.store import ModelFile
from groupemo.plugins import STAND_IN

__all__ = ["DeepFace"]

FILE = "facial_expression_model_weights.onnx"
SIDE = 48
CANVAS = 224
"""Side of the black square every crop is fitted into before it shrinks to 48 x 48."""


class DeepFace(Net):
    """The `deepface` package's emotion net, with its own cropping.

    A window twice as wide and high as the box (black beyond the image's edge)
    is turned until the eyes are level, and the box cut from its middle; the
    crop is fitted into 224 x 224 (black beside it), made gray, resized to
    48 x 48 and scaled to 0..1.

    The box is not turned where the detector gives no landmarks. The package
    looks for the eyes with a Haar cascade then, which finds both in few faces.

    The published weights are used where they can be had. Otherwise a stand-in
    takes their place, a net of the same shape trained for groupemo's tests:
    `label` says so, and its figures are not DeepFace's.

    Raises
    ------
    ModelError
        If neither the published weights nor the stand-in can be had.
    """

    classes = EMOTIONS
    shape = (SIDE, SIDE, 1)

    def __init__(self) -> None:
        weights = published_or_stand_in()
        self.label = "deepface" + STAND_IN * weights.stand_in
        super().__init__(weights.path, {FILE: weights.sha256})

    def crops(self, image: Image, faces: Faces) -> Iterator[Image]:
        """Return RGB crops with level eyes."""
        for row, box in enumerate(whole(faces.boxes)):
            eyes = None if faces.landmarks is None else faces.landmarks[row, :2]
            yield _level(image, box, eyes)

    def encode(self, picture: Image) -> NDArray[np.float32]:
        """Return a crop as 48 x 48 x 1 values in 0..1."""
        values: NDArray[Any] = picture.astype(np.float32) / 255
        luma = values if values.ndim == 2 else cv2.cvtColor(values, cv2.COLOR_RGB2GRAY)
        small: NDArray[Any] = cv2.resize(_letterbox(luma), (SIDE, SIDE))
        return small[..., np.newaxis]


def published_or_stand_in() -> ModelFile:
    """Return the published weights where they can be had, else the stand-in for them."""
    try:
        return store.fetch("deepface-emotion")
    except ModelError as published:
        try:
            return store.fetch("deepface-emotion-stand-in")
        except ModelError:
            raise published from None


def _level(image: Image, box: NDArray[np.int64], eyes: NDArray[np.float32] | None) -> Image:
    """Cut a box from the image turned about the box's centre until the eyes are level."""
    if eyes is None:
        return cut(image, box)
    width, height = box[2:] - box[:2]
    margin = np.array([width // 2, height // 2])
    window = cut(image, np.concatenate([box[:2] - margin, box[2:] + margin]))
    dx, dy = np.subtract(eyes[1], eyes[0], dtype=np.float64)
    rows, columns = window.shape[:2]
    turn = cv2.getRotationMatrix2D((columns // 2, rows // 2), np.degrees(np.arctan2(dy, dx)), 1.0)
    level: NDArray[Any] = cv2.warpAffine(window, turn, (columns, rows), flags=cv2.INTER_CUBIC)
    return level[margin[1] : margin[1] + height, margin[0] : margin[0] + width]


def _letterbox(luma: NDArray[Any]) -> NDArray[np.float32]:
    """Fit into the middle of a black canvas, keeping proportions."""
    height, width = luma.shape
    factor = CANVAS / max(height, width)
    high, wide = max(int(height * factor), 1), max(int(width * factor), 1)
    top, left = (CANVAS - high) // 2, (CANVAS - wide) // 2
    canvas = np.zeros((CANVAS, CANVAS), np.float32)
    canvas[top : top + high, left : left + wide] = cv2.resize(luma, (wide, high))
    return canvas
