"""Packages of others that a detector or backend runs: which versions, and how to install them."""

from __future__ import annotations

import importlib
import importlib.metadata
import warnings
from dataclasses import dataclass
from types import ModuleType

from packaging.specifiers import SpecifierSet

from groupemo.errors import MissingExtra

__all__ = ["Package"]

_warned: set[str] = set()
"""Distributions whose version has been warned of in this process."""


@dataclass(frozen=True)
class Package:
    """A package that groupemo can run and does not require.

    Parameters
    ----------
    module : str
        What is imported, such as `"fer"`.
    distribution : str
        What is installed, such as `"fer"`.
    extra : str
        The extra of groupemo that brings it, or what it needs.
    tested : str
        The versions it was tested with, such as `">=25.10,<26"`.
    apart : bool
        Whether it is installed in a second step and without what it requires: the extra holds
        what it uses, for its own list clashes with groupemo's.
    """

    module: str
    distribution: str
    extra: str
    tested: str
    apart: bool = False

    @property
    def install(self) -> str:
        """The command that installs it, on one line."""
        second = f" && pip install --no-deps '{self.distribution}{self.tested}'"
        return f"pip install 'groupemo[{self.extra}]'" + second * self.apart

    def load(self) -> ModuleType:
        """Import it; warn, once a process, where its version is not one of those tested.

        Raises
        ------
        MissingExtra
            If it is not installed, or fails while it is imported.
        """
        try:
            module = importlib.import_module(self.module)
        except Exception as error:  # a package may fail in any way while it is imported
            raise MissingExtra(f"{self._complaint(error)}: {self.install}") from error
        self._check_version()
        return module

    def _complaint(self, error: Exception) -> str:
        if isinstance(error, ModuleNotFoundError) and error.name == self.module.partition(".")[0]:
            return f"{self.distribution} is not installed"
        said = " ".join(str(error).split())
        return f"{self.distribution} cannot be imported ({type(error).__name__}: {said})"

    def _check_version(self) -> None:
        try:
            version = importlib.metadata.version(self.distribution)
        except importlib.metadata.PackageNotFoundError:  # a copy on the path, not an installation
            version = ""
        if self.distribution in _warned or (version and version in SpecifierSet(self.tested)):
            return
        _warned.add(self.distribution)
        warnings.warn(
            f"{self.distribution} {version or '(unknown version)'} is not one of the versions"
            f" groupemo was tested with ({self.tested}): its answers may differ",
            stacklevel=3,
        )
