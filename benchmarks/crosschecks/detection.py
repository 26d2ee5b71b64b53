"""How many faces are found: three readers of COCO's protocol, and formulas over their pairs."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from typing import Any

import faster_coco_eval
import hotcoco
import numpy as np
from pycocotools import coco, cocoeval
from sklearn import metrics as sk

from crosschecks.cases import FORMULA, Case, Check, figure
from crosschecks.judging import IGNORE, Box, Photo, area
from groupemo.metrics import detection as det

COCO: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "pycocotools": (coco.COCO, cocoeval.COCOeval),
    "faster-coco-eval": (faster_coco_eval.COCO, faster_coco_eval.COCOeval_faster),
    "hotcoco": (hotcoco.COCO, hotcoco.COCOeval),
}
EVERYWHERE = (-1e4, -1e4, 1e5, 1e5)
"""A region over the whole photo: what finds no face there is not judged."""
SIZES = ("any", *det.COCO_AREAS)


def annotations(rows: Iterable[tuple[int, Box, dict[str, Any]]]) -> dict[str, Any]:
    """Return boxes of photos as COCO writes them."""
    return {
        "categories": [{"id": 1, "name": "face"}],
        "annotations": [
            {
                "id": number,  # from 1: pycocotools takes 0 for "unmatched"
                "image_id": image,
                "category_id": 1,
                "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                "area": area(box),
                "iscrowd": 0,
                **more,
            }
            for number, (image, box, more) in enumerate(rows, start=1)
        ],
    }


def labelled(number: int, photo: Photo) -> Iterable[tuple[int, Box, dict[str, Any]]]:
    for box, label in zip(photo.boxes, photo.labels, strict=True):
        yield number, box, {"iscrowd": int(label == IGNORE)}
    if not photo.complete:
        yield number, EVERYWHERE, {"iscrowd": 1}


@lru_cache(maxsize=8)
def evaluated(case: Case, library: str) -> Any:
    """Return a library's evaluation of a run's detections, by IoU and by size."""
    return evaluation(case.photos, library)


def evaluation(photos: list[Photo], library: str, ious: Sequence[float] = det.COCO_IOUS) -> Any:
    new, evaluator = COCO[library]
    images = [{"id": number, "width": 1, "height": 1} for number in range(len(photos))]
    truth = annotations(
        row for number, photo in enumerate(photos) for row in labelled(number, photo)
    )
    found = annotations(
        (number, box, {"score": score})
        for number, photo in enumerate(photos)
        for box, score in zip(photo.found, photo.scores, strict=True)
    )
    with contextlib.redirect_stdout(io.StringIO()):
        run = evaluator(_read(new, truth, images), _read(new, found, images), "bbox")
        params = run.params
        params.maxDets, params.iouThrs = [10_000], np.array(ious)
        run.params = params
        run.evaluate()
        run.accumulate()
    return run


def _read(new: Callable[..., Any], boxes: dict[str, Any], images: list[dict[str, int]]) -> Any:
    told = {**boxes, "images": images}
    if new is not coco.COCO:
        return new(told)
    read = new()
    read.dataset = told
    read.createIndex()
    return read


def coco_precision(library: str, case: Case) -> np.ndarray:
    """Return the average precision at each IoU for each size, shape (10, 4)."""
    mean = evaluated(case, library).eval["precision"][:, :, 0, :, 0].mean(axis=1)
    return np.where(mean < 0, np.nan, mean)


AVERAGES = (
    ("detection_ap50", slice(0, 1), 0),
    ("detection_ap", slice(None), 0),
    *((f"detection_ap50_{size}", slice(0, 1), SIZES.index(size)) for size in det.COCO_AREAS),
)
"""Figure, of which of COCO's IoUs, and of which of `SIZES`."""


def mean_precision(least: slice, size: int, library: str, case: Case) -> float:
    return coco_precision(library, case)[least, size].mean()


@lru_cache(maxsize=8)
def our_precision(case: Case) -> np.ndarray:
    """Return the same of groupemo."""
    met = overlaps(case)
    areas = {"any": (0.0, np.inf), **det.COCO_AREAS}
    return np.array(
        [
            [
                det.average_precision(met.ranking(min_iou=least, area=areas[size]), case.weights)[0]
                for size in SIZES
            ]
            for least in det.COCO_IOUS
        ]
    )


def overlaps(case: Case) -> det.Overlaps:
    return det.overlaps(
        (
            one.labelled.boxes, one.labelled.labels, one.labelled.complete,
            one.analysis.faces.boxes, one.analysis.faces.scores,
        )
        for one in case.scores.photos
    )  # fmt: skip


def counted(case: Case) -> tuple[list[int], list[int]]:
    """Return a 1 for each face and each detection, a 0 opposite what was missed or is a phantom."""
    return (
        [1] * len(case.faces) + [0] * len(case.phantoms),
        [int(row.detection >= 0) for row in case.faces] + [1] * len(case.phantoms),
    )


def binary(score: Callable[..., float], needs: Callable[[Case], bool], case: Case) -> float:
    return score(*counted(case), zero_division=0) if needs(case) else np.nan


def localisation(case: Case) -> np.ndarray:
    """Return LRP and its components, by their formulas."""
    off = sum(1 - row.iou for row in case.found)
    tp, fp, fn = len(case.found), len(case.phantoms), len(case.faces) - len(case.found)
    if tp + fp + fn == 0:
        return np.full(4, np.nan)
    return np.array(
        [
            (off / (1 - case.scores.min_iou) + fp + fn) / (tp + fp + fn),
            off / tp if tp else np.nan,
            fp / (tp + fp) if tp + fp else np.nan,
            fn / (tp + fn) if tp + fn else np.nan,
        ]
    )


def least_localisation(case: Case) -> float:
    """Return the least LRP at an IoU of .5 over all score thresholds, of pycocotools' pairs."""
    run = evaluated(case, "pycocotools")
    seen: list[tuple[float, float]] = []
    faces = 0
    for one in run.evalImgs[: len(case.photos)]:  # of boxes of any size
        if one is None:
            continue
        shared = run.ious[one["image_id"], 1]
        labelled_there = run.cocoGt.getAnnIds(imgIds=[one["image_id"]])
        column = {face: place for place, face in enumerate(labelled_there)}
        faces += sum(not ignored for ignored in one["gtIgnore"])
        for rank, face in enumerate(one["dtMatches"][0]):
            if not one["dtIgnore"][0][rank]:
                iou = shared[rank][column[face]] if face else np.nan
                seen.append((one["dtScores"][rank], iou))
    if not faces:
        return np.nan
    return min([1.0, *(_lrp([i for s, i in seen if s >= least], faces) for least, _ in seen)])


def _lrp(ious: list[float], faces: int) -> float:
    """Return the LRP at an IoU of .5 of the detections that are left."""
    hits = [iou for iou in ious if not np.isnan(iou)]
    wrong = len(ious) - len(hits) + faces - len(hits)
    return (sum((1 - iou) / 0.5 for iou in hits) + wrong) / (len(hits) + wrong)


CHECKS = (
    figure(
        "detection_precision",
        "scikit-learn precision_score",
        partial(binary, sk.precision_score, lambda case: bool(case.found or case.phantoms)),
    ),
    figure(
        "detection_recall",
        "scikit-learn recall_score",
        partial(binary, sk.recall_score, lambda case: bool(case.faces)),
    ),
    figure(
        "detection_f1",
        "scikit-learn f1_score",
        partial(binary, sk.f1_score, lambda case: bool(case.rows)),
    ),
    *(
        figure(name, f"{library} COCOeval", partial(mean_precision, least, size, library))
        for name, least, size in AVERAGES
        for library in COCO
    ),
    *(
        Check(
            "average precision by size at IoU .5, .55 ... .95",
            f"{library} COCOeval",
            our_precision,
            partial(coco_precision, library),
            note="of any size, small, medium, large",
        )
        for library in COCO
    ),
    figure("detection_lrp", FORMULA, lambda case: localisation(case)[0]),
    Check(
        "LRP's localisation, false positive and false negative error",
        FORMULA,
        lambda case: det.lrp_components(case.tally),
        lambda case: localisation(case)[1:],
    ),
    figure(
        "detection_olrp",
        "direct computation from the formula, of pycocotools' pairs",
        least_localisation,
        note="at an IoU of .5",
    ),
    figure(
        "detection_phantoms_per_photo",
        FORMULA,
        lambda case: len(case.phantoms) / len(case.photos),
    ),
)
