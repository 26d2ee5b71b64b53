"""The labelled faces as a detector."""

from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

import groupemo
from groupemo.backends.deepface import DeepFace
from groupemo.cli import app
from groupemo.detectors.labelled import LABELLED, LabelledBoxes
from groupemo.errors import LabelError, OptionError
from groupemo.faces import Faces
from groupemo.label_csv import save_labels
from groupemo.labels import IGNORE, UNSURE, LabelledFaces, Labels
from groupemo.plugins import DETECTORS, PhotoDetector
from groupemo.testing import FakeBackend, make_scene, write_scenes

IMAGE = np.zeros((100, 200, 3), np.uint8)


@pytest.fixture
def labels():
    boxes = [[0, 0, 30, 30], [50, 0, 80, 30], [150, 50, 250, 120], [100, 0, 120, 20]]
    return Labels({"a.png": LabelledFaces(boxes, [3, UNSURE, 4, IGNORE])})


@pytest.fixture
def scenes(tmp_path):
    """Two photos with their labels, and a backend that knows every face."""
    made = [make_scene(["happy", "sad"], name="a.png"), make_scene(["fear"], name="b.png")]
    return tmp_path / "photos", write_scenes(made, tmp_path / "photos"), FakeBackend.of(made)


def evaluated(scenes, labels=None, **options):
    photos, written, backend = scenes
    return groupemo.evaluate(
        photos, labels or written, detectors=[LABELLED], backends=[backend], **options
    )


def test_faces_are_those_labelled_cut_to_the_photo(labels):
    faces = LabelledBoxes(labels).for_photo("a.png")(IMAGE)
    assert faces.boxes.tolist() == [[0, 0, 30, 30], [50, 0, 80, 30], [150, 50, 200, 100]]
    assert faces.scores.tolist() == [1, 1, 1]
    assert faces.landmarks is None


def test_a_photo_without_labels_has_no_faces(labels):
    assert len(LabelledBoxes(labels).for_photo("b.png")(IMAGE)) == 0


def test_a_box_outside_the_photo_is_refused(labels):
    with pytest.raises(LabelError, match=r"a\.png: the box .* lies outside"):
        LabelledBoxes(labels).for_photo("a.png")(IMAGE[:, :40])


def test_it_is_a_detector_that_is_told_the_photo(labels):
    loaded = DETECTORS.load(LabelledBoxes(labels))
    assert isinstance(loaded.plugin, PhotoDetector)
    assert loaded.label == LABELLED
    with pytest.raises(OptionError, match="photo's name"):
        loaded.plugin(IMAGE)


def test_its_key_is_that_of_the_boxes(labels):
    def key(**changes):
        faces = replace(labels["a.png"], **changes)
        return DETECTORS.load(LabelledBoxes(Labels({"a.png": faces}))).key

    assert key() == key() == key(labels=[0, 0, 0, IGNORE], complete=False)
    assert key() != key(boxes=labels["a.png"].boxes + 1)
    assert key() != key(labels=[3, UNSURE, 4, 5])  # a region became a face


def test_outside_an_evaluation_it_says_where_it_works():
    with pytest.raises(OptionError, match=r"needs the labels: use it in groupemo\.evaluate"):
        groupemo.detect(IMAGE, LABELLED)
    with pytest.raises(OptionError, match=r"needs the labels: use it in groupemo\.evaluate"):
        groupemo.analyze(IMAGE, detector=LABELLED, backend=FakeBackend({}))


def test_in_an_evaluation_every_face_is_found(scenes):
    [scores] = evaluated(scenes).scores
    overall = scores.overall()
    assert scores.detector == LABELLED
    assert (overall["found"], overall["missed"], overall["phantom"]) == (3, 0, 0)
    assert overall["end_to_end_macro_f1"] == 1
    assert overall["detection_ap50"] == 1


def test_it_stands_beside_other_detectors(scenes):
    photos, labels, backend = scenes
    blind = lambda image: Faces.empty()  # noqa: E731
    grid = groupemo.evaluate(photos, labels, detectors=[blind, LABELLED], backends=[backend])
    assert [scores.overall()["found"] for scores in grid.scores] == [0, 3]


def test_a_run_goes_on_until_boxes_change(scenes, tmp_path):
    _, labels, backend = scenes
    out = tmp_path / "run"
    evaluated(scenes, out=out).save(out)
    again = groupemo.load_evaluation(out)
    assert again.scores[0].overall()["found"] == 3
    calls = len(backend.calls)
    unsure = {name: replace(each, labels=[UNSURE] * len(each)) for name, each in labels.items()}
    evaluated(scenes, Labels(unsure), out=out)
    assert len(backend.calls) == calls
    moved = {name: replace(each, boxes=each.boxes + 1) for name, each in labels.items()}
    overall = evaluated(scenes, Labels(moved), out=out, min_iou=0.99).scores[0].overall()
    assert (overall["found"], overall["phantom"]) == (3, 0)


def test_the_command_line_knows_it(scenes, tmp_path, monkeypatch):
    photos, labels, backend = scenes
    monkeypatch.setitem(groupemo.plugins.BACKENDS._registered, "fake", lambda: backend)
    path = save_labels(labels, tmp_path / "labels.csv")
    where = ["--detector", LABELLED, "--backend", "fake", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, ["evaluate", str(photos), str(path), *where])
    assert done.exit_code == 0, done.output
    assert "labelled" in done.output


@pytest.mark.models
def test_a_backend_that_wants_landmarks_works_without(labels, shared_models):
    faces = LabelledBoxes(labels).for_photo("a.png")(IMAGE)
    backend = DeepFace()
    assert np.isfinite(backend.predict(backend.prepare(IMAGE, faces))).all()
