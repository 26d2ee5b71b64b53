"""The option of any backend to leave out its unsure answers."""

import numpy as np
import pytest

from groupemo.calibration import Calibration, FittedOn
from groupemo.emotions import EMOTIONS
from groupemo.errors import OptionError
from groupemo.evaluation import score
from groupemo.faces import Faces
from groupemo.labels import LabelledFaces, Labels
from groupemo.pipeline import analyze, classify
from groupemo.plugins import BACKENDS, provenance_key
from groupemo.testing import FakeDetector, check_backend

BOXES = [[2, 2, 12, 18], [0, 0, 9, 9], [9, 3, 25, 17], [200, 0, 230, 20]]
IMAGE = np.zeros((30, 40, 3), np.uint8)
ROWS = np.array([[0.7, 0.2, 0.1], [0.59, 0.01, 0.4], [0.6, 0.4, 0.0], [np.nan] * 3])


class Told:
    """Gives the first faces the rows above."""

    def __init__(self, classes=("happy", "sad", "fear"), stand_in=False):
        self.classes, self.models = classes, {"net.onnx": "abc"}
        if stand_in:
            self.label = "told (stand-in)"

    def prepare(self, image, faces, /):
        return np.arange(len(faces))

    def predict(self, inputs, /):
        return ROWS[inputs % len(ROWS)]


@pytest.fixture(autouse=True)
def told(monkeypatch):
    monkeypatch.setitem(BACKENDS._registered, "told", Told)


def test_it_answers_from_the_confidence_on():
    inputs = np.arange(4)
    probs = BACKENDS.load("told:abstain=0.6").plugin.predict(inputs)
    np.testing.assert_array_equal(probs, np.where([[1], [0], [1], [0]], ROWS, np.nan))
    assert BACKENDS.load("told", abstain=0.6).plugin.predict(inputs[:0]).shape == (0, 3)


def test_it_stays_a_backend():
    backend = BACKENDS.load("prior:abstain=0.25").plugin
    check_backend(backend)
    assert np.isfinite(classify(IMAGE, Faces(BOXES), backend)).all()
    assert np.isnan(classify(IMAGE, Faces(BOXES), "prior", abstain=0.26)).all()


def test_confidence_is_that_among_the_seven_expressions():
    """Of .7 happy and .2 contempt, .7 / .8 is what the scores see."""
    classes = ("happy", "contempt", "sad")
    probs = BACKENDS.load("told:abstain=0.8", classes=classes).plugin.predict(np.arange(3))
    assert np.isnan(probs).all(axis=1).tolist() == [False, True, False]
    np.testing.assert_array_equal(probs[0], ROWS[0])


def test_confidence_is_what_the_calibration_leaves(tmp_path):
    """A temperature of 1/2 squares: .6 and .4 become .69 and .31."""
    fitted_on = FittedOn("fake", "told", {"net.onnx": "abc"}, 9, 1.0, 1.0, ())
    two = np.full(3, 2.0)
    file = Calibration("temperature", ("sad", "happy", "fear"), two, two * 0, fitted_on).save(
        tmp_path / "cal.json"
    )
    for spec in (f"told:calibration={file},abstain=0.69", f"told:abstain=0.69,calibration={file}"):
        loaded = BACKENDS.load(spec)
        assert loaded.label == f"told:calibration={file},abstain=0.69"
        abstained = np.isnan(loaded.plugin.predict(np.arange(4))).all(axis=1)
        assert abstained.tolist() == [False, True, False, True]


def test_it_is_said_in_the_provenance():
    plain, sure = BACKENDS.load("told"), BACKENDS.load("told:abstain=0.6")
    assert sure.label == sure.plugin.label == sure.provenance["label"] == "told:abstain=0.6"
    assert sure.provenance["options"] == {"abstain": 0.6}
    assert sure.provenance["class"] == plain.provenance["class"]
    assert sure.plugin.models == plain.plugin.models
    assert sure.key != provenance_key(plain.provenance)
    stand_in = BACKENDS.load("told:stand_in=True,abstain=0.6")
    assert stand_in.label == "told:abstain=0.6 (stand-in)"


@pytest.mark.parametrize("least", [0, 1, 0.0, 1.0, 1.2, -0.1, float("nan"), "yes", True, None])
def test_what_is_no_confidence_is_refused(least):
    with pytest.raises(OptionError, match=r"'told': abstain is .*: expected a confidence between"):
        BACKENDS.load("told", abstain=least)


def test_what_is_left_out_costs_recall():
    faces = Faces(BOXES[:3])
    analysis = analyze(IMAGE, detector=FakeDetector(faces), backend="told:abstain=0.6")
    happy = [EMOTIONS.index("happy")] * 3
    seen = score(Labels({analysis.photo: LabelledFaces(faces.boxes, happy)}), [analysis]).overall()
    assert (seen["abstained"], seen["matched_accuracy"]) == (1, 1)
    assert seen["end_to_end_accuracy"] == pytest.approx(2 / 3)
