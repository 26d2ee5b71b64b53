"""The deepface package's detectors: OpenCV's cascade, SSD, MTCNN, RetinaFace, YuNet and others."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from groupemo.boxes import xywh_to_xyxy
from groupemo.detectors._base import Found, Image, NativeDetector
from groupemo.errors import ModelError, OptionError
from groupemo.models import store
from groupemo.models.resolver import cache_dir
from groupemo.packages import DEEPFACE, left_alone

__all__ = ["WEIGHTS", "DeepFaceDetector"]

WEIGHTS = {
    "ssd": ("ssd-res10-prototxt", "ssd-res10-caffemodel"),
    "yunet": ("yunet",),
}
"""Detectors of the package whose weights are in groupemo's own store, under these names."""

_POINTS = ("right_eye", "left_eye", "nose", "mouth_right", "mouth_left")
"""What the viewer sees as left eye, right eye, nose, left and right mouth corner: the package
speaks of the person's own sides."""


class DeepFaceDetector(NativeDetector):
    """Faces by `DeepFace.extract_faces`.

    A photo without a face gives none: the package would raise an error, or call the whole photo
    a face. Boxes are whole pixels. There are landmarks where the detector gives all five of
    every face, as RetinaFace does; eyes alone are none.

    The score is the package's confidence, in hundredths. For opencv, where that falls as the
    cascade grows surer, it is what it was made of: the cascade's weight, in whole numbers.

    The weights of ssd and yunet are groupemo's own copies; others the package looks for in
    `$DEEPFACE_HOME/.deepface/weights`, and downloads, whatever `GROUPEMO_OFFLINE` says.

    Parameters
    ----------
    detector : str
        The package's `detector_backend`: opencv, ssd, mtcnn, retinaface, yunet, centerface ...
    align : bool
        As the package does unless told otherwise, put a black border of half the photo's sides
        around it before it is searched. A detector that scales photos to a size of its own, as
        ssd and yunet do, then sees faces of half the size: without, it finds more.
    min_size : float
        The shortest box side kept, in pixels.

    Raises
    ------
    OptionError, ModelError, MissingExtra
        If there is no detector of that name; its weights, or a package that it needs, cannot be
        had; or deepface is not installed.
    """

    package = DEEPFACE

    def __init__(
        self, *, detector: str = "opencv", align: bool = True, min_size: float = 0
    ) -> None:
        super().__init__(-np.inf, min_size, None)
        if not isinstance(align, bool):
            raise OptionError(f"align is {align!r}: expected True or False")
        self._name, self._align = detector, align
        deepface, self.models = _built(detector)
        self._extract = deepface.extract_faces
        errors = importlib.import_module("deepface.modules.exceptions")
        # the second where all boxes are empty
        self._no_face = errors.FaceNotDetected, errors.ImgNotFound

    def _find(self, image: Image) -> Found:
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        try:
            with DEEPFACE.lock:  # the package has one model of a kind for all threads
                rows = self._extract(bgr, detector_backend=self._name, align=self._align)
        except self._no_face:
            return Found.nothing()
        areas = [row["facial_area"] for row in rows]
        boxes = xywh_to_xyxy([[area[side] for side in "xywh"] for area in areas])
        scores = np.array([row["confidence"] for row in rows])
        if self._name == "opencv":
            scores = 100 - 100 * scores
        return Found(boxes, scores, _landmarks(areas))


def _built(detector: str) -> tuple[Any, dict[str, str]]:
    """Return the module, which keeps the detector it built, and the SHA-256 of its files."""
    files = [store.fetch(name) for name in WEIGHTS.get(detector, ())]
    deepface = DEEPFACE.load()
    try:
        with left_alone():
            if files:
                os.environ["DEEPFACE_HOME"] = str(_home(files))
            deepface.build_model(detector, task="face_detector")
    except Exception as error:  # a download, or another package, may fail in any way
        said = " ".join(str(error).split())
        if type(error).__name__ == "UnimplementedError":
            raise OptionError(f"detector is {detector!r}: {said}") from error
        raise ModelError(f"deepface cannot build its detector {detector!r}: {said}") from error
    return deepface, {file.path.name: file.sha256 for file in files}


def _home(files: Sequence[store.ModelFile]) -> Path:
    """Return a folder where the package finds these files."""
    home = cache_dir() / "deepface-home" / "detectors"
    for file in files:
        store.copied(file, home / ".deepface" / "weights" / file.path.name)
    return home


def _landmarks(areas: Sequence[Mapping[str, Any]]) -> NDArray[np.float64] | None:
    """Return the five points of every face, shape (n, 5, 2); None where any is missing."""
    points = [[area.get(name) for name in _POINTS] for area in areas]
    return None if any(None in face for face in points) else np.array(points, float)
