"""Keras nets, of Keras 1, 2 or 3, rewritten as ONNX: no TensorFlow, no Keras, no pickle.

The architecture is the file's own JSON, the weights are its HDF5. Layers that are
not known, and code (`Lambda`, classes of one's own), are refused by name.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from graphlib import TopologicalSorter
from pathlib import Path, PurePosixPath
from typing import Any

import h5py
import numpy as np
import onnx
from numpy.typing import NDArray

from groupemo.errors import ModelError
from groupemo.models.keras.architecture import Architecture, Layer, read_architecture
from groupemo.models.keras.layers import Graph, Tensor, apply_layer, count_arrays
from groupemo.models.keras.weights import LARGEST, Arrays, read_arrays

__all__ = ["CONVERSION", "convert"]

CONVERSION = 2
"""Goes up when `convert` writes something else, so that what is kept on disk is made again."""

HDF5 = b"\x89HDF\r\n\x1a\n"
"""How every HDF5 file begins."""

LARGEST_CONFIG = 2**26
"""Bytes of JSON; real ones have some hundred thousand."""


PROBLEMS = (
    OSError,
    KeyError,
    ValueError,
    TypeError,
    IndexError,
    AttributeError,
    RuntimeError,
    RecursionError,
    NotImplementedError,
    zipfile.BadZipFile,
    onnx.checker.ValidationError,
    onnx.shape_inference.InferenceError,
)
"""What reading JSON and HDF5 that is not what it seems may raise."""


def convert(source: Path, target: Path, *, weights: Path | None = None) -> None:
    """Write a Keras net to `target` (ONNX).

    The ONNX net takes what the Keras net takes, shape (n, h, w, c), and gives
    what it gives, shape (n, k), for any n.

    Parameters
    ----------
    source : path
        A whole net (`.h5`, `.hdf5`, `.keras`), or its architecture (`model.json`).
    target : path
    weights : path, optional
        HDF5 of weights (`.h5`, `.weights.h5`): needed for an architecture.

    Raises
    ------
    ModelError
        If `source` is no Keras net made of known layers, or the weights are not its.
    """
    try:
        with _open(source, weights) as (config, file):
            architecture = read_architecture(config)
            arrays = read_arrays(file)
            model = _build(architecture, arrays)
    except PROBLEMS as error:
        raise ModelError(
            f"{source}: not a Keras net that can be converted: {_told(error)}"
        ) from error
    onnx.save(model, target)


def _build(architecture: Architecture, arrays: Arrays) -> onnx.ModelProto:
    learned = {layer.path: layer.name for layer in architecture.layers if count_arrays(layer)}
    weights = arrays.of_all(learned)
    layers = {layer.output: layer for layer in architecture.layers}
    graph = Graph()
    tensors = {architecture.input: graph.channels_first(Tensor("input", picture=False))}
    sorter = TopologicalSorter({layer.output: layer.inputs for layer in architecture.layers})
    for layer in (layers[name] for name in sorter.static_order() if name != architecture.input):
        inputs = [tensors[name] for name in layer.inputs]
        try:
            own = _checked(layer, weights.get(layer.path, ()))
            tensors[layer.output] = apply_layer(graph, layer, inputs, own)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise ValueError(f"layer {layer.name!r}: {_told(error)}") from error
    output = graph.channels_last(tensors[architecture.output])
    return graph.finish(architecture.shape, output)


def _checked(layer: Layer, arrays: Sequence[NDArray[np.float32]]) -> Sequence[NDArray[np.float32]]:
    """Return a layer's arrays if they are as many, and as wide, as its fields say."""
    expected = count_arrays(layer)
    if len(arrays) != expected:
        raise ValueError(f"it has {len(arrays)} arrays of weights, expected {expected}")
    fields = ("filters", "nb_filter", "units", "output_dim")
    width = next((layer.config[field] for field in fields if field in layer.config), None)
    if expected and width is not None and width != arrays[-1].shape[-1]:
        raise ValueError(f"its weights are {arrays[-1].shape[-1]} wide, expected {width}")
    return arrays


@contextmanager
def _open(source: Path, weights: Path | None) -> Iterator[tuple[Any, h5py.File]]:
    """Open a net of any of the three kinds: its architecture, parsed, and its weights."""
    with open(source, "rb") as file:
        start = file.read(8)
    if start == HDF5:
        with h5py.File(source) as file:
            if "model_config" not in file.attrs:
                raise ValueError(
                    "it holds weights alone: import the net's model.json, with these as weights"
                )
            config = json.loads(file.attrs["model_config"])
        with _weights(weights or source) as arrays:
            yield config, arrays
    elif start.startswith(b"PK"):
        with zipfile.ZipFile(source) as archive:
            config = json.loads(_member(archive, "config.json", LARGEST_CONFIG))
            inner = weights or io.BytesIO(_member(archive, "model.weights.h5", LARGEST))
        with _weights(inner) as arrays:
            yield config, arrays
    else:
        if source.stat().st_size > LARGEST_CONFIG:
            raise ValueError("it is too large for the architecture of a net")
        config = json.loads(source.read_text(encoding="utf-8"))
        if weights is None:
            raise ValueError("it is an architecture alone: say where its weights (.h5) are")
        with _weights(weights) as arrays:
            yield config, arrays


@contextmanager
def _weights(place: Path | io.BytesIO) -> Iterator[h5py.File]:
    try:
        file = h5py.File(place)
    except OSError as error:
        name = f" {place}" if isinstance(place, Path) else ""
        raise ValueError(f"its weights{name} are no HDF5 that can be read: {error}") from error
    with file:
        yield file


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """Read a file of an archive; nothing is ever unpacked to disk."""
    for one in archive.namelist():
        path = PurePosixPath(one.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"its member {one!r} leads out of the archive: refused")
    if archive.getinfo(name).file_size > limit:
        raise ValueError(f"its member {name!r} is larger than {limit / 2**20:g} MiB: refused")
    return archive.read(name)


def _told(error: Exception) -> str:
    return f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
