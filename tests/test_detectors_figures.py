"""The default detectors find as many faces on group photos as they are said to."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from groupemo.boxes import xywh_to_xyxy
from groupemo.detectors.yolo import Yolo
from groupemo.detectors.yunet import YuNet
from groupemo.images import read_photo
from groupemo.labels import IGNORE
from groupemo.metrics.detection import detection_precision, detection_recall
from groupemo.metrics.tally import Tally, tally
from groupemo.plugins import get_detector

pytestmark = [pytest.mark.data, pytest.mark.models, pytest.mark.slow]


def figures(detector, folder):
    """Return precision and recall at IoU 0.5 on all labelled photos of a folder."""
    with open(folder / "boxes.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    total = Tally.zero(1)
    for name in {row["image"] for row in rows}:
        here = [row for row in rows if row["image"] == name]
        boxes = xywh_to_xyxy([[int(row[key]) for key in "xywh"] for row in here])
        labels = [IGNORE if row["invalid"] == "1" else 0 for row in here]
        faces = detector(read_photo(folder / "photos" / name))
        total += tally(boxes, labels, True, faces.boxes, np.ones((len(faces), 1)))[0]
    return float(detection_precision(total)), float(detection_recall(total))


def test_yunet(shared_data, shared_models):
    precision, recall = figures(YuNet(), shared_data / "wider_groups")
    assert precision >= 0.97
    assert recall >= 0.82


def test_yolo(shared_data, shared_models):
    detector = Yolo(model=shared_models / "yolov8-lite-t-face.onnx")
    precision, recall = figures(detector, shared_data / "wider_groups")
    assert precision >= 0.96
    assert recall >= 0.82


@pytest.mark.parametrize(
    ("preset", "precision", "recall"),
    [("fast", 0.96, 0.77), ("balanced", 0.96, 0.85), ("best", 0.95, 0.885)],
)
def test_presets(shared_data, shared_models, preset, precision, recall):
    seen = figures(get_detector(preset), shared_data / "wider_groups")
    assert seen[0] >= precision
    assert seen[1] >= recall
