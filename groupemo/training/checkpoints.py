"""Tensors in files: written whole or not at all, and read without running anything in them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from groupemo.errors import ModelError
from groupemo.files import write_atomically

__all__ = ["load", "save"]


def save(path: Path, values: Mapping[str, Any]) -> None:
    """Write tensors, numbers, texts, and lists and dicts of these.

    Raises
    ------
    OutputError
        If the file cannot be written; what stood there before still does.
    """
    buffer = io.BytesIO()
    torch.save(dict(values), buffer)
    write_atomically(path, buffer.getvalue())


def load(path: Path) -> dict[str, Any]:
    """Return what `save` wrote, its tensors in the processor's memory.

    Raises
    ------
    ModelError
        If there is no such file, or it is no checkpoint: no code in it is ever run.
    """
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file may fail in any way while it is read
        reason = str(error).split("\n")[0]
        raise ModelError(f"{path}: not a checkpoint of groupemo's: {reason}") from error
    if not isinstance(values, dict):
        raise ModelError(f"{path}: not a checkpoint of groupemo's: {type(values).__name__}")
    return values
