"""The expression net of face-api, without JavaScript.

Source of every step and number: @vladmandic/face-api 1.7.15, `src/dom/extractFaceTensors.ts`,
`src/dom/NetInput.ts` and `src/ops/padToSquare.ts` for the pictures, `src/faceExpressionNet`,
`src/faceFeatureExtractor` and `src/faceProcessor` for the net: the path that
`detectAllFaces(tensor).withFaceExpressions()` takes once its detector has found boxes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray

from groupemo.backends._base import Net
from groupemo.boxes import clip, scale
from groupemo.crops import Image, checked_margin
from groupemo.errors import ModelError
from groupemo.faces import Faces
from groupemo.models import store
from groupemo.models.keras.layers import Graph, Tensor
from groupemo.models.tfjs import read_weights

__all__ = ["FaceApi"]

SIDE = 112
MEAN = (122.782, 117.001, 104.298)
"""Red, green and blue, taken off every pixel before it is divided by 255."""

BLOCKS = 4
CONVERSION = 1
"""Goes up when `_convert` writes something else, so that what is kept on disk is made again."""

Weights = Mapping[str, NDArray[np.float32]]


class FaceApi(Net):
    """face-api's expression net, with its own cropping.

    The box, cut off at the image's edge, is fitted into the middle of a black square,
    and the square resized to 112 x 112 bilinearly, without averaging where it shrinks,
    as TensorFlow.js resizes tensors. A browser's canvas, where the package is given
    one, may resize otherwise.

    The net has four densely connected blocks of separable convolutions, and 8-bit
    weights. It was trained on public data sets and photos from the web, says its
    documentation, and names none.

    Parameters
    ----------
    margin : float
        Added to the box on each side, as a fraction of its width and height; 0 is
        the package's way.

    Raises
    ------
    OptionError
        If the margin means nothing.
    ModelError
        If the weights cannot be had.
    """

    classes = ("neutral", "happy", "sad", "angry", "fear", "disgust", "surprise")
    shape = (SIDE, SIDE, 3)

    def __init__(self, *, margin: float = 0.0) -> None:
        self._margin = checked_margin(margin)
        manifest, weights = store.fetch("face-api-manifest"), store.fetch("face-api")
        net = store.derived(
            f"face-api-{CONVERSION}",
            weights,
            lambda source, target: _convert(manifest.path, source, target),
        )
        super().__init__(net, {file.path.name: file.sha256 for file in (manifest, weights)})

    def crops(self, image: Image, faces: Faces) -> Iterator[Image]:
        """Return RGB crops that end at the image's edge; sides are rounded down."""
        height, width = image.shape[:2]
        wanted = scale(faces.boxes, 1 + 2 * self._margin) if self._margin else faces.boxes
        for x1, y1, x2, y2 in clip(wanted, width, height):
            left, top = min(int(x1), width - 1), min(int(y1), height - 1)
            wide, high = max(int(x2 - x1), 1), max(int(y2 - y1), 1)
            yield image[top : top + high, left : left + wide]

    def encode(self, picture: Image) -> NDArray[np.float32]:
        """Return a crop as 112 x 112 x 3 values about -.5 to .5."""
        rgb = picture if picture.ndim == 3 else np.stack([picture] * 3, axis=-1)
        square = _stretched(_stretched(_padded(rgb), 0), 1)
        return np.asarray((square - np.array(MEAN, np.float32)) / 255, np.float32)


def _padded(rgb: Image) -> Image:
    """Make a picture square; the odd pixel is added to the right or the bottom."""
    height, width = rgb.shape[:2]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    edges = (top, side - height - top, left, side - width - left)
    return np.asarray(cv2.copyMakeBorder(rgb, *edges, cv2.BORDER_CONSTANT, value=0), np.uint8)


def _stretched(values: NDArray[np.generic], axis: int) -> NDArray[np.float32]:
    """Resize one axis to 112, between the two nearest pixels; pixel 0 stays where it is."""
    side = values.shape[axis]
    at = np.arange(SIDE, dtype=np.float32) * np.float32(side / SIDE)
    before = at.astype(int)
    after = np.minimum(before + 1, side - 1)
    share = (at - before).reshape(-1, *[1] * (2 - axis))
    first = values.take(before, axis).astype(np.float32)
    return np.asarray(first + (values.take(after, axis) - first) * share, np.float32)


def _convert(manifest: Path, source: Path, target: Path) -> None:
    """Write the net to `target` (ONNX), shapes (n, 112, 112, 3) and (n, 7)."""
    try:
        onnx.save(_build(read_weights(manifest, source)), target)
    except KeyError as error:
        raise ModelError(f"{manifest}: not the manifest of face-api's net: no {error}") from error


def _build(weights: Weights) -> onnx.ModelProto:
    graph = Graph()
    x = graph.channels_first(Tensor("input", picture=False))
    for number in range(BLOCKS):
        x = _dense_block(graph, x, weights, f"dense{number}")
    x = graph.put("AveragePool", x, kernel_shape=[7, 7], strides=[2, 2])
    x = graph.put("Flatten", x, picture=False)
    x = graph.put("Gemm", x, weights["fc/weights"], weights["fc/bias"])
    return graph.finish((SIDE, SIDE, 3), graph.put("Softmax", x, axis=1))


def _dense_block(graph: Graph, x: Tensor, weights: Weights, name: str) -> Tensor:
    """Halve the picture, then convolve three times the sum of all that came out before."""
    total = graph.put("Relu", _convolve(graph, x, weights, f"{name}/conv0", 2))
    x = total
    for number in range(1, 4):
        more = _convolve(graph, x, weights, f"{name}/conv{number}", 1)
        total = graph.put("Add", total, more)
        x = graph.put("Relu", total)
    return x


def _convolve(graph: Graph, x: Tensor, weights: Weights, name: str, stride: int) -> Tensor:
    """Convolve; where there is a depthwise filter, each channel first and then all of them."""
    window: dict[str, Any] = {"strides": [stride, stride], "auto_pad": "SAME_UPPER"}
    bias = weights[f"{name}/bias"]
    if f"{name}/filters" in weights:
        return graph.put("Conv", x, _kernel(weights[f"{name}/filters"]), bias, **window)
    each = weights[f"{name}/depthwise_filter"].transpose(2, 3, 0, 1)
    x = graph.put("Conv", x, each, group=len(each), **window)
    return graph.put("Conv", x, _kernel(weights[f"{name}/pointwise_filter"]), bias)


def _kernel(filters: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn (h, w, in, out) into ONNX's (out, in, h, w)."""
    return filters.transpose(3, 2, 0, 1)
