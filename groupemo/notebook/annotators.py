"""Two people who label: made ones where there are none yet, and where they differ."""

from __future__ import annotations

import itertools
import random
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from groupemo.boxes import iou_matrix
from groupemo.drawing import blur_faces, data_uri
from groupemo.errors import LabelError, PhotoError
from groupemo.images import Photo, find_photos
from groupemo.labeller.actions import NOT_A_FACE
from groupemo.labeller.desk import Desk
from groupemo.labels import LabelledFaces, Labels, label_word
from groupemo.report.inline import DISPLAY, Shown
from groupemo.report.page import render
from groupemo.report.words import plural

if TYPE_CHECKING:
    from groupemo.labeller.widget import Labeller

__all__ = ["disputes", "with_stand_ins"]

MADE = ("made-1", "made-2")
"""Names of annotators who are no people."""

SAME_FACE = 0.5
"""Least IoU of a proposed and a labelled box of one face."""

CONTEXT = 0.6
"""Added to a face on each side of its picture, as a fraction of its longer side."""


def with_stand_ins(labelling: Labeller, known: Labels, *, slips: float = 0.15) -> Labels:
    """Return what was labelled; where fewer than two people have, made annotators stand in.

    These repeat labels that are known, with slips by chance, through the messages that the
    labelling's page sends, and into a journal of their own that is removed: whoever labels
    later finds nothing of theirs. Beside one person, a made annotator answers the photos that
    this person has labelled. Who stands in is printed.

    Parameters
    ----------
    labelling : Labeller
        What `groupemo.label` shows.
    known : Labels
        What made annotators repeat; of other photos they say nothing.
    slips : float
        Share of faces, 0 to 1, to which a made annotator gives another expression, drawn from
        the known ones.

    Raises
    ------
    LabelError
        If a message is refused.
    """
    said = labelling.labels()
    people = said.annotators
    photos = {photo.name: photo for photo in labelling.desk.photos.values()}
    wanted = [name for name in photos if name in known and (not people or name in said)]
    made = MADE[: max(0, 2 - len(people))] if wanted else ()
    note = "; made annotators are no people: they repeat known labels, with slips" if made else ""
    print(f"labelled by {', '.join([*people, *made]) or 'nobody'}{note}")
    if not made:
        return said
    before = labelling.labels_path if people else None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "labels.csv"
        with Desk([photos[name] for name in wanted], labels=file, take_in=before) as desk:
            for who in made:
                _Made(desk, who, known, slips).label()
            return desk.said()


class _Made:
    """Somebody made who labels at a desk."""

    def __init__(self, desk: Desk, name: str, known: Labels, slips: float) -> None:
        self._desk, self._known, self._slips = desk, known, slips
        self._chance, self._name = random.Random(name), name
        self._numbers = itertools.count()
        labels = np.concatenate([faces.labels for faces in known.values()])
        self._usual = [label_word(label) for label in labels[labels >= 0].tolist()]

    def label(self) -> None:
        """Label every photo, and call it complete."""
        for item in self._ask(do="open")["items"]:
            state = self._state(item["id"])
            for kind, fields in self._acts(state["faces"], self._known[item["name"]]):
                id = f"{self._name}-{next(self._numbers)}"
                about = {"photo": item["id"], "seen": state["seq"]}
                self._ask(do="act", id=id, kind=kind, **about, **fields)

    def _acts(
        self, proposed: Sequence[Mapping[str, Any]], truth: LabelledFaces
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield kind and fields of all that is to be done about a photo."""
        boxes = np.array([face["box"] for face in proposed], np.float32).reshape(-1, 4)
        overlap = iou_matrix(boxes, truth.boxes)
        for face, row in zip(proposed, overlap, strict=True):
            is_face = row.max(initial=0) >= SAME_FACE
            word = self._word(int(truth.labels[row.argmax()])) if is_face else NOT_A_FACE
            yield "label", {"face": face["id"], "label": word}
        for row in np.flatnonzero(overlap.max(axis=0, initial=0) < SAME_FACE).tolist():
            drawn = f"d{row:04}"
            yield "add", {"face": drawn, "box": truth.boxes[row].tolist()}
            yield "label", {"face": drawn, "label": self._word(int(truth.labels[row]))}
        yield "complete", {"complete": True}

    def _word(self, label: int) -> str:
        word = label_word(label)
        others = [other for other in self._usual if other != word]
        slips = label >= 0 and others and self._chance.random() < self._slips
        return self._chance.choice(others) if slips else word

    def _state(self, photo: str) -> Mapping[str, Any]:
        while (state := self._ask(do="photo", photo=photo))["pending"]:
            pass  # the desk itself waits a while for the detector
        return state

    def _ask(self, **message: Any) -> Mapping[str, Any]:
        reply = self._desk.handle({"annotator": self._name, "client": self._name, **message})
        if "error" in reply:
            raise LabelError(f"{self._name}: {reply['error']}")
        return reply


@dataclass(frozen=True)
class _Dispute:
    """A face on which annotators differ: its photo, its box, and what each said."""

    photo: str
    box: Sequence[float]
    said: Mapping[str, str]


def disputes(labels: Labels, photos: Any, *, most: int = 8) -> Shown:
    """Show faces to which annotators gave different words, each with who said what.

    Faces are blurred unless `show_faces` was called; these one cannot judge without seeing them.

    Parameters
    ----------
    labels : Labels
    photos : folder, glob, path or list of these
    most : int
        How many faces at most.
    """
    found = [each for name in labels for each in _disputed(name, labels.written[name])]
    paths = {photo.name: photo for photo in find_photos(photos)}
    faces = [
        (each, _picture(paths.get(each.photo), labels[each.photo].boxes, each.box))
        for each in found[:most]
    ]
    html = render("notebook_disputes.html", total=len(found), faces=faces)
    return Shown(html, f"{plural(len(found), 'face')} on which annotators differ")


def _disputed(photo: str, written: LabelledFaces) -> Iterable[_Dispute]:
    answers: dict[tuple[float, ...], dict[str, str]] = {}
    rows = zip(written.boxes.tolist(), written.annotators, written.labels.tolist(), written.said,
               strict=True)  # fmt: skip
    for box, who, label, said in rows:
        if who and said:
            answers.setdefault(tuple(box), {})[who] = label_word(label)
    return [_Dispute(photo, box, words) for box, words in answers.items()
            if len(set(words.values())) > 1]  # fmt: skip


def _picture(photo: Photo | None, faces: NDArray[np.float32], box: Sequence[float]) -> str:
    """Return the surroundings of a face, or nothing where the photo is out of reach."""
    if photo is None:
        return ""
    try:
        image = photo.decode(photo.load())
    except PhotoError:
        return ""
    image = image if DISPLAY.faces else blur_faces(image, faces)
    x1, y1, x2, y2 = box
    by = CONTEXT * max(x2 - x1, y2 - y1)
    top, left = max(0, int(y1 - by)), max(0, int(x1 - by))
    return data_uri(image[top : int(y2 + by), left : int(x2 + by)], 160)
