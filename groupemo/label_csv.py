"""Labels in a CSV file, read and written.

Conventions
-----------
The file is UTF-8 CSV, one face a row::

    image,x,y,w,h,emotion[,annotator][,settled][,settled_by][,sha256][,complete]
        [,votes_angry ...][,any other column]

Boxes are `x, y, w, h` in pixels. A photo without a face is a row with an empty box
and no emotion. `complete` is `no` where a photo has visible faces that nobody
labelled. Rows of several annotators may name the same box, and `settled` is then the
label of the face, whatever they say, `settled_by` who says so: see `groupemo.labels`.
Columns without a name, such as spreadsheets leave behind, have to be empty.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from groupemo import boxes as _boxes
from groupemo.emotions import EMOTIONS
from groupemo.errors import LabelError
from groupemo.files import write_atomically
from groupemo.labels import (
    MOST_VOTES,
    NOT_SETTLED,
    OPTIONAL,
    REQUIRED,
    UNSURE,
    VOTES,
    LabelledFaces,
    Labels,
    label_word,
    parse_label,
    row_numbers,
    shortest,
    winner,
)

__all__ = ["load_labels", "save_labels"]

_COMPLETE = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


@dataclass(frozen=True)
class _Row:
    """One row of the file, understood; `box` is None where it says that there is no face."""

    line: int
    image: str
    box: NDArray[np.float32] | None
    label: int
    votes: NDArray[np.float64] | None
    annotator: str
    sha256: str
    complete: bool | None
    settled: int = NOT_SETTLED
    settled_by: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)


def load_labels(
    path: str | Path, *, contempt: str = "refuse", annotator: str | None = None
) -> Labels:
    """Read labels from a CSV file in the module's format.

    Parameters
    ----------
    path : str or Path
        UTF-8 text, with or without a byte order mark, any line ends.
    contempt : str
        What becomes of contempt: see `parse_label`.
    annotator : str, optional
        Keep only what this annotator wrote.

    Raises
    ------
    LabelError
        If the file cannot be read or understood; names file, line, column and word.

    Examples
    --------
    >>> labels = load_labels("labels/samples.csv")  # doctest: +SKIP
    >>> labels["azure_faces.jpg"].boxes.shape  # doctest: +SKIP
    (6, 4)
    """
    parse_label("ignore", contempt=contempt)  # refuses a rule that means nothing
    file = Path(path)
    photos: dict[str, list[_Row]] = {}
    for row in _parse(file, read_text(file), contempt):
        photos.setdefault(row.image, []).append(row)
    for rows in photos.values():
        _check_rows(file, rows)
    labels = Labels(
        {name: _faces(rows) for name, rows in photos.items()},
        sha256={name: sha for name, rows in photos.items() if (sha := _agreed(rows, "sha256"))},
        no_face_notes={name: notes for name, rows in photos.items() if (notes := _notes(rows))},
    )
    return labels if annotator is None else labels.by(normalize("NFC", annotator))


def read_text(path: Path) -> str:
    """Return the text of a label file.

    Raises
    ------
    LabelError
        If the file is missing, a folder, unreadable, not UTF-8, or empty.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise LabelError(f"{path}: cannot read the labels: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise LabelError(
            f"{path}: not UTF-8 text (byte {error.start} is {error.object[error.start]:#04x})"
        ) from error
    if not text.strip():
        raise LabelError(f"{path}: the file is empty")
    return text


def _parse(path: Path, text: str, contempt: str) -> Iterator[_Row]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = _header(path, next(reader), contempt)
        for cells in reader:
            if any(cells):
                yield _row(_Cells.of(path, reader.line_num, header, cells), contempt)
    except csv.Error as error:
        raise LabelError(f"{path}, line {reader.line_num}: not CSV: {error}") from error


def _header(path: Path, cells: Sequence[str], contempt: str) -> list[str]:
    """Return the columns' names: those with a meaning in lower case, others as they are.

    Columns without a name have an empty one.
    """
    names = [_column(path, cell, contempt) for cell in cells]
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise LabelError(
            f"{path}, line 1: no column {', '.join(map(repr, missing))}: found"
            f" {', '.join(map(repr, cells))}; needed: {','.join(REQUIRED)}"
        )
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise LabelError(f"{path}, line 1: the column {twice!r} stands there twice")
    return names


def _column(path: Path, cell: str, contempt: str) -> str:
    plain = cell.strip().lower()
    if not plain.startswith(VOTES):
        return plain if plain in REQUIRED + OPTIONAL else cell.strip()
    try:
        parse_label(plain.removeprefix(VOTES), contempt=contempt)
    except LabelError as error:
        raise LabelError(f"{path}, line 1, column {cell!r}: {error}") from None
    return plain


@dataclass(frozen=True)
class _Cells:
    """The cells of one row by column, and where the row stands."""

    path: Path
    line: int
    cells: Mapping[str, str]

    @classmethod
    def of(cls, path: Path, line: int, header: Sequence[str], cells: Sequence[str]) -> _Cells:
        """Return a row's cells; refuse it where a column without a name holds something."""
        columns = list(zip_longest(header, cells, fillvalue=""))
        for number, (name, cell) in enumerate(columns, start=1):
            if not name and cell.strip():
                raise LabelError(
                    f"{path}, line {line}: {cell!r} stands in column {number}, which line 1 does"
                    " not name"
                )
        return cls(path, line, {name: cell for name, cell in columns if name})

    def text(self, column: str) -> str:
        return self.cells.get(column, "").strip()

    def error(self, column: str, fault: str) -> LabelError:
        return LabelError(f"{self.path}, line {self.line}, column {column!r}: {fault}")

    def number(self, column: str) -> float:
        word = self.text(column)
        try:
            value = float(word)
        except ValueError:
            raise self.error(column, f"{word!r} is not a number") from None
        if not math.isfinite(value):
            raise self.error(column, f"{word!r} is not finite")
        return value


def _row(cells: _Cells, contempt: str) -> _Row:
    votes = _row_votes(cells, contempt)
    about_a_face = votes is not None or any(map(cells.text, (*REQUIRED[1:], "settled")))
    box = _row_box(cells) if about_a_face else None
    known = REQUIRED + OPTIONAL
    if not cells.text("image"):
        raise cells.error("image", "the photo's name is missing")
    return _Row(
        line=cells.line,
        image=cells.cells["image"],
        box=box,
        label=UNSURE if box is None else _row_label(cells, votes, contempt),
        votes=votes,
        annotator=normalize("NFC", cells.text("annotator")),
        sha256=_row_sha256(cells),
        complete=_row_complete(cells),
        settled=_row_settled(cells, contempt),
        settled_by=normalize("NFC", cells.text("settled_by")),
        extra={
            name: text
            for name, text in cells.cells.items()
            if name not in known and not name.startswith(VOTES)
        },
    )


def _row_box(cells: _Cells) -> NDArray[np.float32]:
    x, y, w, h = (cells.number(column) for column in "xywh")
    for column, value in (("w", w), ("h", h)):
        if value <= 0:
            raise cells.error(column, f"{cells.text(column)!r} is not above 0")
    with np.errstate(over="ignore"):
        box = _boxes.xywh_to_xyxy([[x, y, w, h]])
    if not np.isfinite(box).all() or not _boxes.nonempty(box).all():
        raise cells.error("x", f"{x:g}, {y:g}, {w:g}, {h:g} is no box in pixels")
    return box


def _row_votes(cells: _Cells, contempt: str) -> NDArray[np.float64] | None:
    given = [name for name in cells.cells if name.startswith(VOTES) and cells.text(name)]
    votes = np.zeros(len(EMOTIONS))
    for column in given:
        count = cells.number(column)
        if count < 0:
            raise cells.error(column, f"{cells.text(column)!r} is below 0")
        if count > MOST_VOTES:
            raise cells.error(column, f"{cells.text(column)!r} is above {MOST_VOTES:g}")
        label = parse_label(column.removeprefix(VOTES), contempt=contempt)
        if label >= 0:
            votes[label] += count
    return votes if given else None


def _row_label(cells: _Cells, votes: NDArray[np.float64] | None, contempt: str) -> int:
    word = cells.text("emotion")
    if not word and votes is not None and votes.any():
        return winner(np.append(votes, [0, 0]))
    if not word:
        raise cells.error("emotion", "the word is missing: write 'unsure' where it is not known")
    return _parsed(cells, "emotion", contempt)


def _row_settled(cells: _Cells, contempt: str) -> int:
    if cells.text("settled"):
        return _parsed(cells, "settled", contempt)
    if cells.text("settled_by"):
        raise cells.error("settled_by", "somebody settled this face, but 'settled' is empty")
    return NOT_SETTLED


def _parsed(cells: _Cells, column: str, contempt: str) -> int:
    try:
        return parse_label(cells.text(column), contempt=contempt)
    except LabelError as error:
        raise cells.error(column, str(error)) from None


def _row_sha256(cells: _Cells) -> str:
    sha = cells.text("sha256").lower()
    if sha and not re.fullmatch("[0-9a-f]{64}", sha):
        raise cells.error("sha256", f"{cells.text('sha256')!r} is not 64 hexadecimal digits")
    return sha


def _row_complete(cells: _Cells) -> bool | None:
    word = cells.text("complete")
    if word and word.lower() not in _COMPLETE:
        raise cells.error("complete", f"{word!r}: expected yes or no")
    return _COMPLETE.get(word.lower())


def _check_rows(path: Path, rows: Sequence[_Row]) -> None:
    """Refuse what the rows of one photo cannot say together."""
    seen: dict[tuple[bytes, str], int] = {}
    for row in rows:
        key = (_bytes(row.box), row.annotator)
        if key in seen:
            raise LabelError(
                f"{path}, lines {seen[key]} and {row.line}: the same row twice for"
                f" {row.image!r}: one image, box and annotator"
            )
        seen[key] = row.line
    blank = next((row for row in rows if row.box is None), None)
    face = next((row for row in rows if row.box is not None), None)
    if blank and face:
        raise LabelError(
            f"{path}, line {blank.line}: says that {blank.image!r} holds no face, but line"
            f" {face.line} gives one"
        )
    for column in ("sha256", "complete"):
        _check_agreed(path, rows, column)
    for box in {box for box, _ in seen}:
        _check_agreed(path, [row for row in rows if _bytes(row.box) == box], "settled")


def _bytes(box: NDArray[np.float32] | None) -> bytes:
    return b"" if box is None else box.tobytes()


def _check_agreed(path: Path, rows: Sequence[_Row], column: str) -> None:
    said = _said(rows, column)
    other = next((r for r in said if getattr(r, column) != getattr(said[0], column)), None)
    if other:
        raise LabelError(
            f"{path}, lines {said[0].line} and {other.line}, column {column!r}: two values for"
            f" {other.image!r}"
        )


def _agreed(rows: Sequence[_Row], column: str) -> Any:
    return next((getattr(row, column) for row in _said(rows, column)), None)


def _said(rows: Sequence[_Row], column: str) -> list[_Row]:
    """Return the rows that say something in a column."""
    return [row for row in rows if getattr(row, column) not in ("", None, NOT_SETTLED)]


def _faces(rows: Sequence[_Row]) -> LabelledFaces:
    complete = _agreed(rows, "complete") is not False
    if rows[0].box is None:
        return LabelledFaces.empty(complete=complete)
    voted = any(row.votes is not None for row in rows)
    zero = np.zeros(len(EMOTIONS))
    return LabelledFaces(
        np.concatenate([row.box for row in rows if row.box is not None]),
        [row.label for row in rows],
        [zero if row.votes is None else row.votes for row in rows] if voted else None,
        complete,
        [row.annotator for row in rows],
        {name: [row.extra[name] for row in rows] for name in rows[0].extra},
        [row.settled for row in rows],
        [row.settled_by for row in rows],
    )


def _notes(rows: Sequence[_Row]) -> list[dict[str, str]]:
    """Return what rows without a face say beside that, as cells by column."""
    said = [{"annotator": row.annotator, **row.extra} for row in rows if row.box is None]
    return said if any(any(cells.values()) for cells in said) else []


def save_labels(labels: Labels, path: str | Path) -> Path:
    """Write labels as a CSV file that `load_labels` reads back as they are.

    The file appears whole or not at all. Optional columns are written where they say
    something.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    rows = [cells for name in labels for cells in _cells(labels, name)]
    columns = dict.fromkeys([*REQUIRED, *OPTIONAL, *(name for row in rows for name in row)])
    unsaid = {name for name in OPTIONAL if not any(row.get(name) for row in rows)}
    lines: list[str] = []
    writer = csv.DictWriter(
        SimpleNamespace(write=lambda line: lines.append(line.removesuffix("\r\n") + "\n")),
        [name for name in columns if name not in unsaid],
        extrasaction="ignore",
    )
    writer.writeheader()
    writer.writerows(rows)
    return write_atomically(path, "".join(lines).encode())


def _cells(labels: Labels, name: str) -> Iterator[dict[str, str]]:
    """Yield the rows of one photo as they stand in the file."""
    faces = labels.written[name]
    about = {
        "image": name,
        "sha256": labels.sha256.get(name, ""),
        "complete": "" if faces.complete else "no",
    }
    if not len(faces):
        for note in labels.no_face_notes.get(name) or [{}]:
            yield {**about, **note}
    for row, label in enumerate(faces.labels):
        votes = [] if faces.votes is None else faces.votes[row]
        yield {
            **about,
            **dict(zip("xywh", row_numbers(faces.boxes[row]), strict=True)),
            "emotion": label_word(int(label)),
            "annotator": faces.annotators[row],
            "settled": "" if faces.settled[row] == NOT_SETTLED else label_word(faces.settled[row]),
            "settled_by": faces.settlers[row],
            **{VOTES + word: shortest(n) for word, n in zip(EMOTIONS, votes, strict=False)},
            **{column: texts[row] for column, texts in faces.extra.items()},
        }
