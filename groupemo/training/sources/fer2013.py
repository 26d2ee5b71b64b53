"""FER2013 and its FER+ votes: the published CSV, and sheets of its faces.

FER2013 is the data of a competition, without a licence text; FER+ votes are under
the MIT licence. See `groupemo.training.sources` for the papers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from groupemo.crops import Image
from groupemo.errors import LabelError, OptionError
from groupemo.images import SUFFIXES, read_photo
from groupemo.training.faces_file import labels_of
from groupemo.training.sources._record import Answer, Ballot, Record, SourceFace, one_vote
from groupemo.training.sources._table import (
    columns_of,
    line_of,
    numbers,
    read_table,
    require_columns,
    table_parts,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_fer2013", "read_sheet"]

SIDE = 48
"""Height and width of a face of FER2013 in pixels."""

ROWS = 256
"""Rows of the CSV in memory at a time: 2 MB of text."""

TERMS = "data of the FER2013 competition, without a licence text"
TERMS_VOTES = "MIT (FER+ votes)"

CLASSES = ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]
"""Columns of FER+ in the order of `EMOTIONS`."""

CLASSLESS = ["contempt", "unknown", "not a face"]
"""Columns of FER+ that have no class here."""

NOT_A_FACE = {"nf": "not a face", "not_a_face": "not a face"}


def read_fer2013(
    path: Path, record: Record, *, votes: str | Path | None = None, split: str | None = None
) -> Iterator[SourceFace]:
    """Yield the faces of a FER2013 CSV: see `groupemo.training.sources.read_source`."""
    split = _known_split(path, split)
    record.options["split"] = split
    sha256 = record.add_source(path, TERMS)
    ballots = None if votes is None else _Ballots(Path(votes))
    if ballots:
        record.add_source(ballots.path, TERMS_VOTES)
    seen, parts = 0, Counter[str]()
    for rows in table_parts(path, ROWS):
        seen += len(rows)
        if ballots:
            ballots.check_usage(path, rows)
        if split != "all":
            usage = _usage(rows)
            parts.update(usage)
            rows = rows[usage == split]
        answers = ballots.answers(rows) if ballots else _own_labels(path, rows, "emotion")
        names = (f"{sha256}, row {row}" for row in rows.index)
        yield from _answered(_pictures(path, rows["pixels"]), answers, names, record)
    if ballots:
        ballots.check_number(path, seen)
    if parts and not parts[split]:
        told = ", ".join(f"{name!r} with {faces} faces" for name, faces in parts.items())
        raise LabelError(f"{path}: has no part {split!r} in its column Usage, but {told}")


def read_sheet(
    path: Path, record: Record, *, labels: str = "votes", keep_leaked: bool = False
) -> Iterator[SourceFace]:
    """Yield the cells of a sheet of faces: see `groupemo.training.sources.read_source`."""
    _check_choice("labels", labels, ("votes", "fer2013"))
    record.options.update(labels=labels, keep_leaked=keep_leaked)
    record.add_source(path, f"{TERMS}; {TERMS_VOTES}")
    picture = _beside(path)
    sha256 = record.add_source(picture, TERMS)
    table = read_table(path).rename(columns=NOT_A_FACE)
    if "in_train" in table and not keep_leaked:
        leaked = numbers(path, table, ["in_train"])[:, 0] > 0
        record.leave_out("also in the training part", int(leaked.sum()))
        table = table[~leaked]
    answers = _voted(path, table) if labels == "votes" else _own_labels(path, table, "fer2013")
    cells = numbers(path, table, ["cell"])[:, 0]
    names = (f"{sha256}, cell {cell}" for cell in cells)
    yield from _answered(_cells(picture, cells), answers, names, record)


@dataclass
class _Ballots:
    """A file of FER+ votes, row for row on the faces of a FER2013 CSV."""

    path: Path

    def __post_init__(self) -> None:
        self._table = read_table(self.path).rename(columns=NOT_A_FACE)

    def answers(self, rows: pd.DataFrame) -> Iterator[Answer]:
        """Yield the answer to each row of the CSV."""
        return _voted(self.path, self._table.loc[rows.index])

    def check_usage(self, faces: Path, part: pd.DataFrame) -> None:
        """Refuse rows that are of another part of FER2013 than those of the CSV, or missing."""
        if part.index[-1] >= len(self._table):
            raise self._mismatch(faces, f"{len(self._table)} rows of votes for more faces")
        if "usage" in part and "usage" in self._table:
            own = self._table.loc[part.index]
            other = part.index[_usage(part) != _usage(own)]
            if len(other):
                raise self._mismatch(
                    faces,
                    f"in line {line_of(other[0])} Usage is {own['usage'][other[0]]!r} here and"
                    f" {part['usage'][other[0]]!r} there",
                )

    def check_number(self, faces: Path, n: int) -> None:
        """Refuse votes on more faces than there are."""
        if n != len(self._table):
            raise self._mismatch(faces, f"{len(self._table)} rows of votes for {n} faces")

    def _mismatch(self, faces: Path, fault: str) -> LabelError:
        return LabelError(
            f"{self.path}: not row for row the votes on the faces of {faces}: {fault}; give both"
            " files as they were published"
        )


def _known_split(path: Path, split: str | None) -> str:
    """Return the part wanted; training where the parts are told and none is asked for."""
    _check_choice("split", split, (None, "training", "publictest", "privatetest", "all"))
    told = "usage" in columns_of(path)
    if not told and split not in (None, "all"):
        raise OptionError(f"{path}: has no column Usage to find split={split!r} by")
    return split or ("training" if told else "all")


def _usage(rows: pd.DataFrame) -> pd.Series:
    return rows["usage"].str.strip().str.lower()


def _own_labels(path: Path, table: pd.DataFrame, column: str) -> Iterator[Answer]:
    """Yield one vote for each label, a word or a number in the order of `EMOTIONS`."""
    require_columns(path, table, [column])
    for row, word in table[column].items():
        try:
            yield one_vote(word)
        except LabelError as error:
            raise LabelError(f"{path}, line {line_of(row)}: {error}") from error


def _voted(path: Path, table: pd.DataFrame) -> Iterator[Answer]:
    """Yield what each row of FER+ votes says."""
    yield from map(_judged, numbers(path, table, CLASSES + CLASSLESS))


def _judged(ballot: NDArray[np.int64]) -> Answer:
    """Return what a face's ten counts, of `CLASSES` and `CLASSLESS`, say."""
    total = ballot.sum()
    votes, classless = np.split(ballot.astype(np.float32), [len(CLASSES)])
    if not total:
        return "no vote"
    rival = classless.max()
    if 2 * classless.sum() < total or labels_of(votes[None], rival[None])[0] >= 0:
        return Ballot(votes, float(rival))
    half = [name for name, votes in zip(CLASSLESS, classless, strict=True) if 2 * votes >= total]
    return half[0] if half else f"{', '.join(CLASSLESS)} together"


def _answered(
    pictures: Iterable[Image], answers: Iterable[Answer], names: Iterable[str], record: Record
) -> Iterator[SourceFace]:
    """Yield the faces that have votes; count the others."""
    for picture, answer, name in zip(pictures, answers, names, strict=True):
        if isinstance(answer, str):
            record.leave_out(answer)
        else:
            yield SourceFace(picture, answer.votes, name, answer.rival)


def _pictures(path: Path, pixels: pd.Series) -> NDArray[np.uint8]:
    """Return faces written as numbers, shape (n, 48, 48)."""
    texts = [text if text.strip() else "nothing" for text in pixels]
    try:
        values = np.loadtxt(texts, np.uint8, comments=None, ndmin=2) if texts else np.empty(0, "u1")
        return values.reshape(len(texts), SIDE, SIDE)
    except ValueError as error:
        for row, text in pixels.items():
            _check_pixels(f"{path}, line {line_of(row)}", text.split())
        raise LabelError(f"{path}: pixels cannot be read: {error}") from error


def _check_pixels(place: str, words: list[str]) -> None:
    if len(words) != SIDE**2:
        raise LabelError(f"{place}: {len(words)} pixels, expected {SIDE} x {SIDE}")
    bad = next((word for word in words if not (word.isdecimal() and int(word) < 256)), None)
    if bad is not None:
        raise LabelError(f"{place}: {bad!r} is no pixel, a whole number from 0 to 255")


def _beside(path: Path) -> Path:
    found = (path.with_suffix(suffix) for suffix in sorted(SUFFIXES))
    picture = next((file for file in found if file.is_file()), None)
    if picture is None:
        raise LabelError(f"{path}: no picture {path.stem}.webp or .png with its faces beside it")
    return picture


def _cells(picture: Path, cells: NDArray[np.int64]) -> Iterator[Image]:
    """Yield the faces of a sheet, in rows of 48 x 48 cells."""
    sheet = read_photo(picture)
    down, across = sheet.shape[0] // SIDE, sheet.shape[1] // SIDE
    if (
        sheet.shape[0] % SIDE
        or sheet.shape[1] % SIDE
        or (len(cells) and cells.max() >= down * across)
    ):
        raise LabelError(
            f"{picture}: {sheet.shape[1]} x {sheet.shape[0]} pixels, {down * across} cells of"
            f" {SIDE} x {SIDE}: cell {cells.max(initial=0)} is not there"
        )
    for cell in cells:
        top, left = SIDE * (cell // across), SIDE * (cell % across)
        yield sheet[top : top + SIDE, left : left + SIDE]


def _check_choice(name: str, value: str | None, choices: tuple[str | None, ...]) -> None:
    if value not in choices:
        known = ", ".join(each for each in choices if each)
        raise OptionError(f"{name} is {value!r}: expected one of {known}")
