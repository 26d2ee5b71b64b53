"""What became of each face of a photo, worked out again: loops, SciPy's assignment, no groupemo."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

UNSURE, IGNORE = -1, -2
NOBODY = ABSTAINED = 7
MISSED = 8
K = 7

Box = Sequence[float]


class Row(NamedTuple):
    """One labelled face, one detection, or a pair of them.

    `truth` is a class, `UNSURE` or `NOBODY`; `answer` a class, `ABSTAINED` or `MISSED`;
    `face` and `detection` are rows of the photo, or -1.
    """

    photo: int
    truth: int
    answer: int
    face: int
    detection: int
    iou: float = np.nan
    probs: np.ndarray | None = None
    votes: np.ndarray | None = None


class Photo(NamedTuple):
    """The boxes, labels and answers of one photo."""

    boxes: list[Box]
    labels: list[int]
    votes: list[np.ndarray | None]
    complete: bool
    found: list[Box]
    scores: list[float]
    probs: list[np.ndarray]


def area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def overlap(a: Box, b: Box) -> float:
    return area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))


def iou(a: Box, b: Box) -> float:
    return overlap(a, b) / (area(a) + area(b) - overlap(a, b))


def judge(number: int, photo: Photo, min_iou: float) -> Iterator[Row]:
    """Yield a row for each labelled face and each further detection that is judged."""
    real = [face for face, label in enumerate(photo.labels) if label != IGNORE]
    finder = _finders([photo.boxes[face] for face in real], photo.found, min_iou)
    for place, face in enumerate(real):
        label, votes = photo.labels[face], photo.votes[face]
        if place not in finder:
            yield Row(number, label, MISSED, face, -1, votes=votes)
            continue
        one = finder[place]
        shared = iou(photo.boxes[face], photo.found[one])
        row = photo.probs[one]
        yield Row(number, label, _answer(row), face, one, shared, row, votes)
    if photo.complete:
        for one, box in enumerate(photo.found):
            if one not in finder.values() and not _excused(box, photo, min_iou):
                yield Row(number, NOBODY, _answer(photo.probs[one]), -1, one)


def _finders(faces: list[Box], found: list[Box], min_iou: float) -> dict[int, int]:
    """Return the detection that found each face: most pairs, then the greatest total IoU."""
    shared = np.array([[iou(face, box) for box in found] for face in faces])
    shared = shared.reshape(len(faces), len(found))
    worth = np.where(shared >= min_iou, shared + len(faces) + len(found), 0.0)
    pairs = zip(*linear_sum_assignment(worth, maximize=True), strict=True)
    return {int(face): int(box) for face, box in pairs if worth[face, box] > 0}


def _excused(box: Box, photo: Photo, min_iou: float) -> bool:
    regions = [b for b, label in zip(photo.boxes, photo.labels, strict=True) if label == IGNORE]
    return any(overlap(box, region) / area(box) >= min_iou for region in regions)


def _answer(probs: np.ndarray) -> int:
    return ABSTAINED if np.isnan(probs).any() else int(probs.argmax())
