"""What each annotator has said of each photo: a fold of the journal's entries, and nothing else.

Conventions
-----------
A *sheet* is what one annotator has said of one photo in one pass. The first pass starts from
the detector's proposals, faces `p0`, `p1` ..., the same for every annotator; the repeat
from the faces that the annotator's own first pass has, without their labels. A *step* is
what one undo takes back: one entry, or all entries of one batch. What was imported without
a batch, when the desk was opened, is no step.

Undo is linear for each annotator, over photos, passes, tabs and restarts: it takes back
the last step that stands. A new step after an undo drops what could have been redone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeAlias

from groupemo.boxes import iou_matrix
from groupemo.errors import LabelError
from groupemo.labeller.actions import (
    IGNORE,
    NOT_A_FACE,
    UNSURE,
    Add,
    Adjudicate,
    Adjudicator,
    Box,
    Complete,
    Delete,
    Guess,
    Import,
    Label,
    Move,
    Redo,
    Said,
    Undo,
    WarmUp,
    face_of,
)
from groupemo.labeller.journal import Entry, Proposals

__all__ = ["SAME_FACE", "Face", "History", "Ledger", "Sheet", "fold"]

SAME_FACE = 0.5
"""Least IoU of two boxes that are taken for one face."""

Key: TypeAlias = tuple[str, int, str]
"""An annotator, a pass and a photo's id: what a sheet is of."""

Step: TypeAlias = tuple[Entry, ...]


@dataclass(frozen=True)
class Face:
    """One face on a sheet; `label` is None until one is given. The rest is as in `Label`."""

    id: str
    box: Box
    proposed: bool = False
    score: float | None = None
    label: str | None = None
    second: str | None = None
    confidence: int | None = None
    votes: Mapping[str, float] | None = None
    guess_shown: bool = False
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_face(self) -> bool:
        """Whether it is labelled, as something that is there."""
        return self.label not in (None, NOT_A_FACE)


@dataclass(frozen=True)
class Sheet:
    """What one annotator has said of one photo; `extra` are a file's further columns."""

    faces: tuple[Face, ...] = ()
    complete: bool = False
    extra: Mapping[str, str] = field(default_factory=dict)

    def face(self, name: str) -> Face | None:
        """Return the face of an id."""
        return next((face for face in self.faces if face.id == name), None)

    @cached_property
    def labelled(self) -> int:
        """How many faces have a label."""
        return sum(face.label is not None for face in self.faces)

    @cached_property
    def unsure(self) -> int:
        """How many faces are labelled as unsure."""
        return sum(face.label == UNSURE for face in self.faces)

    @property
    def finished(self) -> bool:
        """Whether the photo is complete and each of its faces labelled."""
        return self.complete and self.labelled == len(self.faces)


def fold(base: Sheet, entries: Iterable[Entry]) -> Sheet:
    """Return the sheet that entries, in order, make of `base`.

    An entry about a face that is not there changes nothing.
    """
    faces = {face.id: face for face in base.faces}
    complete, extra = base.complete, base.extra
    for entry in entries:
        match entry.action:
            case Add(name, box):
                faces[name] = Face(name, box)
            case Move(name, box) if name in faces:
                faces[name] = replace(faces[name], box=box)
            case Delete(name):
                faces.pop(name, None)
            case Label() as action if action.face in faces:
                faces[action.face] = _labelled(faces[action.face], action)
            case Complete(now):
                complete = now
            case Import() as action:
                faces = _imported(faces.values(), entry.seq, action)
                complete, extra = action.complete, action.extra
    return Sheet(tuple(faces.values()), complete, extra)


def _labelled(face: Face, said: Label | Said) -> Face:
    return replace(
        face,
        label=said.label,
        second=said.second,
        confidence=said.confidence,
        votes=said.votes,
        guess_shown=said.guess_shown,
    )


def _imported(faces: Iterable[Face], seq: int, action: Import) -> dict[str, Face]:
    """Return a file's faces, and the proposals it has none for where it is not complete."""
    found = {}
    for number, said in enumerate(action.faces):
        name = f"i{seq}-{number}"
        found[name] = _labelled(Face(name, said.box, extra=said.extra), said)
    boxes = [face.box for face in found.values()]
    for face in faces if not action.complete else ():
        if face.proposed and not (boxes and iou_matrix([face.box], boxes).max() >= SAME_FACE):
            found[face.id] = Face(face.id, face.box, face.proposed, face.score)
    return found


class History:
    """What one annotator can undo and redo.

    Attributes
    ----------
    latest : Entry or None
        The entry that changed it last.
    """

    def __init__(self) -> None:
        self.latest: Entry | None = None
        self._done: list[Step] = []
        self._undone: list[Step] = []

    @property
    def next_undo(self) -> Entry | None:
        """The last entry of the step that an undo would take back."""
        return self._done[-1][-1] if self._done else None

    @property
    def next_redo(self) -> Entry | None:
        """The last entry of the step that a redo would put back."""
        return self._undone[-1][-1] if self._undone else None

    def add(self, entry: Entry) -> None:
        """Add an entry, to the last step where it is of the same batch."""
        batch = getattr(entry.action, "batch", None)
        if isinstance(entry.action, Import) and not batch:
            return
        if batch and self._done and getattr(self._done[-1][-1].action, "batch", None) == batch:
            self._done[-1] = (*self._done[-1], entry)
        else:
            self._done.append((entry,))
        self._undone.clear()

    def undo(self, target: int) -> Step:
        """Return the step undone, which ends with the entry `target`."""
        return self._move(self._done, self._undone, target)

    def redo(self, target: int) -> Step:
        """Return the step done again, which ends with the entry `target`."""
        return self._move(self._undone, self._done, target)

    def _move(self, source: list[Step], to: list[Step], target: int) -> Step:
        if not source or source[-1][-1].seq != target:
            raise LabelError(f"the journal undoes or redoes action {target} out of turn")
        to.append(source.pop())
        return to[-1]


class Ledger:
    """All sheets, kept up to date entry by entry.

    Attributes
    ----------
    seq : int
        The last entry taken in.
    adjudicators : set of str
        The names that see everybody's answers.
    trail : list of str
        The photos that changed, one entry a change.
    """

    def __init__(self) -> None:
        self.seq = 0
        self.adjudicators: set[str] = set()
        self.trail: list[str] = []
        self._proposed: dict[str, Sheet] = {}
        self._sheets: dict[Key, Sheet] = {}
        self._standing: defaultdict[Key, list[Entry]] = defaultdict(list)
        self._touched: defaultdict[Key, list[Entry]] = defaultdict(list)
        self._people: defaultdict[str, set[str]] = defaultdict(set)
        self._histories: defaultdict[str, History] = defaultdict(History)
        self._shown: set[tuple[str, str]] = set()
        self._labelled_at: defaultdict[str, list[float]] = defaultdict(list)
        self._changes: Counter[str] = Counter()
        self._warm_ups: Counter[str] = Counter()

    def take(self, entry: Entry) -> None:
        """Take in the journal's next entry.

        Raises
        ------
        LabelError
            If it undoes or redoes what is not next to be.
        """
        who = entry.annotator
        match entry.action:
            case Undo(target):
                step = self._histories[who].undo(target)
                for each in step:
                    self._take_back(each)
            case Redo(target):
                step = self._histories[who].redo(target)
                for each in step:
                    self._put_in(each)
            case Guess():
                self._shown.add((who, entry.photo))
                step = ()
            case Adjudicator():
                self.adjudicators.add(who)
                step = ()
            case WarmUp():
                self._warm_ups[who] += 1
                step = ()
            case _:
                self._histories[who].add(entry)
                self._put_in(entry)
                step = (entry,)
        if step:
            self._histories[who].latest = entry
        for each in step:
            touched = entry if each is entry else replace(each, seq=entry.seq, client=entry.client)
            self._touched[_key(each)].append(touched)
            self._note_change(each.photo)
        if isinstance(entry.action, Label):
            self._labelled_at[who].append(entry.time)
        self.seq = entry.seq

    def propose(self, proposals: Proposals) -> None:
        """Take in what the detector found in a photo."""
        faces = (
            Face(f"p{number}", (x1, y1, x2, y2), proposed=True, score=score)
            for number, (x1, y1, x2, y2, score) in enumerate(proposals.faces)
        )
        self._proposed[proposals.photo] = Sheet(tuple(faces))
        self._note_change(proposals.photo)
        for key in [key for key in self._sheets if key[2] == proposals.photo]:
            del self._sheets[key]

    def pending(self, photo: str) -> bool:
        """Say whether the detector has not been at a photo yet."""
        return photo not in self._proposed

    def proposed(self, photo: str) -> Sheet:
        """Return the detector's proposals."""
        return self._proposed.get(photo, Sheet())

    def sheet(self, annotator: str, photo: str, again: int = 0) -> Sheet:
        """Return what an annotator has said of a photo."""
        key = (annotator, again, photo)
        if key not in self._standing:  # nothing said: nothing to fold or keep
            return self._base(key)
        if again:  # hangs on the first pass, too
            return fold(self._base(key), self._standing[key])
        if key not in self._sheets:
            self._sheets[key] = fold(self._base(key), self._standing[key])
        return self._sheets[key]

    def _base(self, key: Key) -> Sheet:
        annotator, again, photo = key
        if not again:
            return self.proposed(photo)
        first = self.sheet(annotator, photo)
        return Sheet(
            tuple(
                Face(face.id, face.box, face.proposed, face.score)
                for face in first.faces
                if face.is_face and face.label != IGNORE
            )
        )

    def annotators(self, photo: str | None = None) -> list[str]:
        """Return who labelled, sorted: one photo (their actions stand), or anything."""
        photos = self._people if photo is None else [photo]
        named = {who for each in photos for who in self._people.get(each, ())}
        return sorted(
            who
            for who in named - self.adjudicators
            if photo is None or self._standing.get((who, 0, photo))
        )

    def photos(self) -> set[str]:
        """Return the photos of which anybody said anything."""
        return set(self._people)

    def spoke(self, annotator: str, photo: str) -> bool:
        """Say whether anything that an annotator did to a photo stands."""
        return bool(self._standing.get((annotator, 0, photo)))

    def finished(self, photo: str) -> bool:
        """Say whether an annotator has called a photo complete here, and not in a file."""
        return any(
            self.sheet(who, photo).complete
            and any(isinstance(e.action, Complete) for e in self._standing[who, 0, photo])
            for who in self.annotators(photo)
        )

    def repeated(self, annotator: str) -> list[str]:
        """Return the photos that an annotator has begun to label again."""
        return [
            photo
            for (who, again, photo), entries in self._standing.items()
            if who == annotator and again and entries
        ]

    def was_drawn(self, annotator: str, photo: str, face: str) -> bool:
        """Say whether a face of this id was ever drawn on a photo by an annotator."""
        touched = self._touched.get((annotator, 0, photo), ())
        return any(isinstance(e.action, Add) and e.action.face == face for e in touched)

    def adjudications(self, photo: str) -> list[tuple[str, Adjudicate]]:
        """Return what adjudicators have settled in a photo, and who did, in order."""
        return [(entry.annotator, action) for entry, action in self._settling(photo)]

    def former(self, photo: str) -> int:
        """Return how many of these came before an annotator's last change to the photo."""
        touched = (
            self._touched.get((who, 0, photo), ())
            for who in self._people.get(photo, set()) - self.adjudicators
        )
        last = max((entries[-1].seq for entries in touched if entries), default=0)
        return sum(entry.seq < last for entry, _ in self._settling(photo))

    def _settling(self, photo: str) -> list[tuple[Entry, Adjudicate]]:
        found = [
            (entry, entry.action)
            for who in self.adjudicators
            for entry in self._standing.get((who, 0, photo), ())
            if isinstance(entry.action, Adjudicate)
        ]
        return sorted(found, key=lambda each: each[0].seq)

    def history(self, annotator: str) -> History:
        """Return what an annotator can undo and redo."""
        return self._histories[annotator]

    def conflicts(self, entry: Entry, seen: int) -> bool:
        """Say whether another tab of the annotator changed after `seen` what `entry` is about."""
        face = face_of(entry.action)
        return any(
            face is None or face_of(other.action) in (None, face)
            for other in self._later(entry.annotator, entry.again, entry.photo, seen, entry.client)
            if face is None or not isinstance(other.action, Complete)
        )

    def _later(
        self, annotator: str, again: int, photo: str, since: int, client: str
    ) -> list[Entry]:
        touched = self._touched.get((annotator, again, photo), ())
        return [entry for entry in touched if entry.seq > since and entry.client != client]

    def changed(self, annotator: str | None, client: str, since: int) -> list[tuple[str, int]]:
        """Return the photos and passes in which other tabs of the annotator did something.

        Where `annotator` is None, those of anybody.
        """
        found = [
            (photo, again)
            for who, again, photo in self._touched
            if annotator in (None, who) and self._later(who, again, photo, since, client)
        ]
        return list(dict.fromkeys(found))

    def guess_shown(self, annotator: str, photo: str) -> bool:
        """Say whether an annotator has been shown a photo's guesses."""
        return (annotator, photo) in self._shown

    def labelled_at(self, annotator: str) -> Sequence[float]:
        """Return when an annotator labelled, in seconds since 1970."""
        return self._labelled_at[annotator]

    def warm_ups(self, annotator: str) -> int:
        """Return how often an annotator has warmed up."""
        return self._warm_ups[annotator]

    def changes(self, photo: str) -> int:
        """Return a number that grows with every change to a photo."""
        return self._changes[photo]

    def _note_change(self, photo: str) -> None:
        self._changes[photo] += 1
        self.trail.append(photo)

    def _put_in(self, entry: Entry) -> None:
        key = _key(entry)
        if key in self._sheets:
            self._sheets[key] = fold(self._sheets[key], [entry])
        self._standing[key].append(entry)
        self._people[entry.photo].add(entry.annotator)

    def _take_back(self, entry: Entry) -> None:
        standing = self._standing[_key(entry)]
        del standing[max(at for at, other in enumerate(standing) if other.seq == entry.seq)]
        self._sheets.pop(_key(entry), None)


def _key(entry: Entry) -> Key:
    return entry.annotator, entry.again, entry.photo
