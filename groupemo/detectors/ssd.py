"""SSD res10: OpenCV's own face detector of 2017, a Caffe model."""

from __future__ import annotations

import cv2

from groupemo.detectors._base import Found, Image, blob, checked, padded, shrunk
from groupemo.detectors._tiling import FixedSize
from groupemo.errors import ModelError
from groupemo.models import store

__all__ = ["SSD"]

_MEAN = (104.0, 177.0, 123.0)
"""What the model was trained to have taken from blue, green and red."""

_SMALLEST = 64
"""The layers cannot pool a smaller picture."""


class SSD(FixedSize):
    """Faces by the single-shot detector `res10_300x300_ssd_iter_140000.caffemodel`.

    Parameters
    ----------
    min_score : float
        The score is the model's probability of a face, 0..1.
    min_size : float
        The shortest box side kept, in pixels.
    max_side : int
        A longer photo, or tile, is shrunk to this length first. The model's own
        300 pixels find large faces only.
    overlap : float
        Of two boxes whose IoU is larger, the surer one is kept.
    tile : int, optional
        Search larger photos in tiles of this size too, for small faces.

    Raises
    ------
    OptionError, ModelError
        If an option means nothing, or a model file cannot be had or read.
    """

    def __init__(
        self,
        *,
        min_score: float = 0.5,
        min_size: float = 0,
        max_side: int = 1000,
        overlap: float = 0.45,
        tile: int | None = None,
    ) -> None:
        score = checked("min_score", min_score, 0, 1)
        super().__init__(score, min_size, overlap, tile)
        self._max_side = int(checked("max_side", max_side, 32))
        layers, weights = store.fetch("ssd-res10-prototxt"), store.fetch("ssd-res10-caffemodel")
        self.models = {file.path.name: file.sha256 for file in (layers, weights)}
        try:
            self._net = cv2.dnn.readNetFromCaffe(str(layers.path), str(weights.path))
        except cv2.error as error:
            raise ModelError(f"{weights.path}: OpenCV cannot read it: {error}") from error

    def _find(self, image: Image) -> Found:
        view = shrunk(image, self._max_side)
        pixels = padded(view.pixels, _SMALLEST)
        self._net.setInput(blob([pixels], 1, _MEAN, bgr=True))
        rows = self._net.forward().reshape(-1, 7)  # image, class, score, x1, y1, x2, y2 in 0..1
        height, width = pixels.shape[:2]
        return view.to_image(Found(rows[:, 3:] * [width, height, width, height], rows[:, 2]))
