"""What runs got wrong: which mistakes a report shows, and the words for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest

import numpy as np
from numpy.typing import ArrayLike

from groupemo.boxes import area, iou_matrix
from groupemo.labels import label_word
from groupemo.metrics.anatomy import BINS, Anatomy
from groupemo.metrics.tally import NONE
from groupemo.report.grid import Run
from groupemo.report.pictures import Box, Part
from groupemo.scores import Judged

__all__ = ["KINDS", "Kind", "Mistake", "View", "mistakes", "surest", "view", "whole"]


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
        10, "answered another class", "surest first",
        "{labelled} \u2192 {answered} ({prob})",
        "labelled {labelled}, answered {answered} ({prob})", "#e69f00",
    ),
    "phantom": Kind(
        6, "found where no face is labelled", "highest score first",
        "no face \u2192 {answered} (score {score})",
        "no labelled face, answered {answered} (score {score})", "#cc79a7",
    ),
    "duplicate": Kind(
        4, "a face found once more", "highest score first",
        "again \u2192 {answered} (score {score})",
        "a face found before, answered {answered} (score {score})", "#f0e442",
    ),
    "localisation": Kind(
        4, "a box too far off to have found its face", "highest score first",
        "{labelled} \u2192 box off (IoU {iou})",
        "labelled {labelled}, box too far off (IoU {iou})", "#56b4e9",
    ),
    "missed": Kind(
        6, "a labelled face that was not found", "largest first",
        "{labelled} \u2192 not found",
        "labelled {labelled}, not found", "#d55e00",
    ),
    "abstained": Kind(
        2, "found, and no answer given", "highest score first",
        "{labelled} \u2192 no answer",
        "labelled {labelled}, no answer", "#8d96a2",
    ),
}  # fmt: skip
"""Bin of `groupemo.metrics.anatomy` -> how its errors are shown; at most 32 a run."""

_FACE_COLOR = "#ffffff"


_CODES = [BINS.index(name) for name in KINDS]

View = Mapping[str, tuple[Judged, Anatomy]]
"""One run, photo by photo."""


@dataclass(frozen=True)
class Mistake:
    """One mistake, whichever run made it.

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


def view(run: Run) -> View:
    """Return what became of every photo that was read."""
    pairs = zip(run.scores.photos, run.scores.bins, strict=True)
    return {judged.analysis.photo: (judged, bins) for judged, bins in pairs}


def mistakes(run: View) -> Iterator[Mistake]:
    """Yield all that went wrong in one run."""
    for judged, bins in run.values():
        for row in np.flatnonzero(np.isin(bins.detected, _CODES)).tolist():
            yield _detected(judged, bins, row)
        for row in np.flatnonzero(bins.labelled == BINS.index("missed")).tolist():
            yield _missed(judged, row)


def _detected(judged: Judged, bins: Anatomy, row: int) -> Mistake:
    kind, found = BINS[bins.detected[row]], judged.analysis.faces
    answer, face = int(judged.outcome.predicted[row]), int(bins.face[row])
    prob = 0.0 if answer == NONE else float(judged.probs[row, answer])
    score = float(found.scores[row])
    near = judged.labelled.boxes[face] if kind == "localisation" else None
    labelled = "" if face == NONE else label_word(int(judged.labelled.labels[face]))
    answered = "" if answer == NONE else label_word(answer)
    words = {
        "labelled": labelled,
        "answered": answered or "nothing",
        "prob": f"{prob:.2f}",
        "score": f"{score:.2f}",
        "iou": "" if near is None else f"{iou_matrix([found.boxes[row]], [near])[0, 0]:.2f}",
    }
    return Mistake(
        kind,
        judged.analysis.photo,
        whole(found.boxes[row]),
        None if near is None else whole(near),
        labelled,
        answered,
        short=KINDS[kind].short.format(**words),
        text=KINDS[kind].text.format(**words),
        sure=prob if kind == "wrong emotion" else score,
    )


def _missed(judged: Judged, row: int) -> Mistake:
    kind, box = KINDS["missed"], judged.labelled.boxes[row]
    word = label_word(int(judged.labelled.labels[row]))
    return Mistake(
        "missed",
        judged.analysis.photo,
        whole(box),
        None,
        word,
        "",
        short=kind.short.format(labelled=word),
        text=kind.text.format(labelled=word),
        sure=float(area(box)[0]),
    )


def surest(made: Sequence[Sequence[Mistake]]) -> list[Mistake]:
    """Return the surest mistakes of each kind of each run, the surest of every run first."""
    ranked = [
        (rank, one)
        for run in made
        for name, kind in KINDS.items()
        for rank, one in enumerate(
            nlargest(kind.most, (one for one in run if one.kind == name), key=lambda one: one.sure)
        )
    ]
    return list(dict.fromkeys(one for _, one in sorted(ranked, key=lambda pair: pair[0])))


def whole(box: ArrayLike) -> Box:
    """Return a box in whole pixels."""
    x1, y1, x2, y2 = np.rint(box).astype(int).tolist()
    return x1, y1, x2, y2
