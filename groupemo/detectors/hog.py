"""HOG: dlib's frontal face detector, the one face_recognition uses by default."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import _dlib_pybind11
import dlib
import numpy as np

from groupemo.detectors._base import Found, Image, Whole, checked
from groupemo.models.resolver import sha256_of

__all__ = ["Hog", "dlib_sha256"]


class Hog(Whole):
    """Upright frontal faces by dlib's histograms of oriented gradients.

    Parameters
    ----------
    upsample : int
        How often the photo is doubled first: with 0 faces of 80 pixels are
        found, with 1 of 40 in four times the time.
    min_score : float
        The score is the distance to the classifier's boundary: 0 is its own
        threshold, sure faces have 1 to 3, and negative values let more in.
    min_size : float
        The shortest box side kept, in pixels.
    max_side : int, optional
        A longer photo is shrunk to this length first. None: never.

    Raises
    ------
    OptionError
        If an option means nothing.
    """

    def __init__(
        self,
        *,
        upsample: int = 1,
        min_score: float = 0.0,
        min_size: float = 0,
        max_side: int | None = None,
    ) -> None:
        super().__init__(checked("min_score", min_score, -10), min_size, None, max_side)
        self._upsample = int(checked("upsample", upsample, 0, 4))
        self._detector = dlib.get_frontal_face_detector()
        self.models = dlib_sha256()

    def _find(self, image: Image) -> Found:
        boxes, scores, _ = self._detector.run(image, self._upsample, self._min_score)
        # dlib's right and bottom pixels belong to the box
        edges = [(box.left(), box.top(), box.right() + 1, box.bottom() + 1) for box in boxes]
        return Found(np.array(edges, np.float32).reshape(-1, 4), np.array(scores, np.float32))


@cache
def dlib_sha256() -> dict[str, str]:
    """Return the digest of dlib's extension module: the detector is compiled into it."""
    return {f"dlib {dlib.__version__}": sha256_of(Path(_dlib_pybind11.__file__))}
