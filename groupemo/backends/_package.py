"""What the backends that run somebody else's package share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groupemo.crops import Image, has_pixels
from groupemo.emotions import parse_emotion
from groupemo.faces import Faces
from groupemo.packages import Package

__all__ = ["PackageBackend"]


class PackageBackend(ABC):
    """A backend whose package takes a photo with its faces.

    So it answers while it prepares, and `predict` hands the answers on. What
    the package calls the classes, and their order, is read from an answer to a
    gray picture when it is built.
    """

    package: Package
    models: Mapping[str, str]
    """Name of each model file -> its SHA-256."""

    def __init__(self) -> None:
        gray = np.full((96, 96, 3), 128, np.uint8)
        [answer] = self.ask(gray, Faces([[16, 16, 80, 80]]))
        self._words = tuple(answer)
        self.classes = tuple(parse_emotion(word) for word in self._words)

    def prepare(self, image: Image, faces: Faces) -> NDArray[np.float64]:
        """Return the answers, shape (n, k); NaN for a face without pixels in the image."""
        rows = np.full((len(faces), len(self.classes)), np.nan)
        readable = np.flatnonzero(has_pixels(image, faces.boxes))
        if len(readable):
            answers = self.ask(np.ascontiguousarray(image[..., ::-1]), faces[readable])
            for row, answer in zip(readable, answers, strict=True):
                rows[row] = [answer[word] for word in self._words]
        return np.asarray(rows / rows.sum(axis=1, keepdims=True))

    def predict(self, inputs: NDArray[Any]) -> NDArray[np.float64]:
        """Return the rows that `prepare` made."""
        return np.asarray(inputs, np.float64)

    @abstractmethod
    def ask(self, image: Image, faces: Faces) -> Iterable[Mapping[str, float]]:
        """Return the package's answer for each face: its word for a class -> a share, or percent.

        Parameters
        ----------
        image : np.ndarray, shape=(h, w, 3)
            BGR, uint8.
        faces : Faces
            One or more, all with pixels in the image.
        """
