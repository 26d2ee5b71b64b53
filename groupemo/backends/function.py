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
    function: Callable[[list[Image]], ArrayLike],
    classes: Sequence[str],
    *,
    size: int | tuple[int, int] | None = None,
    margin: float = 0.0,
    square: bool = False,
) -> CropBackend:
    """Turn a function of face pictures into a backend.

    Parameters
    ----------
    function : callable
        Takes a list of n pictures, RGB, uint8, shape (height, width, 3), and
        returns probabilities, shape (n, k), rows summing to 1; a NaN row where
        it abstains. It is never called without pictures, nor with more than 64.
    classes : sequence of str, length k
        The columns in order, in any words `groupemo.emotions` knows.
    size, margin, square
        How the pictures are cut; see `groupemo.crop`.

    Returns
    -------
    Backend

    Raises
    ------
    LabelError, OptionError
        If a class is unknown, the size or the margin means nothing.
    ContractError
        When it is run, if the function returns another shape.

    Examples
    --------
    >>> def bright_is_happy(pictures):
    ...     light = np.array([picture.mean() / 255 for picture in pictures])
    ...     return np.stack([light, 1 - light], axis=1)
    >>> backend = from_function(bright_is_happy, ["happy", "sad"])
    >>> white = np.full((9, 9, 3), 255, np.uint8)
    >>> backend.predict(backend.prepare(white, Faces([[2, 2, 7, 7]])))
    array([[1., 0.]])
    """
    checked_margin(margin)
    cutting = {
        "size": None if size is None else checked_size(size),
        "margin": margin,
        "square": square,
    }
    return _Function(function, tuple(parse_emotion(word) for word in classes), cutting)


class _Function(CropBackend):
    """A row of inputs is one object, the picture itself: pictures differ in size."""

    shape = ()
    dtype = object

    def __init__(
        self,
        function: Callable[[list[Image]], ArrayLike],
        classes: tuple[str, ...],
        cutting: dict[str, Any],
    ) -> None:
        self.classes = classes
        self.label = getattr(function, "__name__", type(function).__name__)
        self._function = function
        self._cutting = cutting

    def crops(self, image: Image, faces: Faces) -> list[Image]:
        return crop(image, faces, **self._cutting)

    def encode(self, picture: Image) -> Image:
        return picture

    def answer(self, inputs: NDArray[Any]) -> NDArray[np.float64]:
        probs = np.asarray(self._function(list(inputs)), np.float64)
        expected = (len(inputs), len(self.classes))
        if probs.shape != expected:
            raise ContractError(
                f"{self.label}() returned shape {probs.shape} for {len(inputs)} pictures and"
                f" {len(self.classes)} classes: expected {expected}"
            )
        return probs
