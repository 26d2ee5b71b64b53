"""How many faces are found, whatever their expression.

Conventions
-----------
Faces whose emotion is not known count like any other; detections that are not
judged count nowhere. What has nothing to divide by is NaN, without a warning.

Functions of a `Tally` keep its leading axes, and stand on the best pairing of
each photo (`groupemo.matching`). Functions of a `Ranking` stand on COCO's, where
detections choose by falling score; they take `weights`, shape (draws, n): what
each of the n photos weighs in each draw. All ones give the figure itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isqrt
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groupemo import boxes as _boxes
from groupemo.labels import IGNORE
from groupemo.matching import check_min_iou, share_inside
from groupemo.metrics.tally import Tally, ratio

__all__ = [
    "COCO_AREAS",
    "COCO_IOUS",
    "Overlaps",
    "Ranking",
    "ScoredPhoto",
    "average_precision",
    "detection_f1",
    "detection_precision",
    "detection_recall",
    "found",
    "lrp",
    "lrp_components",
    "missed",
    "optimal_lrp",
    "overlaps",
    "phantom",
    "phantoms_per_photo",
    "ranking",
]

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]
Range = tuple[float, float]
ScoredPhoto = tuple[ArrayLike, ArrayLike, bool, ArrayLike, ArrayLike]
"""Labelled boxes (m, 4), labels (m,), complete, detected boxes (n, 4), scores (n,)."""

COCO_IOUS = tuple(np.linspace(0.5, 0.95, 10).tolist())
"""The least IoUs that COCO averages over."""

COCO_AREAS: Mapping[str, Range] = {
    "small": (0, 32**2),
    "medium": (32**2, 96**2),
    "large": (96**2, float("inf")),
}
"""COCO's sizes: least and greatest area of a box in square pixels, both included."""

_ANY_AREA = (0, float("inf"))
_RECALLS = np.linspace(0, 1, 101)
_CHUNK = 2**18
"""Draws times detections that are weighed at a time: 2 MiB an array."""

_LANES = 8
"""Draws that are weighed at a time at least."""

_TINY = np.finfo(np.float64).tiny


def found(tally: Tally) -> Counts:
    """Return how many labelled faces were found, shape (...)."""
    return cast(Counts, tally.counts[..., :-1, :-1].sum(axis=(-2, -1)))


def missed(tally: Tally) -> Counts:
    """Return how many labelled faces were not found, shape (...)."""
    return cast(Counts, tally.counts[..., -1].sum(axis=-1))


def phantom(tally: Tally) -> Counts:
    """Return how many detections found no face, shape (...)."""
    return cast(Counts, tally.counts[..., -1, :].sum(axis=-1))


def phantoms_per_photo(tally: Tally, photos: ArrayLike) -> Floats:
    """Return how many phantoms a photo has on average, shape (...).

    Parameters
    ----------
    tally : Tally
    photos : array_like, shape=(...)
        How many photos the tally sums; the sum of their weights where they are
        weighed. One that is not labelled completely counts, and has no phantoms.
    """
    return ratio(phantom(tally), photos)


def detection_precision(tally: Tally) -> Floats:
    """Return how many of the judged detections are faces, shape (...)."""
    return ratio(found(tally), found(tally) + phantom(tally))


def detection_recall(tally: Tally) -> Floats:
    """Return how many of the labelled faces were found, shape (...)."""
    return ratio(found(tally), found(tally) + missed(tally))


def detection_f1(tally: Tally) -> Floats:
    """Return 2 TP / (2 TP + FP + FN), shape (...)."""
    return ratio(2 * found(tally), 2 * found(tally) + missed(tally) + phantom(tally))


def lrp(tally: Tally, *, min_iou: float) -> Floats:
    """Return the Localization Recall Precision error, shape (...): 0 the best, 1 the worst.

    (sum over TP of (1 - IoU) / (1 - min_iou) + FP + FN) / (TP + FP + FN): a found face
    costs what its box is off, in shares of what it may be off (Oksuz et al.,
    "Localization Recall Precision (LRP): A New Performance Metric for Object
    Detection", ECCV 2018).

    Parameters
    ----------
    tally : Tally
    min_iou : float
        The least IoU the tally was made with. At 1 no box may be off: undefined.
    """
    wrong = missed(tally) + phantom(tally)
    off = _off(tally) / (1 - min_iou) if min_iou < 1 else np.nan
    return ratio(off + wrong, found(tally) + wrong)


def lrp_components(tally: Tally) -> tuple[Floats, Floats, Floats]:
    """Return localisation, false positive and false negative error, each of shape (...).

    The mean 1 - IoU of found faces, 1 - precision, 1 - recall: what `lrp` weighs
    together (Oksuz et al. 2018).
    """
    return (
        ratio(_off(tally), found(tally)),
        1 - detection_precision(tally),
        1 - detection_recall(tally),
    )


def _off(tally: Tally) -> Floats:
    """Sum 1 - IoU over found faces; rounding takes it below 0 where all boxes are right."""
    return np.maximum(found(tally) - tally["iou"], 0)


@dataclass(frozen=True, eq=False)
class Ranking:
    """The judged detections of a run by falling score.

    Parameters
    ----------
    photo : np.ndarray, shape=(d,)
        The row of each detection's photo, 0..n-1.
    score : np.ndarray, shape=(d,)
        The detector's; equal ones in the order given, photos first.
    iou : np.ndarray, shape=(d,)
        With the labelled face it found; NaN for a phantom.
    faces : np.ndarray, shape=(n,)
        Labelled faces of each photo.
    min_iou : float
        Least IoU of a pair.
    """

    photo: Counts
    score: Floats
    iou: Floats
    faces: Counts
    min_iou: float

    def __len__(self) -> int:
        return len(self.photo)

    @property
    def hit(self) -> Flags:
        """Which detections found a face, shape (d,)."""
        return ~np.isnan(self.iou)

    @property
    def missed(self) -> Counts:
        """Labelled faces of each photo that none of the detections found, shape (n,)."""
        return self.faces - np.bincount(self.photo[self.hit], minlength=len(self.faces))


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Which detections of a run overlap which labelled faces: made once, ranked many times.

    Detections go by falling score, as in a `Ranking`; faces, and regions to leave
    out, in the order given.

    Parameters
    ----------
    face_photo, detection_photo : np.ndarray, shape=(m,) and (d,)
        The row of the photo each lies in, 0..n-1.
    face_area, detection_area : np.ndarray, shape=(m,) and (d,)
        In square pixels.
    region : np.ndarray, shape=(m,)
        Whether it is a region to leave out.
    score : np.ndarray, shape=(d,)
    complete : np.ndarray, shape=(d,)
        Whether every face of the detection's photo is labelled.
    pairs : np.ndarray, shape=(p, 2)
        Rows `[detection, face]`; of each detection the greatest overlap first, of
        equal ones the last face first, as pycocotools takes them.
    overlap : np.ndarray, shape=(p,)
        IoU; of a region, the share of the detection that lies in it.
    n : int
        How many photos there are.
    """

    face_photo: Counts
    detection_photo: Counts
    face_area: Floats
    detection_area: Floats
    region: Flags
    score: Floats
    complete: Flags
    pairs: Counts
    overlap: Floats
    n: int

    def ranking(self, *, min_iou: float = 0.5, area: Range = _ANY_AREA) -> Ranking:
        """Pair detections with faces; parameters and errors are those of `ranking`."""
        check_min_iou(min_iou)
        spared = self.region | ~_within(self.face_area, area)
        chosen = self._in_turn(min_iou, spared)
        finder, face = self.pairs[chosen].T
        iou = np.full(len(self.score), np.nan)
        iou[finder] = self.overlap[chosen]
        judged = self.complete & _within(self.detection_area, area)
        judged[finder] = ~spared[face]
        return Ranking(
            self.detection_photo[judged],
            self.score[judged],
            iou[judged],
            np.bincount(self.face_photo[~spared], minlength=self.n),
            min_iou,
        )

    def _in_turn(self, min_iou: float, spared: Flags) -> Counts:
        """Return the rows of `pairs` that come about; a region can be taken many times."""
        fits = np.flatnonzero(self.overlap >= min_iou)
        detection, face = self.pairs[fits].T
        turns = fits[np.lexsort((spared[face], detection))]  # what is spared is taken last
        chosen: list[int] = []
        busy, taken = set[int](), set[int]()
        for row, (finder, wanted) in zip(turns.tolist(), self.pairs[turns].tolist(), strict=True):
            if finder not in busy and wanted not in taken:
                chosen.append(row)
                busy.add(finder)
                if not self.region[wanted]:
                    taken.add(wanted)
        return np.array(chosen, dtype=np.int64)


def ranking(
    photos: Iterable[ScoredPhoto], *, min_iou: float = 0.5, area: Range = _ANY_AREA
) -> Ranking:
    """Rank a run's detections, each with the labelled face it found, as COCO does.

    Detections of all photos go by falling score, equal ones in the order given,
    photos first; each takes the free labelled face it overlaps most (pycocotools,
    `COCOeval`). Detections left over are excused by the same rules as in
    `groupemo.metrics.tally.tally`. Unlike COCO, there is no limit on the
    detections of a photo. A detector without scores gives 1.0 throughout: its
    ranking says little.

    Parameters
    ----------
    photos : iterable of ScoredPhoto
        Labelled boxes, labels, complete, detected boxes and scores of each.
    min_iou : float
        Least IoU of a pair, above 0 and at most 1.
    area : tuple of float
        Least and greatest area of a box in square pixels, both included. Faces of
        another size are regions to leave out, each for one detection; detections
        of another size that find nothing are not judged.

    Raises
    ------
    OptionError
        If `min_iou` is out of range.
    """
    return overlaps(photos).ranking(min_iou=min_iou, area=area)


def overlaps(photos: Iterable[ScoredPhoto]) -> Overlaps:
    """Return what `ranking` ranks, where it is to be ranked at several IoUs or sizes.

    Parameters
    ----------
    photos : iterable of ScoredPhoto
        Labelled boxes, labels, complete, detected boxes and scores of each.
    """
    scenes = [_scene(*photo) for photo in photos]
    boxes, region, detected, score, complete = map(
        np.concatenate, zip(*scenes, _scene([], [], True, [], []), strict=True)
    )
    faces, detections = ([len(scene[column]) for scene in scenes] for column in (0, 2))
    falling = np.argsort(-score, kind="stable")
    pairs, overlap = _pairs(scenes, place=np.argsort(falling))
    return Overlaps(
        face_photo=np.repeat(np.arange(len(scenes)), faces),
        detection_photo=np.repeat(np.arange(len(scenes)), detections)[falling],
        face_area=_boxes.area(boxes),
        detection_area=_boxes.area(detected)[falling],
        region=region,
        score=score[falling],
        complete=complete[falling],
        pairs=pairs,
        overlap=overlap,
        n=len(scenes),
    )


_Scene = tuple[Floats, Flags, Floats, Floats, Flags]
"""Labelled boxes, which are regions, detected boxes, their scores, which are judged."""


def _scene(
    labelled_boxes: ArrayLike,
    labels: ArrayLike,
    complete: bool,
    detected_boxes: ArrayLike,
    scores: ArrayLike,
) -> _Scene:
    score = np.asarray(scores, dtype=np.float64)
    return (
        np.asarray(labelled_boxes, dtype=np.float64).reshape(-1, 4),
        np.asarray(labels) == IGNORE,
        np.asarray(detected_boxes, dtype=np.float64).reshape(-1, 4),
        score,
        np.full(score.shape, complete, dtype=np.bool_),
    )


def _pairs(scenes: Sequence[_Scene], place: Counts) -> tuple[Counts, Floats]:
    """Return `Overlaps.pairs` and `Overlaps.overlap`; `place` is each detection's rank."""
    pairs, overlaps = [np.empty((0, 2), dtype=np.int64)], [np.empty(0)]
    start = np.zeros(2, dtype=np.int64)
    for boxes, region, detected, *_ in scenes:
        overlap = _boxes.iou_matrix(detected, boxes)
        overlap[:, region] = share_inside(detected, boxes[region])
        meeting = np.argwhere(overlap)
        pairs.append(meeting + start)
        overlaps.append(overlap[overlap > 0])
        start += overlap.shape
    (detection, face), overlap = np.concatenate(pairs).T, np.concatenate(overlaps)
    order = np.lexsort((-face, -overlap, place[detection]))
    return np.stack([place[detection], face], axis=1)[order], overlap[order]


def _within(area: Floats, bounds: Range) -> Flags:
    return np.asarray((area >= bounds[0]) & (area <= bounds[1]))


def average_precision(ranking: Ranking, weights: ArrayLike) -> Floats:
    """Return the area under the precision-recall curve in each draw, shape (draws,).

    COCO's convention (pycocotools, `COCOeval`): precision at a recall is the best
    precision at that or any greater recall; the mean is taken at the 101 recalls
    0, 0.01 ... 1. NaN where no face is labelled.

    Parameters
    ----------
    ranking : Ranking
    weights : array_like, shape=(draws, n)
        What each photo weighs in each draw.
    """
    return _each_draw(_average_precision, ranking, weights)


def optimal_lrp(ranking: Ranking, weights: ArrayLike) -> Floats:
    """Return the least `lrp` that any threshold on the score reaches, shape (draws,).

    Detections of equal scores stay or go together (oLRP: Oksuz et al. 2018).
    NaN where no face is labelled, and where `min_iou` is 1.

    Parameters
    ----------
    ranking : Ranking
    weights : array_like, shape=(draws, n)
        What each photo weighs in each draw.
    """
    return _each_draw(_optimal_lrp, ranking, weights)


def _each_draw(
    figure: Callable[[Ranking, Floats], Floats], ranking: Ranking, weights: ArrayLike
) -> Floats:
    """Call `figure` on as many draws at a time as the processor's cache holds.

    It takes weights of shape (n + 1, draws); the last row is of no photo, and 0.
    """
    rows = np.asarray(weights, dtype=np.float64)
    step = max(_LANES, _CHUNK // (len(ranking) + 1))
    parts = [np.empty(0)]
    for start in range(0, len(rows), step):
        weights = np.pad(rows[start : start + step], ((0, 0), (0, 1))).T
        parts.append(figure(ranking, np.ascontiguousarray(weights)))
    return np.concatenate(parts)


def _average_precision(ranking: Ranking, weights: Floats) -> Floats:
    hits = np.flatnonzero(ranking.hit)  # elsewhere recall stays and precision falls
    right = _accumulate(np.add, weights.take(_fold(ranking.photo[hits], fill=-1), axis=0))
    seen = _accumulate(np.add, weights.take(_fold(ranking.photo, fill=-1), axis=0))
    at_hits = _fold(_place(seen)[hits], fill=-1)
    precision = right / np.maximum(_flat(seen).take(at_hits, axis=0), _TINY)  # 0 before the first
    best = _accumulate(np.maximum, precision[::-1, ::-1])[::-1, ::-1]
    faces = right[-1, -1] + ranking.missed @ weights[:-1]  # recall ends at 1 where none is missed
    height = _where_reached(best, right, np.where(faces > 0, faces, np.nan))
    return np.asarray(np.where(faces > 0, height.mean(axis=0), np.nan))


def _where_reached(best: Floats, right: Floats, faces: Floats) -> Floats:
    """Return `best` where each of COCO's recalls is first reached, else 0, shape (101, draws)."""
    place, right, best = _place(right), _flat(right), _flat(best)
    steps, draws = right.shape
    lane = np.arange(draws)
    at = np.zeros((len(_RECALLS), draws), dtype=np.int64)  # how many steps fall short of it
    for power in reversed(range(steps.bit_length())):  # a binary search for all at once
        ahead = at + 2**power
        recall = right[place[np.minimum(ahead, steps) - 1], lane] / faces
        at = np.where((recall < _RECALLS[:, None]) & (ahead <= steps), ahead, at)
    return np.asarray(best[place[np.minimum(at, steps - 1)], lane] * (at < steps))


def _optimal_lrp(ranking: Ranking, weights: Floats) -> Floats:
    if ranking.min_iou == 1:
        return np.full(weights.shape[1], np.nan)
    weight = weights.take(_fold(ranking.photo, fill=-1), axis=0)
    off = (1 - ranking.iou) / (1 - ranking.min_iou)
    last = np.flatnonzero(np.diff(ranking.score, append=-np.inf) < 0)  # of equal scores
    ends = _place(weight)[last]
    right, seen, cost = (
        _flat(_accumulate(np.add, weight * _fold(each, fill=0)[..., None])).take(ends, axis=0)
        for each in (ranking.hit, np.ones(len(ranking)), np.where(ranking.hit, off, 1))
    )
    faces = ranking.faces @ weights[:-1]
    error = ratio(cost + faces - right, seen + faces - right)
    none = np.where(faces > 0, 1.0, np.nan)  # what it costs to leave all detections out
    return np.asarray(np.minimum(none, error.min(axis=0, initial=1.0)))


def _fold(ranked: NDArray[Any], *, fill: int) -> NDArray[Any]:
    """Write what is ranked down the columns of a table about as high as wide.

    NumPy is slow along an axis that accumulates and fast across it: so a step down
    is taken in all columns, and in all draws, at once.
    """
    side = isqrt(len(ranked)) + 1
    full = np.pad(ranked, (0, side - len(ranked) % side), constant_values=fill)
    return full.reshape(-1, side).T


def _place(folded: Floats) -> Counts:
    """Return which row of `_flat` each one of the ranking is in."""
    side, columns = folded.shape[:2]
    return np.asarray(np.arange(side * columns).reshape(side, columns).T.ravel())


def _flat(folded: Floats) -> Floats:
    """Return all that is folded as rows, shape (side x columns, draws)."""
    return folded.reshape(-1, folded.shape[-1])


def _accumulate(step: np.ufunc, folded: Floats) -> Floats:
    """Accumulate in place what is folded, shape (side, columns, draws)."""
    for above, row in pairwise(folded):
        step(above, row, out=row)
    carried = step.accumulate(folded[-1, :-1], axis=0)
    step(folded[:, 1:], carried, out=folded[:, 1:])
    return folded
