"""Faces labelled by hand: the words, one photo's faces, and all photos.

Conventions
-----------
Boxes are `[x1, y1, x2, y2]` in pixels in memory; files and messages say `x, y, w, h`.
A label is an index into `EMOTIONS`, or one of two words that are no emotion:

- `UNSURE`: a real face whose perceived expression is not known. It counts for
  detection and not for classification.
- `IGNORE`: a region to leave out. A detector that finds it is not wrong, and
  neither is one that does not.

Where several annotators name the same box, the face is one with votes; its label
is the word with most votes, or unsure in a tie. What each of them wrote is kept.

A face may be *settled*, by somebody who has seen what the annotators said: then that is
its label, and the votes stay theirs. Who settles is no further annotator. A row by who
settled it is nobody's answer: it is there where no annotator has the face.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groupemo import boxes as _boxes
from groupemo.emotions import CONTEMPT, EMOTIONS, parse_emotion
from groupemo.errors import LabelError, OptionError

__all__ = [
    "IGNORE",
    "NOT_SETTLED",
    "UNSURE",
    "LabelledFaces",
    "Labels",
    "label_word",
    "parse_label",
]

UNSURE = -1
"""A real face whose perceived expression is not known."""

IGNORE = -2
"""A region to leave out: neither missed nor a phantom."""

NOT_SETTLED = -3
"""In `LabelledFaces.settled`: nobody has settled this face."""

_SPECIAL = {"unsure": UNSURE, "unknown": UNSURE, "ignore": IGNORE}

CODES = (*range(len(EMOTIONS)), UNSURE, IGNORE)
"""Every label, in the order of ballots and of other tools' class lists."""

REQUIRED = ("image", "x", "y", "w", "h", "emotion")
OPTIONAL = ("annotator", "settled", "settled_by", "sha256", "complete")
VOTES = "votes_"
"""Columns of a label file that have a meaning; further ones start with `VOTES`."""

MOST_VOTES = 1e9
"""More votes for one emotion of a face are refused: they count no people."""

_Array = TypeVar("_Array", bound=NDArray[Any])


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
        How many people chose each emotion, 0 to `MOST_VOTES`. A row of zeros means
        that nobody voted: the label alone stands. None where no face has votes.
    complete : bool
        Whether every visible face of the photo is labelled.
    annotators : sequence of str, length m, optional
        Who labelled each face; empty where that is not known.
    extra : mapping of str to sequence of str, length m, optional
        Further columns of the file, kept as they are.
    settled : array_like, shape=(m,), optional
        The label that was settled for each face, or `NOT_SETTLED`. Stored as int64.
    settlers : sequence of str, length m, optional
        Who settled each face; empty where nobody did, or who is not known.

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
    settled: NDArray[np.int64]
    settlers: tuple[str, ...]

    def __init__(
        self,
        boxes: ArrayLike,
        labels: ArrayLike,
        votes: ArrayLike | None = None,
        complete: bool = True,
        annotators: Sequence[str] | None = None,
        extra: Mapping[str, Sequence[str]] | None = None,
        settled: ArrayLike | None = None,
        settlers: Sequence[str] | None = None,
    ) -> None:
        rows = _checked_boxes(boxes)
        m = len(rows)
        nobody = ("",) * m
        columns = {name: _texts(name, values, m) for name, values in (extra or {}).items()}
        fields = {
            "boxes": rows,
            "labels": _checked_labels("labels", labels, m),
            "votes": None if votes is None else _checked_votes(votes, m),
            "complete": bool(complete),
            "annotators": _texts("annotators", nobody if annotators is None else annotators, m),
            "extra": columns,
            "settled": _checked_labels(
                "settled", np.full(m, NOT_SETTLED) if settled is None else settled, m
            ),
            "settlers": _texts("settlers", nobody if settlers is None else settlers, m),
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
            self.settled[rows],
            [self.settlers[row] for row in rows],
        )

    @property
    def said(self) -> NDArray[np.bool_]:
        """Which rows are an annotator's answer, shape (m,): those not by who settled them."""
        pairs = zip(self.annotators, self.settlers, strict=True)
        return np.array([not by or who != by for who, by in pairs], dtype=bool)

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
        return replace(self, boxes=cut)

    def merged(self) -> LabelledFaces:
        """Return one face a box: where several rows share a box, their votes are added.

        A row without votes counts as one vote for its label; the merged label is the
        one settled, or the word with most votes, unsure and ignore among them, or unsure
        in a tie. `settled` is then said by the label, and no longer marked.
        """
        groups = list(_same_boxes(self.boxes).values())
        if len(groups) == len(self) and not np.any(self.settled != NOT_SETTLED):
            return self
        ballots = np.stack([_ballots(self)[rows].sum(axis=0) for rows in groups])
        winners = [
            int(self.labels[rows[0]]) if len(rows) == 1 else winner(ballot)
            for rows, ballot in zip(groups, ballots, strict=True)
        ]
        settled = np.array([self.settled[rows].max() for rows in groups])
        return LabelledFaces(
            self.boxes[[rows[0] for rows in groups]],
            np.where(settled == NOT_SETTLED, winners, settled),
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
    good = _boxes.nonempty(np.where(finite, array, 0))
    hint = "finite numbers with x2 > x1 and y2 > y1 (was it x, y, w, h?)"
    return _frozen("boxes", array, good, hint)


def _checked_labels(name: str, values: ArrayLike, m: int) -> NDArray[np.int64]:
    array = np.array(values, dtype=np.int64)
    if array.shape != (m,):
        raise LabelError(f"labels: {name} have shape {array.shape}, expected ({m},)")
    least, hint = IGNORE, f"0 to {len(EMOTIONS) - 1}, {UNSURE} (unsure) or {IGNORE} (ignore)"
    if name == "settled":
        least, hint = NOT_SETTLED, f"{hint}, or {NOT_SETTLED} (not settled)"
    return _frozen(name, array, (array >= least) & (array < len(EMOTIONS)), hint)


def _checked_votes(values: ArrayLike, m: int) -> NDArray[np.float64]:
    array = np.array(values, dtype=np.float64)
    if array.size == 0:
        array = array.reshape(0, len(EMOTIONS))
    if array.shape != (m, len(EMOTIONS)):
        raise LabelError(f"labels: votes have shape {array.shape}, expected {(m, len(EMOTIONS))}")
    good = np.all((array >= 0) & (array <= MOST_VOTES), axis=1)
    return _frozen("votes", array, good, f"numbers from 0 to {MOST_VOTES:g}")


def _frozen(name: str, array: _Array, good: NDArray[np.bool_], expected: str) -> _Array:
    """Return the array, no longer to be written to; refuse it where a row is not good."""
    bad = np.flatnonzero(~good)
    if len(bad):
        raise LabelError(
            f"labels: {name}[{bad[0]}] is {array[bad[0]].tolist()}: expected {expected}"
        )
    array.setflags(write=False)
    return array


def _texts(name: str, values: Sequence[str], m: int) -> tuple[str, ...]:
    if name in REQUIRED + OPTIONAL or name.startswith(VOTES):
        raise LabelError(f"labels: {name!r} has a meaning of its own: name the column otherwise")
    if not name:
        raise LabelError("labels: an extra column has no name")
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
    ballots = np.zeros((len(faces), len(CODES)))
    if faces.votes is not None:
        ballots[:, :k] = faces.votes
    silent = np.flatnonzero((ballots.sum(axis=1) == 0) & faces.said)
    labels = faces.labels[silent]
    ballots[silent, np.where(labels >= 0, labels, k - 1 - labels)] = 1
    return ballots


def winner(ballot: NDArray[np.float64]) -> int:
    """Return the label with most votes; unsure in a tie."""
    best = np.flatnonzero(ballot == ballot.max())
    return CODES[best[0]] if len(best) == 1 else UNSURE


def _joined(texts: Sequence[str], groups: Iterable[list[int]]) -> list[str]:
    """Return the distinct words of each group, in order, as one text."""
    return ["; ".join(dict.fromkeys(texts[row] for row in rows if texts[row])) for rows in groups]


class Labels(Mapping[str, LabelledFaces]):
    """Labelled photos: a mapping from a photo's name to its `LabelledFaces`, one face a box.

    Parameters
    ----------
    photos : mapping of str to LabelledFaces
        A photo labelled as holding no face maps to `LabelledFaces.empty()`. The same
        box may stand there once for each annotator: reading the photo merges them. What
        is settled of a face stands in any of its rows, the same in all that have it.
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
        If an annotator labels one box twice, or one face is settled in two ways; names
        photo, box and annotator.
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
            _check_faces(name, faces)
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
        """Everybody who is named as an annotator, sorted; not who only settled."""
        return tuple(sorted({who for name in self for who in self._who(name)} - {""}))

    @property
    def settlers(self) -> tuple[str, ...]:
        """Everybody who is named as having settled a face, sorted."""
        return tuple(
            sorted({by for faces in self.written.values() for by in faces.settlers} - {""})
        )

    def _who(self, name: str) -> set[str]:
        faces, notes = self.written[name], self.no_face_notes.get(name, ())
        rows = zip(faces.annotators, faces.said, strict=True)
        return {
            *(who for who, said in rows if said),
            *(note.get("annotator", "") for note in notes),
        }

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

        What was settled is left out.

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
                mine = faces[faces.said & (np.array(faces.annotators) == annotator)]
                rest = mine.complete, mine.annotators, mine.extra
                photos[name] = LabelledFaces(mine.boxes, mine.labels, mine.votes, *rest)
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


def _check_faces(name: str, faces: LabelledFaces) -> None:
    """Refuse what the rows of one box cannot say together."""
    for rows in _same_boxes(faces.boxes).values():
        names = [faces.annotators[row] for row in rows]
        box = ", ".join(row_numbers(faces.boxes[rows[0]]))
        if len(set(names)) < len(names):
            who = next(who for who in names if names.count(who) > 1)
            raise LabelError(f"{name}: annotator {who!r} labels the box {box} (x, y, w, h) twice")
        settled = {*faces.settled[rows].tolist()} - {NOT_SETTLED}
        if len(settled) > 1:
            words = " and as ".join(map(label_word, sorted(settled)))
            raise LabelError(f"{name}: the box {box} (x, y, w, h) is settled as {words}")


def row_numbers(box: NDArray[np.float32]) -> tuple[str, str, str, str]:
    """Return x, y, w, h in the fewest digits that give this float32 box back."""
    x, y = map(shortest, box[:2])
    return x, y, _side(x, box[2]), _side(y, box[3])


def shortest(value: np.floating[Any]) -> str:
    """Return the fewest digits that give a number of its type back."""
    return np.format_float_positional(value, trim="-")


def _side(start: str, end: np.float32) -> str:
    gap = float(end) - float(start)
    rounded = (f"{gap:.{places}f}" for places in range(12))
    return next((t for t in rounded if np.float32(float(start) + float(t)) == end), repr(gap))
