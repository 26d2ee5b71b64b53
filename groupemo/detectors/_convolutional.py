"""What detectors share whose file is fixed at one input size, though the net in it is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from groupemo.detectors._base import Image, View, Whole, shrunk
from groupemo.errors import ModelError
from groupemo.models import store
from groupemo.models.session import open_session

__all__ = ["STRIDE", "Convolutional"]

STRIDE = 32
"""The sides of a picture must be multiples of it: the coarsest step of these nets."""

_LARGE, _OVERVIEW = 1280, 640
"""These nets miss faces higher than some 400 pixels: a photo longer than the first is searched
at the second length too."""


class Convolutional(Whole):
    """A detector by a fully convolutional net: opens its file for pictures of any size.

    Parameters
    ----------
    model : str
        The file's name in the model store.
    min_score, min_size, overlap, max_side
        As those of `Whole`.

    Raises
    ------
    ModelError
        If the file cannot be had or read, or the cache cannot be written.
    """

    def __init__(
        self, model: str, min_score: float, min_size: float, overlap: float, max_side: int | None
    ) -> None:
        super().__init__(min_score, min_size, overlap, max_side)
        file = store.fetch(model)
        self.models = {file.path.name: file.sha256}
        self._session = open_session(store.derived("any-size-1", file, _open_sizes))

    def _views(self, image: Image) -> list[View]:
        views = super()._views(image)
        large = max(views[0].pixels.shape) > _LARGE
        return [*views, shrunk(image, _OVERVIEW)] if large else views


def _open_sizes(source: Path, target: Path) -> None:
    """Rewrite the sizes a file declares, and what it enlarges to them: a pyramid's steps, twice.

    Weights that the file lists among its inputs become constants.
    """
    import onnx  # once for each file, not in every process that finds faces

    try:
        model = onnx.load(str(source))
    except Exception as error:  # protobuf's errors have no common base
        raise ModelError(f"{source}: not an ONNX model: {error}") from error
    graph = model.graph
    weights = {weight.name for weight in graph.initializer}
    pictures = [put for put in graph.input if put.name not in weights]
    del graph.input[:]
    graph.input.extend(pictures)
    for number, axis in ((0, "n"), (2, "height"), (3, "width")):
        graph.input[0].type.tensor_type.shape.dim[number].dim_param = axis
    for output in graph.output:
        output.type.tensor_type.ClearField("shape")
    del graph.value_info[:]
    graph.initializer.append(
        onnx.numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "twice")
    )
    for node in graph.node:
        if node.op_type == "Resize" and len(node.input) == 4:
            node.input[2:] = ["twice"]
    onnx.save(model, str(target))
