"""What detectors share whose file is fixed at one input size, though the net in it is not."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper

from groupemo.detectors._base import Image
from groupemo.errors import ModelError
from groupemo.models import store
from groupemo.models.session import open_session

__all__ = ["STRIDE", "open_any_size", "padded_to_stride"]

STRIDE = 32
"""The sides of a picture must be multiples of it: the coarsest step of these nets."""


def open_any_size(file: store.ModelFile) -> ort.InferenceSession:
    """Open a fully convolutional net, its input's batch, height and width left open.

    Raises
    ------
    ModelError
        If the file cannot be read, or the cache cannot be written.
    """
    return open_session(store.derived("any-size-1", file, _open_sizes))


def padded_to_stride(image: Image) -> Image:
    """Return `image` with black at the right and the bottom up to multiples of `STRIDE`."""
    bottom, right = (-side % STRIDE for side in image.shape[:2])
    if not bottom and not right:
        return image
    return np.asarray(cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_CONSTANT), np.uint8)


def _open_sizes(source: Path, target: Path) -> None:
    """Rewrite the sizes a file declares, and what it enlarges to them: a pyramid's steps, twice.

    Weights that the file lists among its inputs become constants.
    """
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
    graph.initializer.append(numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "twice"))
    for node in graph.node:
        if node.op_type == "Resize" and len(node.input) == 4:
            node.input[2:] = ["twice"]
    onnx.save(model, str(target))
