"""The net that comes with the package: what it is, and how right it is."""

import hashlib
import json
import re
import runpy
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

import groupemo
from groupemo.backends.groupemo import MARGIN, SQUARE, Groupemo
from groupemo.crops import crop
from groupemo.emotions import EMOTIONS
from groupemo.errors import ModelError, OptionError
from groupemo.faces import Faces
from groupemo.models import store
from groupemo.plugins import BACKENDS, DEFAULT_BACKEND

NETS = ROOT / "groupemo" / "nets"
ENTRY = store.MODELS.entry("groupemo")
FIGURES = json.loads((NETS / "figures.json").read_text(encoding="utf-8"))


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A machine without model files and network."""
    monkeypatch.delenv("GROUPEMO_MODELS", raising=False)
    monkeypatch.setenv("GROUPEMO_OFFLINE", "1")
    monkeypatch.setenv("GROUPEMO_CACHE", str(tmp_path / "cache"))


def test_the_file_is_the_one_in_the_catalog():
    """After a new net: its size and checksum go into models.toml."""
    data = (NETS / ENTRY.file).read_bytes()
    assert (len(data), hashlib.sha256(data).hexdigest()) == (ENTRY.bytes, ENTRY.sha256)
    assert len(data) <= 5_000_000


@pytest.mark.parametrize("page", ["card.md", "datasheet.md"])
def test_its_pages_stand_beside_it(page):
    text = (NETS / page).read_text(encoding="utf-8")
    assert "FER2013" in text
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    assert not [link for link in links if not (NETS / link).exists()]


def test_its_pages_and_figures_are_of_this_file():
    assert ENTRY.sha256 in (NETS / "card.md").read_text(encoding="utf-8")
    assert FIGURES["net"]["sha256"] == ENTRY.sha256


@pytest.mark.usefixtures("bare")
def test_it_is_the_default_and_needs_nothing_else(tmp_path):
    assert DEFAULT_BACKEND == "groupemo"
    [info] = [one for one in groupemo.list_backends() if one.name == "groupemo"]
    assert (info.ready, info.weights, info.how) == (True, ("groupemo",), "")
    image = np.random.default_rng(0).integers(0, 255, (80, 80, 3), np.uint8)
    probs = groupemo.classify(image, Faces([[10, 10, 60, 60]]))
    assert probs.shape == (1, 7)
    assert not (tmp_path / "cache").exists()


@pytest.mark.usefixtures("bare")
def test_a_damaged_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(
        store.MODELS, "_local", lambda entry: [("the package", tmp_path / entry.file)]
    )
    (tmp_path / ENTRY.file).write_bytes((NETS / ENTRY.file).read_bytes()[:-1])
    with pytest.raises(ModelError, match=r"groupemo\.onnx has SHA-256 .*cut short"):
        Groupemo()


def test_it_runs_without_torch():
    code = (
        "import sys, groupemo; groupemo.get_backend('groupemo');"
        "print(*{'torch', 'kornia', 'onnx', 'h5py'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == []


def test_its_provenance_proves_the_net():
    loaded = BACKENDS.load("groupemo:margin=0.3,square=False")
    assert loaded.provenance["models"] == {"groupemo.onnx": ENTRY.sha256}
    assert loaded.provenance["options"] == {"margin": 0.3, "square": False}
    assert loaded.plugin.classes == EMOTIONS


@pytest.mark.parametrize(
    ("options", "margin", "square"),
    [
        ({}, MARGIN, SQUARE),
        ({"margin": 0.3}, 0.3, SQUARE),
        ({"square": True}, MARGIN, True),
        ({"square": False}, MARGIN, False),
    ],
)
def test_the_cut_may_be_chosen(options, margin, square):
    image = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    faces = Faces([[30, 20, 60, 70]])
    backend = Groupemo(**options)
    [wanted] = crop(image, faces, size=48, margin=margin, square=square)
    [row] = backend.prepare(image, faces)
    assert row.shape == (1, 48, 48)
    luma = wanted @ [0.299, 0.587, 0.114] / 255
    np.testing.assert_allclose(row[0], luma, atol=0.51 / 255)


@pytest.mark.parametrize("options", [{"margin": -0.5}, {"margin": "wide"}, {"square": "yes"}])
def test_a_cut_that_means_nothing_is_refused(options):
    with pytest.raises(OptionError, match=next(iter(options))):
        Groupemo(**options)


def test_other_options_are_none_of_its():
    with pytest.raises(OptionError, match="unexpected option 'classes'"):
        BACKENDS.load("groupemo", classes=EMOTIONS)


@pytest.mark.data
def test_plain_faces_in_photos_are_read(shared_data):
    """The smiling and the neutral faces of the sample photos, as they are labelled."""
    labels = groupemo.load_labels(ROOT / "labels" / "samples.csv")
    paths = sorted((shared_data / "photos").iterdir())
    chosen = {EMOTIONS.index(word) for word in ("happy", "neutral")}
    right = []
    for path in paths:
        faces = labels[path.name]
        faces = faces[np.isin(faces.labels, list(chosen))]
        probs = groupemo.classify(path, Faces(faces.boxes), "groupemo")
        right += (probs.argmax(axis=1) == faces.labels).tolist()
    assert len(right) > 20
    assert np.mean(right) > 0.7


@pytest.mark.data
def test_its_figures_on_ferplus(shared_data):
    """What is said of it beside the file, counted by the benchmark of all backends."""
    benchmark = runpy.run_path(str(ROOT / "benchmarks" / "backends.py"))
    cells, _, tagged = benchmark["read_cells"](shared_data / "fer2013")
    net = Groupemo()
    probs = net.predict(np.stack([net.encode(cell) for cell in cells[tagged >= 0]]))
    accuracy = (probs.argmax(axis=1) == tagged[tagged >= 0]).mean()
    said = FIGURES["figures"]["matched_accuracy"]
    assert said["n"] == (tagged >= 0).sum()
    assert accuracy == pytest.approx(said["value"], abs=0.002)  # whole numbers round by machine
