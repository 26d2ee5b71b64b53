"""`Analysis`, the waist of groupemo: everything slow ends in it, everything else starts from it.

Saved analyses are JSON lines, one photo x detector x backend a line. The file
is only ever appended to; of two lines about the same photo, detector and
backend the later one counts, and a line cut off by a crash is left out.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groupemo.errors import AnalysisError, ContractError, OutputError, PhotoError
from groupemo.faces import Faces
from groupemo.files import write_atomically
from groupemo.images import MAX_PIXELS, Photo, digest

__all__ = [
    "Analysis",
    "AnalysisWriter",
    "Failure",
    "iter_analyses",
    "load_analyses",
    "read_again",
    "save_analyses",
]

FORMAT = 1


@dataclass(frozen=True)
class Failure:
    """Why a photo has no result: the stage ("read", "detect" or "classify") and the reason."""

    stage: str
    reason: str


@dataclass(frozen=True, eq=False)
class Analysis:
    """What one detector and one backend say of one photo.

    Parameters
    ----------
    photo : str
        The photo's name, as in the labels.
    sha256 : str
        Of the photo's bytes; empty where it could not be read.
    width, height : int
        Of the upright photo in pixels; 0 where it could not be read.
    faces : Faces
        What the detector found; no faces where it failed.
    probs : array_like, shape=(n, k)
        One row a face; a NaN row where the backend abstained.
    classes : tuple of str, length k
        What the columns mean.
    detector, backend : str
        The labels of the two plugins.
    provenance : Mapping
        `{"detector": {...}, "backend": {...}}`: options and model checksums.
    seconds : Mapping of str to float
        Wall seconds by stage: read, detect, prepare, predict.
    failure : Failure, optional
        Why there is no (whole) result.
    path : str, optional
        Where the photo was read from.
    """

    photo: str
    sha256: str
    width: int
    height: int
    faces: Faces
    probs: NDArray[np.float64]
    classes: tuple[str, ...]
    detector: str
    backend: str
    provenance: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    failure: Failure | None = None
    path: str | None = None

    def __post_init__(self) -> None:
        rows: ArrayLike = self.probs
        probs = np.array(rows, dtype=np.float64)
        shape = (len(self.faces), len(self.classes))
        if not probs.size and not len(self.faces):
            probs = probs.reshape(shape)
        if probs.shape != shape:
            raise ContractError(
                f"{self.photo}: probs have shape {probs.shape}, expected {shape}, a row a face"
            )
        probs.setflags(write=False)
        object.__setattr__(self, "probs", probs)

    def __len__(self) -> int:
        return len(self.faces)

    def __repr__(self) -> str:
        failed = f", failed to {self.failure.stage}" if self.failure else ""
        return f"<Analysis of {self.photo}: {' x '.join(self.pair)}, {len(self)} faces{failed}>"

    @property
    def pair(self) -> tuple[str, str]:
        """The detector's and the backend's label."""
        return self.detector, self.backend

    @property
    def emotions(self) -> list[str | None]:
        """The likeliest class of each face; None where the backend abstained."""
        return [
            None if np.isnan(row).any() else self.classes[int(row.argmax())] for row in self.probs
        ]

    def to_json(self) -> str:
        """Return the analysis as one line of JSON; NaN rows are written as null."""
        faces = self.faces
        return json.dumps(
            {
                "format": FORMAT,
                "photo": self.photo,
                "sha256": self.sha256,
                "width": self.width,
                "height": self.height,
                "detector": self.detector,
                "backend": self.backend,
                "classes": self.classes,
                "boxes": faces.boxes.tolist(),
                "scores": faces.scores.tolist(),
                "landmarks": None if faces.landmarks is None else faces.landmarks.tolist(),
                "probs": [None if np.isnan(row).any() else row.tolist() for row in self.probs],
                "seconds": dict(self.seconds),
                "failure": None if self.failure is None else vars(self.failure),
                "provenance": self.provenance,
                "path": self.path,
            },
            allow_nan=False,
        )

    @classmethod
    def from_json(cls, line: str | bytes) -> Analysis:
        """Return the analysis in one line of JSON.

        Raises
        ------
        AnalysisError
            If the line is not one that `to_json` writes.
        """
        try:
            record = json.loads(line)
            if record["format"] != FORMAT:
                raise AnalysisError(f"format {record['format']!r}, expected {FORMAT}")
            for key, kind in _PLAIN.items():
                if not isinstance(record[key], kind):
                    raise AnalysisError(f"{key} is {record[key]!r}, expected {kind.__name__}")
            blank = [np.nan] * len(record["classes"])
            return cls(
                faces=Faces(record["boxes"], record["scores"], record["landmarks"]),
                probs=np.array([blank if row is None else row for row in record["probs"]]),
                classes=tuple(record["classes"]),
                failure=record["failure"] and Failure(**record["failure"]),
                path=record["path"],
                **{key: record[key] for key in _PLAIN},
            )
        except (KeyError, TypeError, ValueError, RecursionError, ContractError) as error:
            raise AnalysisError(f"not an analysis: {type(error).__name__}: {error}") from error

    def _repr_html_(self) -> str:
        from groupemo.report.inline import analysis_html

        return analysis_html(self)


_PLAIN = {
    "photo": str, "sha256": str, "width": int, "height": int, "detector": str, "backend": str,
    "provenance": dict, "seconds": dict,
}  # fmt: skip


def read_again(analysis: Analysis, photo: Photo | None = None) -> NDArray[np.uint8]:
    """Return the pixels an analysis was made of.

    Parameters
    ----------
    analysis : Analysis
    photo : Photo, optional
        Where the pixels are; by default where the analysis says.

    Raises
    ------
    PhotoError
        If the photo is out of reach, or is not the one that was analyzed.
    """
    if photo is None and analysis.path is None:
        raise PhotoError(f"{analysis.photo}: where it was read from is not known")
    source = photo or Photo(analysis.photo, Path(analysis.path or ""))
    data = source.load()
    if analysis.sha256 and digest(data) != analysis.sha256:
        raise PhotoError(f"{analysis.photo}: {source.path} has changed since it was analyzed")
    return source.decode(data, max_pixels=max(MAX_PIXELS, analysis.width * analysis.height))


def iter_analyses(path: str | Path) -> Iterator[Analysis]:
    """Yield every whole line of a file of analyses, in order of writing.

    Raises
    ------
    AnalysisError
        If the file is missing or a line in it is no analysis; names the line. A
        last line that was cut off only warns.
    """
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    warnings.warn(f"{path}, line {number}: cut off, left out", stacklevel=2)
                    return
                try:
                    yield Analysis.from_json(line)
                except AnalysisError as error:
                    raise AnalysisError(f"{path}, line {number}: {error}") from error
    except OSError as error:
        raise AnalysisError(f"{path}: cannot be read: {error.strerror}") from error


def load_analyses(path: str | Path) -> list[Analysis]:
    """Return the analyses in a file, or in a folder's `analyses.jsonl`.

    Of several about the same photo, detector and backend the last is kept.

    Raises
    ------
    AnalysisError
        If the file is missing or a line in it is no analysis.
    """
    path = Path(path)
    file = path / "analyses.jsonl" if path.is_dir() else path
    latest = {(one.photo, *one.pair): one for one in iter_analyses(file)}
    return list(latest.values())


def save_analyses(analyses: Iterable[Analysis], path: str | Path) -> Path:
    """Write analyses to a new file, whole or not at all, and return its path."""
    text = "".join(analysis.to_json() + "\n" for analysis in analyses)
    return write_atomically(path, text.encode())


class AnalysisWriter:
    """Appends analyses to a file, each line whole or not at all.

    A line that an earlier run left cut off is removed first.

    Raises
    ------
    OutputError
        If the file cannot be opened for writing; names the path and the reason.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file: FileIO = open(self.path, "ab+", buffering=0)  # noqa: SIM115 - see close()
            _drop_torn_line(self._file)
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written: {error.strerror}") from error

    def append(self, analysis: Analysis) -> None:
        """Write one line; if that fails, or is interrupted, take back what was written of it."""
        line = memoryview(analysis.to_json().encode() + b"\n")
        end = self._file.seek(0, os.SEEK_END)
        try:
            while line:  # a disk that fills up takes a part and fails on the rest
                line = line[self._file.write(line) :]
        except BaseException as error:
            with suppress(OSError):
                self._file.truncate(end)
            if not isinstance(error, OSError):
                raise
            raise OutputError(
                f"{self.path}: cannot be written: {error.strerror}; what was written so far is"
                " whole, and running again goes on from there"
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> AnalysisWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _drop_torn_line(file: FileIO) -> None:
    size = file.seek(0, os.SEEK_END)
    kept, step = size, 1 << 16
    while kept > 0:
        start = max(0, kept - step)
        file.seek(start)
        newline = file.read(kept - start).rfind(b"\n")
        if newline >= 0:
            kept = start + newline + 1
            break
        kept = start
    if kept < size:
        file.truncate(kept)
