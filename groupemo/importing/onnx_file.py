"""ONNX files of others: checked, and copied."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx

from groupemo.errors import ModelError

__all__ = ["copy_onnx"]


def copy_onnx(source: Path, target: Path) -> None:
    """Copy the net in `source` to `target` once it has passed ONNX's own check.

    Raises
    ------
    ModelError
        If it is no valid ONNX net, or keeps its weights in other files.
    """
    try:
        model = onnx.load(source, load_external_data=False)
    except Exception as error:  # protobuf's own class, which has no stubs
        raise ModelError(f"{source}: neither ONNX, Keras nor PyTorch: {error}") from error
    graphs = [model.graph, *_inner(model.graph.node)]
    if any(tensor.external_data for graph in graphs for tensor in graph.initializer):
        raise ModelError(
            f"{source}: it keeps weights in other files: save it as one file first"
            " (onnx.save with save_as_external_data=False)"
        )
    try:
        whole = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
        onnx.checker.check_model(whole)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelError(f"{source}: not a valid ONNX net: {error}") from error
    shutil.copyfile(source, target)


def _inner(nodes: Any) -> Iterator[Any]:
    """Yield the graphs within nodes: branches and loops."""
    for node in nodes:
        for field in node.attribute:
            for graph in (field.g, *field.graphs):
                if graph.node or graph.initializer:
                    yield graph
                    yield from _inner(graph.node)
