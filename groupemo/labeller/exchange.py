"""Labels out to the label file and in from files, so that what comes back is what went out.

Conventions
-----------
One row a face and annotator, as `groupemo.label_csv` has it; the annotators' rows of a face
share its box, so `load_labels` merges them into votes. Only labelled faces are written, and
a photo is complete where an annotator has called it so and has labelled each of its faces.
What the format has no column for stands in further ones:

- `second`, `confidence`; `guess_shown`, `yes` where a backend's guess had been shown before;
- `answer`: the annotator's word where the row has to say *unsure* for it: contempt;
- `settled_answer`: the same for the adjudicator's word;
- `finished_by`: who has called a complete photo so, as JSON, where it is not just everybody in
  its rows.

What an adjudicator settled stands in `settled` and `settled_by` of all rows of a face; one
that no annotator has is a row of the adjudicator's. What somebody called *not a face* is no
row, and a face that was settled as none has none.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from groupemo.emotions import CONTEMPT, EMOTIONS
from groupemo.errors import LabelError, OptionError, OutputError
from groupemo.files import replacing
from groupemo.label_csv import load_labels, save_labels
from groupemo.label_formats import import_labels
from groupemo.labeller.actions import (
    NOT_A_FACE,
    Adjudicate,
    Box,
    Import,
    Said,
    composed,
    parse,
)
from groupemo.labeller.album import id_of
from groupemo.labeller.consensus import Common, Consensus, Settled
from groupemo.labeller.journal import Journal, PhotoRow
from groupemo.labeller.state import Face
from groupemo.labels import CODES, NOT_SETTLED, UNSURE, LabelledFaces, Labels, label_word

__all__ = ["Imported", "LabelFile", "PhotoAnswers", "from_labels", "read_file", "to_labels"]

FILE_KINDS: Mapping[str, str] = {
    "csv": ".csv",
    "coco": ".json",
    "labelstudio": ".json",
    "voc": ".xml",
}
"""The formats that are one file, and how its name ends."""

_CODES: Mapping[str, int] = {label_word(code): code for code in CODES}
"""What a word is in a label file; contempt has no code, and is unsure there."""

OWN_COLUMNS = ("second", "confidence", "guess_shown", "answer", "settled_answer", "finished_by")


@dataclass(frozen=True)
class PhotoAnswers:
    """All that is to be written of one photo; `notes` are the further cells of each finisher."""

    name: str
    sha256: str
    consensus: Consensus
    notes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Row:
    """One row of the label file."""

    box: Box
    label: str
    annotator: str
    votes: Mapping[str, float] | None
    extra: Mapping[str, str]
    settled: Settled | None = None

    @property
    def said(self) -> bool:
        """Whether it is an annotator's."""
        return self.settled is None or self.settled.by != self.annotator


def to_labels(
    photos: Iterable[PhotoAnswers], *, settled: bool = True, votes: bool = True
) -> Labels:
    """Return what the annotators say, as labels.

    Parameters
    ----------
    photos : iterable of PhotoAnswers
        Those of which nothing is said are left out.
    settled : bool
        Whether adjudicators' words are written, too.
    votes : bool
        Whether an annotator's own shares are written, or the label alone.
    """
    chosen = sorted(photos, key=lambda photo: photo.name)
    rows = {photo.name: _rows(photo, settled) for photo in chosen}
    said = dict.fromkeys(name for each in rows.values() for row in each for name in row.extra)
    own = [name for name in OWN_COLUMNS if name in said]
    columns = [*own, *(name for name in said if name not in own)]
    kept = [photo for photo in chosen if rows[photo.name] or photo.consensus.finished]
    return Labels(
        {
            photo.name: _labelled(rows[photo.name], photo.consensus, columns, votes)
            for photo in kept
        },
        sha256={photo.name: photo.sha256 for photo in kept if photo.sha256},
        no_face_notes={
            photo.name: [
                {"annotator": who, **photo.notes.get(who, {})} for who in photo.consensus.finished
            ]
            for photo in kept
            if not rows[photo.name]
        },
    )


def _rows(photo: PhotoAnswers, settled: bool) -> list[_Row]:
    rows = [row for face in photo.consensus.faces for row in _rows_of(face, settled)]
    finished = photo.consensus.finished
    if not finished or set(finished) == {row.annotator for row in rows if row.said}:
        return rows
    by = {"finished_by": json.dumps(finished, ensure_ascii=False)}
    return [replace(row, extra={**row.extra, **by}) for row in rows]


def _rows_of(common: Common, settled: bool) -> list[_Row]:
    """Return the rows of one face: the annotators', or the adjudicator's where there are none."""
    word = common.settled if settled else None
    if word is not None and word.label == NOT_A_FACE:
        return []
    said = [(who, face) for who, face in sorted(common.answers.items()) if face.is_face]
    rows = [
        _Row(common.box, str(face.label), who, face.votes, _further(face), word)
        for who, face in said
    ]
    if word is None:
        return rows
    rows = rows or [_Row(common.box, str(word.label), word.by, None, {}, word)]
    contempt = {"settled_answer": CONTEMPT} if word.label == CONTEMPT else {}
    return [replace(row, extra={**row.extra, **contempt}) for row in rows]


def _further(face: Face) -> dict[str, str]:
    """Return what the format has no column for, by the names of ours."""
    said = {
        "second": face.second,
        "confidence": face.confidence,
        "guess_shown": "yes" if face.guess_shown else None,
        "answer": CONTEMPT if face.label == CONTEMPT else None,
    }
    return {**{name: str(cell) for name, cell in said.items() if cell is not None}, **face.extra}


def _labelled(
    rows: Sequence[_Row], consensus: Consensus, columns: Sequence[str], votes: bool
) -> LabelledFaces:
    if not rows:
        return LabelledFaces.empty()
    voted = votes and any(row.votes for row in rows)
    return LabelledFaces(
        [row.box for row in rows],
        [_code(row.label) for row in rows],
        [[(row.votes or {}).get(word, 0) for word in EMOTIONS] for row in rows] if voted else None,
        bool(consensus.finished),
        [row.annotator for row in rows],
        {name: [row.extra.get(name, "") for row in rows] for name in columns},
        [_code(row.settled.label) if row.settled else NOT_SETTLED for row in rows],
        [row.settled.by if row.settled else "" for row in rows],
    )


def _code(word: str | None) -> int:
    return _CODES.get(str(word), UNSURE)


@dataclass(frozen=True)
class Imported:
    """What a file says, as actions: photos by id, each with whose action it is.

    Parameters
    ----------
    sheets : mapping of (str, str) to Import
        By annotator and photo.
    settled : tuple of (str, str, Adjudicate)
        Adjudicator, photo and word.
    elsewhere : tuple of PhotoRow
        Photos that are labelled in the file and are not in the album.
    """

    sheets: Mapping[tuple[str, str], Import]
    settled: tuple[tuple[str, str, Adjudicate], ...]
    elsewhere: tuple[PhotoRow, ...]


def from_labels(
    labels: Labels, album: Mapping[str, PhotoRow], *, source: str, batch: str, nameless: str
) -> Imported:
    """Return labels as actions.

    Parameters
    ----------
    labels : Labels
    album : mapping of str to PhotoRow
        The photos there are, by id.
    source, batch : str
        See `Import`.
    nameless : str
        Whose the rows are that name nobody, unless the file names this annotator elsewhere.

    Raises
    ------
    LabelError
        If a photo is another version of the one labelled, a box lies outside, or a column of
        ours holds what it cannot; names the photo.
    """
    by_name = {row.name: row for row in album.values()}
    own = nameless if nameless not in map(composed, labels.annotators) else ""
    sheets: dict[tuple[str, str], Import] = {}
    settled: list[tuple[str, str, Adjudicate]] = []
    elsewhere, taken = [], set()
    for name in labels:
        row = _photo_of(name, labels.sha256.get(name, ""), album, by_name)
        if row.id in taken:  # a copy of another photo: its labels keep its name
            row = replace(row, id=id_of("", name), name=name)
        taken.add(row.id)
        if row.id not in album:
            elsewhere.append(row)
        faces = labels.written[name]
        faces = faces.check_inside(row.width, row.height, name) if row.width else faces
        try:
            answers = _Answers.of(faces, labels.no_face_notes.get(name, ()), own)
        except LabelError as error:
            raise LabelError(f"{source}: {name}: {error}") from error
        for who in answers.people:
            sheets[who, row.id] = Import(
                tuple(answers.said.get(who, ())),
                faces.complete and who in answers.finished,
                source,
                batch,
                answers.notes.get(who, {}),
            )
        settled += [(who, row.id, replace(action, batch=batch)) for who, action in answers.settled]
    return Imported(sheets, tuple(settled), tuple(elsewhere))


def _photo_of(
    name: str, sha256: str, album: Mapping[str, PhotoRow], by_name: Mapping[str, PhotoRow]
) -> PhotoRow:
    photo = id_of(sha256, name)
    if photo in album:
        return album[photo]
    if name not in by_name:
        return PhotoRow(photo, name, sha256, 0, 0)
    if sha256 and by_name[name].sha256:
        raise LabelError(
            f"{name}: the labels are of another version of this photo: its SHA-256 begins"
            f" {by_name[name].sha256[:8]}, theirs {sha256[:8]}"
        )
    return by_name[name]


@dataclass
class _Answers:
    """One photo's rows, sorted out by annotator."""

    said: dict[str, list[Said]] = field(default_factory=dict)
    settled: list[tuple[str, Adjudicate]] = field(default_factory=list)
    notes: dict[str, dict[str, str]] = field(default_factory=dict)
    finished: set[str] = field(default_factory=set)

    @property
    def people(self) -> list[str]:
        return sorted({*self.said, *self.finished, *self.notes})

    @classmethod
    def of(cls, faces: LabelledFaces, notes: Sequence[Mapping[str, str]], own: str) -> _Answers:
        answers = cls()
        finishers: str | None = None
        for row in range(len(faces)):
            cells = {name: column[row] for name, column in faces.extra.items() if column[row]}
            finishers = cells.pop("finished_by", finishers)
            answers.add_row(faces, row, cells, composed(faces.annotators[row]) or own)
        for note in notes if len(notes) or len(faces) else [{}]:
            cells = {name: cell for name, cell in note.items() if cell and name != "annotator"}
            answers.notes[composed(note.get("annotator", "")) or own] = cells
        if finishers is None:
            answers.finished = {*answers.said, *answers.notes}
        else:
            answers.finished = {composed(who) or own for who in _names("finished_by", finishers)}
        return answers

    def add_row(self, faces: LabelledFaces, row: int, cells: dict[str, str], who: str) -> None:
        x1, y1, x2, y2 = faces.boxes[row].tolist()
        box = (x1, y1, x2, y2)
        self._settle(faces, row, box, cells.pop("settled_answer", ""))
        if not faces.said[row]:
            return
        word = cells.pop("answer", label_word(int(faces.labels[row])))
        answer: dict[str, Any] = {
            "label": word,
            "second": cells.pop("second", None),
            "guess_shown": cells.pop("guess_shown", "") == "yes",
            "extra": cells,
        }
        if "confidence" in cells:
            sure = cells.pop("confidence")
            answer["confidence"] = int(sure) if sure in "123" else sure
        if faces.votes is not None and faces.votes[row].any():
            shares = zip(EMOTIONS, faces.votes[row].tolist(), strict=True)
            answer["votes"] = {emotion: share for emotion, share in shares if share}
        self.said.setdefault(who, []).append(_said(box, answer))

    def _settle(self, faces: LabelledFaces, row: int, box: Box, answer: str) -> None:
        label, by = int(faces.settled[row]), faces.settlers[row]
        if label == NOT_SETTLED or any(action.box == box for _, action in self.settled):
            return
        if not by:
            raise LabelError("a face is settled, and 'settled_by' does not say by whom")
        self.settled.append((composed(by), Adjudicate(box, answer or label_word(label))))


def _names(column: str, text: str) -> list[str]:
    """Return the names in a JSON list."""
    try:
        names = json.loads(text)
        json.dumps(names, ensure_ascii=False).encode()  # refuses half a character
    except (ValueError, RecursionError) as error:
        raise LabelError(f"{column}: {text!r:.60} is no JSON: {error}") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise LabelError(f"{column}: {text!r:.60}: expected a JSON list of names")
    return names


def _said(box: Box, answer: object) -> Said:
    """Return a face as JSON spells it, checked as everything is that comes from outside."""
    face = {**answer, "box": list(box)} if isinstance(answer, dict) else answer
    body = {"faces": [face], "complete": True, "source": "", "batch": ""}
    action = parse("import", body)
    assert isinstance(action, Import)
    return action.faces[0]


def read_file(
    path: str | Path,
    format: str = "csv",
    *,
    text: str | None = None,
    photos: Any = None,
    contempt: str = "refuse",
) -> Labels:
    """Return the labels in a file, or in a text that would be one.

    Parameters
    ----------
    path : path
        The file or folder; where there is a text, the name to call it by.
    format : str
        `csv`, or what `import_labels` knows.
    text : str, optional
        What the file holds.
    photos, contempt
        See `import_labels`.

    Raises
    ------
    LabelError
        If it cannot be understood.
    OptionError
        If the format is unknown, or is no one file and a text is given.
    """
    if text is not None:
        if format not in FILE_KINDS:
            raise OptionError(
                f"format {format!r}: expected one of {', '.join(FILE_KINDS)}; what is a folder is"
                " imported when the tool is started"
            )
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"labels{FILE_KINDS[format]}"
            file.write_bytes(text.encode())
            try:
                return read_file(file, format, photos=photos, contempt=contempt)
            except LabelError as error:
                raise LabelError(str(error).replace(str(file), str(path))) from None
    if format == "csv":
        return load_labels(path, contempt=contempt)
    return import_labels(path, format=format, photos=photos, contempt=contempt)


class LabelFile:
    """The label file that a journal is written to; changes by other hands are noticed.

    Parameters
    ----------
    path : path
    journal : Journal
        It keeps the checksums of what was written here, or read.
    """

    def __init__(self, path: Path, journal: Journal) -> None:
        self.path = path
        self._journal = journal

    def checksum(self) -> str:
        """Return the file's SHA-256; empty where there is no file."""
        try:
            return _sha256(self.path)
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise LabelError(f"{self.path}: cannot be read: {error.strerror}") from error

    def check(self) -> None:
        """Refuse a file that somebody else has changed.

        Raises
        ------
        LabelError
            If it is there, and was neither written from here nor read.
        """
        checksum = self.checksum()
        if checksum and not self._journal.knows_file(checksum):
            raise LabelError(
                f"{self.path}: changed by hand since it was last written from here, or not of this"
                f" journal: take it in with --import {self.path}, or move it away"
            )

    def write(self, labels: Labels) -> Path | None:
        """Write labels whole or not at all; nothing where there are none and never were.

        Raises
        ------
        LabelError
            If somebody else has changed the file.
        OutputError
            If it cannot be written.
        """
        self.check()
        if not labels and not self.path.exists():
            return None
        with replacing(self.path) as temporary:
            try:
                save_labels(labels, temporary)
            except OutputError as error:  # it names a file that nobody knows
                raise OutputError(str(error).replace(str(temporary), str(self.path))) from error
            self._journal.add_file(_sha256(temporary))  # first: after a crash, the file is known
        return self.path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
