"""A plain function of face pictures as a backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groupemo.backends._base import CropBackend
from groupemo.crops import Image, checked_margin, checked_size, crop
from groupemo.emotions import parse_emotion
from groupemo.errors import ContractError
from groupemo.faces import Faces

__all__ = ["from_function"]


def from_function(
    function: Callable[[NDArray[np.uint8]], ArrayLike],
    classes: Sequence[str],
    *,
    size: int | tuple[int, int] = 224,
    margin: float = 0.0,
    square: bool = False,
) -> CropBackend:
    """Turn a function of face pictures into a backend.

    Parameters
    ----------
    function : callable
        Takes pictures, RGB, uint8, shape (n, height, width, 3), and returns
        probabilities, shape (n, k), rows summing to 1; a NaN row where it
        abstains. It is never called without pictures, nor with more than 32.
    classes : sequence of str, length k
        The columns in order, in any words `groupemo.emotions` knows.
    size, margin, square
        How the pictures are cut; see `groupemo.crop`.

    Returns
    -------
    Backend
        It abstains from faces without a pixel in the image.

    Raises
    ------
    LabelError, OptionError
        If a class is unknown, the size or the margin means nothing.
    ContractError
        When it is run, if the function returns another shape.

    Examples
    --------
    >>> def bright_is_happy(pictures):
    ...     light = pictures.mean(axis=(1, 2, 3)) / 255
    ...     return np.stack([light, 1 - light], axis=1)
    >>> backend = from_function(bright_is_happy, ["happy", "sad"])
    >>> white = np.full((9, 9, 3), 255, np.uint8)
    >>> backend.predict(backend.prepare(white, Faces([[2, 2, 7, 7]])))
    array([[1., 0.]])
    """
    return _Function(function, classes, checked_size(size), checked_margin(margin), square)


class _Function(CropBackend):
    """Its inputs are the pictures, as numbers that hold every pixel value and NaN."""

    dtype = np.float16

    def __init__(
        self,
        function: Callable[[NDArray[np.uint8]], ArrayLike],
        classes: Sequence[str],
        size: tuple[int, int],
        margin: float,
        square: bool,
    ) -> None:
        self.label = getattr(function, "__name__", type(function).__name__)
        self.classes = tuple(parse_emotion(word) for word in classes)
        self.shape = (*size, 3)
        self._function, self._size, self._margin, self._square = function, size, margin, square

    def crops(self, image: Image, faces: Faces) -> list[Image]:
        return crop(image, faces, size=self._size, margin=self._margin, square=self._square)

    def encode(self, picture: Image) -> Image:
        return picture

    def answer(self, inputs: NDArray[Any]) -> NDArray[np.float64]:
        probs = np.asarray(self._function(inputs.astype(np.uint8)), np.float64)
        expected = (len(inputs), len(self.classes))
        if probs.shape != expected:
            raise ContractError(
                f"{self.label}() returned shape {probs.shape} for {len(inputs)} pictures and"
                f" {len(self.classes)} classes: expected {expected}"
            )
        return probs
