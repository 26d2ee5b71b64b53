"""Layers of Keras as nodes of ONNX.

Inside, pictures are (n, c, h, w), as ONNX has them; Keras has (n, h, w, c). Where the
difference would show (`Flatten`, `Reshape`, `Permute`) they are turned back first.
What layers compute is written in Keras's own documentation, https://keras.io/api/layers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper

from groupemo.models.keras.architecture import Config, Layer

__all__ = ["Graph", "Tensor", "apply_layer", "count_arrays"]

Arrays = Sequence[NDArray[np.float32]]

OPSET, IR_VERSION = 13, 8
"""Old enough for every supported ONNX Runtime, new enough for all nodes used."""

TO_FIRST, TO_LAST = [0, 3, 1, 2], [0, 2, 3, 1]
"""Channels: from last to first, and back."""


@dataclass(frozen=True)
class Tensor:
    """A value inside the net: a picture, (n, c, h, w), or a row, (n, k)."""

    name: str
    picture: bool


class Graph:
    """An ONNX graph on its way."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def put(
        self, kind: str, *inputs: Tensor | NDArray[Any], picture: bool | None = None, **fields: Any
    ) -> Tensor:
        """Add a node; what comes out is of the sort that came in, unless `picture` says."""
        first = inputs[0]
        assert isinstance(first, Tensor)
        names = [one.name if isinstance(one, Tensor) else self._constant(one) for one in inputs]
        output = f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, names, [output], name=output, **fields))
        return Tensor(output, first.picture if picture is None else picture)

    def channels_last(self, x: Tensor) -> Tensor:
        """Return a tensor as Keras has it."""
        return self.put("Transpose", x, perm=TO_LAST) if x.picture else x

    def channels_first(self, x: Tensor) -> Tensor:
        """Return pictures of Keras as they are inside."""
        return self.put("Transpose", x, perm=TO_FIRST, picture=True)

    def finish(self, shape: Sequence[int | None], output: Tensor) -> onnx.ModelProto:
        """Return the checked model; its input is called "input" and has shape (n, *shape)."""
        sides = [side or letter for side, letter in zip(shape, "hwc", strict=True)]
        taken = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", *sides])
        given = helper.make_tensor_value_info(output.name, TensorProto.FLOAT, None)
        graph = helper.make_graph(self._nodes, "keras", [taken], [given], self._constants)
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        del model.graph.value_info[:]
        onnx.checker.check_model(model)
        return model

    def _constant(self, values: NDArray[Any]) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name


@dataclass(frozen=True)
class Call:
    """What a layer is made of: the graph it goes into, its fields, inputs and arrays."""

    graph: Graph
    config: Config
    inputs: Sequence[Tensor]
    arrays: Arrays

    @property
    def x(self) -> Tensor:
        """The first input, in most layers the only one."""
        return self.inputs[0]

    def put(self, kind: str, *more: NDArray[Any], **fields: Any) -> Tensor:
        """Add a node that takes the first input."""
        return self.graph.put(kind, self.x, *more, **fields)


def apply_layer(graph: Graph, layer: Layer, inputs: Sequence[Tensor], arrays: Arrays) -> Tensor:
    """Add a layer to the graph; return what comes out.

    Raises
    ------
    ValueError
        If it is not known, or does something that is not.
    """
    if layer.kind not in LAYERS:
        raise ValueError(f"it is a {layer.kind}; known are {', '.join(LAYERS)}")
    _only(layer.config, "data_format", None, "channels_last", "default")
    if len({one.picture for one in inputs}) > 1:
        raise ValueError("it takes a picture and a row: not supported")
    return LAYERS[layer.kind](Call(graph, layer.config, inputs, arrays))


def count_arrays(layer: Layer) -> int:
    """Return how many arrays a layer has learned."""
    config = layer.config
    bias = int(config.get("use_bias", True))
    counts: dict[str, int] = {
        "Conv2D": 1 + bias,
        "DepthwiseConv2D": 1 + bias,
        "SeparableConv2D": 2 + bias,
        "Dense": 1 + bias,
        "BatchNormalization": 2 + config.get("scale", True) + config.get("center", True),
        "PReLU": 1,
        "Normalization": 3 if config.get("mean") is None else 0,
    }
    return counts.get(layer.kind, 0)


def _only(config: Config, field: str, *allowed: object) -> None:
    if config.get(field) not in allowed:
        raise ValueError(f"its {field} is {config[field]!r}: not supported")


def _only_channels(call: Call) -> None:
    """Refuse a layer that looks along another axis than the channels."""
    axis = call.config.get("axis", -1)
    [axis] = axis if isinstance(axis, list) and len(axis) == 1 else [axis]
    if axis not in (-1, 3 if call.x.picture else 1):
        raise ValueError(f"its axis is {axis!r}: expected the channels, the last one")


def _for_channels(x: Tensor, values: ArrayLike) -> NDArray[np.float32]:
    """Return one number, or one a channel, so that it fits beside `x`."""
    array = np.asarray(values, np.float32)
    return array.reshape(-1, 1, 1) if x.picture and array.size > 1 else array.reshape(-1)


# What a name of an activation stands for; "linear" for nothing.

ACTIVATIONS: dict[str, Callable[[Graph, Tensor], Tensor]] = {
    "linear": lambda graph, x: x,
    "relu": lambda graph, x: graph.put("Relu", x),
    "relu6": lambda graph, x: _at_most(graph, graph.put("Relu", x), 6),
    "leaky_relu": lambda graph, x: graph.put("LeakyRelu", x, alpha=0.2),
    "hard_silu": lambda graph, x: graph.put("Mul", x, _hard_sigmoid(graph, x)),
    "hard_swish": lambda graph, x: graph.put("Mul", x, _hard_sigmoid(graph, x)),
    "elu": lambda graph, x: graph.put("Elu", x, alpha=1.0),
    "selu": lambda graph, x: graph.put("Selu", x),
    "sigmoid": lambda graph, x: graph.put("Sigmoid", x),
    "silu": lambda graph, x: graph.put("Mul", x, graph.put("Sigmoid", x)),
    "swish": lambda graph, x: graph.put("Mul", x, graph.put("Sigmoid", x)),
    "softmax": lambda graph, x: graph.put("Softmax", x, axis=1),
    "softplus": lambda graph, x: graph.put("Softplus", x),
    "softsign": lambda graph, x: graph.put("Softsign", x),
    "tanh": lambda graph, x: graph.put("Tanh", x),
}


def _activated(call: Call, x: Tensor) -> Tensor:
    """Return `x` after the activation that the layer names."""
    name = call.config.get("activation") or "linear"
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise ValueError(f"its activation is {name!r}; known are {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name](call.graph, x)


def _hard_sigmoid(graph: Graph, x: Tensor) -> Tensor:
    """Return relu6(x + 3) / 6, Keras 3's; by itself it is not known, for Keras 2 had another."""
    return graph.put("HardSigmoid", x, alpha=1 / 6, beta=0.5)


def _at_most(graph: Graph, x: Tensor, limit: float) -> Tensor:
    return graph.put("Min", x, np.array(limit, np.float32))


def _pair(value: Any) -> list[int]:
    return [int(value)] * 2 if isinstance(value, int) else [int(each) for each in value]


def _window(config: Config, size: Sequence[int]) -> dict[str, Any]:
    """How a window of this size moves, as attributes of an ONNX node."""
    _only(config, "padding", "same", "valid")
    strides = _pair(config.get("strides") or size)
    dilations = _pair(config.get("dilation_rate", 1))
    window: dict[str, Any] = {"kernel_shape": list(size), "strides": strides}
    if dilations == [1, 1]:
        same = config["padding"] == "same"
        return {**window, "auto_pad": "SAME_UPPER" if same else "VALID"}
    window["dilations"] = dilations
    if config["padding"] == "same":
        if strides != [1, 1]:
            raise ValueError("it has strides and dilation: not supported")
        added = [rate * (side - 1) for rate, side in zip(dilations, size, strict=True)]
        before = [each // 2 for each in added]
        window["pads"] = [*before, *(each - half for each, half in zip(added, before, strict=True))]
    return window


def _conv(call: Call) -> Tensor:
    kernel, *bias = call.arrays
    window = _window({"strides": 1, **call.config}, kernel.shape[:2])
    groups = call.config.get("groups", 1)
    x = call.put("Conv", kernel.transpose(3, 2, 0, 1), *bias, group=groups, **window)
    return _activated(call, x)


def _each_channel(call: Call, kernel: NDArray[np.float32], *bias: NDArray[np.float32]) -> Tensor:
    """Convolve each channel with kernels of its own, shape (h, w, channels, multiplier)."""
    height, width, channels, multiplier = kernel.shape
    each = kernel.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width)
    window = _window({"strides": 1, **call.config}, (height, width))
    return call.put("Conv", each, *bias, group=channels, **window)


def _depthwise(call: Call) -> Tensor:
    return _activated(call, _each_channel(call, *call.arrays))


def _separable(call: Call) -> Tensor:
    """Each channel through a kernel of its own, then all through a 1 x 1 convolution."""
    depthwise, pointwise, *bias = call.arrays
    x = _each_channel(call, depthwise)
    return _activated(call, call.graph.put("Conv", x, pointwise.transpose(3, 2, 0, 1), *bias))


def _dense(call: Call) -> Tensor:
    """Of a picture, every pixel alike: a 1 x 1 convolution."""
    kernel, *bias = call.arrays
    if call.x.picture:
        return _activated(call, call.put("Conv", kernel.T[..., None, None], *bias))
    return _activated(call, call.put("Gemm", kernel, *bias))


def _batch_norm(call: Call) -> Tensor:
    _only_channels(call)
    _only(call.config, "mode", None, 0)  # Keras 1 had others
    learned, neutral = iter(call.arrays), np.ones_like(call.arrays[-1])
    gamma = next(learned) if call.config.get("scale", True) else neutral
    beta = next(learned) if call.config.get("center", True) else 0 * neutral
    epsilon = call.config["epsilon"]
    return call.put("BatchNormalization", gamma, beta, *learned, epsilon=epsilon)


def _pool(kind: str) -> Callable[[Call], Tensor]:
    def pool(call: Call) -> Tensor:
        return call.put(kind, **_window(call.config, _pair(call.config["pool_size"])))

    return pool


def _global_pool(kind: str) -> Callable[[Call], Tensor]:
    def pool(call: Call) -> Tensor:
        x = call.put(kind)
        return x if call.config.get("keepdims") else call.graph.put("Flatten", x, picture=False)

    return pool


def _merge(kind: str) -> Callable[[Call], Tensor]:
    def merge(call: Call) -> Tensor:
        if len(call.inputs) < 2:
            raise ValueError("it has one input: expected two or more")
        return reduce(lambda one, other: call.graph.put(kind, one, other), call.inputs)

    return merge


def _average(call: Call) -> Tensor:
    return call.graph.put("Mean", *call.inputs)


def _concatenate(call: Call) -> Tensor:
    picture = call.x.picture
    axis = range(4 if picture else 2)[call.config.get("axis", -1)]
    return call.graph.put("Concat", *call.inputs, axis=TO_FIRST.index(axis) if picture else axis)


def _activation(call: Call) -> Tensor:
    return _activated(call, call.x)


def _relu(call: Call) -> Tensor:
    _only(call.config, "threshold", None, 0)
    slope, limit = call.config.get("negative_slope") or 0.0, call.config.get("max_value")
    x = call.put("LeakyRelu", alpha=float(slope))
    return x if limit is None else _at_most(call.graph, x, limit)


def _leaky_relu(call: Call) -> Tensor:
    field = "negative_slope" if "negative_slope" in call.config else "alpha"
    return call.put("LeakyRelu", alpha=float(call.config[field]))


def _prelu(call: Call) -> Tensor:
    [slopes] = call.arrays
    fitting = slopes.transpose(2, 0, 1) if call.x.picture else slopes
    return call.put("PRelu", fitting)


def _elu(call: Call) -> Tensor:
    return call.put("Elu", alpha=float(call.config.get("alpha", 1)))


def _softmax(call: Call) -> Tensor:
    _only_channels(call)
    return ACTIVATIONS["softmax"](call.graph, call.x)


def _same(call: Call) -> Tensor:
    return call.x


def _flatten(call: Call) -> Tensor:
    return call.graph.put("Flatten", call.graph.channels_last(call.x), picture=False)


def _reshape(call: Call) -> Tensor:
    shape = call.config["target_shape"]
    if len(shape) not in (1, 3):
        raise ValueError(f"its target_shape is {shape}: expected one or three dimensions")
    wanted = np.array([0, *shape], np.int64)
    x = call.graph.put("Reshape", call.graph.channels_last(call.x), wanted, picture=False)
    return call.graph.channels_first(x) if len(shape) == 3 else x


def _permute(call: Call) -> Tensor:
    x = call.graph.put(
        "Transpose", call.graph.channels_last(call.x), perm=[0, *call.config["dims"]]
    )
    return call.graph.channels_first(x) if x.picture else x


def _edges(value: Any) -> tuple[list[int], list[int]]:
    """Return what is added or cut: at the top and the left, at the bottom and the right."""
    (top, bottom), (left, right) = map(_pair, value if isinstance(value, list) else [value] * 2)
    return [top, left], [bottom, right]


def _pad(call: Call) -> Tensor:
    before, after = _edges(call.config["padding"])
    return call.put("Pad", np.array([0, 0, *before, 0, 0, *after], np.int64))


def _crop(call: Call) -> Tensor:
    before, after = _edges(call.config["cropping"])
    ends = [-each if each else np.iinfo(np.int64).max for each in after]
    return call.graph.put(
        "Slice", call.x, *(np.array(each, np.int64) for each in (before, ends, [2, 3]))
    )


def _rescale(call: Call) -> Tensor:
    x = call.x
    scaled = call.graph.put("Mul", x, _for_channels(x, call.config["scale"]))
    return call.graph.put("Add", scaled, _for_channels(x, call.config.get("offset", 0)))


def _normalize(call: Call) -> Tensor:
    x = call.x
    _only(call.config, "invert", None, False)
    if call.config.get("axis") not in (None, []):
        _only_channels(call)
    mean, variance = (
        call.arrays[:2] if call.arrays else (call.config["mean"], call.config["variance"])
    )
    deviation = np.maximum(np.sqrt(np.asarray(variance, np.float32)), 1e-7)
    centred = call.graph.put("Sub", x, _for_channels(x, mean))
    return call.graph.put("Div", centred, _for_channels(x, deviation))


LAYERS: dict[str, Callable[[Call], Tensor]] = {
    "Conv2D": _conv,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
    "Dense": _dense,
    "BatchNormalization": _batch_norm,
    "MaxPooling2D": _pool("MaxPool"),
    "AveragePooling2D": _pool("AveragePool"),
    "GlobalAveragePooling2D": _global_pool("GlobalAveragePool"),
    "GlobalMaxPooling2D": _global_pool("GlobalMaxPool"),
    "Add": _merge("Add"),
    "Subtract": _merge("Sub"),
    "Multiply": _merge("Mul"),
    "Maximum": _merge("Max"),
    "Average": _average,
    "Concatenate": _concatenate,
    "Activation": _activation,
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "PReLU": _prelu,
    "ELU": _elu,
    "Softmax": _softmax,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Permute": _permute,
    "ZeroPadding2D": _pad,
    "Cropping2D": _crop,
    "Rescaling": _rescale,
    "Normalization": _normalize,
    # These do something in training only.
    "Identity": _same,
    "Dropout": _same,
    "SpatialDropout2D": _same,
    "AlphaDropout": _same,
    "GaussianDropout": _same,
    "GaussianNoise": _same,
    "ActivityRegularization": _same,
    "RandomFlip": _same,
    "RandomRotation": _same,
    "RandomTranslation": _same,
    "RandomZoom": _same,
    "RandomContrast": _same,
    "RandomBrightness": _same,
}
