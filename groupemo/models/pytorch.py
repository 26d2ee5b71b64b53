"""What all that uses PyTorch has in common: what is said without it, and how nets are exported."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from groupemo.errors import MissingExtra

if TYPE_CHECKING:
    import onnx

__all__ = ["forget_origin", "needs_train_extra", "quiet"]

LIBRARIES = ("filelock", "kornia", "onnxscript", "optuna", "sqlalchemy", "torch")
"""Those of `groupemo[train]`."""


@contextmanager
def needs_train_extra() -> Iterator[None]:
    """Turn a failed import of one of the libraries into an error that says what to install.

    Raises
    ------
    MissingExtra
        If one of them is not installed.

    Examples
    --------
    >>> with needs_train_extra():
    ...     from groupemo.training.recipe import Recipe
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in LIBRARIES:
            raise
        raise MissingExtra(
            f"{error.name} is not installed: pip install 'groupemo[train]'"
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what PyTorch's exporter says to its own developers from the user."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def forget_origin(model: onnx.ModelProto) -> None:
    """Take the paths and names of the machine it was exported on out of a graph."""
    graph = model.graph
    for part in (graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        del part.metadata_props[:]
    del graph.value_info[:]
