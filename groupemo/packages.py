"""Packages of others that a detector or backend runs: which versions, and how to install them."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from groupemo.errors import MissingExtra

__all__ = [
    "DEEPFACE",
    "FACENET_PYTORCH",
    "FACE_RECOGNITION",
    "FER",
    "MTCNN",
    "ULTRALYTICS",
    "Package",
    "left_alone",
]

_warned: set[str] = set()
"""Distributions whose version has been warned of in this process."""

_one_at_a_time = threading.RLock()
"""Held where a package may change what belongs to the whole process."""


@dataclass(frozen=True)
class Package:
    """A package that groupemo can run and does not require.

    Parameters
    ----------
    module : str
        What is imported, such as `"fer.fer"`.
    distribution : str
        What is installed, such as `"fer"`.
    extra : str
        The extra of groupemo that brings it, or what it needs.
    tested : str
        The versions it was tested with, such as `">=25.10,<25.11"`.
    apart : bool
        Whether it is installed in a second step and without what it requires: the extra holds
        what it uses, for its own list clashes with groupemo's.
    environ : Mapping of str to str
        Environment variables it is imported with, where the user has not set them.
    lock : RLock
        For those of its models that all threads share and one at a time may use.
    """

    module: str
    distribution: str
    extra: str
    tested: str
    apart: bool = False
    environ: Mapping[str, str] = field(default_factory=dict, hash=False)
    lock: AbstractContextManager[Any] = field(
        default_factory=threading.RLock, compare=False, repr=False
    )

    @property
    def install(self) -> str:
        """The command that installs it, on one line."""
        second = f" && pip install --no-deps '{self.distribution}{self.tested}'"
        return f"pip install 'groupemo[{self.extra}]'" + second * self.apart

    @property
    def installed(self) -> bool:
        """Whether it is here; nothing is imported."""
        return importlib.util.find_spec(self.module.partition(".")[0]) is not None

    @property
    def version(self) -> str:
        """The version installed; empty for one that was copied onto the path, or is not here."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version(self.distribution)
        except PackageNotFoundError:
            return ""

    @property
    def doubt(self) -> str:
        """What is to be said of a version that was not tested; empty for one that was."""
        from packaging.specifiers import SpecifierSet

        version = self.version
        if version and version in SpecifierSet(self.tested):
            return ""
        return (
            f"{self.distribution} {version or '(unknown version)'} is not one of the versions"
            f" groupemo was tested with ({self.tested}): its answers may differ"
        )

    def load(self) -> ModuleType:
        """Import it; warn, once a process, where its version is not one of those tested.

        Raises
        ------
        MissingExtra
            If it is not installed, or fails while it is imported.
        """
        try:
            with left_alone(self.environ):
                module = importlib.import_module(self.module)
        except Exception as error:  # a package may fail in any way while it is imported
            raise MissingExtra(f"{self._complaint(error)}: {self.install}") from error
        if self.distribution not in _warned and self.doubt:
            _warned.add(self.distribution)
            warnings.warn(self.doubt, stacklevel=2)
        return module

    def _complaint(self, error: Exception) -> str:
        if isinstance(error, ModuleNotFoundError) and error.name == self.module.partition(".")[0]:
            return f"{self.distribution} is not installed"
        said = " ".join(str(error).split())
        return f"{self.distribution} cannot be imported ({type(error).__name__}: {said})"


@contextmanager
def left_alone(environ: Mapping[str, str] | None = None) -> Iterator[None]:
    """Have the environment, warnings and the root logger afterwards as they were before.

    Some packages set variables, silence all warnings or make every library log while they are
    imported or build their models; one thread at a time may let them.

    Parameters
    ----------
    environ : Mapping of str to str, optional
        Environment variables for that while, where the user has not set them.
    """
    root, taken = logging.getLogger(), logging.NullHandler()
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        level, before = root.level, dict(os.environ)
        root.addHandler(taken)  # `logging.basicConfig` does nothing where there is one
        os.environ.update({**(environ or {}), **before})
        try:
            yield
        finally:
            for name in os.environ.keys() - before.keys():
                del os.environ[name]
            os.environ.update(before)
            root.removeHandler(taken)
            root.setLevel(level)


DEEPFACE = Package(
    "deepface.DeepFace",
    "deepface",
    "deepface",
    ">=0.0.103,<0.0.104",
    environ={"DEEPFACE_BACKEND_ENGINE": "onnx", "DEEPFACE_LOG_LEVEL": "40"},
)
FER = Package(
    "fer.fer", "fer", "fer", ">=25.10,<25.11", apart=True, environ={"TF_CPP_MIN_LOG_LEVEL": "3"}
)
FACE_RECOGNITION = Package(
    "face_recognition", "face_recognition", "face-recognition", ">=1.3,<1.4", apart=True
)
ULTRALYTICS = Package(
    "ultralytics",
    "ultralytics",
    "ultralytics",
    ">=8.4,<8.5",
    apart=True,
    environ={"YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "false"},
)
MTCNN = Package("mtcnn", "mtcnn", "mtcnn", ">=1.0,<1.1", environ={"TF_CPP_MIN_LOG_LEVEL": "3"})
FACENET_PYTORCH = Package(
    "facenet_pytorch", "facenet-pytorch", "facenet-pytorch", ">=2.6,<2.7", apart=True
)
