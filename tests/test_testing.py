"""The fakes do as told; the checks let good plugins pass and name the rule a bad one breaks."""

import numpy as np
import pytest

from groupemo.emotions import EMOTIONS
from groupemo.errors import ContractError, UnknownPlugin
from groupemo.faces import Faces
from groupemo.images import digest, read_photo
from groupemo.label_csv import load_labels, save_labels
from groupemo.testing import (
    FakeBackend,
    FakeDetector,
    check_backend,
    check_detector,
    make_scene,
    odd_images,
    write_scenes,
)

EVEN = np.full(7, 1 / 7)
NEGATIVE = [2, -1, 0, 0, 0, 0, 0]
HALF_NAN = [np.nan, 1, 0, 0, 0, 0, 0]


def center(image):
    height, width = image.shape[:2]
    return Faces([[width / 4, height / 4, width / 2, height / 2]])


# --- made scenes and fakes ---


def test_a_scene_has_a_face_for_each_emotion():
    scene = make_scene(["happy", "sad", "fear"], face=40, columns=2)
    # gap 20, face 40, gap 20, face 40, gap 20; two rows
    assert scene.image.shape == (140, 140, 3)
    assert scene.faces.boxes.tolist() == [
        [20, 20, 60, 60],
        [80, 20, 120, 60],
        [20, 80, 60, 120],
    ]
    assert scene.labelled.labels.tolist() == [3, 4, 2]
    wall = scene.image[0, 0]
    for x1, y1, x2, y2 in scene.faces.boxes.astype(int):
        assert (scene.image[y1:y2, x1:x2] != wall).any()
        scene.image[y1:y2, x1:x2] = wall
    assert (scene.image == wall).all(), "something is drawn outside the boxes"


def test_a_scene_may_hold_no_face():
    assert len(make_scene([]).labelled) == 0


def test_scenes_of_two_names_are_two_pictures():
    assert digest(make_scene(name="a.png").image) != digest(make_scene(name="b.png").image)


def test_written_scenes_read_back(tmp_path):
    scenes = [make_scene(["happy"], name="a/one.png"), make_scene([], name="two.png")]
    labels = write_scenes(scenes, tmp_path)
    assert list(labels) == ["a/one.png", "two.png"]
    for scene in scenes:
        np.testing.assert_array_equal(read_photo(tmp_path / scene.name), scene.image)
    assert list(load_labels(save_labels(labels, tmp_path / "labels.csv"))) == list(labels)


def test_a_fake_detector_finds_what_it_was_told():
    scene, other = make_scene(["happy"], name="a.png"), make_scene(name="b.png")
    fixed = FakeDetector(Faces([[1, 2, 3, 4]]))
    assert fixed(scene.image).boxes.tolist() == [[1, 2, 3, 4]]
    by_image = FakeDetector.of([scene])
    assert len(by_image(scene.image)) == 1
    assert len(by_image(other.image)) == 0
    assert by_image.calls == 2


def test_a_fake_backend_answers_what_it_was_told():
    scene = make_scene(["happy", "sad"])
    told = FakeBackend.of([scene])
    probs = told.predict(told.prepare(scene.image, scene.faces))
    assert [EMOTIONS[row.argmax()] for row in probs] == ["happy", "sad"]
    fixed = FakeBackend([0.25, 0.75], ["happy", "sad"])
    assert fixed.predict(fixed.prepare(scene.image, scene.faces)).tolist() == [[0.25, 0.75]] * 2
    assert fixed.calls == [2]


# --- good plugins pass ---


@pytest.mark.parametrize(
    "detector",
    [FakeDetector(Faces.empty()), FakeDetector(Faces([[0, 0, 5, 5]])), center],
    ids=["none", "fixed", "function"],
)
def test_good_detectors_pass(detector):
    check_detector(detector)


def test_good_backends_pass():
    check_backend(FakeBackend(EVEN))
    check_backend(FakeBackend(np.full(7, np.nan)))
    check_backend(FakeBackend([0.5, 0.25, 0.25], ["joy", "anger", "contempt"]))


def test_a_spec_will_do():
    with pytest.raises(UnknownPlugin):
        check_detector("nonesuch")


def test_odd_images_are_what_they_say():
    images = odd_images()
    assert images["1 x 1 pixel"].shape == (1, 1, 3)
    assert not images["a read-only array"].flags.writeable
    assert not images["an array that is not contiguous"].flags.c_contiguous
    assert images["1,500 x 1,100 pixels"].shape == (1100, 1500, 3)
    assert all(image.dtype == np.uint8 for image in images.values())


# --- bad detectors are named ---


def raises_on_small(image):
    return center(image[8:, 8:])


def writes(image):
    if image.flags.writeable:
        image[0, 0] += 1
    return Faces.empty()


class Forgetful:
    """Finds a face less each time."""

    def __init__(self):
        self.left = 12

    def __call__(self, image):
        self.left -= 1
        return Faces([[0, 0, 1, 1]] * max(self.left, 0))


class Wavering:
    """Gives landmarks every other time."""

    def __init__(self):
        self.calls = 0

    def __call__(self, image):
        self.calls += 1
        return Faces([[0, 0, 1, 1]], None, np.zeros((1, 5, 2)) if self.calls % 2 else None)


BAD_DETECTORS = {
    "no Faces": (lambda image: [], "expected Faces"),
    "outside": (lambda image: Faces([[0, 0, 5000, 1]]), "outside"),
    "negative": (lambda image: Faces([[-1, 0, 1, 1]]), "outside"),
    "small images": (raises_on_small, "1 x 1 pixel: raised ContractError"),
    "foreign error": (lambda image: 1 / 0, "raised ZeroDivisionError"),
    "writes": (writes, "must not write into its input"),
    "remembers": (Forgetful(), "must not depend on earlier calls"),
    "wavers": (Wavering(), "must not depend on earlier calls"),
}


@pytest.mark.parametrize("bad", BAD_DETECTORS)
def test_bad_detectors_are_named(bad):
    detector, message = BAD_DETECTORS[bad]
    with pytest.raises(ContractError, match=message):
        check_detector(detector)


def test_an_image_of_ones_own_is_checked_too():
    def minds(image):
        return Faces([[0, 0, 9, 9]]) if image.shape == (7, 7, 3) else Faces.empty()

    check_detector(minds)
    with pytest.raises(ContractError, match="outside the 7 x 7 image"):
        check_detector(minds, images={"seven": np.zeros((7, 7, 3), np.uint8)})


# --- bad backends are named ---


class Bad(FakeBackend):
    def __init__(self, *, classes=EMOTIONS, prepare=None, predict=None):
        super().__init__(EVEN)
        self.classes = classes
        if prepare:
            self.prepare = prepare
        if predict:
            self.predict = predict


def rows(n, *shape):
    return np.zeros((n, *shape), np.float32)


def writes_image(image, faces):
    if image.flags.writeable:
        image[:] = 0
    return rows(len(faces))


def writes_rows(inputs):
    inputs += 1
    return np.tile(EVEN, (len(inputs), 1))


def by_batch(inputs):
    probs = np.tile(EVEN, (len(inputs), 1))
    if len(inputs) > 1:
        probs[:, :2] += [0.1, -0.1]
    return probs


class Drifting:
    def __init__(self):
        self.calls = 0

    def __call__(self, inputs):
        self.calls += 1
        drift = self.calls * 1e-7
        return np.tile(EVEN, (len(inputs), 1)) + np.array([drift, -drift, 0, 0, 0, 0, 0])


class Counting:
    def __init__(self):
        self.calls = 0

    def __call__(self, image, faces):
        self.calls += 1
        return rows(len(faces), 1) + self.calls


BAD_BACKENDS = {
    "list": (lambda: Bad(classes=list(EMOTIONS)), "must be a tuple"),
    "no class": (lambda: Bad(classes=()), "must be a tuple of words"),
    "odd word": (lambda: Bad(classes=("happy", "hungry")), "'hungry'"),
    "twice": (lambda: Bad(classes=("happy", "joy")), "same emotion twice"),
    "a row short": (lambda: Bad(prepare=lambda i, f: rows(max(len(f) - 1, 0))), "one row a face"),
    "no rows": (lambda: Bad(prepare=lambda i, f: np.float32(1)), "one row a face"),
    "none fails": (lambda: Bad(prepare=lambda i, f: rows(len(f)) + f.boxes[0, 0]), "0 faces"),
    "shape by image": (lambda: Bad(prepare=lambda i, f: rows(len(f), len(i))), "of one shape"),
    "writes image": (lambda: Bad(prepare=writes_image), "must not write"),
    "counts": (lambda: Bad(prepare=Counting()), "must not depend on earlier calls"),
    "writes rows": (lambda: Bad(predict=writes_rows), "must not write"),
    "by batch": (lambda: Bad(predict=by_batch), "same answer alone as in a batch"),
    "drifts": (lambda: Bad(predict=Drifting()), "must not depend on earlier calls"),
    "percent": (lambda: Bad(predict=lambda x: np.full((len(x), 7), 100 / 7)), "sum to 1"),
    "negative": (lambda: Bad(predict=lambda x: np.tile(NEGATIVE, (len(x), 1))), "sum"),
    "half NaN": (lambda: Bad(predict=lambda x: np.tile(HALF_NAN, (len(x), 1))), "NaN"),
    "columns": (lambda: Bad(predict=lambda x: np.full((len(x), 8), 1 / 8)), "shape"),
    "no numbers": (lambda: Bad(predict=lambda x: "happy"), "'fake'"),
}  # fmt: skip


@pytest.mark.parametrize("bad", BAD_BACKENDS)
def test_bad_backends_are_named(bad):
    make, message = BAD_BACKENDS[bad]
    with pytest.raises(ContractError, match=message):
        check_backend(make())


def test_no_pytest_is_needed():
    import groupemo.testing as module

    assert "pytest" not in module.__dict__
