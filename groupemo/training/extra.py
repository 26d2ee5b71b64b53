"""What is said where the libraries that training needs are not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from groupemo.errors import MissingExtra

__all__ = ["needs_train_extra"]

LIBRARIES = ("kornia", "onnxscript", "optuna", "torch")


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
