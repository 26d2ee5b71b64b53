"""Where the errors come from: every labelled face and every detection in one named bin.

Conventions
-----------
The bins (`BINS`) and how a labelled face, a detection, or both get into one:

===============  ==================================================================
correct          found, and the answer is the label
wrong emotion    found, and the answer is another class
abstained        found, and no answer given
ambiguous label  found, and nobody knows the label: no answer is right or wrong
localisation     a missed face and a detection too badly placed to have found it:
                 their IoU is at least `BACKGROUND_IOU`, but below `min_iou`
missed           a labelled face that no detection found, or nearly found
duplicate        a detection on a face that another detection has found
phantom          any other detection
not judged       a region to leave out, or a detection left out of every score
===============  ==================================================================

The bins and the threshold follow TIDE (Bolya et al., "TIDE: A General Toolbox for
Identifying Object Detection Errors", ECCV 2020) with two differences: matching
asks where a face is before it asks for its expression, and localisation pairs one
detection with one missed face, so that each bin can be mended.

Gains are taken one bin at a time, as TIDE does: they do not add up. With faces
missed and phantoms about, mending both gains F1 more or less than the sum of the
two, and a face found may still be answered wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groupemo.boxes import iou_matrix
from groupemo.errors import OptionError
from groupemo.labels import UNSURE
from groupemo.matching import match
from groupemo.metrics.tally import IGNORED, NONE, SUMS, Outcome, Tally
from groupemo.metrics.uncertainty import Weights, weigh

__all__ = [
    "BACKGROUND_IOU",
    "BINS",
    "UNMENDED",
    "Anatomy",
    "Cases",
    "anatomy",
    "bin_counts",
    "cases",
    "gains",
    "mended",
]

BINS = (
    "correct", "wrong emotion", "abstained", "ambiguous label", "localisation", "missed",
    "duplicate", "phantom", "not judged",
)  # fmt: skip
"""Codes in an `Anatomy` index these words."""

(
    _CORRECT, _WRONG, _ABSTAINED, _AMBIGUOUS, _LOCALISATION, _MISSED,
    _DUPLICATE, _PHANTOM, _NOT_JUDGED,
) = range(len(BINS))  # fmt: skip

BACKGROUND_IOU = 0.1
"""Least IoU at which a detection is about a face at all (Bolya et al. 2020)."""

UNMENDED: Mapping[str, str] = {
    "correct": "there is nothing to mend",
    "ambiguous label": "nobody knows the right answer",
    "not judged": "it counts in no figure",
}
"""The bins that have no gain, and why."""

_OF_ANSWERS = np.flatnonzero([name not in ("ignored", "iou") for name in SUMS])


@dataclass(frozen=True, eq=False)
class Anatomy:
    """The bin of each labelled face and each detection of one photo.

    Parameters
    ----------
    labelled : np.ndarray, shape=(m,)
        Index into `BINS`, int8.
    detected : np.ndarray, shape=(n,)
        Index into `BINS`, int8.
    face : np.ndarray, shape=(n,)
        The labelled face each detection has found, or nearly found
        (*localisation*); `NONE` for all others.
    """

    labelled: NDArray[np.int8]
    detected: NDArray[np.int8]
    face: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Cases:
    """What there is to mend in a run: its judged detections, and its missed faces.

    Parameters
    ----------
    bin : np.ndarray, shape=(c,)
        Index into `BINS`.
    photo : np.ndarray, shape=(c,)
        The row of its photo.
    row, column : np.ndarray, shape=(c,)
        Truth and answer, as in `Tally.counts`. Of a *localisation* the row is the
        missed face's and the column the detection's.
    iou : np.ndarray, shape=(c,)
        Of a detection with the face it found, or NaN.
    """

    bin: NDArray[np.int8]
    photo: NDArray[np.int64]
    row: NDArray[np.int64]
    column: NDArray[np.int64]
    iou: NDArray[np.float64]

    def of(self, name: str) -> Cases:
        """Return the cases in one bin."""
        chosen = self.bin == BINS.index(name)
        return Cases(*(values[chosen] for values in vars(self).values()))


def anatomy(
    labelled_boxes: ArrayLike,
    labels: ArrayLike,
    detected_boxes: ArrayLike,
    outcome: Outcome,
    *,
    min_iou: float = 0.5,
) -> Anatomy:
    """Put every labelled face and every detection of one photo into a bin.

    Parameters
    ----------
    labelled_boxes : array_like, shape=(m, 4)
    labels : array_like, shape=(m,)
        Classes, `groupemo.labels.UNSURE` or `groupemo.labels.IGNORE`.
    detected_boxes : array_like, shape=(n, 4)
    outcome : Outcome
        From `groupemo.metrics.tally.tally` of the same boxes, labels and `min_iou`.
    min_iou : float
        Least IoU of a detection with a face it has found.
    """
    boxes = np.asarray(labelled_boxes, dtype=np.float64).reshape(-1, 4)
    found = np.asarray(detected_boxes, dtype=np.float64).reshape(-1, 4)
    face = np.maximum(outcome.detected, NONE)
    labelled = np.where(outcome.labelled == IGNORED, _NOT_JUDGED, _MISSED)
    detected = np.where(outcome.detected == IGNORED, _NOT_JUDGED, _PHANTOM)

    finders = np.flatnonzero(face != NONE)
    faces = face[finders]
    detected[finders] = _verdicts(np.asarray(labels)[faces], outcome.predicted[finders])
    labelled[faces] = detected[finders]

    strays = np.flatnonzero(outcome.detected == NONE)
    again = (iou_matrix(found[strays], boxes[faces]) >= min_iou).any(axis=1)
    detected[strays[again]] = _DUPLICATE

    strays, missed = strays[~again], np.flatnonzero(outcome.labelled == NONE)
    near = match(boxes[missed], found[strays], min_iou=BACKGROUND_IOU).pairs
    missed, strays = missed[near[:, 0]], strays[near[:, 1]]
    labelled[missed], detected[strays], face[strays] = _LOCALISATION, _LOCALISATION, missed
    return Anatomy(labelled.astype(np.int8), detected.astype(np.int8), face)


def bin_counts(photos: Sequence[Anatomy]) -> NDArray[np.int64]:
    """Return how many labelled faces and how many detections are in each bin.

    Returns
    -------
    np.ndarray, shape=(n, len(BINS), 2)
        One table a photo; the last axis is labelled faces, detections. Weighted sums
        over photos give intervals.
    """
    return np.array(
        [
            [np.bincount(codes, minlength=len(BINS)) for codes in (one.labelled, one.detected)]
            for one in photos
        ],
        dtype=np.int64,
    ).reshape(-1, 2, len(BINS)).transpose(0, 2, 1)  # fmt: skip


def cases(photos: Iterable[tuple[ArrayLike, Outcome, Anatomy]], k: int) -> Cases:
    """Return what there is to mend in a run.

    Parameters
    ----------
    photos : iterable of (labels, Outcome, Anatomy)
        In the order of the run's stacked tallies.
    k : int
        How many classes there are.
    """
    each = [_cases(index, *photo, k) for index, photo in enumerate(photos)]
    blank = Cases(*(np.zeros(0, kind) for kind in (np.int8, int, int, int, float)))
    columns = zip(*(vars(one).values() for one in [blank, *each]), strict=True)
    return Cases(*map(np.concatenate, columns))


def mended(stacked: Tally, run: Cases, name: str) -> Tally:
    """Return the tallies as they were if all cases in one bin were mended.

    - *wrong emotion*, *abstained*: the answer is the label.
    - *missed*: found exactly, and answered with the label; a face of unknown
      label is found, and not answered.
    - *localisation*: the detection is on its face exactly, with the answer it gave.
    - *duplicate*, *phantom*: the detection is gone.

    What probabilities a mended answer would have, nobody knows: sums over them
    (log-loss, Brier, top-2, votes) are NaN in photos where an answer was mended.

    Parameters
    ----------
    stacked : Tally
        One a photo: counts of shape (n, k + 2, k + 2).
    run : Cases
        Of the same photos.
    name : str
        One of `BINS`, and not of `UNMENDED`.

    Raises
    ------
    OptionError
        If the bin is unknown, or cannot be mended.
    """
    if name not in BINS or name in UNMENDED:
        mendable = ", ".join(each for each in BINS if each not in UNMENDED)
        why = UNMENDED.get(name, f"expected one of {mendable}")
        raise OptionError(f"{name!r} cannot be mended: {why}")
    k, chosen = stacked.k, run.of(name)
    photo, row, column = chosen.photo, chosen.row, chosen.column
    counts, sums, overlap = stacked.counts.copy(), stacked.sums.copy(), stacked.overlap.copy()
    moved = name == "localisation"
    cells: list[tuple[Any, Any]] = [(row, k + 1), (k + 1, column)] if moved else [(row, column)]
    for cell in cells:
        np.subtract.at(counts, (photo, *cell), 1)
    if name not in ("duplicate", "phantom"):
        answer = column if moved else row  # of unknown label: (unsure, abstained)
        np.add.at(counts, (photo, row, answer), 1)
        iou = chosen.iou if name in ("wrong emotion", "abstained") else np.ones(len(row))
        np.add.at(sums[:, SUMS.index("iou")], photo, iou - np.nan_to_num(chosen.iou))
        right = (row == answer) & (row < k)
        np.add.at(overlap, (photo[right], row[right]), iou[right])
        answered = np.unique(photo[(row < k) & (answer < k)])
        sums[np.ix_(answered, _OF_ANSWERS)] = np.nan
    return Tally(counts, sums, overlap)


def gains(
    stacked: Tally, run: Cases, figure: Callable[[Tally], Any], weights: Weights
) -> dict[str, NDArray[np.float64]]:
    """Return what a figure would gain if each bin were mended, one bin at a time.

    Parameters
    ----------
    stacked : Tally
        One a photo: counts of shape (n, k + 2, k + 2).
    run : Cases
        Of the same photos.
    figure : callable
        Any function of a tally that keeps its leading axes.
    weights : np.ndarray, shape=(draws, n)
        What each photo weighs in each draw.

    Returns
    -------
    dict of str to np.ndarray, shape=(draws,)
        For each of `BINS`, the figure mended minus the figure as it is: of a loss, a
        gain is below 0. NaN where either is undefined, and for the bins in `UNMENDED`.
    """
    now = np.asarray(figure(weigh(stacked, weights)), dtype=np.float64)
    return {
        name: np.full_like(now, np.nan)
        if name in UNMENDED
        else figure(weigh(mended(stacked, run, name), weights)) - now
        for name in BINS
    }


def _verdicts(labels: NDArray[np.int64], predicted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the bins of found faces."""
    return np.select(
        [labels == UNSURE, predicted == NONE, labels == predicted],
        [_AMBIGUOUS, _ABSTAINED, _CORRECT],
        _WRONG,
    )


def _cases(photo: int, labels: ArrayLike, outcome: Outcome, bins: Anatomy, k: int) -> Cases:
    truth = np.asarray(labels, dtype=np.int64)
    row = np.append(np.where(truth == UNSURE, k, truth), k + 1)  # row[NONE] is no labelled face
    judged = np.flatnonzero(bins.detected != _NOT_JUDGED)
    missed = np.flatnonzero(bins.labelled == _MISSED)
    answer = np.where(outcome.predicted == NONE, k, outcome.predicted)[judged]
    return Cases(
        np.concatenate([bins.detected[judged], bins.labelled[missed]]),
        np.full(len(judged) + len(missed), photo),
        np.concatenate([row[bins.face[judged]], row[missed]]),
        np.concatenate([answer, np.full_like(missed, k + 1)]),
        np.concatenate([outcome.iou[judged], np.full(len(missed), np.nan)]),
    )
