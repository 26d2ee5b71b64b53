"""What the adapters share: a row for every face, batches, and abstaining.

A face without a whole pixel inside the image cannot be read. Its row of inputs
is NaN, and so is its row of probabilities: the backend abstained.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from groupemo.crops import has_pixels
from groupemo.faces import Faces
from groupemo.models.session import open_session, run

__all__ = ["CropBackend", "Net"]


class CropBackend(ABC):
    """A backend that reads each face from a picture of its own."""

    classes: tuple[str, ...]
    models: Mapping[str, str] = MappingProxyType({})
    """Name of each model file -> its SHA-256."""
    shape: tuple[int, ...]
    """Of one row of inputs."""
    dtype: DTypeLike = np.float32
    """Of the inputs; one that can hold NaN."""
    batch: int = 32
    """Most rows in one call of the model: more are no faster, and take memory."""

    def prepare(self, image: NDArray[np.uint8], faces: Faces) -> NDArray[Any]:
        """Return one row of inputs a face, shape (n, *shape); NaN where it has no pixels."""
        rows = np.full((len(faces), *self.shape), np.nan, self.dtype)
        readable = np.flatnonzero(has_pixels(image, faces.boxes))
        for row, picture in zip(readable, self.crops(image, faces[readable]), strict=True):
            rows[row] = self.encode(picture)
        return rows

    def predict(self, inputs: NDArray[Any]) -> NDArray[np.float64]:
        """Return probabilities, shape (n, k); NaN where the inputs are."""
        probs = np.full((len(inputs), len(self.classes)), np.nan)
        answered = np.flatnonzero(~np.isnan(inputs).any(axis=tuple(range(1, inputs.ndim))))
        for start in range(0, len(answered), self.batch):
            part = answered[start : start + self.batch]
            probs[part] = self.answer(inputs[part])
        return probs

    @abstractmethod
    def crops(self, image: NDArray[np.uint8], faces: Faces) -> Iterable[NDArray[np.uint8]]:
        """Return a picture for each face; all of them have pixels in the image."""

    @abstractmethod
    def encode(self, picture: NDArray[np.uint8]) -> NDArray[Any]:
        """Return the row of inputs for a picture of one face, gray or RGB."""

    @abstractmethod
    def answer(self, inputs: NDArray[Any]) -> NDArray[np.float64]:
        """Return probabilities for at most `batch` rows, none of them NaN."""


class Net(CropBackend):
    """A backend that is an ONNX file whose output is probabilities.

    Parameters
    ----------
    path : Path
        The ONNX file.
    models : Mapping
        Name of each model file -> its SHA-256.
    """

    def __init__(self, path: Path, models: Mapping[str, str]) -> None:
        self.models = dict(models)
        self._session = open_session(path)

    def answer(self, inputs: NDArray[Any]) -> NDArray[np.float64]:
        """Run the net; rows are divided by their sums, which float32 leaves at 1 - 1e-7 or so."""
        probs = run(self._session, inputs)[0].astype(np.float64)
        return np.asarray(probs / probs.sum(axis=1, keepdims=True))
