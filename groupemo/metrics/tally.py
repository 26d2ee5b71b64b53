"""The one table every score is made from.

Conventions
-----------
`k` classes. Rows of `Tally.counts` are the truth: the `k` classes, then *unsure*
(a real face whose emotion is not known), then *no labelled face*. Columns are
the answer: the `k` classes, then *abstained*, then *missed*::

                   angry ... neutral   abstained   missed
    angry            .           .         .          .      sums to its labelled faces
    ...
    unsure           .           .         .          .      sums to its labelled faces
    no labelled      .           .         .          0      the phantoms

All columns but *missed*, and `ignored`, sum to the detections. Tables add, over
photos and processes; a ratio is taken last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groupemo.errors import ContractError
from groupemo.labels import IGNORE, UNSURE
from groupemo.matching import in_regions, match

__all__ = ["IGNORED", "MIN_PROB", "NONE", "Outcome", "Tally", "ratio", "tally"]

MIN_PROB = 1e-15
"""Least probability a cross-entropy is taken of: one face costs at most 34.5 nats."""

NONE = -1
"""In an `Outcome`: missed (a labelled face), phantom (a detection), abstained (an answer)."""

IGNORED = -2
"""In an `Outcome`: left out of every score."""


@dataclass(frozen=True, eq=False, init=False)
class Tally:
    """Counts of one photo, or of many.

    Leading axes, written `...`, hold many tallies at once, as one a photo or
    one a bootstrap sample: every metric keeps them.

    Parameters
    ----------
    counts : array_like, shape=(..., k + 2, k + 2)
        The table of this module's conventions, int64.
    loss : array_like, shape=(...)
        Cross-entropy in nats, summed over the found and answered faces of a
        known class.
    clipped : array_like, shape=(...)
        How many of those had a probability below `MIN_PROB`, raised to it.
    ignored : array_like, shape=(...)
        Detections not judged: in a region to leave out, or unmatched in a
        photo not labelled completely.

    Raises
    ------
    ContractError
        If the table is not square, too small, or counts a phantom as missed.

    Examples
    --------
    >>> sum([Tally.zero(7), Tally.zero(7)], Tally.zero(7)).counts.shape
    (9, 9)
    """

    counts: NDArray[np.int64]
    loss: NDArray[np.float64]
    clipped: NDArray[np.int64]
    ignored: NDArray[np.int64]

    def __init__(
        self,
        counts: ArrayLike,
        loss: ArrayLike = 0.0,
        clipped: ArrayLike = 0,
        ignored: ArrayLike = 0,
    ) -> None:
        table = np.array(counts, dtype=np.int64)
        if table.ndim < 2 or table.shape[-1] != table.shape[-2] or table.shape[-1] < 3:
            raise ContractError(
                f"tally: counts have shape {table.shape}, expected (..., k + 2, k + 2)"
            )
        if table[..., -1, -1].any():
            raise ContractError("tally: counts[..., -1, -1] is not 0: no face cannot be missed")
        table.setflags(write=False)
        object.__setattr__(self, "counts", table)
        for name, value, kind in (
            ("loss", loss, np.float64),
            ("clipped", clipped, np.int64),
            ("ignored", ignored, np.int64),
        ):
            many = np.broadcast_to(np.asarray(value, dtype=kind), table.shape[:-2])
            object.__setattr__(self, name, many)

    @classmethod
    def zero(cls, k: int) -> Tally:
        """Return the tally of no photo: where a sum starts."""
        return cls(np.zeros((k + 2, k + 2)))

    @classmethod
    def stack(cls, tallies: Sequence[Tally]) -> Tally:
        """Put tallies (at least one) side by side on a new leading axis."""
        return cls(*map(np.stack, zip(*(each._values() for each in tallies), strict=True)))

    @property
    def k(self) -> int:
        """How many classes there are."""
        return int(self.counts.shape[-1]) - 2

    def __add__(self, other: Tally) -> Tally:
        if self.k != other.k:
            raise ContractError(f"cannot add a tally of {self.k} classes to one of {other.k}")
        return Tally(*map(np.add, self._values(), other._values()))

    def _values(self) -> tuple[NDArray[Any], ...]:
        return self.counts, self.loss, self.clipped, self.ignored


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of each labelled face and each detection of one photo.

    Parameters
    ----------
    labelled : np.ndarray, shape=(m,)
        The detection that found each labelled face; `NONE` where missed,
        `IGNORED` for a region to leave out.
    detected : np.ndarray, shape=(n,)
        The labelled face each detection found; `NONE` for a phantom, `IGNORED`
        where it is not judged.
    predicted : np.ndarray, shape=(n,)
        The class answered for each detection; `NONE` where abstained.
    iou : np.ndarray, shape=(n,)
        Of each detection with the labelled face it found, or NaN.
    """

    labelled: NDArray[np.int64]
    detected: NDArray[np.int64]
    predicted: NDArray[np.int64]
    iou: NDArray[np.float64]


def tally(
    labelled_boxes: ArrayLike,
    labels: ArrayLike,
    complete: bool,
    detected_boxes: ArrayLike,
    probs: ArrayLike,
    *,
    min_iou: float = 0.5,
) -> tuple[Tally, Outcome]:
    """Compare one photo's detections and answers with its labels.

    Detections are matched with the real faces first (`groupemo.matching.match`).
    Of those left over, the ones in a region to leave out
    (`groupemo.matching.in_regions`, as COCO treats crowds) are ignored, and so
    are all of them where the photo is not labelled completely: they may be
    right. The rest are phantoms.

    Parameters
    ----------
    labelled_boxes : array_like, shape=(m, 4)
    labels : array_like, shape=(m,)
        Classes 0..k-1, `groupemo.labels.UNSURE` or `groupemo.labels.IGNORE`.
    complete : bool
        Whether every visible face of the photo is labelled.
    detected_boxes : array_like, shape=(n, 4)
    probs : array_like, shape=(n, k)
        One row a detection; the greatest is the answer, the first of equals.
        A row with a NaN means abstained.
    min_iou : float
        Least IoU of a pair, above 0 and at most 1.

    Returns
    -------
    Tally
        Without leading axes.
    Outcome
        The same, face by face.

    Raises
    ------
    OptionError
        If `min_iou` is out of range.
    ContractError
        If the rows do not line up, or a label is no class.
    """
    truth = np.asarray(labels, dtype=np.int64)
    rows = np.asarray(probs, dtype=np.float64)
    boxes = np.asarray(labelled_boxes, dtype=np.float64).reshape(-1, 4)
    found = np.asarray(detected_boxes, dtype=np.float64).reshape(-1, 4)
    _check(boxes, truth, found, rows)
    outcome = _judge(boxes, truth, complete, found, _answers(rows), min_iou)
    loss, clipped = _cross_entropy(truth, rows, outcome)
    counts = _count(truth, rows.shape[1], outcome)
    return Tally(counts, loss, clipped, (outcome.detected == IGNORED).sum()), outcome


def ratio(part: ArrayLike, whole: ArrayLike) -> NDArray[np.float64]:
    """Return `part / whole` of equal shapes, NaN where `whole` is 0; a scalar for scalars."""
    over = np.asarray(whole, dtype=np.float64)
    out: NDArray[np.float64] = np.full(over.shape, np.nan)
    np.divide(part, over, out=out, where=over != 0)
    return out[()]


def _check(
    boxes: NDArray[np.float64],
    truth: NDArray[np.int64],
    found: NDArray[np.float64],
    rows: NDArray[np.float64],
) -> None:
    if truth.shape != (len(boxes),):
        raise ContractError(f"labels have shape {truth.shape}, expected ({len(boxes)},)")
    if rows.ndim != 2 or len(rows) != len(found) or not rows.shape[1]:
        raise ContractError(f"probs have shape {rows.shape}, expected ({len(found)}, k)")
    k = rows.shape[1]
    strange = truth[~np.isin(truth, [*range(k), UNSURE, IGNORE])]
    if len(strange):
        raise ContractError(
            f"label {strange[0]} is none of {k} classes, {UNSURE} (unsure) or {IGNORE} (ignore)"
        )


def _answers(rows: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.asarray(np.where(np.isnan(rows).any(axis=1), NONE, rows.argmax(axis=1)))


def _judge(
    boxes: NDArray[np.float64],
    truth: NDArray[np.int64],
    complete: bool,
    found: NDArray[np.float64],
    predicted: NDArray[np.int64],
    min_iou: float,
) -> Outcome:
    real = np.flatnonzero(truth != IGNORE)
    matching = match(boxes[real], found, min_iou=min_iou)
    faces, finders = real[matching.pairs[:, 0]], matching.pairs[:, 1]
    labelled = np.where(truth == IGNORE, IGNORED, NONE)
    labelled[faces] = finders
    excused = in_regions(found, boxes[truth == IGNORE], min_share=min_iou)
    detected = np.where(excused | (not complete), IGNORED, NONE)
    detected[finders] = faces
    iou = np.full(len(found), np.nan)
    iou[finders] = matching.iou
    return Outcome(labelled, detected, predicted, iou)


def _count(truth: NDArray[np.int64], k: int, outcome: Outcome) -> NDArray[np.int64]:
    unsure, no_face, abstained, missed = k, k + 1, k, k + 1
    row = np.append(np.where(truth == UNSURE, unsure, truth), no_face)  # row[NONE] is no face
    column = np.where(outcome.predicted == NONE, abstained, outcome.predicted)
    judged = outcome.detected != IGNORED
    counts = np.zeros((k + 2, k + 2), dtype=np.int64)
    np.add.at(counts, (row[outcome.detected[judged]], column[judged]), 1)
    np.add.at(counts, (row[:-1][outcome.labelled == NONE], missed), 1)
    return counts


def _cross_entropy(
    truth: NDArray[np.int64], rows: NDArray[np.float64], outcome: Outcome
) -> tuple[float, int]:
    scored = np.flatnonzero((outcome.detected >= 0) & (outcome.predicted != NONE))
    true = truth[outcome.detected[scored]]
    given = rows[scored[true >= 0], true[true >= 0]]
    return float(np.log(1 / np.maximum(given, MIN_PROB)).sum()), int((given < MIN_PROB).sum())
