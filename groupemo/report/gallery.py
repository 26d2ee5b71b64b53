"""The gallery: the surest errors as pictures, and the photos they are in with all boxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import Any

import numpy as np

from groupemo.boxes import area, iou_matrix
from groupemo.drawing import captions
from groupemo.emotions import EMOTIONS
from groupemo.labels import label_word
from groupemo.metrics.anatomy import BINS, Anatomy, anatomy
from groupemo.metrics.tally import NONE
from groupemo.report.grid import Grid, Run
from groupemo.report.pictures import BUDGET, Box, Part, Pictures, Shot, take
from groupemo.scores import Judged

__all__ = ["KINDS", "Card", "Error", "Gallery", "Group", "gallery"]


@dataclass(frozen=True)
class Kind:
    """One kind of error: how many of each run are shown, which first, and the words for it.

    `short` and `text` take an error's words; `color` is that of its box, as the
    page's style has it for the bin of that name.
    """

    most: int
    title: str
    order: str
    short: str
    text: str
    color: str


KINDS: Mapping[str, Kind] = {
    "wrong emotion": Kind(
        10, "Wrong expression", "surest first", "{labelled} \u2192 {answered} ({prob})",
        "labelled {labelled}, answered {answered} ({prob})", "#e69f00",
    ),
    "phantom": Kind(
        6, "Phantom faces: found where none is labelled", "highest score first",
        "no face \u2192 {answered} (score {score})",
        "no labelled face, answered {answered} (score {score})", "#cc79a7",
    ),
    "duplicate": Kind(
        4, "Duplicates: found once more", "highest score first",
        "again \u2192 {answered} (score {score})",
        "a face found before, answered {answered} (score {score})", "#f0e442",
    ),
    "localisation": Kind(
        4, "Badly placed boxes: too far off to have found the face", "highest score first",
        "{labelled} \u2192 box off (IoU {iou})",
        "labelled {labelled}, box too far off (IoU {iou})", "#56b4e9",
    ),
    "missed": Kind(
        6, "Missed faces", "largest first", "{labelled} \u2192 not found",
        "labelled {labelled}, not found", "#d55e00",
    ),
    "abstained": Kind(
        2, "No answer", "highest score first", "{labelled} \u2192 no answer",
        "labelled {labelled}, no answer", "#8d96a2",
    ),
}  # fmt: skip
"""Bin of `groupemo.metrics.anatomy` -> how its errors are shown; at most 32 a run."""

_FACE_COLOR = "#ffffff"


@dataclass(frozen=True)
class Error:
    """One error, whichever run made it.

    Parameters
    ----------
    kind : str
        Of `KINDS`.
    photo : str
    box : (x1, y1, x2, y2)
        Whole pixels: the detection's, or the labelled one where the face was missed.
    face : (x1, y1, x2, y2) or None
        The labelled box that a badly placed one is about.
    labelled, answered : str
        Words; empty where there is none.
    short, text : str
        What is wrong.
    sure : float
        Greater comes first.
    """

    kind: str
    photo: str
    box: Box
    face: Box | None
    labelled: str
    answered: str
    short: str
    text: str
    sure: float

    @property
    def part(self) -> Part:
        """What of the photo shows it."""
        color = KINDS[self.kind].color
        if self.face is None:
            return Part((self.box,), (color,))
        return Part((self.box, self.face), (color, _FACE_COLOR))


@dataclass(frozen=True)
class Card:
    """An error with its picture.

    Parameters
    ----------
    error : Error
    runs : sequence of Run
        All that made it.
    source : str or None
        The part of the photo as a data URI; empty where it did not fit, None where
        the photo is out of reach.
    photo : int or None
        Index into `Gallery.photos`.
    """

    error: Error
    runs: Sequence[Run]
    source: str | None
    photo: int | None


@dataclass(frozen=True)
class Group:
    """The cards of one kind, and how many errors of that kind there are in all."""

    name: str
    kind: Kind
    cards: Sequence[Card]
    total: int

    @property
    def code(self) -> str:
        """The kind's name as in style sheets."""
        return self.name.replace(" ", "-")


@dataclass(frozen=True)
class Gallery:
    """All cards, and the photos they open.

    Parameters
    ----------
    groups : sequence of Group
    runs : sequence of Run
        Those that made the errors.
    photos : sequence of dict
        As JSON: name, size, source (JPEG as a data URI), the labelled boxes, and for each
        of `runs` what was found.
    closed : int
        Photos in reach that are left out, to keep the page small.
    skipped : int
        Runs that answer the same for every face: their errors are not shown.
    """

    groups: Sequence[Group]
    runs: Sequence[Run]
    photos: Sequence[dict[str, Any]]
    closed: int
    skipped: int

    @property
    def cards(self) -> list[Card]:
        """All cards, group by group."""
        return [card for group in self.groups for card in group.cards]

    @property
    def labelled(self) -> list[str]:
        """The words faces on cards are labelled with."""
        return sorted({card.error.labelled for card in self.cards} - {""})

    @property
    def answered(self) -> list[str]:
        """The words that were answered on cards."""
        return sorted({card.error.answered for card in self.cards} - {""})

    @property
    def data(self) -> dict[str, Any]:
        """What the page's script draws photos from."""
        return {
            "bins": BINS,
            "runs": [(run.number, run.name) for run in self.runs],
            "photos": self.photos,
        }


_CODES = [BINS.index(name) for name in KINDS]

_View = Mapping[str, tuple[Judged, Anatomy]]
"""One run, photo by photo."""


def gallery(grid: Grid, *, budget: int = BUDGET) -> Gallery:
    """Return the errors to show, with pictures as far as photos are in reach and the budget goes.

    Each run's surest errors of each kind are chosen. The same error of several runs is
    one card. Unless the grid shows faces, every face that is labelled or that any run
    found is blurred.

    Parameters
    ----------
    grid : Grid
    budget : int
        Characters of pictures.
    """
    runs = [run for run in grid.runs if run not in grid.floors]
    views = [_view(run) for run in runs]
    made = [list(_errors(view)) for view in views]
    chosen = _chosen(made)
    makers: dict[Error, list[Run]] = {}
    for run, errors in zip(runs, made, strict=True):
        for error in errors:
            makers.setdefault(error, []).append(run)
    taken = _pictures(grid, chosen, budget)
    reached = {name: one for name, one in taken.items() if one}
    opened = [name for name, one in reached.items() if one.photo]
    places = {name: place for place, name in enumerate(opened)}
    cards = [
        Card(
            error,
            makers[error],
            reached[error.photo].parts[error.part] if error.photo in reached else None,
            places.get(error.photo),
        )
        for error in chosen
    ]
    return Gallery(
        groups=list(_groups(cards, makers)),
        runs=runs,
        photos=[_photo(name, reached[name].photo, views) for name in opened],
        closed=len(reached) - len(opened),
        skipped=len(grid.floors),
    )


def _view(run: Run) -> _View:
    min_iou = run.scores.min_iou
    return {
        one.analysis.photo: (
            one,
            anatomy(
                one.labelled.boxes, one.labelled.labels, one.analysis.faces.boxes, one.outcome,
                min_iou=min_iou,
            ),
        )
        for one in run.scores.photos
    }  # fmt: skip


def _errors(view: _View) -> Iterator[Error]:
    for judged, bins in view.values():
        for row in np.flatnonzero(np.isin(bins.detected, _CODES)).tolist():
            yield _detected(judged, bins, row)
        for row in np.flatnonzero(bins.labelled == BINS.index("missed")).tolist():
            box = judged.labelled.boxes[row]
            word = label_word(int(judged.labelled.labels[row]))
            yield _error("missed", judged, box, None, float(area(box)[0]), labelled=word)


def _detected(judged: Judged, bins: Anatomy, row: int) -> Error:
    kind = BINS[bins.detected[row]]
    box, score = judged.analysis.faces.boxes[row], float(judged.analysis.faces.scores[row])
    answer, face = int(judged.outcome.predicted[row]), int(bins.face[row])
    labelled = "" if face == NONE else label_word(int(judged.labelled.labels[face]))
    prob = 0.0 if answer == NONE else float(judged.probs[row, answer])
    near = judged.labelled.boxes[face] if kind == "localisation" else None
    return _error(
        kind, judged, box, near, prob if kind == "wrong emotion" else score,
        labelled=labelled,
        answered="" if answer == NONE else label_word(answer),
        prob=f"{prob:.2f}",
        score=f"{score:.2f}",
        iou="" if near is None else f"{iou_matrix([box], [near])[0, 0]:.2f}",
    )  # fmt: skip


def _error(kind: str, judged: Judged, box: Any, face: Any, sure: float, **words: str) -> Error:
    told = {**words, "answered": words.get("answered") or "nothing"}
    return Error(
        kind,
        judged.analysis.photo,
        _whole(box),
        None if face is None else _whole(face),
        words["labelled"],
        words.get("answered", ""),
        KINDS[kind].short.format(**told),
        KINDS[kind].text.format(**told),
        sure,
    )


def _chosen(made: Sequence[Sequence[Error]]) -> list[Error]:
    """Return the surest errors of each kind of each run, the surest of every run first."""
    ranked = [
        (rank, error)
        for errors in made
        for name, kind in KINDS.items()
        for rank, error in enumerate(
            nlargest(kind.most, (e for e in errors if e.kind == name), key=lambda e: e.sure)
        )
    ]
    return list(dict.fromkeys(error for _, error in sorted(ranked, key=lambda pair: pair[0])))


def _pictures(grid: Grid, chosen: Sequence[Error], budget: int) -> dict[str, Pictures | None]:
    parts: dict[str, dict[Part, None]] = {}
    for error in chosen:
        parts.setdefault(error.photo, {})[error.part] = None
    runs = [{one.analysis.photo: one for one in run.scores.photos} for run in grid.runs]
    shots = []
    for name, wanted in parts.items():
        judged = [run[name] for run in runs if name in run]
        faces = [judged[0].labelled.boxes, *(one.analysis.faces.boxes for one in judged)]
        hidden = np.unique(np.concatenate(faces), axis=0)
        shots.append(
            Shot(
                judged[0].analysis,
                grid.evaluation.photos.get(name),
                list(wanted),
                hidden[:0] if grid.show_faces else hidden,
            )
        )
    return dict(zip(parts, take(shots, budget), strict=True))


def _groups(cards: Sequence[Card], made: Iterable[Error]) -> Iterator[Group]:
    totals = Counter(error.kind for error in made)
    for name, kind in KINDS.items():
        if totals[name]:
            some = [card for card in cards if card.error.kind == name]
            yield Group(name, kind, some, totals[name])


def _photo(name: str, source: str, views: Sequence[_View]) -> dict[str, Any]:
    """Return a photo as the page's script takes it: boxes, and every run's bins and answers."""
    seen = [view.get(name) for view in views]
    judged = next(one[0] for one in seen if one)
    labels = judged.labelled.labels.tolist()
    return {
        "name": name,
        "size": [judged.analysis.width, judged.analysis.height],
        "source": source,
        "faces": [
            [*_whole(box), label_word(label)]
            for box, label in zip(judged.labelled.boxes, labels, strict=True)
        ],
        "runs": [one and _found(*one) for one in seen],
    }


def _found(judged: Judged, bins: Anatomy) -> dict[str, Any]:
    texts, _ = captions(judged.probs, EMOTIONS)
    rows = zip(judged.analysis.faces.boxes, bins.detected.tolist(), texts, strict=True)
    return {
        "faces": bins.labelled.tolist(),
        "found": [[*_whole(box), code, text] for box, code, text in rows],
    }


def _whole(box: Any) -> Box:
    x1, y1, x2, y2 = np.rint(box).astype(int).tolist()
    return x1, y1, x2, y2
