"""Faces with votes in one HDF5 file: written as a stream, read as far as is asked for.

Conventions
-----------
A face is square, uint8, gray (s, s) or RGB (s, s, 3). Its votes are counts or
shares for the seven classes in the order of `EMOTIONS`, at least one of them
above 0. Its rival is the most votes that any one answer without a class got, such
as contempt; its *label* the class with more votes than its rival and all others.

A photo is named by any text that is the same for the same photo alone;
the file keeps a number made from it, which is the same in every file. So are
the digests of the pixels: both tell where two files hold the same face.

In the file: `faces`, `votes`, `rivals`, `photos`, `digests`, one row a face, and
`provenance` as JSON.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from groupemo.emotions import EMOTIONS
from groupemo.errors import ContractError, LabelError, OptionError, OutputError
from groupemo.files import replacing
from groupemo.metrics.agreement import majority
from groupemo.models.resolver import sha256_of

__all__ = ["FaceBatch", "FacesFile", "labels_of", "leaks", "split_by_photo", "write_faces"]

FORMAT = "groupemo faces 2"
CHUNK_BYTES = 2**17
"""Pixels that are compressed and read together: some 50 gray faces of 48 x 48."""


@dataclass(frozen=True, eq=False)
class FaceBatch:
    """Some faces, with the votes of the people who looked at them.

    Parameters
    ----------
    faces : np.ndarray, shape=(n, s, s) or (n, s, s, 3), uint8
        Gray, or RGB.
    votes : np.ndarray, shape=(n, 7), float32
        Counts or shares in the order of `EMOTIONS`; each row sums to more than 0.
    photo : np.ndarray of str, shape=(n,)
        What a face came from: the same text for the same photo alone.
    rivals : np.ndarray, shape=(n,), float32, optional
        The most votes that any one answer without a class got; 0 if not given.

    Raises
    ------
    ContractError
        If a shape, a type or a vote is none of that.
    """

    faces: NDArray[np.uint8]
    votes: NDArray[np.float32]
    photo: NDArray[np.str_]
    rivals: NDArray[np.float32] = field(default_factory=lambda: np.zeros((), np.float32))

    def __post_init__(self) -> None:
        n = len(self.faces)
        rivals = np.asarray(self.rivals, np.float32)
        object.__setattr__(self, "votes", np.asarray(self.votes, np.float32))
        object.__setattr__(self, "photo", np.asarray(self.photo, np.str_))
        object.__setattr__(self, "rivals", rivals if rivals.ndim else np.full(n, rivals))
        shape = self.faces.shape[1:]
        if self.faces.dtype != np.uint8 or shape not in {shape[:1] * 2, (*shape[:1] * 2, 3)}:
            raise ContractError(
                f"faces have shape {self.faces.shape} and type {self.faces.dtype}: expected"
                " (n, s, s) or (n, s, s, 3), uint8"
            )
        given = self.votes.shape, self.photo.shape, self.rivals.shape
        if given != (expected := ((n, len(EMOTIONS)), (n,), (n,))):
            raise ContractError(
                f"{n} faces have votes, photos and rivals of shapes {given}: expected {expected}"
            )
        good = _are_votes(self.votes)
        if not good.all():
            bad = self.votes[~good][0].tolist()
            raise ContractError(f"votes are {bad}: expected numbers from 0, one of them above 0")
        if not _are_counts(self.rivals).all():
            raise ContractError(f"rivals are {self.rivals.tolist()}: expected numbers from 0")

    def __len__(self) -> int:
        return len(self.faces)

    @property
    def labels(self) -> NDArray[np.int64]:
        """What `labels_of` says of each face, shape (n,)."""
        return labels_of(self.votes, self.rivals)


def labels_of(votes: NDArray[np.float32], rivals: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the class with more votes than its rival and all others, shape (n,); -1 for none.

    Parameters
    ----------
    votes : np.ndarray, shape=(n, k)
    rivals : np.ndarray, shape=(n,)

    Examples
    --------
    >>> labels_of(np.array([[1, 5, 4], [1, 5, 4], [5, 5, 0]]), np.array([2, 5, 0])).tolist()
    [1, -1, -1]
    """
    best = majority(np.column_stack([votes, rivals]))
    return np.where(best < votes.shape[1], best, -1)


def write_faces(
    path: str | Path,
    batches: Iterable[FaceBatch],
    *,
    side: int,
    channels: int,
    provenance: Mapping[str, Any],
) -> Path:
    """Write faces as they come; return `path`.

    Memory does not grow with the number of faces, the file appears whole or not at
    all, and the same faces give the same bytes.

    Parameters
    ----------
    path : path
        The file, usually named `*.h5`.
    batches : iterable of FaceBatch
    side : int
        Height and width of a face in pixels.
    channels : {1, 3}
        Gray or RGB.
    provenance : mapping
        Where the faces are from, as JSON would hold it; read after the last
        batch, so that who makes the batches may count in it.

    Raises
    ------
    ContractError
        If a batch has another side or other channels.
    LabelError
        If there is no face at all.
    OutputError
        If the file cannot be written, or is there and is no HDF5 file.
    """
    shape = _face_shape(side, channels)
    if Path(path).is_file() and not h5py.is_hdf5(path):
        raise OutputError(f"{path}: is there and is no HDF5 file: choose another name")
    levels = np.zeros(256, np.int64)
    with (
        replacing(path) as temporary,
        _Sink(temporary, "x+") as sink,
        h5py.File(sink, "w") as file,
    ):
        sets = _make_datasets(file, shape)
        n = 0
        for batch in batches:
            if batch.faces.shape[1:] != shape:
                raise ContractError(f"faces are {batch.faces.shape[1:]}, expected {shape}")
            _append(sets, n, batch)
            sink.check()
            n += len(batch)
            levels += np.bincount(batch.faces.ravel(), minlength=256)
        if not n:
            raise LabelError(f"{path}: not written: there is no face to write")
        mean, std = _mean_and_std(levels)
        file.attrs.update(
            format=FORMAT, side=side, channels=channels, classes=list(EMOTIONS),
            mean=mean, std=std,
        )  # fmt: skip
        file.create_dataset("provenance", data=json.dumps(provenance), track_times=False)
    return Path(path)


def _are_votes(rows: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.asarray(_are_counts(rows).all(1) & rows.any(1))


def _are_counts(numbers: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.isfinite(numbers) & (numbers >= 0)


class _Sink(io.FileIO):
    """A new file that HDF5 writes to: it crashes where a write fails, so it never sees one fail."""

    _failure: BaseException | None = None

    def write(self, data: Any, /) -> int:
        with self._kept():
            rest = memoryview(data)
            while rest:
                rest = rest[super().write(rest) :]
        return len(data)

    def truncate(self, size: int | None = None, /) -> int:
        with self._kept():
            super().truncate(size)
        return size or 0

    @contextmanager
    def _kept(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:  # an interrupt, too
            self._failure = self._failure or error

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)  # type: ignore[arg-type]
        self.check()  # rather than what HDF5 says where it sees that something is lacking

    def check(self) -> None:
        """Raise the first failure, if there was one."""
        if self._failure is not None:
            raise self._failure


def _face_shape(side: int, channels: int) -> tuple[int, ...]:
    if side < 1 or channels not in (1, 3):
        raise OptionError(f"side {side}, channels {channels}: expected pixels, and 1 or 3")
    return (side, side) if channels == 1 else (side, side, 3)


def _make_datasets(file: h5py.File, shape: tuple[int, ...]) -> dict[str, h5py.Dataset]:
    def empty(name: str, dtype: str, shape: tuple[int, ...], rows: int) -> h5py.Dataset:
        return file.create_dataset(
            name, (0, *shape), dtype, maxshape=(None, *shape), chunks=(rows, *shape),
            compression="gzip", compression_opts=1, shuffle=dtype != "u1", track_times=False,
        )  # fmt: skip

    rows = {"faces": max(1, CHUNK_BYTES // int(np.prod(shape)))}
    return {
        name: empty(name, dtype, shape, rows.get(name, 4096))
        for name, (dtype, shape) in _columns(shape).items()
    }


def _columns(shape: tuple[int, ...]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return the type and the shape of a row of each dataset."""
    return {
        "faces": ("u1", shape),
        "votes": ("f4", (len(EMOTIONS),)),
        "rivals": ("f4", ()),
        "photos": ("i8", ()),
        "digests": ("S32", ()),
    }


def _holds_faces(file: h5py.File) -> bool:
    """Say whether a file is as `write_faces` makes them, but for what is in its rows."""
    about = file.attrs
    try:
        shape = _face_shape(int(about["side"]), int(about["channels"]))
        n = len(file["faces"])
        return bool(
            about["format"] == FORMAT
            and list(about["classes"]) == list(EMOTIONS)
            and np.isfinite([about["mean"], about["std"]]).all()
            and n > 0
            and file["faces"].chunks
            and "provenance" in file
            and all(
                file[name].dtype == dtype and file[name].shape == (n, *row)
                for name, (dtype, row) in _columns(shape).items()
            )
        )
    except (AttributeError, KeyError, TypeError, ValueError, OptionError):
        return False


def _append(sets: Mapping[str, h5py.Dataset], at: int, batch: FaceBatch) -> None:
    rows = {
        "faces": batch.faces,
        "votes": batch.votes,
        "rivals": batch.rivals,
        "photos": [_photo_id(name) for name in batch.photo],
        "digests": [_digest(face) for face in batch.faces],
    }
    for name, values in rows.items():
        sets[name].resize(at + len(batch), axis=0)
        sets[name][at:] = np.asarray(values, sets[name].dtype)


def _photo_id(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) >> 1  # fits an int64


def _digest(face: NDArray[np.uint8]) -> bytes:
    return hashlib.blake2b(face.tobytes(), digest_size=16).hexdigest().encode()


def _mean_and_std(levels: NDArray[np.int64]) -> tuple[float, float]:
    """Return the mean and standard deviation of pixel / 255 from how often each level is."""
    values = np.arange(256) / 255
    mean = np.average(values, weights=levels)
    return float(mean), float(np.sqrt(np.average((values - mean) ** 2, weights=levels)))


class FacesFile:
    """A file of faces, open for reading; close it, or use it in a `with` block.

    Parameters
    ----------
    path : path
        What `write_faces` wrote.

    Attributes
    ----------
    path : Path
    side : int
        Height and width of a face in pixels.
    channels : int
        1 for gray, 3 for RGB.
    mean, std : float
        Of pixel / 255, over all pixels and channels.
    faces : h5py.Dataset, shape=(n, s, s) or (n, s, s, 3), uint8
        Read from the disk when indexed; rows picked by a list have to ascend.

    Raises
    ------
    LabelError
        If the file is not there or is no such file.
    """

    classes: tuple[str, ...] = EMOTIONS

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise LabelError(f"{path}: no such file: `groupemo prepare` writes one")
        try:
            self._file = h5py.File(self.path, "r")
        except OSError as error:
            raise LabelError(f"{path}: not an HDF5 file, or cut off: {error}") from error
        about = self._file.attrs
        if not _holds_faces(self._file):
            self.close()
            raise LabelError(
                f"{path}: HDF5, but not faces that can be read here: make it with `groupemo"
                " prepare`"
            )
        self.side, self.channels = int(about["side"]), int(about["channels"])
        self.mean, self.std = float(about["mean"]), float(about["std"])
        self.faces: Any = self._file["faces"]

    def __len__(self) -> int:
        return len(self.faces)

    def __repr__(self) -> str:
        return f"<FacesFile: {self.path}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def read(self, rows: Any = ()) -> NDArray[np.uint8]:
        """Return faces, all if not told which, shape=(m, s, s) or (m, s, s, 3).

        Raises
        ------
        LabelError
            If the file is damaged there.
        """
        return self._read("faces", rows)

    def _read(self, name: str, rows: Any) -> NDArray[Any]:
        try:
            return np.asarray(self._file[name][rows])
        except OSError as error:
            raise LabelError(f"{self.path}: its {name} are damaged: {error}") from error

    def close(self) -> None:
        """Close the file; arrays that were read stay."""
        self._file.close()

    @cached_property
    def votes(self) -> NDArray[np.float32]:
        """Votes for each class in the order of `EMOTIONS`, shape=(n, 7), float32."""
        votes = self._read("votes", ())
        bad = np.flatnonzero(~_are_votes(votes))
        if len(bad):
            raise LabelError(
                f"{self.path}: the votes of face {bad[0]} are {votes[bad[0]].tolist()}: make the"
                " file again with `groupemo prepare`"
            )
        return votes

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """What `labels_of` says of each face, shape (n,)."""
        return labels_of(self.votes, self._read("rivals", ()))

    @cached_property
    def photos(self) -> NDArray[np.int64]:
        """Which photo each face came from, shape=(n,): the same number in every file."""
        return self._read("photos", ())

    @cached_property
    def digests(self) -> NDArray[np.bytes_]:
        """BLAKE2b of each face's pixels, 128 bits in hex, shape=(n,)."""
        return self._read("digests", ())

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Sources with their checksums, options, counts, terms, version of groupemo."""
        try:
            told: dict[str, Any] = dict(json.loads(self._file["provenance"][()]))
        except (OSError, TypeError, ValueError, RecursionError) as error:
            raise LabelError(f"{self.path}: its provenance is damaged: {error}") from error
        return told

    @cached_property
    def sha256(self) -> str:
        """The file's checksum, in lower-case hex."""
        return sha256_of(self.path)


class Identified(Protocol):
    """Faces that are known again: a file's, or some of them."""

    @property
    def photos(self) -> NDArray[np.int64]: ...
    @property
    def digests(self) -> NDArray[np.bytes_]: ...


def leaks(a: Identified, b: Identified) -> NDArray[np.bool_]:
    """Return which faces of `b` also stand in `a`, or came from a photo of `a`'s, shape=(len(b),).

    Pixels are compared exactly: the same face at another size, or compressed once
    more, is found only where its photo is known to be the same.
    """
    return np.isin(b.digests, a.digests) | np.isin(b.photos, a.photos)


def split_by_photo(
    file: FacesFile, share: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows to train on and rows to validate on, both ascending.

    Faces of one photo, and faces of the same pixels, stay together. The same file,
    share and seed give the same rows.

    Parameters
    ----------
    file : FacesFile
    share : float
        The part to validate on, between 0 and 1; met as nearly as photos allow.
    seed : int

    Raises
    ------
    OptionError
        If the share leaves a side empty.
    """
    if not 0 < share < 1:
        raise OptionError(f"share is {share}: expected a number between 0 and 1, such as 0.1")
    _, group, sizes = np.unique(
        _groups(file.photos, file.digests), return_inverse=True, return_counts=True
    )
    taken, chosen = 0, np.zeros(len(sizes), bool)
    for one in np.random.default_rng(seed).permutation(len(sizes)):
        if taken + sizes[one] / 2 < share * len(file):  # nearer to the share with it than without
            chosen[one] = True
            taken += sizes[one]
    valid = chosen[group]
    if valid.all() or not valid.any():
        raise OptionError(
            f"{file.path}: a share of {share} of {len(sizes)} photo(s) leaves nothing to train on,"
            " or nothing to validate on: choose another share, or give faces to validate on"
        )
    return np.flatnonzero(~valid), np.flatnonzero(valid)


def _groups(*keys: NDArray[Any]) -> NDArray[np.int64]:
    """Return the number of each row's group: rows that share a value of a key are in one."""
    numbered = [np.unique(key, return_inverse=True)[1] for key in keys]
    group = np.arange(len(keys[0]))
    while True:
        before = group
        for key in numbered:
            least = np.full(len(group), len(group))
            np.minimum.at(least, key, group)
            group = least[key]
        if np.array_equal(group, before):
            return group
