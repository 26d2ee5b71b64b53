"""Haar cascade: the detector of 2001 that many packages still start from, through OpenCV."""

from __future__ import annotations

import cv2
import numpy as np

from groupemo.boxes import xywh_to_xyxy
from groupemo.detectors._base import Found, Image, Whole, checked
from groupemo.errors import ModelError
from groupemo.models import store

__all__ = ["Haar"]


class Haar(Whole):
    """Upright frontal faces by OpenCV's `haarcascade_frontalface_default.xml`.

    Parameters
    ----------
    scale_factor : float
        The step between the sizes searched, above 1; nearer to 1 is slower and
        finds more. The `haar-1.32` preset is 1.32.
    min_neighbors : int
        How many windows must agree on a face.
    min_score : float
        The score is the number of windows that agreed, so that the least score
        there is equals `min_neighbors`; larger values leave out more.
    min_size : float
        The shortest box side kept, in pixels.
    max_side : int, optional
        A longer photo is shrunk to this length first. None: never.

    Raises
    ------
    OptionError, ModelError
        If an option means nothing, or the cascade cannot be had or read.
    """

    def __init__(
        self,
        *,
        scale_factor: float = 1.1,
        min_neighbors: int = 5,
        min_score: float = 0,
        min_size: float = 0,
        max_side: int | None = None,
    ) -> None:
        super().__init__(checked("min_score", min_score, 0), min_size, None, max_side)
        self._scale_factor = checked("scale_factor", scale_factor, 1.001)
        self._min_neighbors = int(checked("min_neighbors", min_neighbors, 1))
        file = store.fetch("haar-frontal")
        self.models = {file.path.name: file.sha256}
        try:
            self._cascade = cv2.CascadeClassifier(str(file.path))
        except (cv2.error, SystemError) as error:
            raise ModelError(f"{file.path}: OpenCV cannot read it: {error}") from error
        if self._cascade.empty():
            raise ModelError(f"{file.path}: not a Haar cascade")

    def _find(self, image: Image) -> Found:
        boxes, windows = self._cascade.detectMultiScale2(
            cv2.cvtColor(image, cv2.COLOR_RGB2GRAY),
            scaleFactor=self._scale_factor,
            minNeighbors=self._min_neighbors,
        )
        return Found(xywh_to_xyxy(boxes), np.asarray(windows, np.float32).ravel())
