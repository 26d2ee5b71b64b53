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
photos and processes; a ratio is taken last. Counts are whole; only where photos
are weighed (`groupemo.metrics.uncertainty`) are they not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groupemo.errors import ContractError
from groupemo.labels import IGNORE, UNSURE
from groupemo.matching import in_regions, match
from groupemo.metrics import probabilistic as prob
from groupemo.metrics.answers import Answers

__all__ = [
    "IGNORED",
    "NONE",
    "SUMS",
    "Outcome",
    "Tally",
    "answers",
    "count",
    "judge",
    "ratio",
    "tally",
    "tally_found",
]

SUMS = (
    "ignored", "log_loss", "clipped", "brier", "top2", "iou",
    "voted", "soft_cross_entropy", "kl", "js",
)  # fmt: skip
"""What a tally sums besides its counts.

`ignored`
    Detections not judged: in a region to leave out, or unmatched in a photo not
    labelled completely.
`log_loss`, `clipped`, `brier`, `top2`
    Of `groupemo.metrics.probabilistic`, over the found and answered faces of a
    known class.
`iou`
    Over the found faces.
`voted`
    Found and answered faces with votes; `soft_cross_entropy`, `kl` and `js` are
    summed over them.
"""

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
        The table of this module's conventions; int64, or float64 where weighed.
    sums : array_like, shape=(..., len(SUMS))
        `tally["brier"]` is one of them, shape (...).
    overlap : array_like, shape=(..., k)
        IoU summed over the found and rightly answered faces of each class.

    Raises
    ------
    ContractError
        If the table is not square, too small, or counts a phantom as missed.

    Examples
    --------
    >>> sum([Tally.zero(7), Tally.zero(7)], Tally.zero(7)).counts.shape
    (9, 9)
    """

    counts: NDArray[Any]
    sums: NDArray[np.float64]
    overlap: NDArray[np.float64]

    def __init__(self, counts: ArrayLike, sums: ArrayLike = 0.0, overlap: ArrayLike = 0.0) -> None:
        table = np.array(counts)
        table = table.astype(np.float64 if table.dtype.kind == "f" else np.int64, copy=False)
        if table.ndim < 2 or table.shape[-1] != table.shape[-2] or table.shape[-1] < 3:
            raise ContractError(
                f"tally: counts have shape {table.shape}, expected (..., k + 2, k + 2)"
            )
        if table[..., -1, -1].any():
            raise ContractError("tally: counts[..., -1, -1] is not 0: no face cannot be missed")
        table.setflags(write=False)
        object.__setattr__(self, "counts", table)
        many, k = table.shape[:-2], table.shape[-1] - 2
        for name, value, width in (("sums", sums, len(SUMS)), ("overlap", overlap, k)):
            row = np.broadcast_to(np.asarray(value, dtype=np.float64), (*many, width))
            object.__setattr__(self, name, row)

    @classmethod
    def zero(cls, k: int) -> Tally:
        """Return the tally of no photo: where a sum starts."""
        return cls(np.zeros((k + 2, k + 2), dtype=np.int64))

    @classmethod
    def stack(cls, tallies: Sequence[Tally]) -> Tally:
        """Put tallies (at least one) side by side on a new leading axis."""
        return cls(*map(np.stack, zip(*(each._values() for each in tallies), strict=True)))

    @property
    def k(self) -> int:
        """How many classes there are."""
        return int(self.counts.shape[-1]) - 2

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        """Return one of `SUMS`, shape (...)."""
        return np.asarray(self.sums[..., SUMS.index(name)])

    def __add__(self, other: Tally) -> Tally:
        if self.k != other.k:
            raise ContractError(f"cannot add a tally of {self.k} classes to one of {other.k}")
        return Tally(*map(np.add, self._values(), other._values()))

    def _values(self) -> tuple[NDArray[Any], ...]:
        return self.counts, self.sums, self.overlap


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


Counted = tuple[ArrayLike, ArrayLike, Outcome, ArrayLike | None]
"""One photo's labels (m,), probs (n, k), outcome, and votes (m, k) or None."""


def tally(
    labelled_boxes: ArrayLike,
    labels: ArrayLike,
    complete: bool,
    detected_boxes: ArrayLike,
    probs: ArrayLike,
    *,
    min_iou: float = 0.5,
    votes: ArrayLike | None = None,
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
    votes : array_like, shape=(m, k), optional
        How many people chose each class for each labelled face; a row of zeros
        where nobody voted.

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
    outcome = judge(labelled_boxes, labels, complete, detected_boxes, probs, min_iou=min_iou)
    [counted] = count([(labels, probs, outcome, votes)])
    return counted, outcome


def judge(
    labelled_boxes: ArrayLike,
    labels: ArrayLike,
    complete: bool,
    detected_boxes: ArrayLike,
    probs: ArrayLike,
    *,
    min_iou: float = 0.5,
) -> Outcome:
    """Return what became of one photo's faces and detections; parameters are those of `tally`."""
    truth = np.asarray(labels, dtype=np.int64)
    rows = np.asarray(probs, dtype=np.float64)
    boxes = np.asarray(labelled_boxes, dtype=np.float64).reshape(-1, 4)
    found = np.asarray(detected_boxes, dtype=np.float64).reshape(-1, 4)
    _check(boxes, truth, found, rows)
    return _judge(boxes, truth, complete, found, _answers(rows), min_iou)


def count(photos: Iterable[Counted]) -> list[Tally]:
    """Return each photo's tally from what became of its faces and detections.

    Faces and detections that an outcome says are `IGNORED` count nowhere: so a part of
    the faces can be tallied. Many photos at once are counted much faster than one by one.

    Parameters
    ----------
    photos : iterable of (labels, probs, Outcome, votes)
        See `tally`.
    """
    each = list(photos)
    if not each:
        return []
    run = _Run.of(each)
    columns = _counts(run), _sums(run), _overlap(run)
    return [Tally(*row) for row in zip(*columns, strict=True)]


def tally_found(
    labels: NDArray[np.int64],
    probs: NDArray[np.float64],
    photo: NDArray[np.int64],
    n: int,
    votes: NDArray[np.float64] | None = None,
) -> Tally:
    """Return a tally a photo, stacked, of faces that were given: each counts as found.

    Parameters
    ----------
    labels : np.ndarray, shape=(m,)
        Classes 0..k-1, or `groupemo.labels.UNSURE`.
    probs : np.ndarray, shape=(m, k)
        A row with a NaN means abstained.
    photo : np.ndarray, shape=(m,)
        The row of each face's photo, 0..n-1.
    n : int
        Photos.
    votes : np.ndarray, shape=(m, k), optional
        As in `tally`.
    """
    each = np.arange(len(labels))
    run = _Run(
        n=n,
        face_photo=photo,
        truth=labels,
        missed=np.zeros(len(labels), bool),
        votes=np.zeros_like(probs) if votes is None else votes,
        photo=photo,
        probs=probs,
        detected=each,
        predicted=_answers(probs),
        iou=np.ones(len(labels)),
    )
    return Tally(_counts(run), _sums(run), _overlap(run))


def answers(labels: ArrayLike, probs: ArrayLike, outcome: Outcome) -> Answers:
    """Return one photo's found and answered faces whose label is a class."""
    truth, rows = np.asarray(labels, dtype=np.int64), np.asarray(probs, dtype=np.float64)
    found = np.flatnonzero((outcome.detected >= 0) & (outcome.predicted != NONE))
    true = truth[outcome.detected[found]]
    known = true >= 0
    return Answers(np.zeros(known.sum(), np.int64), 1, true[known], rows[found[known]])


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


@dataclass(frozen=True, eq=False)
class _Run:
    """Photos laid end to end: `face_photo` and `photo` say whose each face and detection is."""

    n: int
    face_photo: NDArray[np.int64]
    truth: NDArray[np.int64]
    missed: NDArray[np.bool_]
    votes: NDArray[np.float64]
    photo: NDArray[np.int64]
    probs: NDArray[np.float64]
    detected: NDArray[np.int64]
    predicted: NDArray[np.int64]
    iou: NDArray[np.float64]

    @classmethod
    def of(cls, photos: Sequence[Counted]) -> _Run:
        labels, probs, outcomes, votes = zip(*photos, strict=True)
        faces = [len(one.labelled) for one in outcomes]
        starts = np.cumsum([0, *faces[:-1]])
        k = np.shape(probs[0])[1]
        return cls(
            n=len(photos),
            face_photo=np.repeat(np.arange(len(photos)), faces),
            truth=np.concatenate(labels).astype(np.int64),
            missed=np.concatenate([one.labelled for one in outcomes]) == NONE,
            votes=np.concatenate(
                [np.zeros((m, k)) if cast is None else cast
                 for m, cast in zip(faces, votes, strict=True)]
            ),
            photo=np.repeat(np.arange(len(photos)), [len(one.detected) for one in outcomes]),
            probs=np.concatenate(probs).astype(np.float64, copy=False),
            detected=np.concatenate(
                [np.where(one.detected >= 0, one.detected + start, one.detected)
                 for one, start in zip(outcomes, starts, strict=True)]
            ),
            predicted=np.concatenate([one.predicted for one in outcomes]),
            iou=np.concatenate([one.iou for one in outcomes]),
        )  # fmt: skip

    @property
    def k(self) -> int:
        return int(self.probs.shape[1])


def _counts(run: _Run) -> NDArray[np.int64]:
    k = run.k
    unsure, no_face, abstained, missed = k, k + 1, k, k + 1
    row = np.append(np.where(run.truth == UNSURE, unsure, run.truth), no_face)  # row[NONE]: no face
    column = np.where(run.predicted == NONE, abstained, run.predicted)
    judged = run.detected != IGNORED
    counts = np.zeros((run.n, k + 2, k + 2), dtype=np.int64)
    np.add.at(counts, (run.photo[judged], row[run.detected[judged]], column[judged]), 1)
    np.add.at(counts[..., missed], (run.face_photo[run.missed], row[:-1][run.missed]), 1)
    return counts


def _sums(run: _Run) -> NDArray[np.float64]:
    """Return what a tally sums, in the order of `SUMS`, of each photo."""
    sums = np.zeros((run.n, len(SUMS)))

    def add(name: str, rows: NDArray[np.int64], values: ArrayLike) -> None:
        np.add.at(sums[:, SUMS.index(name)], run.photo[rows], values)

    add("ignored", np.flatnonzero(run.detected == IGNORED), 1.0)
    found = np.flatnonzero(run.detected >= 0)
    add("iou", found, run.iou[found])
    answered = found[run.predicted[found] != NONE]
    true = run.truth[run.detected[answered]]
    known, labels = answered[true >= 0], true[true >= 0]
    for name, of_labels in (
        ("log_loss", prob.log_loss),
        ("clipped", prob.clipped),
        ("brier", prob.brier),
        ("top2", prob.top_k),
    ):
        add(name, known, of_labels(run.probs[known], labels))
    if not run.votes.any():
        return sums
    cast = run.votes[run.detected[answered]]
    some = cast.sum(axis=1) > 0
    voted, cast = answered[some], cast[some]
    add("voted", voted, 1.0)
    for name, of_votes in (
        ("soft_cross_entropy", prob.soft_cross_entropy),
        ("kl", prob.kl_divergence),
        ("js", prob.jensen_shannon),
    ):
        add(name, voted, of_votes(run.probs[voted], cast))
    return sums


def _overlap(run: _Run) -> NDArray[np.float64]:
    found = np.flatnonzero(run.detected >= 0)
    right = found[run.truth[run.detected[found]] == run.predicted[found]]
    right = right[run.predicted[right] != NONE]
    overlap = np.zeros((run.n, run.k))
    np.add.at(overlap, (run.photo[right], run.predicted[right]), run.iou[right])
    return overlap
