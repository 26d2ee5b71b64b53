"""The `deepface` package itself as a backend: `DeepFace.analyze` on a detector's faces."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groupemo.backends._package import PackageBackend
from groupemo.backends.deepface import FILE, published_or_stand_in
from groupemo.crops import Image, whole
from groupemo.errors import ModelError, OptionError
from groupemo.faces import Faces
from groupemo.models import store
from groupemo.models.resolver import cache_dir, sha256_of
from groupemo.packages import DEEPFACE, left_alone
from groupemo.plugins import STAND_IN

__all__ = ["DeepFacePackage"]


class DeepFacePackage(PackageBackend):
    """Emotions by `DeepFace.analyze(face, ["emotion"], detector_backend="skip")`, a face at a time.

    Faces are cut by the package's own `extract_face`, which turns them until
    the eyes are level; it looks for the eyes itself where the detector gives no
    landmarks. groupemo's own `deepface` leaves such faces as they are.

    It runs on ONNX Runtime. Its weights are those in `$DEEPFACE_HOME`, or in
    the home folder; where there are none, those of groupemo's `deepface`, which
    may be a stand-in: `label` says so then. The package downloads nothing.

    Parameters
    ----------
    align : bool
        Whether faces are turned.

    Raises
    ------
    MissingExtra
        If deepface is not installed.
    ModelError
        If there are no weights, or the package cannot read them.
    OptionError
        If `align` is neither, or the package runs on another engine in this process already.
    """

    package = DEEPFACE

    def __init__(self, *, align: bool = True) -> None:
        if not isinstance(align, bool):
            raise OptionError(f"align is {align!r}: expected True or False")
        self._align = align
        home, sha256 = _home()
        self.models = {FILE: sha256}
        if sha256 == store.MODELS.entry("deepface-emotion-stand-in").sha256:
            self.label = "deepface-package" + ":align=False" * (not align) + STAND_IN
        self._deepface = _built(home)
        super().__init__()

    def ask(self, image: Image, faces: Faces) -> Iterator[Mapping[str, float]]:
        """Return percent by class."""
        for row, box in enumerate(whole(faces.boxes)):
            eyes = None if faces.landmarks is None else faces.landmarks[row, :2]
            face = self._cut(image, box, eyes)
            [answer] = self._deepface.analyze(
                face, ["emotion"], detector_backend="skip", enforce_detection=False, silent=True
            )
            yield answer["emotion"]

    def _cut(
        self, image: Image, box: NDArray[np.int64], eyes: NDArray[np.float32] | None
    ) -> NDArray[Any]:
        detection = self._deepface.detection
        x1, y1, x2, y2 = box.tolist()
        right, left = (None, None) if eyes is None else map(tuple, eyes.tolist())  # the person's
        area = detection.FacialAreaRegion(x1, y1, x2 - x1, y2 - y1, left_eye=left, right_eye=right)
        looks = self._align and eyes is None
        with DEEPFACE.lock:  # all threads share its cascade for eyes
            face: NDArray[Any] = detection.extract_face(
                facial_area=area,
                img=image,
                align=self._align,
                expand_percentage=0,
                width_border=0,
                height_border=0,
                detector_backend="given" if looks else "opencv",  # of which it expects eyes
            ).img
        return face


def _home() -> tuple[Path, str]:
    """Return a folder for `$DEEPFACE_HOME` that has the weights, and their SHA-256."""
    own = Path(os.environ.get("DEEPFACE_HOME") or Path.home())
    if _weights(own).is_file():
        return own, sha256_of(_weights(own))
    found = published_or_stand_in()
    home = cache_dir() / "deepface-home" / found.sha256[:12]
    store.copied(found, _weights(home))
    return home, found.sha256


def _weights(home: Path) -> Path:
    return home / ".deepface" / "weights" / FILE


def _built(home: Path) -> Any:
    """Return the module with its emotion net, which it keeps, built from the weights in `home`."""
    at_home = {**DEEPFACE.environ, "DEEPFACE_HOME": str(home)}  # while imported it makes folders
    deepface = replace(DEEPFACE, environ=at_home).load()
    with left_alone():
        os.environ["DEEPFACE_HOME"] = str(home)
        if deepface.backend_engine != "onnx":
            raise OptionError(
                f"deepface runs on {deepface.backend_engine} in this process: set"
                " DEEPFACE_BACKEND_ENGINE=onnx before anything imports it"
            )
        try:
            deepface.build_model("Emotion", "facial_attribute")
        except Exception as error:  # the package wraps what ONNX Runtime raises
            raise ModelError(f"{_weights(home)}: deepface cannot read it: {error}") from error
    return deepface
