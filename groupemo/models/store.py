"""The model store: weights by name, proven by checksum."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from groupemo.errors import ModelError
from groupemo.files import write_atomically
from groupemo.models.resolver import Entry, Resolver, cache_dir, sha256_of

__all__ = [
    "MODELS",
    "ModelFile",
    "ModelStatus",
    "copied",
    "derived",
    "fetch",
    "fetch_from",
    "list_models",
]

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
        Where it is, under upstream's file name.
    sha256 : str
    licence : str
    stand_in : bool
        True for weights that only fill the place of the published ones.
    """

    name: str
    path: Path
    sha256: str
    licence: str
    stand_in: bool


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
    return ModelFile(name, path, sha256_of(path), entry.licence, entry.stand_in)


def fetch_from(source: str, sha256: str) -> Path:
    """Return a model file that the store does not list, fetching it first if need be.

    Parameters
    ----------
    source : str
        An address, or a file in a pinned distribution; `groupemo.models.resolver` says
        how it is written.
    sha256 : str
        The file's, 64 lower-case hex digits: any other file is refused, wherever it is.

    Raises
    ------
    ModelError
        If neither the mirror folder, the cache nor the source has the file.
    """
    file = source.rpartition("/")[2].partition("?")[0]
    entry = Entry(sha256[:12], file, 0, sha256, "", "", (source,), listed=False)
    return MODELS.get(entry)


def copied(file: ModelFile, target: Path) -> None:
    """Have the file at `target` too, where somebody else's package looks for it."""
    if not target.exists() or sha256_of(target) != file.sha256:
        write_atomically(target, file.path.read_bytes())


def list_models() -> list[ModelStatus]:
    """Return every entry and where it is; nothing is fetched."""
    found = ((entry, MODELS.find(entry)) for entry in MODELS.entries.values())
    return [ModelStatus(entry, here.path, here.wrong) for entry, here in found]


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
