"""groupemo's fer backend, and the one that runs the package, beside the fer package."""

import cv2
import numpy as np
import pytest

from groupemo.backends.fer import Fer
from groupemo.backends.fer_package import FerPackage
from groupemo.boxes import iou_matrix, xywh_to_xyxy
from groupemo.detectors.fer_package import FerDetector
from groupemo.detectors.yunet import YuNet
from groupemo.faces import Faces
from groupemo.images import read_photo
from groupemo.packages import FER

ROUNDED = 0.005 + 1e-5
"""Half of the last of two places, and a little: all that rounding explains."""


@pytest.fixture(scope="module")
def package():
    return FER.load().FER(use_tflite=False)


@pytest.fixture(scope="module")
def found(photos):
    """Return each photo's pixels with its faces, whole pixels."""
    detect = YuNet()
    images = [read_photo(photo) for photo in photos]
    return [(image, Faces(detect(image).boxes.round())) for image in images]


def answers(backend, image, faces):
    return backend.predict(backend.prepare(image, faces))


def asked(package, image, faces):
    """Return what the package says of all faces of a photo in one call, as it says it."""
    boxes = faces.boxes.astype(int)
    xywh = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1).tolist()
    found = package.detect_emotions(np.ascontiguousarray(image[..., ::-1]), xywh)
    assert [list(face["box"]) for face in found] == xywh
    assert all([*face["emotions"]] == [*Fer.classes] for face in found)
    return np.array([[*face["emotions"].values()] for face in found])


def told(found):
    return f"{len(found)} photos, {sum(len(faces) for _, faces in found)} faces"


def test_all_faces_of_a_photo_in_one_call(package, found, difference):
    native = Fer()
    gaps = [answers(native, *each) - asked(package, *each) for each in found]
    difference(
        "probabilities, all that rounding explains", np.concatenate(gaps), ROUNDED, told(found)
    )


def test_faces_at_the_edge_and_beyond(package, found, difference):
    native, gaps = Fer(), []
    for image, faces in found:
        x1, y1, x2, y2 = faces.boxes[0].astype(int)
        cut = np.ascontiguousarray(image[y1:y2, x1:x2])  # the face fills the photo
        cut = cv2.resize(cut, (200, 260))
        boxes = Faces([[0, 0, 200, 260], [0, 0, 90, 260], [150, 200, 200, 260], [60, 80, 140, 90]])
        gaps.append(answers(native, cut, boxes) - asked(package, cut, boxes))
    boxes = f"{len(found)} photos, 4 boxes each"
    difference("probabilities of boxes at the edge", np.concatenate(gaps), ROUNDED, boxes)


def test_the_backend_that_runs_the_full_net(found, difference):
    native, adapter = Fer(), FerPackage(tflite=False)
    assert adapter.classes == native.classes
    assert adapter.models == native.models
    gaps = [answers(native, *each) - answers(adapter, *each) for each in found]
    difference(
        "probabilities, rounded and divided by their sum", np.concatenate(gaps), 0.02, told(found)
    )


def test_the_backend_that_runs_the_quantized_net(found, difference):
    native, adapter = Fer(), FerPackage()
    assert adapter.classes == native.classes
    assert adapter.models != native.models
    ours = np.concatenate([answers(native, *each) for each in found])
    theirs = np.concatenate([answers(adapter, *each) for each in found])
    difference(
        "probabilities, its quantized net beside the full one", ours - theirs, 0.05, told(found)
    )
    changed = (ours.argmax(axis=1) != theirs.argmax(axis=1)).sum()
    difference("faces it then answers differently", changed, 2, told(found))


def test_every_face_has_its_row_and_one_without_pixels_abstains(found, difference):
    adapter = FerPackage()
    for image, faces in found:
        height, width = image.shape[:2]
        gone = [[width - 0.2, 0, width, 9]]
        rows = answers(adapter, image, Faces([*faces.boxes, *gone, [0, 0, width, height]]))
        difference("rows for a photo's faces", len(rows) - len(faces) - 2, 0, told(found))
        assert np.isnan(rows).all(axis=1).tolist() == [False] * len(faces) + [True, False]


def test_its_own_boxes_are_those_it_reads(photos, difference):
    images = [read_photo(photo) for photo in photos]
    detect, package = FerDetector(), FER.load().FER()
    counts, gaps = [], []
    for image in images:
        theirs = package.detect_emotions(np.ascontiguousarray(image[..., ::-1]))
        boxes = xywh_to_xyxy([face["box"] for face in theirs])
        ours = detect(image).boxes
        counts.append(len(ours) - len(boxes))
        gaps.append(1 - iou_matrix(ours, boxes).max(axis=1, initial=0))
    on = f"{len(photos)} photos, {sum(map(len, gaps))} faces"
    difference("faces a photo, by its own detector", counts, 0, on)
    difference("boxes of its own detector, 1 - IoU", np.concatenate(gaps), 1e-6, on)
