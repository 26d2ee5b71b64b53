"""Where the errors come from: panoptic quality, TIDE's errors, and slices of the faces."""

from __future__ import annotations

from collections.abc import Callable

import hotcoco.metrics
import numpy as np
from fairlearn.metrics import MetricFrame
from sklearn import metrics as sk

from crosschecks.cases import Case, Check, figure
from crosschecks.detection import evaluation
from crosschecks.judging import IGNORE, K, Row, area, iou
from groupemo.metrics import anatomy as ana
from groupemo.metrics import joint
from groupemo.slices import slices, worst_gap


def panoptic_per_class(case: Case) -> np.ndarray:
    """Return hotcoco's PQ, SQ and RQ of each class, shape (3, k)."""
    rows = case.end_to_end
    table = np.full((3, K), np.nan)
    for c in range(K):
        right = [row for row in rows if row.truth == row.answer == c]
        fp = sum(row.answer == c for row in rows) - len(right)
        fn = sum(row.truth == c for row in rows) - len(right)
        overlap = sum(row.iou for row in right)
        values = hotcoco.metrics.panoptic_quality(overlap, len(right), fp, fn)
        if len(right) + fp + fn:
            table[:, c] = values
        if not right:
            table[1, c] = np.nan
    return table


def panoptic_quality(case: Case) -> float:
    labelled = sorted({row.truth for row in case.end_to_end} & set(range(K)))
    return panoptic_per_class(case)[0, labelled].mean() if labelled else np.nan


def plain_photos(case: Case) -> list[int]:
    """Return the photos where groupemo's bins and TIDE's mean the same.

    All faces are labelled, there is no region to leave out, and no detection is near
    two faces.
    """
    return [
        number
        for number, photo in enumerate(case.photos)
        if photo.complete
        and IGNORE not in photo.labels
        and all(
            sum(iou(box, face) >= ana.BACKGROUND_IOU for face in photo.boxes) < 2
            for box in photo.found
        )
    ]


def tide_errors(case: Case) -> list[int]:
    """Return hotcoco's counts of missed, duplicate, badly placed and background errors."""
    photos = [case.photos[number] for number in plain_photos(case)]
    if not photos:
        return [0] * 4
    least = case.scores.min_iou
    run = evaluation(photos, "hotcoco", [least])
    found = run.tide_errors(pos_thr=least, bg_thr=ana.BACKGROUND_IOU)["counts"]
    return [found[name] for name in ("Miss", "Dupe", "Loc", "Bkg")]


def our_errors(case: Case) -> np.ndarray:
    """Return groupemo's counts; a detection near a face that another has found is TIDE's Loc."""
    errors = np.zeros(4)
    for number in plain_photos(case):
        one = case.scores.photos[number]
        boxes, found = one.labelled.boxes, one.analysis.faces.boxes
        bins = ana.anatomy(
            boxes, one.labelled.labels, found, one.outcome, min_iou=case.scores.min_iou
        )
        table = dict(zip(ana.BINS, ana.bin_counts([bins])[0].tolist(), strict=True))
        phantoms = found[bins.detected == ana.BINS.index("phantom")].tolist()
        near = sum(
            any(iou(box, face) >= ana.BACKGROUND_IOU for face in boxes.tolist()) for box in phantoms
        )
        errors += [
            table["missed"][0],
            table["duplicate"][1],
            table["localisation"][1] + near,
            len(phantoms) - near,
        ]
    return errors


def of_known_label(case: Case) -> list[Row]:
    return [row for row in case.faces if row.truth >= 0]


def found(row: Row) -> bool:
    return row.detection >= 0


def right(row: Row) -> bool:
    return row.truth == row.answer


SLICED: dict[str, tuple[Callable[[Case], list[Row]], Callable[[Row], bool]]] = {
    "detection_recall": (lambda case: case.faces, found),
    "matched_accuracy": (lambda case: case.matched, right),
    "end_to_end_accuracy": (of_known_label, right),
}
"""Figure -> the faces it is taken over, and which of them count."""

SIZES = ("below 32 px", "32 to 96 px", "96 px or more")


def size_of(case: Case, row: Row) -> str:
    side = area(case.photos[row.photo].boxes[row.face]) ** 0.5
    return SIZES[(side >= 32) + (side >= 96)]


def metric_frames(case: Case) -> list[MetricFrame | None]:
    """Return Fairlearn's figures by size; None for one without a face."""
    chosen = [(rows(case), true) for rows, true in SLICED.values()]
    return [
        MetricFrame(
            metrics=sk.accuracy_score,
            y_true=[1] * len(rows),
            y_pred=[int(true(row)) for row in rows],
            sensitive_features=[size_of(case, row) for row in rows],
        )
        if rows
        else None
        for rows, true in chosen
    ]


def by_size(case: Case) -> np.ndarray:
    """Return Fairlearn's values, shape (figures, sizes), NaN where there is no face."""
    blank = np.full(len(SIZES), np.nan)
    frames = metric_frames(case)
    return np.array([blank if one is None else one.by_group.reindex(SIZES) for one in frames])


def gaps(case: Case) -> list[float]:
    """Return Fairlearn's greatest differences, NaN for fewer than two sizes."""
    frames = metric_frames(case)
    return [np.nan if one is None or len(one.by_group) < 2 else one.difference() for one in frames]


def our_slices(case: Case) -> np.ndarray:
    frame = slices(case.scores, "size", figures=list(SLICED), draws=20).frame
    table = frame.pivot(index="figure", columns="group", values="value")
    return table.reindex(index=list(SLICED), columns=list(SIZES)).to_numpy()


def our_gaps(case: Case) -> list[float]:
    """Return the worst gaps, however few faces they stand on."""
    values = [row[np.isfinite(row)] for row in our_slices(case)]
    return [worst_gap(row, row[:, None])[0] for row in values]


CHECKS = (
    figure("end_to_end_pq", "hotcoco panoptic_quality", panoptic_quality),
    Check(
        "PQ, SQ and RQ per class",
        "hotcoco panoptic_quality",
        lambda case: np.concatenate(joint.panoptic_per_class(case.tally)),
        panoptic_per_class,
        note="SQ without a right answer: 0 there, undefined here",
    ),
    Check(
        "missed, duplicate, badly placed and background errors",
        "hotcoco tide_errors",
        our_errors,
        tide_errors,
        note="in photos without regions, and without a detection near two faces",
        repeats=False,
    ),
    Check(
        "slices by size: recall, matched and end-to-end accuracy",
        "Fairlearn MetricFrame",
        our_slices,
        by_size,
        repeats=False,
    ),
    Check(
        "worst gap between sizes",
        "Fairlearn MetricFrame.difference",
        our_gaps,
        gaps,
        repeats=False,
    ),
)
