"""Any emotion net in an ONNX file, given a small description of it.

The description is given as options, or stands beside `net.onnx` as `net.toml`
(or `net.json`)::

    classes = ["neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt"]
    color = "gray"
    range = [0, 255]
    output = "logits"
    margin = 0.1

or says, alone, where the net is and what proves it::

    source = "https://example.org/nets/net.onnx"
    sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    classes = ["happy", "sad"]
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groupemo.backends._base import CropBackend
from groupemo.backends._description import CHANNELS, LAYOUTS, describe, read_origin
from groupemo.crops import Image, checked_size, crop, gray, resize
from groupemo.errors import ModelError, OptionError
from groupemo.faces import Faces
from groupemo.models import store
from groupemo.models.resolver import sha256_of
from groupemo.models.session import open_session, run

__all__ = ["Onnx"]

TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
}


class Onnx(CropBackend):
    """An emotion net in an ONNX file.

    Parameters
    ----------
    model : path, optional
        The ONNX file: one input of four dimensions, a picture; the first
        output holds one number a class. By default the one that the description
        names by `source` and `sha256`, fetched as the store's models are.
    description : path, optional
        TOML or JSON with fields of `Description`; by default the file beside
        the model with the suffix .toml or .json, if there is one.
    **options
        Fields of `Description`; they win over those of the file.

    Raises
    ------
    OptionError
        If a field of the description is missing, unknown or means nothing.
    ModelError
        If the file is not there, cannot be run, or is not what is described.

    Notes
    -----
    Pictures are resized by averaging where they shrink, bilinearly where they
    grow; they are black beyond the image's edge.
    """

    def __init__(
        self,
        *,
        model: str | Path | None = None,
        description: str | Path | None = None,
        **options: Any,
    ) -> None:
        if model is None:
            if description is None:
                raise OptionError("model= is missing: the path of an ONNX file")
            model = store.fetch_from(*read_origin(description))
        self._path = Path(model)
        if not self._path.is_file():
            raise ModelError(f"{self._path}: no such file: model= is the path of an ONNX file")
        self._about = describe(self._path, description, options)
        self.classes = tuple(self._about.classes)
        self.models = {self._path.name: sha256_of(self._path)}
        self._session = open_session(self._path)
        self._read_graph()
        self.answer(np.zeros((1, *self.shape), np.float32))

    def crops(self, image: Image, faces: Faces) -> list[Image]:
        """Return RGB crops with the margin described."""
        return crop(image, faces, margin=self._about.margin, square=self._about.square)

    def encode(self, picture: Image) -> NDArray[np.float32]:
        """Return a crop in the size, colour, scale and layout described."""
        colored = _colored(resize(picture, self._size), self._about.color)
        values = self._about.scale(colored)
        return values.transpose(2, 0, 1) if self._layout == "nchw" else values

    def answer(self, inputs: NDArray[Any]) -> NDArray[np.float64]:
        """Run the net.

        Raises
        ------
        ModelError
            If it has not one output a class, or these are no probabilities
            where the description says so.
        """
        try:
            values = run(self._session, inputs.astype(self._type))[0].astype(np.float64)
        except Exception as error:  # ONNX Runtime's own classes have no common base
            raise self._error(
                f"it does not take inputs of shape {inputs.shape}: {error}"
            ) from error
        if values.size != len(inputs) * len(self.classes):
            raise self._error(
                f"its first output has shape {values.shape} for {len(inputs)} face(s), but classes"
                f" names {len(self.classes)}"
            )
        rows = values.reshape(len(inputs), -1)
        if self._about.output == "logits":
            rows = np.exp(rows - rows.max(axis=1, keepdims=True))
        elif (rows < 0).any() or not (np.abs(rows.sum(axis=1) - 1) <= 1e-2).all():
            raise self._error("its outputs do not sum to 1: say output='logits'")
        return np.asarray(rows / rows.sum(axis=1, keepdims=True))

    def _read_graph(self) -> None:
        """Learn type, batch, layout and size of the input; see that they fit the description."""
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in TYPES:
            told = ", ".join(f"{each.type} {each.shape}" for each in inputs)
            raise self._error(f"it takes {told}: expected one input of floats, of 4 dimensions")
        self._type = TYPES[inputs[0].type]
        dims = [dim if isinstance(dim, int) else None for dim in inputs[0].shape]
        if dims[0] not in (None, 1):
            raise self._error(f"it takes {dims[0]} faces at a time: export it for any number")
        self.batch = dims[0] or CropBackend.batch
        self._layout = self._choose_layout(dims)
        del dims[LAYOUTS[self._layout]]
        self._size = self._choose_size(dims[1:])
        channels = (CHANNELS[self._about.color],)
        first = self._layout == "nchw"
        self.shape = channels + self._size if first else self._size + channels

    def _choose_layout(self, dims: list[int | None]) -> str:
        channels, said = CHANNELS[self._about.color], self._about.layout
        fitting = [name for name, axis in LAYOUTS.items() if dims[axis] in (None, channels)]
        exact = [name for name in fitting if dims[LAYOUTS[name]] == channels]
        if said in fitting:
            return said
        if said or not fitting:
            raise self._error(
                f"its input is {dims}, but color={self._about.color!r} has {channels} channel(s)"
                f" and layout is {said!r}: correct color or layout"
            )
        if len(fitting) > 1 and len(exact) != 1:
            raise self._error(f"its input is {dims}: say layout='nchw' or 'nhwc'")
        return (exact or fitting)[0]

    def _choose_size(self, sides: list[int | None]) -> tuple[int, int]:
        said = self._about.size
        if said is None and None in sides:
            raise self._error("its input may have any size: say size=")
        size = checked_size(sides if said is None else said)
        if any(side not in (None, wanted) for side, wanted in zip(sides, size, strict=True)):
            raise self._error(f"its input is {sides[0]} x {sides[1]}, but size is {size}")
        return size

    def _error(self, problem: str) -> ModelError:
        return ModelError(f"{self._path}: {problem}")


def _colored(picture: Image, color: str) -> Image:
    """Return the channels a net wants, shape (h, w, c), of a gray or RGB picture."""
    if color == "gray":
        return gray(picture)[..., np.newaxis]
    rgb = picture if picture.ndim == 3 else np.stack([picture] * 3, axis=-1)
    return rgb[..., ::-1] if color == "bgr" else rgb
