"""Keras nets stored as HDF5, rewritten as ONNX: no TensorFlow needed.

The architecture is read from the file's own `model_config`. The layers known
here are those of mini-XCEPTION; anything else is refused, not guessed at.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from groupemo.errors import ModelError

__all__ = ["CONVERSION", "convert"]

CONVERSION = 1
"""Goes up when `convert` writes something else, so that what is kept on disk is made again."""

OPSET, IR_VERSION = 13, 8
"""Old enough for every supported ONNX Runtime, new enough for all nodes used."""

PADDING = {"same": "SAME_UPPER", "valid": "VALID"}
ACTIVATIONS = {"relu": "Relu", "softmax": "Softmax"}
REQUIRED = {
    "data_format": "channels_last",
    "dilation_rate": [1, 1],
    "depth_multiplier": 1,
    "activation": "linear",  # other than in a layer of its own
}


def convert(source: Path, target: Path) -> None:
    """Write the Keras net in `source` (HDF5) to `target` (ONNX).

    The ONNX net takes what the Keras net takes, shape (n, h, w, c), and gives
    what it gives, shape (n, k), for any n.

    Raises
    ------
    ModelError
        If `source` is no Keras net made of known layers.
    """
    graph = _Graph()
    try:
        with h5py.File(source) as file:
            for layer in _read_layers(file):
                LAYERS[layer.kind](graph, layer)
    except (OSError, KeyError, ValueError) as error:
        raise ModelError(f"{source}: not a Keras net that can be converted: {error}") from error
    onnx.save(graph.model(), target)


@dataclass(frozen=True)
class _Layer:
    """A Keras layer: what it is called, what goes in, and what it learned."""

    name: str
    kind: str
    inputs: list[str]
    config: dict[str, Any]
    weights: dict[str, NDArray[np.float32]]

    @property
    def window(self) -> dict[str, Any]:
        """How a kernel moves, as attributes of an ONNX node."""
        return {"strides": self.config["strides"], "auto_pad": PADDING[self.config["padding"]]}


def _read_layers(file: Any) -> Iterator[_Layer]:
    for layer in json.loads(file.attrs["model_config"])["config"]["layers"]:
        name, kind, config = layer["name"], layer["class_name"], layer["config"]
        _check(name, kind, config)
        inputs = [each[0] for inbound in layer["inbound_nodes"] for each in inbound]
        yield _Layer(name, kind, inputs, config, _read_weights(file["model_weights"][name]))


def _check(name: str, kind: str, config: dict[str, Any]) -> None:
    if kind not in LAYERS:
        raise ValueError(f"layer {name!r} is a {kind}, known are {', '.join(LAYERS)}")
    for key, value in REQUIRED.items():
        if kind != "Activation" and config.get(key, value) != value:
            raise ValueError(f"layer {name!r} has {key} {config[key]!r}, known is {value!r}")


def _read_weights(group: Any) -> dict[str, NDArray[np.float32]]:
    """Return a layer's weights by their short names, such as "kernel"."""
    names = [name.decode() for name in group.attrs["weight_names"]]
    return {name.rpartition("/")[2].removesuffix(":0"): group[name][()] for name in names}


class _Graph:
    """An ONNX graph on its way; a layer's output has the layer's name, and channels first."""

    def __init__(self) -> None:
        self.inputs: list[Any] = []
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> None:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))

    def constant(self, name: str, values: NDArray[np.float32]) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def model(self) -> Any:
        [last] = self.nodes[-1].output
        output = helper.make_tensor_value_info(last, TensorProto.FLOAT, ["n", None])
        graph = helper.make_graph(self.nodes, "keras", self.inputs, [output], self.constants)
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
        onnx.checker.check_model(model, full_check=True)
        return model


def _input(graph: _Graph, layer: _Layer) -> None:
    shape = ["n", *layer.config["batch_input_shape"][1:]]
    graph.inputs.append(helper.make_tensor_value_info("input", TensorProto.FLOAT, shape))
    graph.add("Transpose", ["input"], layer.name, perm=[0, 3, 1, 2])


def _conv(graph: _Graph, layer: _Layer) -> None:
    kernel = graph.constant(f"{layer.name}/kernel", layer.weights["kernel"].transpose(3, 2, 0, 1))
    inputs = [*layer.inputs, kernel]
    if "bias" in layer.weights:
        inputs.append(graph.constant(f"{layer.name}/bias", layer.weights["bias"]))
    graph.add("Conv", inputs, layer.name, **layer.window)


def _separable_conv(graph: _Graph, layer: _Layer) -> None:
    """Each channel through a kernel of its own, then all through a 1 x 1 convolution."""
    each, mixed = f"{layer.name}/depthwise", f"{layer.name}/pointwise"
    depthwise = layer.weights["depthwise_kernel"].transpose(2, 3, 0, 1)
    pointwise = layer.weights["pointwise_kernel"].transpose(3, 2, 0, 1)
    kernel = graph.constant(f"{each}_kernel", depthwise)
    graph.add("Conv", [*layer.inputs, kernel], each, group=len(depthwise), **layer.window)
    graph.add("Conv", [each, graph.constant(f"{mixed}_kernel", pointwise)], layer.name)


def _batch_norm(graph: _Graph, layer: _Layer) -> None:
    order = ("gamma", "beta", "moving_mean", "moving_variance")
    constants = [graph.constant(f"{layer.name}/{key}", layer.weights[key]) for key in order]
    epsilon = layer.config["epsilon"]
    graph.add("BatchNormalization", [*layer.inputs, *constants], layer.name, epsilon=epsilon)


def _max_pool(graph: _Graph, layer: _Layer) -> None:
    size = layer.config["pool_size"]
    graph.add("MaxPool", layer.inputs, layer.name, kernel_shape=size, **layer.window)


def _mean_pool(graph: _Graph, layer: _Layer) -> None:
    graph.add("GlobalAveragePool", layer.inputs, f"{layer.name}/mean")
    graph.add("Flatten", [f"{layer.name}/mean"], layer.name)


def _sum(graph: _Graph, layer: _Layer) -> None:
    graph.add("Add", layer.inputs, layer.name)


def _activation(graph: _Graph, layer: _Layer) -> None:
    graph.add(ACTIVATIONS[layer.config["activation"]], layer.inputs, layer.name)


LAYERS: dict[str, Callable[[_Graph, _Layer], None]] = {
    "InputLayer": _input,
    "Conv2D": _conv,
    "SeparableConv2D": _separable_conv,
    "BatchNormalization": _batch_norm,
    "MaxPooling2D": _max_pool,
    "GlobalAveragePooling2D": _mean_pool,
    "Add": _sum,
    "Activation": _activation,
}
