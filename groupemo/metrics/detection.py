"""How many faces are found, whatever their expression.

Conventions
-----------
Faces whose emotion is not known count like any other; detections that are not
judged count nowhere. Leading axes of a tally are kept. What has nothing to
divide by is NaN, without a warning.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groupemo.boxes import iou_matrix
from groupemo.labels import IGNORE
from groupemo.matching import check_min_iou, in_regions
from groupemo.metrics.tally import Tally, ratio

__all__ = [
    "ScoredPhoto",
    "average_precision",
    "detection_f1",
    "detection_precision",
    "detection_recall",
    "found",
    "missed",
    "phantom",
]

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
ScoredPhoto = tuple[ArrayLike, ArrayLike, bool, ArrayLike, ArrayLike]
"""Labelled boxes (m, 4), labels (m,), complete, detected boxes (n, 4), scores (n,)."""


def found(tally: Tally) -> Counts:
    """Return how many labelled faces were found, shape (...)."""
    return cast(Counts, tally.counts[..., :-1, :-1].sum(axis=(-2, -1)))


def missed(tally: Tally) -> Counts:
    """Return how many labelled faces were not found, shape (...)."""
    return cast(Counts, tally.counts[..., -1].sum(axis=-1))


def phantom(tally: Tally) -> Counts:
    """Return how many detections found no face, shape (...)."""
    return cast(Counts, tally.counts[..., -1, :].sum(axis=-1))


def detection_precision(tally: Tally) -> Floats:
    """Return how many of the judged detections are faces, shape (...)."""
    return ratio(found(tally), found(tally) + phantom(tally))


def detection_recall(tally: Tally) -> Floats:
    """Return how many of the labelled faces were found, shape (...)."""
    return ratio(found(tally), found(tally) + missed(tally))


def detection_f1(tally: Tally) -> Floats:
    """Return 2 TP / (2 TP + FP + FN), shape (...)."""
    return ratio(2 * found(tally), 2 * found(tally) + missed(tally) + phantom(tally))


def average_precision(photos: Iterable[ScoredPhoto], *, min_iou: float = 0.5) -> float:
    """Return the area under the precision-recall curve of a detector's scores.

    COCO's convention (pycocotools, `COCOeval`): detections of all photos go by
    falling score, each takes the free labelled face it overlaps most; precision
    at a recall is the best precision at that or any greater recall; the mean is
    taken at the 101 recalls 0, 0.01 ... 1. Detections left over are excused by
    the same rules as in `groupemo.metrics.tally.tally`. Unlike COCO, there is
    no limit on the detections of a photo.

    Equal scores go in the order given, photos first. A detector without scores
    gives 1.0 throughout: its average precision says little.

    Parameters
    ----------
    photos : iterable of ScoredPhoto
        Labelled boxes, labels, complete, detected boxes and scores of each.
    min_iou : float
        Least IoU of a pair, above 0 and at most 1.

    Returns
    -------
    float
        0..1, or NaN where no face is labelled.

    Raises
    ------
    OptionError
        If `min_iou` is out of range.
    """
    check_min_iou(min_iou)
    ranked = [_rank(*photo, min_iou=min_iou) for photo in photos]
    faces = sum(count for count, _, _ in ranked)
    if not faces:
        return float("nan")
    scores = np.concatenate([score for _, score, _ in ranked])
    hits = np.concatenate([hit for _, _, hit in ranked])[np.argsort(-scores, kind="stable")]
    right = np.cumsum(hits)
    best = np.maximum.accumulate((right / np.arange(1, len(hits) + 1))[::-1])[::-1]
    at = np.searchsorted(right / faces, np.linspace(0, 1, 101), side="left")
    return float(np.append(best, 0)[at].mean())


def _rank(
    labelled_boxes: ArrayLike,
    labels: ArrayLike,
    complete: bool,
    detected_boxes: ArrayLike,
    scores: ArrayLike,
    *,
    min_iou: float,
) -> tuple[int, Floats, NDArray[np.bool_]]:
    """Return one photo's labelled faces, and scores and hits of its judged detections."""
    score = np.asarray(scores, dtype=np.float64)
    order = np.argsort(-score, kind="stable")
    boxes = np.asarray(labelled_boxes, dtype=np.float64).reshape(-1, 4)
    detected = np.asarray(detected_boxes, dtype=np.float64).reshape(-1, 4)[order]
    real = np.asarray(labels) != IGNORE
    hit = _take_in_turn(iou_matrix(detected, boxes[real]), min_iou)
    judged = hit | (complete & ~in_regions(detected, boxes[~real], min_share=min_iou))
    return int(real.sum()), score[order][judged], hit[judged]


def _take_in_turn(iou: Floats, min_iou: float) -> NDArray[np.bool_]:
    """Let each row take its best free column; the last of equals, as pycocotools does."""
    free = iou[:, ::-1].copy()
    hit = np.zeros(len(iou), dtype=np.bool_)
    for row in range(len(iou) if iou.size else 0):
        best = free[row].argmax()
        hit[row] = free[row, best] >= min_iou
        if hit[row]:
            free[:, best] = -1
    return hit
