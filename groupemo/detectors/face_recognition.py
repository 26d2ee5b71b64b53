"""The face_recognition package: dlib's frontal detector, or its network, as that package runs them.

What its `hog` finds, groupemo's own `hog` finds too, and tells how sure it is.
"""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np

from groupemo.detectors._base import Found, Image, NativeDetector, checked
from groupemo.detectors.hog import dlib_sha256
from groupemo.errors import OptionError
from groupemo.models.resolver import sha256_of
from groupemo.packages import FACE_RECOGNITION, Package

__all__ = ["MODELS", "FaceRecognition"]

MODELS = ("hog", "cnn")
"""What `model` may be."""

_WEIGHTS = Package(
    "face_recognition_models", "face_recognition_models", "face-recognition", ">=0.3,<0.4"
)
"""Where it cannot be imported, face_recognition ends the whole process: so it is tried first."""

_SMALLEST = 8
"""The network fails on a narrower photo, which holds no face."""

_one_at_a_time = threading.Lock()
"""The package has one detector for all threads, and it keeps its pyramid between two calls."""


class FaceRecognition(NativeDetector):
    """Faces by `face_recognition.face_locations`.

    The package tells no score: each face has 1.0.

    Parameters
    ----------
    model : str
        One of `MODELS`: "hog" finds upright frontal faces, "cnn" turned ones too, in many times
        the time.
    upsample : int
        How often the photo is doubled first (`number_of_times_to_upsample`).
    min_size : float
        The shortest box side kept, in pixels.

    Raises
    ------
    OptionError, MissingExtra
        If an option means nothing, or the package is not installed.
    """

    package = FACE_RECOGNITION

    def __init__(self, *, model: str = "hog", upsample: int = 1, min_size: float = 0) -> None:
        super().__init__(0, min_size, None)
        if model not in MODELS:
            raise OptionError(f"model is {model!r}: expected one of {', '.join(MODELS)}")
        self._model, self._upsample = model, int(checked("upsample", upsample, 0, 4))
        if FACE_RECOGNITION.installed:
            _WEIGHTS.load()
        self._locate = FACE_RECOGNITION.load().face_locations
        self.models = dlib_sha256() if model == "hog" else _cnn_sha256()

    def _find(self, image: Image) -> Found:
        if min(image.shape[:2]) < _SMALLEST:
            return Found.nothing()
        with _one_at_a_time:
            found = self._locate(image, self._upsample, self._model)
        # the pixels at right and bottom belong to the box
        edges = [(left, top, right + 1, bottom + 1) for top, right, bottom, left in found]
        return Found(np.array(edges, np.float32).reshape(-1, 4), np.ones(len(edges)))


def _cnn_sha256() -> dict[str, str]:
    path = Path(_WEIGHTS.load().cnn_face_detector_model_location())
    return {path.name: sha256_of(path)}
