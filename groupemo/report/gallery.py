"""The gallery: the surest errors as pictures, and the photos they are in with all boxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from groupemo.drawing import captions
from groupemo.emotions import EMOTIONS
from groupemo.labels import label_word
from groupemo.metrics.anatomy import BINS, Anatomy
from groupemo.report.grid import Grid, Run
from groupemo.report.mistakes import KINDS, Kind, Mistake, View, mistakes, surest, view, whole
from groupemo.report.pictures import BUDGET, Part, Pictures, Shot, take
from groupemo.scores import Judged

__all__ = ["Card", "Gallery", "Group", "gallery"]


@dataclass(frozen=True)
class Card:
    """An error with its picture.

    Parameters
    ----------
    error : Mistake
    runs : sequence of Run
        All that made it.
    source : str or None
        The part of the photo as a data URI; empty where it did not fit, None where
        the photo is out of reach.
    photo : int or None
        Index into `Gallery.photos`.
    """

    error: Mistake
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
    def first(self) -> Run:
        """The first run with a card: the page starts with its cards."""
        return next(run for run in self.runs if any(run in card.runs for card in self.cards))

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
    runs = [run for run in grid.runs if not _constant(run)] or grid.runs
    views = [view(run) for run in runs]
    made = [list(mistakes(one)) for one in views]
    makers: dict[Mistake, list[Run]] = {}
    for run, errors in zip(runs, made, strict=True):
        for error in errors:
            makers.setdefault(error, []).append(run)
    chosen = surest(made)
    taken = _pictures(grid, chosen, budget)
    opened = {name: one.photo for name, one in taken.items() if one and one.photo}
    places = {name: place for place, name in enumerate(opened)}
    cards = [
        Card(error, makers[error], _part(error, taken[error.photo]), places.get(error.photo))
        for error in chosen
    ]
    return Gallery(
        groups=list(_groups(cards, makers)),
        runs=runs,
        photos=[_photo(name, source, views) for name, source in opened.items()],
        closed=sum(one is not None and not one.photo for one in taken.values()),
        skipped=len(grid.runs) - len(runs),
    )


def _constant(run: Run) -> bool:
    return run.backend.partition(":")[0] == "prior"


def _pictures(grid: Grid, chosen: Sequence[Mistake], budget: int) -> dict[str, Pictures | None]:
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


def _part(error: Mistake, pictures: Pictures | None) -> str | None:
    return pictures.parts[error.part] if pictures else None


def _groups(cards: Sequence[Card], made: Iterable[Mistake]) -> Iterator[Group]:
    totals = Counter(error.kind for error in made)
    for name, kind in KINDS.items():
        if totals[name]:
            some = [card for card in cards if card.error.kind == name]
            yield Group(name, kind, some, totals[name])


def _photo(name: str, source: str, views: Sequence[View]) -> dict[str, Any]:
    """Return a photo as the page's script takes it: boxes, and every run's bins and answers."""
    seen = [each.get(name) for each in views]
    judged = next(one[0] for one in seen if one)
    labels = judged.labelled.labels.tolist()
    return {
        "name": name,
        "size": [judged.analysis.width, judged.analysis.height],
        "source": source,
        "faces": [
            [*whole(box), label_word(label)]
            for box, label in zip(judged.labelled.boxes, labels, strict=True)
        ],
        "runs": [one and _found(*one) for one in seen],
    }


def _found(judged: Judged, bins: Anatomy) -> dict[str, Any]:
    texts, _ = captions(judged.probs, EMOTIONS)
    rows = zip(judged.analysis.faces.boxes, bins.detected.tolist(), texts, strict=True)
    return {
        "faces": bins.labelled.tolist(),
        "found": [[*whole(box), code, text] for box, code, text in rows],
    }
