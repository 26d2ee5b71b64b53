"""groupemo's deepface backend, and the one that runs the package, beside the deepface package."""

import os

import numpy as np
import pytest

from groupemo.backends.deepface import FILE, DeepFace
from groupemo.backends.deepface_package import DeepFacePackage
from groupemo.detectors.haar import Haar
from groupemo.detectors.yunet import YuNet
from groupemo.faces import Faces
from groupemo.images import read_photo
from groupemo.packages import DEEPFACE

YUNET = "face_detection_yunet_2023mar.onnx"


@pytest.fixture(scope="module")
def package(shared_models, tmp_path_factory):
    """Return the package; its weights are those groupemo uses."""
    home = tmp_path_factory.mktemp("home")
    folder = home / ".deepface" / "weights"
    folder.mkdir(parents=True)
    for name in (FILE, YUNET):
        (folder / name).symlink_to(shared_models / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEEPFACE_HOME", str(home))
        patch.setenv("GROUPEMO_OFFLINE", "1")
        yield DEEPFACE.load()


@pytest.fixture(scope="module")
def found(photos):
    """Return each photo's pixels with its faces."""
    detect = YuNet()
    images = [read_photo(photo) for photo in photos]
    return [(image, detect(image)) for image in images]


def answers(backend, image, faces):
    return backend.predict(backend.prepare(image, faces))


def told(found):
    return f"{len(found)} photos, {sum(len(faces) for _, faces in found)} faces"


def test_with_landmarks_both_backends_answer_alike(package, found, difference):
    native, adapter = DeepFace(), DeepFacePackage()
    assert adapter.classes == native.classes
    assert adapter.models == native.models
    gaps = [answers(native, *each) - answers(adapter, *each) for each in found]
    difference("probabilities, eyes from the detector", np.concatenate(gaps), 1e-4, told(found))


def test_without_landmarks_both_answer_alike_where_no_eyes_are_sought(package, found, difference):
    bare = [(image, Faces(faces.boxes)) for image, faces in found]
    native, adapter = DeepFace(), DeepFacePackage(align=False)
    gaps = [answers(native, *each) - answers(adapter, *each) for each in bare]
    difference("probabilities, faces left as they are", np.concatenate(gaps), 1e-4, told(bare))


def test_what_the_package_gains_by_its_own_search_for_eyes(package, found, difference):
    detect = Haar()
    bare = [(image, detect(image)) for image, _ in found]
    native, adapter = DeepFace(), DeepFacePackage()
    theirs = np.concatenate([answers(adapter, *each) for each in bare if len(each[1])])
    ours = np.concatenate([answers(native, *each) for each in bare if len(each[1])])
    gaps = np.abs(theirs - ours).max(axis=1)
    turned = f"{told(bare)}, of which it turns {(gaps > 1e-3).sum()}"
    difference("probabilities, the package seeks eyes and we do not", gaps, 0.5, turned)
    assert np.isfinite(theirs).all()


def test_its_own_call_answers_as_our_backend_does_on_its_faces(package, found, difference):
    native, gaps, photos = DeepFace(), [], 0
    for image, _ in found:
        theirs = package.analyze(
            np.ascontiguousarray(image[..., ::-1]),
            ["emotion"],
            detector_backend="yunet",
            align=True,
            enforce_detection=False,
            silent=True,
        )
        theirs = [one for one in theirs if whole_inside(one["region"], image)]
        photos += bool(theirs)
        for one in theirs:
            assert [*one["emotion"]] == [*native.classes]
            ours = answers(native, image, as_faces(one["region"]))[0]
            gaps.append(ours - np.array([*one["emotion"].values()]) / 100)
    difference(
        "probabilities, end to end with yunet", gaps, 1e-4, f"{photos} photos, {len(gaps)} faces"
    )


def test_every_face_has_its_row_and_one_without_pixels_abstains(package, found, difference):
    adapter = DeepFacePackage()
    for image, faces in found:
        height, width = image.shape[:2]
        gone = [[width - 0.2, 0, width, 9]]
        rows = answers(adapter, image, Faces([*faces.boxes, *gone, [0, 0, width, height]]))
        difference("rows for a photo's faces", len(rows) - len(faces) - 2, 0, told(found))
        assert np.isnan(rows).all(axis=1).tolist() == [False] * len(faces) + [True, False]


def test_its_weights_are_those_of_the_store_and_nothing_of_the_user_is_touched(
    shared_models, tmp_path, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DEEPFACE_HOME", raising=False)
    monkeypatch.setenv("GROUPEMO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GROUPEMO_OFFLINE", "1")
    before = dict(os.environ)
    assert DeepFacePackage().models == DeepFace().models
    assert dict(os.environ) == before
    assert not (tmp_path / "home").exists()


def whole_inside(region, image):
    """Say whether a box is as it was used: the package shortens those that reach the edge."""
    height, width = image.shape[:2]
    x, y, w, h = (region[side] for side in "xywh")
    return x > 0 and y > 0 and x + w < width - 1 and y + h < height - 1


def as_faces(region):
    x, y, w, h = (region[side] for side in "xywh")
    points = np.zeros((1, 5, 2))
    points[0, :2] = region["right_eye"], region["left_eye"]  # the person's own
    return Faces([[x, y, x + w, y + h]], landmarks=points)
