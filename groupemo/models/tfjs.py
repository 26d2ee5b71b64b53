"""Weights as TensorFlow.js stores them: a manifest in JSON, and bytes in its order.

Format: `WeightsManifestConfig` of TensorFlow.js 4.22, `tfjs-core/src/io/types.ts`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groupemo.errors import ModelError

__all__ = ["read_weights"]

DTYPES = {"float32": "<f4", "int32": "<i4", "bool": "|u1"}
PACKED = {"float16": "<f2", "uint8": "|u1", "uint16": "<u2"}
"""What weights may be quantized to."""


def read_weights(manifest: Path, binary: Path) -> dict[str, NDArray[np.float32]]:
    """Return the arrays of a net by name, in the manifest's order.

    Those quantized to whole numbers q are q * scale + min.

    Parameters
    ----------
    manifest : path
        `...weights_manifest.json`.
    binary : path
        Its bytes; where they stand in several files, those one after the other.

    Raises
    ------
    ModelError
        If the manifest is none, or the bytes are not as many as it says.
    """
    try:
        groups = json.loads(manifest.read_text(encoding="utf-8"))
        return dict(_arrays(groups, binary.read_bytes()))
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{manifest}: not the manifest of the weights in {binary.name}: {error}"
        ) from error


def _arrays(groups: Any, data: bytes) -> Iterator[tuple[str, NDArray[np.float32]]]:
    start = 0
    for weight in (weight for group in groups for weight in group["weights"]):
        packing = weight.get("quantization")
        dtype = PACKED[packing["dtype"]] if packing else DTYPES[weight["dtype"]]
        values = np.frombuffer(data, dtype, prod(weight["shape"]), start)
        start += values.nbytes
        if packing and "scale" in packing:
            values = values * packing["scale"] + packing["min"]
        yield weight["name"], values.reshape(weight["shape"]).astype(np.float32)
    if start != len(data):
        raise ValueError(f"it describes {start:,} bytes of {len(data):,}")
