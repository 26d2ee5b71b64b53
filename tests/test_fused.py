"""Several detectors as one: groups of boxes worked out by hand, presets, members by name."""

from __future__ import annotations

import numpy as np
import pytest

from groupemo.boxes import iou_matrix
from groupemo.detectors._base import Found
from groupemo.detectors.fused import CURVES, Curve, Fused, fuse
from groupemo.detectors.yunet import YuNet
from groupemo.errors import ContractError, OptionError, UnknownPlugin
from groupemo.faces import Faces
from groupemo.images import read_photo
from groupemo.plugins import DETECTORS

BLANK = np.zeros((100, 200, 3), np.uint8)


def says(boxes, scores, landmarks=None):
    """Return a detector that always finds the same faces."""
    return lambda image: Faces(boxes, scores, landmarks)


def test_overlapping_boxes_become_their_weighted_mean():
    a = Found(np.array([[0.0, 0, 10, 10]]), np.array([0.75]))
    b = Found(np.array([[4.0, 0, 14, 10]]), np.array([0.25]))
    both = fuse([a, b], 0.4)  # IoU 6 / 14
    np.testing.assert_allclose(both.boxes, [[1, 0, 11, 10]])
    np.testing.assert_allclose(both.scores, [1 - 0.25 * 0.75])
    assert len(fuse([a, b], 0.45).boxes) == 2


def test_each_detector_has_one_say_in_a_face():
    box = np.array([0.0, 0, 10, 10])
    twice = Found(np.array([box, box + 1]), np.array([0.5, 0.6]))
    once = Found(np.array([box + 1]), np.array([0.5]))
    found = fuse([twice, once], 0.5)
    np.testing.assert_allclose(found.boxes, [box + 1])  # the less sure of the two is left out
    np.testing.assert_allclose(found.scores, [1 - 0.4 * 0.5])


def test_two_faces_side_by_side_stay_two():
    left, right = np.array([0.0, 0, 10, 10]), np.array([8.0, 0, 18, 10])
    a = Found(np.array([left, right]), np.array([0.9, 0.8]))
    b = Found(np.array([right + 1, left + 1]), np.array([0.7, 0.6]))
    found = fuse([a, b], 0.5)
    assert len(found.boxes) == 2
    np.testing.assert_allclose(sorted(found.scores), [1 - 0.2 * 0.3, 1 - 0.1 * 0.4])


def test_nothing_found():
    nothing = Found.nothing(landmarks=True)
    assert len(fuse([nothing, Found.nothing()], 0.5).boxes) == 0
    assert len(Fused([says([], []), says([], [])])(BLANK)) == 0


def test_landmarks_where_all_that_found_faces_give_them():
    box, points = [[10, 10, 30, 30]], np.full((1, 5, 2), 20.0)
    two = Fused([says(box, [0.5], points), says(box, [0.5], points + 2)])(BLANK)
    np.testing.assert_allclose(two.landmarks, points + 1)
    assert Fused([says(box, [0.5], points), says([], [])])(BLANK).landmarks is not None
    assert Fused([says(box, [0.5], points), says(box, [0.5])])(BLANK).landmarks is None


def test_scores_of_unknown_detectors_are_probabilities():
    faces = Fused([says([[0, 0, 9, 9], [50, 50, 60, 60], [90, 9, 99, 20]], [7, 0.6, 0])])(BLANK)
    np.testing.assert_allclose(faces.scores, [1, 0.6])


def test_curves_and_back():
    curve = Curve(10, 0.4)
    np.testing.assert_allclose(curve.probability(np.array([0.4])), 0.5)
    for probability in (0.05, 0.5, 0.9):
        again = curve.probability(np.array([curve.score(probability)]))
        np.testing.assert_allclose(again, probability)
    assert all(curve.slope > 0 for curve in CURVES.values())


def test_every_curve_is_that_of_a_detector():
    classes = {entry.target.rpartition(":")[2] for entry in DETECTORS.built_in.values()}
    assert set(CURVES) <= classes


@pytest.mark.models
def test_members_by_spec_and_object():
    fused = Fused(["yunet:max_side=640,overlap=0.4", YuNet(), says([], [])])
    assert fused.name == "fused:detectors=yunet:max_side=640,overlap=0.4+YuNet+<lambda>"
    assert list(fused.models) == ["face_detection_yunet_2023mar.onnx"]
    spec = "fused:detectors=yunet:max_side=640;overlap=0.4+yunet,overlap=0.6"
    loaded = DETECTORS.load(spec)
    assert loaded.label == spec
    assert loaded.provenance["options"]["detectors"] == "yunet:max_side=640;overlap=0.4+yunet"
    assert len(loaded.plugin(BLANK)) == 0


@pytest.mark.models
def test_members_are_asked_for_unsure_boxes_too():
    eager, told = Fused("yunet+yunet:min_score=0.9")._members
    assert eager.plugin._min_score == pytest.approx(CURVES["YuNet"].score(0.01))
    assert told.plugin._min_score == 0.9


@pytest.mark.parametrize(
    ("spec", "error", "says"),
    [
        ("fused", OptionError, "'detectors'"),
        ("fused:detectors=nobody", UnknownPlugin, "no detector named 'nobody'"),
        ("fused:detectors=haar,overlap=2", OptionError, "overlap is 2"),
        ("fused:detectors=haar:colour=1", OptionError, "'haar'.*'colour'"),
        ("fused:detectors=labelled", OptionError, "labels"),
    ],
)
def test_what_means_nothing_is_refused(spec, error, says):
    with pytest.raises(error, match=says):
        DETECTORS.load(spec)


def test_members_are_held_to_the_contract():
    with pytest.raises(OptionError, match="empty"):
        Fused([])
    with pytest.raises(ContractError, match="expected a name or a Detector"):
        Fused([3])
    with pytest.raises(ContractError, match="outside"):
        Fused([says([[0, 0, 999, 9]], [1])])(BLANK)


@pytest.mark.models
@pytest.mark.parametrize("name", ["fast", "balanced", "best"])
def test_provenance_tells_what_a_preset_is_made_of(name):
    loaded = DETECTORS.load(name)
    assert loaded.label == name
    assert loaded.provenance["options"] == DETECTORS.built_in[name].options
    assert len(loaded.provenance["models"]) == len(DETECTORS.built_in[name].models)
    changed = DETECTORS.load(name, min_score=0.9)
    assert changed.label == f"{name}:min_score=0.9"
    assert changed.provenance["options"]["min_score"] == 0.9


@pytest.mark.data
@pytest.mark.models
@pytest.mark.parametrize("name", ["fast", "balanced", "best"])
def test_presets_find_the_six_faces_of_a_still(name, shared_data):
    image = read_photo(shared_data / "photos" / "azure_faces.jpg")
    faces = DETECTORS.load(name).plugin(image)
    assert len(faces) == 6
    assert faces.landmarks is not None
    assert (iou_matrix(faces.boxes, YuNet()(image).boxes).max(axis=1) > 0.6).all()
