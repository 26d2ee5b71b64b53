"""The model store: weights by name, proven by checksum."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from groupemo.errors import ModelError
from groupemo.models.resolver import Entry, Resolver, cache_dir, sha256_of

__all__ = ["MODELS", "ModelFile", "ModelStatus", "cache_dir", "derived", "fetch", "list_models",
           "sha256_of", "verify"]  # fmt: skip

MODELS = Resolver("models.toml", "GROUPEMO_MODELS", "models")
"""The catalog of model files."""


@dataclass(frozen=True)
class ModelFile:
    """A model file on this machine, proven to be the right one.

    Parameters
    ----------
    name : str
        Its name in the store.
    path : Path
        Where it is; the file name is upstream's, or ends in it.
    sha256 : str
    licence : str
    stand_in : bool
        True for weights that only fill the place of the published ones.
    pinned : bool
        False where upstream's checksum is not known: `sha256` says what lies there,
        not that it is right.
    """

    name: str
    path: Path
    sha256: str
    licence: str
    stand_in: bool
    pinned: bool = True


@dataclass(frozen=True)
class ModelStatus:
    """An entry of the store: where it is on this machine, or what is wrong.

    Parameters
    ----------
    entry : Entry
    path : Path or None
        None where it has not been fetched.
    problems : tuple of str
        Files that should be it and are not.
    """

    entry: Entry
    path: Path | None
    problems: tuple[str, ...]


def fetch(name: str) -> ModelFile:
    """Return a model file, fetching it first if need be.

    Raises
    ------
    ModelError
        If the name is unknown, or no source has the file; lists every source
        and why it failed.
    """
    path = MODELS.fetch(name)
    entry = MODELS.entry(name)
    return ModelFile(name, path, sha256_of(path), entry.licence, entry.stand_in, bool(entry.sha256))


def list_models() -> list[ModelStatus]:
    """Return every entry and where it is; nothing is fetched."""
    statuses = []
    for entry in MODELS.entries.values():
        path, problems = MODELS.find(entry)
        wrong = tuple(problem for problem in problems if ": no " not in problem)
        statuses.append(ModelStatus(entry, path, wrong))
    return statuses


def verify(names: Iterable[str] | None = None) -> dict[str, tuple[str, ...]]:
    """Check the files that are here; return by name what is wrong, nothing where all is right.

    Parameters
    ----------
    names : iterable of str, optional
        Names in the store; by default all.

    Raises
    ------
    ModelError
        If a name is unknown.
    """
    chosen = MODELS.entries if names is None else {name: MODELS.entry(name) for name in names}
    return {status.entry.name: status.problems for status in list_models()
            if status.entry.name in chosen}  # fmt: skip


def derived(name: str, source: ModelFile, make: Callable[[Path, Path], None]) -> Path:
    """Return a file made from a model file, making it on first use.

    Parameters
    ----------
    name : str
        What it is made into; changes when `make` makes something else.
    source : ModelFile
    make : callable
        `make(source_path, target_path)` writes the file. The target has a
        temporary name and is renamed when it is whole.

    Raises
    ------
    ModelError
        If the cache cannot be written.
    """
    target = cache_dir() / "derived" / f"{name}-{source.sha256[:12]}.onnx"
    if target.exists():
        return target
    workplace = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    try:
        workplace.mkdir(parents=True)
        try:
            make(source.path, workplace / target.name)
            (workplace / target.name).replace(target)
        finally:
            shutil.rmtree(workplace, ignore_errors=True)
    except OSError as error:
        raise ModelError(
            f"{target}: cannot be written: {error.strerror or error};"
            " set GROUPEMO_CACHE to a folder that can be"
        ) from error
    return target
