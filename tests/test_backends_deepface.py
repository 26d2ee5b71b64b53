from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from generate_deepface_reference import make_boxes, make_image

from groupemo.backends.deepface import DeepFace
from groupemo.errors import ModelError
from groupemo.faces import Faces
from groupemo.models import store
from groupemo.plugins import BACKENDS

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("shared_models")]

STAND_IN = "fc45b55b9f84211bb8f0861f8b678dc2c34156356c405b3065857b1215fb2547"


@pytest.fixture(scope="module")
def deepface(shared_models):
    """Return the backend with the stand-in, whatever else could be had."""
    with pytest.MonkeyPatch.context() as patch:
        fetch = store.fetch
        patch.setattr(store, "fetch", lambda _: fetch("deepface-emotion-stand-in"))
        return DeepFace()


@pytest.mark.parametrize("eyes", [True, False])
def test_it_answers_what_the_package_answers(deepface, eyes):
    reference = np.load(Path(__file__).parent / "data" / "deepface_reference.npz")
    boxes, points = make_boxes()
    landmarks = np.concatenate([points, np.zeros((len(points), 3, 2))], axis=1)
    faces = Faces(boxes, landmarks=landmarks if eyes else None)
    probs = deepface.predict(deepface.prepare(make_image(), faces))
    np.testing.assert_allclose(probs, reference["eyes" if eyes else "no_eyes"], rtol=0, atol=1e-4)
    assert abs(reference["eyes"] - reference["no_eyes"]).max() > 0.01


def test_tilted_eyes_are_levelled(deepface):
    # a dark bar through both eyes: straight, and in a picture turned by 20 degrees
    upright = np.full((200, 200, 3), 200, np.uint8)
    upright[85:95, 60:140] = 20
    turn = cv2.getRotationMatrix2D((100, 100), -20, 1)
    tilted = cv2.warpAffine(upright, turn, (200, 200), borderValue=(200, 200, 200))
    eyes = np.array([[75, 90, 1], [125, 90, 1]])

    def landmarks(points):
        return np.concatenate([points, np.zeros((3, 2))])[None]

    box = [[50, 50, 150, 150]]
    straight = deepface.prepare(upright, Faces(box, landmarks=landmarks(eyes[:, :2])))
    levelled = deepface.prepare(tilted, Faces(box, landmarks=landmarks(eyes @ turn.T)))
    left_as_it_is = deepface.prepare(tilted, Faces(box))
    assert abs(levelled - straight).mean() < 0.02
    assert abs(left_as_it_is - straight).mean() > 0.05


def test_a_wide_box_stands_between_black_bars(deepface):
    white = np.full((100, 100, 3), 255, np.uint8)
    [[top, middle]] = deepface.prepare(white, Faces([[10, 30, 90, 70]]))[:, [2, 24]]
    assert (top == 0).all()
    assert (middle == 1).all()


def test_the_stand_in_is_labelled(monkeypatch):
    def fetch(name):
        if name == "deepface-emotion":
            raise ModelError("deepface-emotion: out of reach")
        return real(name)

    real = store.fetch
    monkeypatch.setattr(store, "fetch", fetch)
    loaded = BACKENDS.load("deepface")
    assert loaded.label == "deepface (stand-in)"
    assert dict(loaded.plugin.models) == {"facial_expression_model_weights.onnx": STAND_IN}


def test_the_published_weights_are_taken_first_and_need_no_label(monkeypatch):
    file = store.fetch("deepface-emotion-stand-in")
    published = SimpleNamespace(path=file.path, sha256="5" * 64, stand_in=False)
    monkeypatch.setattr(store, "fetch", {"deepface-emotion": published}.__getitem__)
    loaded = BACKENDS.load("deepface")
    assert loaded.label == "deepface"
    assert dict(loaded.plugin.models) == {"facial_expression_model_weights.onnx": "5" * 64}


def test_with_neither_the_error_is_that_of_the_published_weights(monkeypatch):
    def fetch(name):
        raise ModelError(f"{name}: out of reach")

    monkeypatch.setattr(store, "fetch", fetch)
    with pytest.raises(ModelError, match="deepface-emotion: out of reach"):
        DeepFace()
