"""Sample photos: never in the repository, fetched and proven like models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from groupemo.errors import ModelError
from groupemo.files import write_atomically
from groupemo.models.resolver import Entry, Resolver

__all__ = ["SAMPLES", "Samples", "fetch_samples", "labels_file", "list_samples"]

SAMPLES = Resolver("samples.toml", "GROUPEMO_SAMPLES", "samples")
"""The catalog of sample photos."""


@dataclass(frozen=True)
class Samples:
    """Sample photos that could be had, and the reasons for those that could not.

    Parameters
    ----------
    paths : Mapping of str to Path
        By file name, which is the photo's name in `labels/samples.csv`.
    unreachable : Mapping of str to str
        By file name.
    """

    paths: Mapping[str, Path]
    unreachable: Mapping[str, str]


def list_samples() -> list[Entry]:
    """Return what is known of every sample photo: credit, terms, checksum, sources."""
    return list(SAMPLES.entries.values())


def fetch_samples(names: Iterable[str] | None = None, folder: str | Path | None = None) -> Samples:
    """Fetch sample photos; one that cannot be had never ends it.

    Parameters
    ----------
    names : iterable of str, optional
        Names in the catalog; by default all.
    folder : path, optional
        Where copies are put under their file names; by default they stay in the
        cache or mirror.

    Returns
    -------
    Samples
    """
    paths, unreachable = {}, {}
    for name in SAMPLES.entries if names is None else names:
        entry = SAMPLES.entry(name)
        try:
            path = SAMPLES.fetch(name)
        except ModelError as error:
            unreachable[entry.file] = str(error)
            continue
        paths[entry.file] = path if folder is None else _copy(path, Path(folder) / entry.file)
    return Samples(paths, unreachable)


def labels_file() -> Path:
    """Return the label file of the samples: in the package, or in the checkout it is used from."""
    package = Path(__file__).parent
    inside = package / "models" / "samples.csv"
    return inside if inside.exists() else package.parent / "labels" / "samples.csv"


def _copy(source: Path, target: Path) -> Path:
    data = source.read_bytes()
    if not target.exists() or target.read_bytes() != data:
        write_atomically(target, data)
    return target
