"""Faces labelled by hand, and the CSV file they are kept in.

Conventions
-----------
Boxes are `[x1, y1, x2, y2]` in pixels in memory and `x, y, w, h` in the file.
A label is an index into `EMOTIONS`, or one of two words that are no emotion:

- `UNSURE`: a real face whose perceived expression is not known. It counts for
  detection and not for classification.
- `IGNORE`: a region to leave out. A detector that finds it is not wrong, and
  neither is one that does not.

The file is UTF-8 CSV, one face a row::

    image,x,y,w,h,emotion[,annotator][,sha256][,complete][,votes_angry ...][,any other column]

A photo without a face is a row with an empty box and no emotion. `complete`
is `no` where a photo has visible faces that nobody labelled. Where several
annotators name the same box, the face is one with votes; its label is the word
with most votes, or unsure in a tie. What each of them wrote is kept for saving.
"""

from __future__ import annotations

import csv
import difflib
import io
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groupemo import boxes as _boxes
from groupemo.emotions import CONTEMPT, EMOTIONS, parse_emotion
from groupemo.errors import LabelError, OptionError
from groupemo.files import write_atomically

__all__ = [
    "IGNORE",
    "UNSURE",
    "LabelledFaces",
    "Labels",
    "label_word",
    "load_labels",
    "parse_label",
    "save_labels",
]

UNSURE = -1
"""A real face whose perceived expression is not known."""

IGNORE = -2
"""A region to leave out: neither missed nor a phantom."""

_SPECIAL = {"unsure": UNSURE, "unknown": UNSURE, "ignore": IGNORE}
_REQUIRED = ("image", "x", "y", "w", "h", "emotion")
_OPTIONAL = ("annotator", "sha256", "complete")
_VOTES = "votes_"
_COMPLETE = {
    "": None,
    "yes": True,
    "true": True,
    "1": True,
    "no": False,
    "false": False,
    "0": False,
}


def parse_label(word: str, *, contempt: str = "refuse") -> int:
    """Return the label that `word` means: an index into `EMOTIONS`, `UNSURE` or `IGNORE`.

    Parameters
    ----------
    word : str
        An emotion in any spelling `groupemo.emotions` knows, `unsure` or `ignore`.
    contempt : str
        What becomes of contempt, which has no class: `"refuse"` raises, `"drop"`
        makes it unsure, an emotion word makes it that emotion.

    Raises
    ------
    LabelError
        If the word is unknown, or is contempt and that is refused.
    OptionError
        If `contempt` is none of the above.

    Examples
    --------
    >>> parse_label("happiness"), parse_label("unsure"), parse_label("contempt", contempt="drop")
    (3, -1, -1)
    """
    plain = word.strip().lower()
    target = _contempt_target(contempt)
    if plain in _SPECIAL:
        return _SPECIAL[plain]
    near = difflib.get_close_matches(plain, ("unsure", "ignore"), n=1, cutoff=0.8)
    if near:
        raise LabelError(f"unknown word {word!r}: did you mean {near[0]!r}?")
    try:
        emotion = parse_emotion(word)
    except LabelError as error:
        raise LabelError(f"{error}, unsure, ignore") from None
    if emotion != CONTEMPT:
        return EMOTIONS.index(emotion)
    if target is None:
        raise LabelError(
            f"{word!r} has no class of its own: say contempt='drop' to make it unsure,"
            " or name the emotion to merge it into"
        )
    return target


def _contempt_target(contempt: str) -> int | None:
    """Return the label contempt becomes, or None where it is refused."""
    if contempt == "refuse":
        return None
    if contempt == "drop":
        return UNSURE
    try:
        return EMOTIONS.index(parse_emotion(contempt))
    except (LabelError, ValueError):
        raise OptionError(
            f"contempt={contempt!r}: expected 'refuse', 'drop' or one of {', '.join(EMOTIONS)}"
        ) from None


def label_word(label: int) -> str:
    """Return the word for a label, as it stands in a file.

    >>> label_word(3), label_word(UNSURE)
    ('happy', 'unsure')
    """
    return {UNSURE: "unsure", IGNORE: "ignore"}.get(label) or EMOTIONS[label]


@dataclass(frozen=True, eq=False, init=False)
class LabelledFaces:
    """The faces of one photo as people labelled them.

    Parameters
    ----------
    boxes : array_like, shape=(m, 4)
        `[x1, y1, x2, y2]` in pixels, finite, with x2 > x1 and y2 > y1. Stored as
        float32. They may stick out of the photo: see `check_inside`.
    labels : array_like, shape=(m,)
        Index into `EMOTIONS`, `UNSURE` or `IGNORE`. Stored as int64.
    votes : array_like, shape=(m, 7), optional
        How many people chose each emotion; finite, at least 0. A row of zeros
        means that nobody voted: the label alone stands. None where no face has votes.
    complete : bool
        Whether every visible face of the photo is labelled.
    annotators : sequence of str, length m, optional
        Who labelled each face; empty where that is not known.
    extra : mapping of str to sequence of str, length m, optional
        Further columns of the file, kept as they are.

    Raises
    ------
    LabelError
        If shapes disagree or a value is out of range; names the value.
    """

    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    votes: NDArray[np.float64] | None
    complete: bool
    annotators: tuple[str, ...]
    extra: Mapping[str, tuple[str, ...]]

    def __init__(
        self,
        boxes: ArrayLike,
        labels: ArrayLike,
        votes: ArrayLike | None = None,
        complete: bool = True,
        annotators: Sequence[str] | None = None,
        extra: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        rows = _checked_boxes(boxes)
        m = len(rows)
        names = ("",) * m if annotators is None else annotators
        columns = {name: _texts(name, values, m) for name, values in (extra or {}).items()}
        fields = {
            "boxes": rows,
            "labels": _checked_labels(labels, m),
            "votes": None if votes is None else _checked_votes(votes, m),
            "complete": bool(complete),
            "annotators": _texts("annotators", names, m),
            "extra": columns,
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    @classmethod
    def empty(cls, *, complete: bool = True) -> LabelledFaces:
        """Return no labelled faces: what a photo without a face holds."""
        return cls(np.empty((0, 4)), np.empty(0), complete=complete)

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: Any) -> LabelledFaces:
        """Return the faces a mask, slice, integer array or single integer picks."""
        rows = np.atleast_1d(np.arange(len(self))[index])
        return LabelledFaces(
            self.boxes[rows],
            self.labels[rows],
            None if self.votes is None else self.votes[rows],
            self.complete,
            [self.annotators[row] for row in rows],
            {name: [column[row] for row in rows] for name, column in self.extra.items()},
        )

    def check_inside(self, width: float, height: float, name: str) -> LabelledFaces:
        """Return the faces with their boxes cut to a photo of `width` x `height` pixels.

        A box drawn by hand may stick out of the photo by any amount: it is cut at the
        edge, as a detector's boxes are. A box that lies wholly outside belongs to
        another photo or another size, and is refused.

        Raises
        ------
        LabelError
            If a box lies wholly outside; names the photo `name`, the box and the size.
        """
        cut = _boxes.clip(self.boxes, width, height)
        outside = np.flatnonzero(~_boxes.nonempty(cut))
        if len(outside):
            box = ", ".join(row_numbers(self.boxes[outside[0]]))
            raise LabelError(
                f"{name}: the box x, y, w, h = {box} lies outside the photo, which has"
                f" {width:g} x {height:g} pixels: are the labels of this photo, at this size?"
            )
        return LabelledFaces(
            cut, self.labels, self.votes, self.complete, self.annotators, self.extra
        )

    def merged(self) -> LabelledFaces:
        """Return one face a box: where several rows share a box, their votes are added.

        A row without votes counts as one vote for its label; the merged label is the
        word with most votes, unsure and ignore among them, or unsure in a tie.
        """
        groups = list(_same_boxes(self.boxes).values())
        if len(groups) == len(self):
            return self
        ballots = np.stack([_ballots(self)[rows].sum(axis=0) for rows in groups])
        winners = [
            int(self.labels[rows[0]]) if len(rows) == 1 else _winner(ballot)
            for rows, ballot in zip(groups, ballots, strict=True)
        ]
        return LabelledFaces(
            self.boxes[[rows[0] for rows in groups]],
            winners,
            ballots[:, : len(EMOTIONS)],
            self.complete,
            _joined(self.annotators, groups),
            {name: _joined(column, groups) for name, column in self.extra.items()},
        )


def _checked_boxes(values: ArrayLike) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused below
        array = np.array(values, dtype=np.float32) + np.float32(0)  # -0.0 becomes 0.0
    if array.size == 0:
        array = array.reshape(0, 4)
    if array.ndim != 2 or array.shape[1] != 4:
        raise LabelError(f"labels: boxes have shape {array.shape}, expected (m, 4)")
    finite = np.isfinite(array).all(axis=1, keepdims=True)
    bad = np.flatnonzero(~_boxes.nonempty(np.where(finite, array, 0)))
    if len(bad):
        raise LabelError(
            f"labels: boxes[{bad[0]}] is {array[bad[0]].tolist()}: expected finite numbers with"
            " x2 > x1 and y2 > y1 (was it x, y, w, h?)"
        )
    array.setflags(write=False)
    return array


def _checked_labels(values: ArrayLike, m: int) -> NDArray[np.int64]:
    array = np.array(values, dtype=np.int64)
    if array.shape != (m,):
        raise LabelError(f"labels: labels have shape {array.shape}, expected ({m},)")
    bad = np.flatnonzero((array < IGNORE) | (array >= len(EMOTIONS)))
    if len(bad):
        raise LabelError(
            f"labels: labels[{bad[0]}] is {array[bad[0]]}: expected 0 to {len(EMOTIONS) - 1},"
            f" {UNSURE} (unsure) or {IGNORE} (ignore)"
        )
    array.setflags(write=False)
    return array


def _checked_votes(values: ArrayLike, m: int) -> NDArray[np.float64]:
    array = np.array(values, dtype=np.float64)
    if array.size == 0:
        array = array.reshape(0, len(EMOTIONS))
    if array.shape != (m, len(EMOTIONS)):
        raise LabelError(f"labels: votes have shape {array.shape}, expected {(m, len(EMOTIONS))}")
    bad = np.flatnonzero(~(np.isfinite(array) & (array >= 0)).all(axis=1))
    if len(bad):
        raise LabelError(
            f"labels: votes[{bad[0]}] is {array[bad[0]].tolist()}: expected finite numbers of at"
            " least 0"
        )
    array.setflags(write=False)
    return array


def _texts(name: str, values: Sequence[str], m: int) -> tuple[str, ...]:
    if name in _REQUIRED + _OPTIONAL or name.startswith(_VOTES):
        raise LabelError(f"labels: {name!r} has a meaning of its own: name the column otherwise")
    if len(values) != m:
        raise LabelError(f"labels: {name} has {len(values)} values for {m} faces")
    return tuple(map(str, values))


def _same_boxes(boxes: NDArray[np.float32]) -> dict[bytes, list[int]]:
    """Return the rows that share each box, in order of first appearance."""
    groups: dict[bytes, list[int]] = {}
    for row, box in enumerate(boxes):
        groups.setdefault(box.tobytes(), []).append(row)
    return groups


def _ballots(faces: LabelledFaces) -> NDArray[np.float64]:
    """Return votes for each emotion, unsure and ignore, shape (m, 9)."""
    k = len(EMOTIONS)
    ballots = np.zeros((len(faces), k + 2))
    if faces.votes is not None:
        ballots[:, :k] = faces.votes
    silent = np.flatnonzero(ballots.sum(axis=1) == 0)
    labels = faces.labels[silent]
    ballots[silent, np.where(labels >= 0, labels, k - 1 - labels)] = 1
    return ballots


def _winner(ballot: NDArray[np.float64]) -> int:
    """Return the label with most votes; unsure in a tie."""
    best = np.flatnonzero(ballot == ballot.max())
    codes = (*range(len(EMOTIONS)), UNSURE, IGNORE)
    return codes[best[0]] if len(best) == 1 else UNSURE


def _joined(texts: Sequence[str], groups: Iterable[list[int]]) -> list[str]:
    """Return the distinct words of each group, in order, as one text."""
    return ["; ".join(dict.fromkeys(texts[row] for row in rows if texts[row])) for rows in groups]


class Labels(Mapping[str, LabelledFaces]):
    """Labelled photos: a mapping from a photo's name to its `LabelledFaces`, one face a box.

    Parameters
    ----------
    photos : mapping of str to LabelledFaces
        A photo labelled as holding no face maps to `LabelledFaces.empty()`. The same
        box may stand there once for each annotator: reading the photo merges them.
    sha256 : mapping of str to str, optional
        The photo file's checksum in lower-case hex, where known.
    no_face_notes : mapping of str to sequence of mapping, optional
        Annotator and further columns of the rows that say a photo holds no face.

    Attributes
    ----------
    classes : tuple of str
        What the labels index: `EMOTIONS`.
    written : mapping of str to LabelledFaces
        The same photos before merging: one row a face and annotator.

    Raises
    ------
    LabelError
        If an annotator labels one box twice; names photo, box and annotator.
    """

    classes: tuple[str, ...] = EMOTIONS

    def __init__(
        self,
        photos: Mapping[str, LabelledFaces],
        *,
        sha256: Mapping[str, str] | None = None,
        no_face_notes: Mapping[str, Sequence[Mapping[str, str]]] | None = None,
    ) -> None:
        for name, faces in photos.items():
            _refuse_twice(name, faces)
        self.written: Mapping[str, LabelledFaces] = dict(photos)
        self.sha256: Mapping[str, str] = dict(sha256 or {})
        self.no_face_notes: Mapping[str, Sequence[Mapping[str, str]]] = dict(no_face_notes or {})
        self._merged = {name: faces.merged() for name, faces in photos.items()}

    def __getitem__(self, name: str) -> LabelledFaces:
        return self._merged[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._merged)

    def __len__(self) -> int:
        return len(self._merged)

    def __repr__(self) -> str:
        faces = sum(map(len, self.values()))
        return f"<Labels: {len(self)} photos, {faces} faces>"

    @property
    def annotators(self) -> tuple[str, ...]:
        """Everybody who is named as an annotator, sorted."""
        return tuple(sorted({who for name in self for who in self._who(name)} - {""}))

    def _who(self, name: str) -> set[str]:
        notes = self.no_face_notes.get(name, ())
        return {*self.written[name].annotators, *(note.get("annotator", "") for note in notes)}

    def only(self, names: Iterable[str]) -> Labels:
        """Return the labels of the photos named, in that order.

        Raises
        ------
        LabelError
            If a name is not labelled; names it and the nearest one that is.
        """
        return self._with({name: self.written[self._known(name)] for name in names})

    def by(self, annotator: str) -> Labels:
        """Return what one annotator wrote, on the photos that annotator labelled.

        Raises
        ------
        LabelError
            If nobody of that name labelled anything; lists who did.
        """
        if annotator not in self.annotators:
            known = ", ".join(self.annotators) or "none is named"
            raise LabelError(f"no annotator {annotator!r} in the labels; annotators: {known}")
        photos = {}
        for name, faces in self.written.items():
            if annotator in self._who(name):
                mine = [row for row, who in enumerate(faces.annotators) if who == annotator]
                photos[name] = faces[mine]
        return self._with(photos)

    def _known(self, name: str) -> str:
        if name in self:
            return name
        near = difflib.get_close_matches(name, self, n=1)
        hint = f": did you mean {near[0]!r}?" if near else ""
        raise LabelError(f"no labels for the photo {name!r} among {len(self)}{hint}")

    def _with(self, photos: Mapping[str, LabelledFaces]) -> Labels:
        return Labels(
            photos,
            sha256={name: sha for name, sha in self.sha256.items() if name in photos},
            no_face_notes={n: notes for n, notes in self.no_face_notes.items() if n in photos},
        )


def _refuse_twice(name: str, faces: LabelledFaces) -> None:
    for rows in _same_boxes(faces.boxes).values():
        names = [faces.annotators[row] for row in rows]
        if len(set(names)) < len(names):
            who = next(who for who in names if names.count(who) > 1)
            box = ", ".join(row_numbers(faces.boxes[rows[0]]))
            raise LabelError(f"{name}: annotator {who!r} labels the box {box} (x, y, w, h) twice")


# --- reading -------------------------------------------------------------------------------


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
    _contempt_target(contempt)
    file = Path(path)
    photos: dict[str, list[_Row]] = {}
    for row in _parse(file, read_text(file), contempt):
        photos.setdefault(row.image, []).append(row)
    for rows in photos.values():
        _check_rows(file, rows)
    labels = Labels(
        {name: _faces(rows) for name, rows in photos.items()},
        sha256={name: sha for name, rows in photos.items() if (sha := _agreed(rows, "sha256"))},
        no_face_notes={name: _notes(rows) for name, rows in photos.items() if _notes(rows)},
    )
    return labels if annotator is None else labels.by(annotator)


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
            if not any(cells):
                continue
            if len(cells) > len(header):
                raise LabelError(
                    f"{path}, line {reader.line_num}: {len(cells)} cells, but the header names"
                    f" {len(header)} columns"
                )
            padded = cells + [""] * (len(header) - len(cells))
            yield _row(
                _Cells(path, reader.line_num, dict(zip(header, padded, strict=True))), contempt
            )
    except csv.Error as error:
        raise LabelError(f"{path}, line {reader.line_num}: not CSV: {error}") from error


def _header(path: Path, cells: Sequence[str], contempt: str) -> list[str]:
    """Return the columns' names: those with a meaning in lower case, others as they are."""
    names = [_column(path, cell, contempt) for cell in cells]
    missing = [name for name in _REQUIRED if name not in names]
    if missing:
        raise LabelError(
            f"{path}, line 1: no column {', '.join(map(repr, missing))}: found"
            f" {', '.join(map(repr, cells))}; needed: {','.join(_REQUIRED)}"
        )
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise LabelError(f"{path}, line 1: the column {twice!r} stands there twice")
    return names


def _column(path: Path, cell: str, contempt: str) -> str:
    plain = cell.strip().lower()
    if not plain.startswith(_VOTES):
        return plain if plain in _REQUIRED + _OPTIONAL else cell.strip()
    try:
        parse_label(plain.removeprefix(_VOTES), contempt=contempt)
    except LabelError as error:
        raise LabelError(f"{path}, line 1, column {cell!r}: {error}") from None
    return plain


@dataclass(frozen=True)
class _Cells:
    """The cells of one row by column, and where the row stands."""

    path: Path
    line: int
    cells: Mapping[str, str]

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
    box = _row_box(cells) if votes is not None or any(map(cells.text, _REQUIRED[1:])) else None
    known = _REQUIRED + _OPTIONAL
    if not cells.text("image"):
        raise cells.error("image", "the photo's name is missing")
    return _Row(
        line=cells.line,
        image=cells.cells["image"],
        box=box,
        label=UNSURE if box is None else _row_label(cells, votes, contempt),
        votes=votes,
        annotator=cells.text("annotator"),
        sha256=_row_sha256(cells),
        complete=_row_complete(cells),
        extra={
            name: text
            for name, text in cells.cells.items()
            if name not in known and not name.startswith(_VOTES)
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
    given = [name for name in cells.cells if name.startswith(_VOTES) and cells.text(name)]
    votes = np.zeros(len(EMOTIONS))
    for column in given:
        count = cells.number(column)
        if count < 0:
            raise cells.error(column, f"{cells.text(column)!r} is below 0")
        label = parse_label(column.removeprefix(_VOTES), contempt=contempt)
        if label >= 0:
            votes[label] += count
    return votes if given else None


def _row_label(cells: _Cells, votes: NDArray[np.float64] | None, contempt: str) -> int:
    word = cells.text("emotion")
    if not word and votes is not None and votes.any():
        return _winner(np.append(votes, [0, 0]))
    if not word:
        raise cells.error("emotion", "the word is missing: write 'unsure' where it is not known")
    try:
        return parse_label(word, contempt=contempt)
    except LabelError as error:
        raise cells.error("emotion", str(error)) from None


def _row_sha256(cells: _Cells) -> str:
    sha = cells.text("sha256").lower()
    if sha and not re.fullmatch("[0-9a-f]{64}", sha):
        raise cells.error("sha256", f"{cells.text('sha256')!r} is not 64 hexadecimal digits")
    return sha


def _row_complete(cells: _Cells) -> bool | None:
    word = cells.text("complete")
    if word.lower() not in _COMPLETE:
        raise cells.error("complete", f"{word!r}: expected yes or no")
    return _COMPLETE[word.lower()]


def _check_rows(path: Path, rows: Sequence[_Row]) -> None:
    """Refuse what the rows of one photo cannot say together."""
    seen: dict[tuple[bytes, str], int] = {}
    for row in rows:
        key = (b"" if row.box is None else row.box.tobytes(), row.annotator)
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


def _check_agreed(path: Path, rows: Sequence[_Row], column: str) -> None:
    said = [row for row in rows if getattr(row, column) not in ("", None)]
    other = next((r for r in said if getattr(r, column) != getattr(said[0], column)), None)
    if other:
        raise LabelError(
            f"{path}, lines {said[0].line} and {other.line}, column {column!r}: two values for"
            f" {other.image!r}"
        )


def _agreed(rows: Sequence[_Row], column: str) -> Any:
    return next((said for row in rows if (said := getattr(row, column)) not in ("", None)), None)


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
    )


def _notes(rows: Sequence[_Row]) -> list[dict[str, str]]:
    """Return what rows without a face say beside that, as cells by column."""
    said = [{"annotator": row.annotator, **row.extra} for row in rows if row.box is None]
    return said if any(any(cells.values()) for cells in said) else []


# --- writing -------------------------------------------------------------------------------


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
    columns = dict.fromkeys([*_REQUIRED, *_OPTIONAL, *(name for row in rows for name in row)])
    unsaid = {name for name in _OPTIONAL if not any(row.get(name) for row in rows)}
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
            **{_VOTES + word: _number(n) for word, n in zip(EMOTIONS, votes, strict=False)},
            **{column: texts[row] for column, texts in faces.extra.items()},
        }


def row_numbers(box: NDArray[np.float32]) -> tuple[str, str, str, str]:
    """Return x, y, w, h in the fewest digits that give this float32 box back."""
    x, y = map(_number, box[:2])
    return x, y, _side(x, box[2]), _side(y, box[3])


def _number(value: np.floating[Any]) -> str:
    """Return the fewest digits that give a number of its type back."""
    return np.format_float_positional(value, trim="-")


def _side(start: str, end: np.float32) -> str:
    gap = float(end) - float(start)
    rounded = (f"{gap:.{places}f}" for places in range(12))
    return next((t for t in rounded if np.float32(float(start) + float(t)) == end), repr(gap))
