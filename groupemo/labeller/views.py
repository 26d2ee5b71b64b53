"""What the desk shows, as JSON: to annotators what they said themselves, to adjudicators all.

The forms stand in `groupemo.labeller.desk`: Item, PhotoState, Face, progress.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Protocol

from groupemo.labeller.album import Album
from groupemo.labeller.consensus import Common, Consensus
from groupemo.labeller.journal import PhotoRow
from groupemo.labeller.state import Face, Ledger

__all__ = ["AdjudicatorView", "AnnotatorView", "View", "seconds_a_face"]

RECENT = 100
"""Labels on which the pace stands."""

FEWEST = 5
"""With fewer gaps between labels there is no pace."""

PAUSE = 120.0
"""Seconds between two labels from which on somebody was away."""


class View(Protocol):
    """What one name is shown."""

    def state(self, photo: str, again: int) -> dict[str, Any]:
        """Return a PhotoState."""
        ...

    def item(self, photo: str, again: int) -> dict[str, Any]:
        """Return an Item."""
        ...

    def progress(self) -> dict[str, Any]:
        """Return how far it is."""
        ...


class AnnotatorView:
    """What an annotator is shown: nothing but their own answers.

    Parameters
    ----------
    ledger : Ledger
    album : Album
    annotator : str
    repeats : sequence of str
        The photos that are shown again.
    """

    def __init__(
        self, ledger: Ledger, album: Album, annotator: str, repeats: Sequence[str]
    ) -> None:
        self._ledger = ledger
        self._album = album
        self._who = annotator
        self._counts: dict[tuple[str, int], tuple[int, int, int]] = {}
        self._sums = [0, 0, 0]
        self._seen = len(ledger.trail)
        shown = [photo for photo in album.rows if photo not in album.errors]
        self._count([*((photo, 0) for photo in shown), *((photo, 1) for photo in repeats)])

    def _count(self, passes: Iterable[tuple[str, int]]) -> None:
        """Count faces, labelled ones and complete photos anew, in some of them."""
        for photo, again in passes:
            sheet = self._ledger.sheet(self._who, photo, again)
            before = self._counts.get((photo, again), (0, 0, 0))
            found = (len(sheet.faces), sheet.labelled, int(sheet.complete))
            self._counts[photo, again] = found
            self._sums = [s + f - b for s, f, b in zip(self._sums, found, before, strict=True)]

    def state(self, photo: str, again: int) -> dict[str, Any]:
        """Return a PhotoState."""
        sheet = self._ledger.sheet(self._who, photo, again)
        return {
            "photo": photo,
            "again": again,
            "faces": [_face(face) for face in sheet.faces],
            "complete": sheet.complete,
            "pending": _pending(self._ledger, self._album, photo),
            "seq": self._ledger.seq,
        }

    def item(self, photo: str, again: int) -> dict[str, Any]:
        """Return an Item."""
        sheet = self._ledger.sheet(self._who, photo, again)
        return {
            **_about(self._album, photo),
            "again": again,
            "faces": len(sheet.faces),
            "labelled": sheet.labelled,
            "unsure": sheet.unsure,
            "complete": sheet.complete,
            "pending": _pending(self._ledger, self._album, photo),
            "disagree": None,
        }

    def progress(self) -> dict[str, Any]:
        """Return how far the annotator is, and how long the rest will take."""
        changed = set(self._ledger.trail[self._seen :])
        self._seen = len(self._ledger.trail)
        self._count(
            (photo, again)
            for photo in changed
            for again in (0, 1)
            if (photo, again) in self._counts
        )
        faces, labelled, complete = self._sums
        pace = seconds_a_face(self._ledger.labelled_at(self._who))
        return {
            "labelled": labelled,
            "faces": faces,
            "complete": complete,
            "photos": len(self._counts),
            "seconds_a_face": pace,
            "minutes_left": None if pace is None else (faces - labelled) * pace / 60,
        }


class AdjudicatorView:
    """What an adjudicator is shown: the faces that the annotators have, and all their answers.

    Parameters
    ----------
    ledger : Ledger
    album : Album
    consensus : callable
        Gives what the annotators say together of a photo.
    """

    def __init__(self, ledger: Ledger, album: Album, consensus: Callable[[str], Consensus]) -> None:
        self._ledger = ledger
        self._album = album
        self._consensus = consensus

    def state(self, photo: str, again: int) -> dict[str, Any]:
        """Return a PhotoState."""
        view = self._consensus(photo)
        return {
            "photo": photo,
            "again": again,
            "faces": [_common_face(common) for common in view.faces],
            "complete": bool(view.finished),
            "pending": False,
            "seq": self._ledger.seq,
        }

    def item(self, photo: str, again: int) -> dict[str, Any]:
        """Return an Item: a face is labelled where nothing is left to be settled."""
        view = self._consensus(photo)
        open_ = sum(common.is_open for common in view.faces)
        return {
            **_about(self._album, photo),
            "again": again,
            "faces": len(view.faces),
            "labelled": len(view.faces) - open_,
            "unsure": sum(_settled_label(common) == "unsure" for common in view.faces),
            "complete": bool(view.finished),
            "pending": False,
            "disagree": open_,
        }

    def progress(self) -> dict[str, Any]:
        """Return how many of the disagreements are settled."""
        views = [self._consensus(photo) for photo in self._album.rows]
        differing = [[common for common in view.faces if common.differs] for view in views]
        unsettled = [sum(common.is_open for common in faces) for faces in differing]
        faces = sum(map(len, differing))
        return {
            "labelled": faces - sum(unsettled),
            "faces": faces,
            "complete": sum(not left for left in unsettled),
            "photos": len(views),
            "seconds_a_face": None,
            "minutes_left": None,
        }

    def disagreements(self) -> list[dict[str, Any]]:
        """Return the faces on which annotators differ, settled ones too."""
        return [
            {
                "photo": photo,
                "box": list(common.box),
                "answers": common.labels,
                "adjudicated": common.settled.label if common.settled else None,
            }
            for photo in self._album.rows
            for common in self._consensus(photo).faces
            if common.differs
        ]


def seconds_a_face(times: Sequence[float]) -> float | None:
    """Return the median time from label to label, of the last ones; None for too few.

    Parameters
    ----------
    times : sequence of float
        When labels were given, in seconds.
    """
    recent = times[-RECENT:]
    gaps = [later - one for one, later in pairwise(recent)]
    working = [gap for gap in gaps if gap < PAUSE]
    return statistics.median(working) if len(working) >= FEWEST else None


def _about(album: Album, photo: str) -> dict[str, Any]:
    row: PhotoRow | None = album.rows.get(photo)
    if row is None:
        row = PhotoRow(photo, photo, "", 0, 0)
    return {
        "id": photo,
        "name": row.name,
        "width": row.width,
        "height": row.height,
        "error": album.errors.get(photo) if photo in album.rows else "not among the photos",
    }


def _pending(ledger: Ledger, album: Album, photo: str) -> bool:
    return ledger.pending(photo) and photo not in album.errors


def _face(face: Face) -> dict[str, Any]:
    votes: Mapping[str, float] | None = face.votes
    return {
        "id": face.id,
        "box": list(face.box),
        "proposed": face.proposed,
        "score": face.score,
        "label": face.label,
        "second": face.second,
        "confidence": face.confidence,
        "votes": None if votes is None else dict(votes),
    }


def _common_face(common: Common) -> dict[str, Any]:
    """Return a face with an id that stays when others come or go."""
    name = f"c{'-'.join(f'{value:g}' for value in common.box)}"
    face = Face(name, common.box, label=_settled_label(common))
    former = {common.settled.by: common.settled.label} if common.settled else {}
    return {
        **_face(face),
        "answers": common.labels | (former if common.contradicted else {}),
    }


def _settled_label(common: Common) -> str | None:
    """Return the label that stands: the adjudicator's, or the one everybody gave."""
    if common.settled and not common.contradicted:
        return common.settled.label
    return None if common.differs else next(iter(common.labels.values()), None)
