"""What people do at the desk, as values, and how they are read from JSON that nobody vouches for.

Conventions
-----------
A box is `(x1, y1, x2, y2)` in pixels of the upright photo, half-open. A label is a word of
`LABELS`. A kind's fields have the names and the order of its class; a field name means the
same in all of them.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from typing import Any, TypeAlias

from groupemo.emotions import CONTEMPT, EMOTIONS
from groupemo.errors import LabelError
from groupemo.labels import MOST_VOTES

__all__ = [
    "CLIENT_KINDS",
    "IGNORE",
    "LABELS",
    "LEAST_SIDE",
    "NOT_A_FACE",
    "UNSURE",
    "WARM_UP_FACES",
    "Action",
    "Add",
    "Adjudicate",
    "Adjudicator",
    "Box",
    "Complete",
    "Delete",
    "Guess",
    "Import",
    "Label",
    "Move",
    "Redo",
    "Said",
    "Tried",
    "Undo",
    "WarmUp",
    "composed",
    "face_of",
    "name_fault",
    "parse",
    "read_box",
    "to_json",
    "within",
]

UNSURE, NOT_A_FACE, IGNORE = "unsure", "not_a_face", "ignore"
LABELS = (*EMOTIONS, CONTEMPT, UNSURE, NOT_A_FACE, IGNORE)
"""Every word a face can be given."""

LEAST_SIDE = 2.0
"""Shorter sides of a box, in pixels, are refused: a slip of the hand."""

WARM_UP_FACES = 10
"""Faces of one warm-up."""

_JOINERS = dict.fromkeys((0x200C, 0x200D))
"""Characters that show nothing and belong to names all the same: in Persian, Sinhala, emoji."""

Box: TypeAlias = tuple[float, float, float, float]


@dataclass(frozen=True)
class Add:
    """A box was drawn."""

    face: str
    box: Box


@dataclass(frozen=True)
class Move:
    """A box was moved or resized."""

    face: str
    box: Box


@dataclass(frozen=True)
class Delete:
    """A face was deleted."""

    face: str


@dataclass(frozen=True)
class Label:
    """A face was given a label, or None to take it back.

    Parameters
    ----------
    second : str, optional
        Another label that would do.
    confidence : int, optional
        1 (low) to 3.
    votes : mapping of str to float, optional
        One annotator's own shares of the seven expressions.
    guess_shown : bool
        Whether this annotator had seen a backend's guess of this photo.
    """

    face: str
    label: str | None
    second: str | None = None
    confidence: int | None = None
    votes: Mapping[str, float] | None = None
    guess_shown: bool = False


@dataclass(frozen=True)
class Complete:
    """A photo was called complete, or no longer so: every visible face has its box."""

    complete: bool


@dataclass(frozen=True)
class Guess:
    """The backends' guesses of a photo were shown."""


@dataclass(frozen=True)
class Undo:
    """The step that ends with the entry of this number was undone."""

    target: int


@dataclass(frozen=True)
class Redo:
    """The step that ends with the entry of this number was done again."""

    target: int


@dataclass(frozen=True)
class Said:
    """A face as it came in a file; `extra` are further columns of it."""

    box: Box
    label: str
    second: str | None = None
    confidence: int | None = None
    votes: Mapping[str, float] | None = None
    guess_shown: bool = False
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Import:
    """A photo's faces came from a file, in place of what was there.

    Parameters
    ----------
    source : str
        The file's name.
    batch : str
        The same for all photos of one import: they are one step to undo.
    """

    faces: tuple[Said, ...]
    complete: bool
    source: str
    batch: str
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Adjudicate:
    """The label of a face on which annotators differ was settled, or None to open it again."""

    box: Box
    label: str | None
    batch: str = ""


@dataclass(frozen=True)
class Adjudicator:
    """The name sees everybody's answers, and labels nothing itself."""


@dataclass(frozen=True)
class Tried:
    """A sample face in a warm-up: what was said of it, and what its labels say (`expected`)."""

    photo: str
    box: Box
    label: str
    expected: str


@dataclass(frozen=True)
class WarmUp:
    """Sample faces were labelled for practice; nothing of it is a label."""

    answers: tuple[Tried, ...]


Action: TypeAlias = (
    Add
    | Move
    | Delete
    | Label
    | Complete
    | Guess
    | Undo
    | Redo
    | Import
    | Adjudicate
    | Adjudicator
    | WarmUp
)

KINDS: Mapping[str, type[Any]] = {
    kind.__name__.lower(): kind
    for kind in (
        Add, Move, Delete, Label, Complete, Guess, Undo, Redo, Import, Adjudicate, Adjudicator,
        WarmUp,
    )
}  # fmt: skip
CLIENT_KINDS = ("add", "move", "delete", "label", "complete")
"""What a page may ask for by `act`."""


def parse(kind: object, body: object) -> Action:
    """Return the action that a kind and its JSON fields spell.

    Raises
    ------
    LabelError
        If the kind is unknown, or a field is missing, unknown or means nothing; names it.
    """
    if not isinstance(kind, str) or kind not in KINDS:
        raise LabelError(f"unknown kind {kind!r:.60}: expected one of {', '.join(KINDS)}")
    action: Action = _read(KINDS[kind], body, kind)
    return action


def _read(cls: type[Any], body: object, where: str) -> Any:
    if not isinstance(body, dict):
        raise LabelError(f"{where}: expected an object, got {body!r:.60}")
    known = {each.name: each for each in fields(cls)}
    for name in body:
        if name not in known:
            raise LabelError(f"{where}: unknown field {name!r:.60}")
    values = {}
    for name, each in known.items():
        if name in body:
            values[name] = _FIELDS[name](body[name], f"{where}: {name}")
        elif each.default is MISSING and each.default_factory is MISSING:
            raise LabelError(f"{where}: the field {name!r} is missing")
    return cls(**values)


def to_json(action: Action | Said | Tried) -> dict[str, Any]:
    """Return an action's fields as JSON values, without those that say nothing."""
    found = {}
    for each in fields(action):
        value = getattr(action, each.name)
        required = each.default is MISSING and each.default_factory is MISSING
        if required or (value != each.default and value != {}):
            found[each.name] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return to_json(value)  # type: ignore[arg-type]
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return dict(value) if isinstance(value, Mapping) else value


def face_of(action: Action) -> str | None:
    """Return the face an action is about; None where it is about the photo."""
    return getattr(action, "face", None)


def within(action: Action, width: int, height: int) -> Action:
    """Return a client's action with its box to a tenth of a pixel, and its votes as shares of 1.

    Raises
    ------
    LabelError
        If the box leaves the photo of `width` x `height` pixels, or is too small.
    """
    if isinstance(action, Label):
        return _plain_label(action)
    if not isinstance(action, Add | Move):
        return action
    x1, y1, x2, y2 = (round(value, 1) + 0.0 for value in action.box)
    if not (x1 >= 0 and y1 >= 0 and x2 <= width and y2 <= height):
        raise LabelError(
            f"box: {[x1, y1, x2, y2]} leaves the photo, which has {width} x {height} pixels"
        )
    if round(min(x2 - x1, y2 - y1), 1) < LEAST_SIDE:
        raise LabelError(f"box: {[x1, y1, x2, y2]} is under {LEAST_SIDE:g} pixels a side")
    return replace(action, box=(x1, y1, x2, y2))


def _plain_label(action: Label) -> Label:
    """Return a label with votes as shares of 1; one that is taken back takes all with it."""
    if action.label is None:
        return Label(action.face, None)
    if action.votes is None:
        return action
    total = sum(action.votes.values())
    shares = {word: round(count / total, 4) for word, count in action.votes.items() if count}
    return replace(action, votes=shares)


def read_box(value: object, where: str) -> Box:
    """Return a box that JSON spells; its sides are above 0.

    Raises
    ------
    LabelError
        If it is no box.
    """
    if not isinstance(value, list) or len(value) != 4:
        raise LabelError(f"{where}: expected [x1, y1, x2, y2], got {value!r:.60}")
    x1, y1, x2, y2 = (_number(each, where) for each in value)
    if not (x1 < x2 and y1 < y2):
        raise LabelError(f"{where}: {value} is no box: expected x1 < x2 and y1 < y2")
    return x1, y1, x2, y2


def _number(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise LabelError(f"{where}: expected a number, got {value!r:.60}")
    if not abs(value) <= MOST_VOTES:  # no photo is as wide; NaN is not either
        raise LabelError(f"{where}: {value!r:.60} is out of range")
    return float(value)


def _face(value: object, where: str) -> str:
    if not isinstance(value, str) or not re.fullmatch("[A-Za-z0-9-]{2,48}", value):
        raise LabelError(f"{where}: {value!r:.60} is no face's id")
    return value


def _label(value: object, where: str) -> str:
    if value not in LABELS:
        raise LabelError(f"{where}: {value!r:.60}: expected one of {', '.join(LABELS)}")
    return str(value)


def _optional(read: Callable[[object, str], Any]) -> Callable[[object, str], Any]:
    return lambda value, where: None if value is None else read(value, where)


def _confidence(value: object, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value not in (1, 2, 3):
        raise LabelError(f"{where}: expected 1, 2 or 3, got {value!r:.60}")
    return value


def _votes(value: object, where: str) -> dict[str, float]:
    if not isinstance(value, dict) or not set(value) <= set(EMOTIONS):
        raise LabelError(f"{where}: {value!r:.60}: expected numbers for {', '.join(EMOTIONS)}")
    votes = {word: _number(value[word], where) for word in EMOTIONS if word in value}
    if not votes or min(votes.values()) < 0 or math.fsum(votes.values()) <= 0:
        raise LabelError(f"{where}: {value!r:.60}: expected numbers from 0, not all 0")
    return votes


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise LabelError(f"{where}: expected true or false, got {value!r:.60}")
    return value


def _seq(value: object, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**63:
        raise LabelError(f"{where}: expected the number of an action, got {value!r:.60}")
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise LabelError(f"{where}: expected text, got {value!r:.60}")
    return value


def _texts(value: object, where: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise LabelError(f"{where}: expected an object, got {value!r:.60}")
    return {_text(key, where): _text(each, where) for key, each in value.items()}


def _tuple(cls: type[Any]) -> Callable[[object, str], tuple[Any, ...]]:
    def read(value: object, where: str) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise LabelError(f"{where}: expected a list, got {value!r:.60}")
        return tuple(_read(cls, each, where) for each in value)

    return read


_FIELDS: Mapping[str, Callable[[object, str], Any]] = {
    "face": _face,
    "box": read_box,
    "label": _optional(_label),
    "second": _optional(_label),
    "confidence": _optional(_confidence),
    "votes": _optional(_votes),
    "guess_shown": _flag,
    "complete": _flag,
    "target": _seq,
    "faces": _tuple(Said),
    "answers": _tuple(Tried),
    "photo": _text,
    "expected": _label,
    "source": _text,
    "batch": _text,
    "extra": _texts,
}


def composed(name: str) -> str:
    """Return a name as it is compared, in Unicode's form NFC: é may be one character or two."""
    return unicodedata.normalize("NFC", name)


def name_fault(name: object) -> str:
    """Return what is wrong with an annotator's name; nothing where it will do."""
    if not isinstance(name, str) or not 1 <= len(composed(name)) <= 40 or name != name.strip():
        return f"{name!r:.60}: expected a name of 1 to 40 characters"
    if not name.translate(_JOINERS).isprintable() or ";" in name:
        return f"{name!r:.60}: a name has no control characters and no ;"
    return ""
