"""ONNX files as callables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from groupemo.errors import ModelError

__all__ = ["open_session", "run"]


def open_session(path: Path, model: bytes | None = None) -> ort.InferenceSession:
    """Open an ONNX file for one thread: groupemo is parallel over photos, not inside a net.

    Parameters
    ----------
    path : Path
        The file; messages name it.
    model : bytes, optional
        What is opened in its place.

    Raises
    ------
    ModelError
        If ONNX Runtime cannot read the file.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(model or str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises classes of its own without a common base
        raise ModelError(f"{path}: not an ONNX model that can be run here: {error}") from error


def run(session: ort.InferenceSession, inputs: NDArray[Any]) -> list[NDArray[np.float32]]:
    """Run a one-input session; return its outputs in the file's order."""
    name = session.get_inputs()[0].name
    return [np.asarray(output) for output in session.run(None, {name: inputs})]
