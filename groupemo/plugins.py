"""The two seams: what a detector and a backend are, and how a name becomes one."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from groupemo.errors import ContractError, GroupemoError, OptionError, UnknownPlugin
from groupemo.faces import Faces

__all__ = [
    "Backend",
    "Detector",
    "PluginInfo",
    "get_backend",
    "get_detector",
    "list_backends",
    "list_detectors",
    "register_backend",
    "register_detector",
]


@runtime_checkable
class Detector(Protocol):
    """Anything that finds faces: a callable from an image to `Faces`."""

    def __call__(self, image: NDArray[np.uint8], /) -> Faces:
        """Return the faces in `image`, shape (h, w, 3), RGB uint8; `Faces.empty()` for none."""
        ...


@runtime_checkable
class Backend(Protocol):
    """Anything that reads expressions: cutting and predicting apart, so that predicting batches."""

    classes: tuple[str, ...]
    """What the columns of `predict` mean, in words `groupemo.emotions` knows."""

    def prepare(self, image: NDArray[np.uint8], faces: Faces, /) -> NDArray[Any]:
        """Return the model's inputs, one row a face, shape (n, ...)."""
        ...

    def predict(self, inputs: NDArray[Any], /) -> NDArray[np.float64]:
        """Return probabilities, shape (n, k), rows summing to 1; a NaN row means abstained."""
        ...
