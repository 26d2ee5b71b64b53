"""What a Keras net is made of, read from the JSON of Keras 1, 2 or 3.

Nets within nets are unfolded, layers that are called twice stand there twice, and
old spellings (`Convolution2D`, `border_mode`, `dim_ordering`) become today's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Architecture", "Layer", "read_architecture"]

Config = Mapping[str, Any]

INPUT = "<input>"
"""The tensor that goes in; no layer has this name."""

NETS = ("Sequential", "Functional", "Model")
"""Classes that are nets; Functional was called Model before Keras 2.4."""

KINDS = {
    "Convolution2D": "Conv2D",
    "AtrousConvolution2D": "Conv2D",
    "SeparableConvolution2D": "SeparableConv2D",
}
FIELDS = {
    "border_mode": "padding",
    "subsample": "strides",
    "atrous_rate": "dilation_rate",
    "dim_ordering": "data_format",
    "bias": "use_bias",
    "concat_axis": "axis",
}
VALUES = {"tf": "channels_last", "th": "channels_first"}
MERGES = {"sum": "Add", "mul": "Multiply", "ave": "Average", "max": "Maximum"}
"""What a `Merge` of Keras 1 is called today, by its mode."""


@dataclass(frozen=True)
class Layer:
    """One call of a Keras layer.

    Parameters
    ----------
    name : str
        The layer's own name.
    kind : str
        Its class, as Keras 3 spells it; "Identity" where a net begins or ends.
    config : Mapping
    inputs : tuple of str
        Tensors that go in.
    output : str
        The tensor that comes out.
    path : str
        Where Keras 3 keeps its weights: numbered by class, as `layers/conv2d_1`.
    """

    name: str
    kind: str
    config: Config
    inputs: tuple[str, ...]
    output: str
    path: str


@dataclass(frozen=True)
class Architecture:
    """A net: `layers` in Keras's order, which need not be that of computing.

    Parameters
    ----------
    shape : tuple of int or None, length 3
        Of a picture: height, width, channels; None where it is open.
    layers : tuple of Layer
    input, output : str
        Tensors.
    """

    shape: tuple[int | None, ...]
    layers: tuple[Layer, ...]
    input: str
    output: str


def read_architecture(model: Any) -> Architecture:
    """Read what `Model.to_json` wrote, parsed.

    Raises
    ------
    ValueError, KeyError, TypeError, IndexError
        If it is something else, or no net of one picture and one output.
    """
    if not isinstance(model, dict) or model.get("class_name") not in NETS:
        raise ValueError("it describes no Sequential or Functional net")
    shape = tuple(_input_shape(model)[1:])
    if len(shape) != 3 or shape[-1] is None:
        raise ValueError(f"its input is {shape}: expected a picture, (height, width, channels)")
    layers, output = _unfold(model["config"], (INPUT,), "", "")
    return Architecture(shape, tuple(layers), INPUT, output)


def _unfold(config: Any, feed: tuple[str, ...], scope: str, path: str) -> tuple[list[Layer], str]:
    """Return the layers of a net of one input, and its output.

    `scope` and `path` say in which net it stands: they go before names and paths.
    """
    entries = _entries(config)
    graph = "input_layers" in config
    calls = {_name(entry): _calls(entry) if graph else [None] for entry in entries}
    if len(calls) < len(entries):
        raise ValueError("two of its layers have the same name")

    def tensor(name: str, number: int) -> str:
        return f"{scope}{name}" + (f":{number}" if number and len(calls[name]) > 1 else "")

    layers: list[Layer] = []
    last = feed[0]
    for entry, numbered in zip(entries, _numbered(entries), strict=True):
        name, where = _name(entry), f"{path}layers/{numbered}"
        for number, before in enumerate(calls[name]):
            inputs = (last,) if before is None else tuple(tensor(*each) for each in before)
            if entry["class_name"] == "InputLayer":
                inputs = feed
            last = tensor(name, number)
            layers += _called(entry, inputs, last, where)
    if not graph:
        return layers, last
    outputs = _references(config["output_layers"])
    if len(outputs) != 1:
        raise ValueError(f"it has {len(outputs)} outputs: expected one")
    return layers, tensor(*outputs[0])


def _called(entry: Config, inputs: tuple[str, ...], output: str, path: str) -> Iterator[Layer]:
    """Yield what one call of a layer comes to."""
    name, kind, config = _name(entry), entry["class_name"], entry["config"]
    if ">" in (entry.get("registered_name") or ""):
        raise ValueError(f"layer {name!r} is a {entry['registered_name']}: somebody's own class")
    if kind in NETS:
        inner, last = _unfold(config, inputs, f"{output}/", f"{path}/")
        yield from inner
        inputs = (last,)
    if kind in (*NETS, "InputLayer"):
        kind, config = "Identity", {}
    yield Layer(name, *_modern(kind, config), inputs, output, path)


def _entries(config: Any) -> list[Config]:
    return list(config if isinstance(config, list) else config["layers"])


def _name(entry: Config) -> str:
    """Return a layer's name; Keras 1 gives that of a nested net nowhere but outside."""
    config = entry["config"]
    own = config.get("name") if isinstance(config, dict) else None
    return str(entry.get("name") or own or entry["class_name"].lower())


def _numbered(entries: Sequence[Config]) -> Iterator[str]:
    """Yield how Keras 3 numbers layers in a file of weights: conv2d, conv2d_1, dense ..."""
    seen: Counter[str] = Counter()
    for entry in entries:
        snake = _snake(entry["class_name"])
        yield f"{snake}_{seen[snake]}" if seen[snake] else snake
        seen[snake] += 1


def _snake(name: str) -> str:
    """Return a class's name in lower case, as Keras does it.

    Examples
    --------
    >>> [_snake(name) for name in ("Conv2D", "PReLU", "ZeroPadding2D")]
    ['conv2d', 'p_re_lu', 'zero_padding2d']
    """
    parted = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", parted).lower()


def _calls(entry: Config) -> list[list[tuple[str, int]]]:
    """Return, for each time a layer is called, the calls its inputs come from."""
    return [_references(node) for node in entry["inbound_nodes"]] or [[]]


def _references(node: Any) -> list[tuple[str, int]]:
    """Return the (layer, call) pairs in any of the ways Keras has written them."""
    if isinstance(node, dict):
        if node.get("class_name") == "__keras_tensor__":
            node = node["config"]["keras_history"]
        elif node.get("kwargs", {}).get("training"):
            raise ValueError("a layer is called with training=True")
        else:
            node = node.get("args", [])
    if not isinstance(node, list):
        return []
    if len(node) in (3, 4) and isinstance(node[0], str):
        if len(node) == 4 and node[3].get("training"):
            raise ValueError(f"a layer is called on {node[0]!r} with training=True")
        return [(node[0], int(node[1]))]
    return [pair for each in node for pair in _references(each)]


def _input_shape(net: Config) -> Sequence[Any]:
    """Return the shape of a net's input, (n, ...), wherever it is written."""
    config = net["config"]
    if isinstance(config, dict):
        for key in ("batch_shape", "batch_input_shape", "build_input_shape"):
            if config.get(key):
                return list(config[key])
    if net["class_name"] not in NETS:
        raise ValueError("it does not say the shape of its input: save the net after it is built")
    entries = _entries(config)
    if "input_layers" not in config:
        return _input_shape(entries[0])
    names = [name for name, _ in _references(config["input_layers"])]
    if len(names) != 1:
        raise ValueError(f"it has {len(names)} inputs: expected one picture")
    return _input_shape(next(entry for entry in entries if _name(entry) == names[0]))


def _modern(kind: str, config: Config) -> tuple[str, Config]:
    """Return a layer's class and fields as Keras 3 spells them."""
    kind = KINDS.get(kind, kind)
    if kind == "Merge":
        kind = "Concatenate" if config["mode"] == "concat" else MERGES.get(config["mode"], kind)
    fields = {FIELDS.get(key, key): value for key, value in config.items()}
    if fields.get("data_format") in VALUES:
        fields["data_format"] = VALUES[fields["data_format"]]
    return kind, fields
