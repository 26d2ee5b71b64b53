"""The arrays of a Keras net, from HDF5 of any of its makers.

What is taken from a file: hard links to arrays of numbers that stand in it. Links
to other files, and arrays stored outside, are refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

__all__ = ["LARGEST", "Arrays", "read_arrays"]

Array = NDArray[np.float32]

LARGEST = 2**31
"""Bytes: ONNX files cannot be larger, so nothing here needs to be."""


@dataclass(frozen=True)
class Arrays:
    """Arrays of each layer, by the layer's name, its path, or both.

    Parameters
    ----------
    by_name, by_path : Mapping
        -> the layer's arrays, in the order in which Keras makes them.
    """

    by_name: Mapping[str, Sequence[Array]]
    by_path: Mapping[str, Sequence[Array]]

    def of_all(self, layers: Mapping[str, str]) -> Mapping[str, Sequence[Array]]:
        """Return the arrays of layers, given as path -> name, by path.

        Other names than those in the file are no obstacle where as many layers have
        weights there: then they go by order, as in Keras's own `load_weights`.

        Raises
        ------
        ValueError
            If a layer has none.
        """
        names = set(layers.values())
        if names <= self.by_name.keys() and len(names) == len(layers):
            return {path: self.by_name[name] for path, name in layers.items()}
        if self.by_path:
            lacking = [name for path, name in layers.items() if path not in self.by_path]
            if not lacking:
                return {path: self.by_path[path] for path in layers}
        else:
            filled = [arrays for arrays in self.by_name.values() if arrays]
            if len(filled) == len(layers):
                return dict(zip(layers, filled, strict=True))
            lacking = [name for name in layers.values() if name not in self.by_name]
        raise ValueError(f"there are no weights of layer(s) {', '.join(lacking)}")


def read_arrays(file: h5py.File) -> Arrays:
    """Read the weights in an HDF5 file: a whole net's, or of weights alone.

    Raises
    ------
    ValueError, KeyError, OSError
        If there are none, or some stand outside the file.
    """
    root = _inside(file, "model_weights") if "model_weights" in file else file
    if _names(root, "layer_names"):
        return Arrays(_by_name(root), {})
    if "_layer_checkpoint_dependencies" in file:
        raise ValueError("Keras 2 wrote it as .keras, in an order of its own: save it as .h5 there")
    found = dict(_by_path(file))
    if not found:
        raise ValueError("it holds no weights of a Keras net")
    names = {path: name for path, (name, _) in found.items()}
    unique = [name for name, count in Counter(names.values()).items() if name and count == 1]
    by_name = {name: arrays for name, arrays in found.values() if name in unique}
    return Arrays(by_name, {path: arrays for path, (_, arrays) in found.items()})


def _by_name(root: h5py.Group) -> dict[str, list[Array]]:
    """Read the way of Keras 1 and 2, and of .h5 since: a group a layer, which names its arrays."""
    backend = _text(root.attrs.get("backend", root.file.attrs.get("backend", "")))
    if backend == "theano":
        raise ValueError("it was trained with Theano, whose kernels are turned: not supported")
    budget = _Budget()
    outer: dict[str, list[Array]] = {}
    inner: dict[str, list[Array]] = {}
    for name in _names(root, "layer_names"):
        outer[name] = []
        group = _inside(root, name)
        for weight in _names(group, "weight_names"):
            array = budget.read(group, weight)
            outer[name].append(array)
            if "/" in weight:  # of a layer of a net within the net
                inner.setdefault(weight.split("/")[-2], []).append(array)
    return {**outer, **{name: arrays for name, arrays in inner.items() if name not in outer}}


def _by_path(file: h5py.File) -> Iterator[tuple[str, tuple[str, list[Array]]]]:
    """Yield path, name and arrays of each layer, the way of `.weights.h5`: `PATH/vars/0`, `/1`."""
    budget = _Budget()
    groups: list[str] = []
    file.visit(lambda path: groups.append(path) if path.endswith("/vars") else None)
    for path in groups:
        group = file[path]
        if isinstance(group, h5py.Group):
            arrays = [budget.read(group, str(at)) for at in range(len(group))]
            yield path.removesuffix("/vars"), (_text(group.attrs.get("name", "")), arrays)


class _Budget:
    """Reads arrays until there is more of them than a net can have."""

    def __init__(self) -> None:
        self._left = LARGEST

    def read(self, group: h5py.Group, path: str) -> Array:
        found = _inside(group, path)
        if not isinstance(found, h5py.Dataset) or found.dtype.kind not in "fiu":
            raise ValueError(f"{group.name}/{path} is no array of numbers")
        if found.external or found.is_virtual:
            raise ValueError(f"{group.name}/{path} is stored in another file: refused")
        self._left -= found.size * max(found.dtype.itemsize, 4)
        if self._left < 0:
            raise ValueError(f"its weights are larger than {LARGEST / 2**30:g} GiB: refused")
        return np.asarray(found[()], np.float32)


def _inside(group: h5py.Group, path: str) -> Any:
    """Return what stands at a path, if every step of it stands in this file."""
    place = group
    for part in path.split("/"):
        link = place.get(part, getlink=True)
        if link is None:
            raise KeyError(f"{group.name}/{path}")
        if not isinstance(link, h5py.HardLink):
            raise ValueError(f"{group.name}/{path} is a link to another place: refused")
        place = place[part]
    return place


def _names(group: h5py.Group, key: str) -> list[str]:
    """Return a list of names; where it is long, Keras parts it into key0, key1 ..."""
    keys = [key] if key in group.attrs else []
    while keys[:1] != [key] and f"{key}{len(keys)}" in group.attrs:
        keys.append(f"{key}{len(keys)}")
    return [_text(name) for each in keys for name in group.attrs[each]]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
