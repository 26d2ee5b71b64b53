"""Bad input, one named test each: a clear error or a named row, and nothing half-written.

First through the functions, then through the command line, where an error is
one line and an exit code and never a stack trace.
"""

import io
import os
import signal
import struct
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import groupemo
from groupemo import cli
from groupemo.analysis import load_analyses
from groupemo.detectors.labelled import LABELLED
from groupemo.errors import (
    ContractError,
    LabelError,
    MissingExtra,
    ModelError,
    OptionError,
    OutputError,
    PhotoError,
    UnknownPlugin,
)
from groupemo.faces import Faces
from groupemo.label_csv import load_labels, save_labels
from groupemo.labels import LabelledFaces, Labels
from groupemo.plugins import BACKENDS, DETECTORS
from groupemo.testing import FakeBackend, FakeDetector, make_scene, write_scenes

HEADER = "image,x,y,w,h,emotion\n"
EVEN = np.full(7, 1 / 7)


@pytest.fixture
def photos(tmp_path):
    """Two good photos, one without a face, and their labels beside the folder."""
    scenes = [make_scene(["happy", "sad"], name="a.png"), make_scene([], name="b.png")]
    labels = write_scenes(scenes, tmp_path / "photos")
    save_labels(labels, tmp_path / "labels.csv")
    return tmp_path / "photos"


@pytest.fixture(autouse=True)
def fakes(monkeypatch):
    """Let the name `fake` mean a detector that finds one face in every photo, and a backend."""
    face = Faces([[0, 0, 40, 40]])
    monkeypatch.setitem(DETECTORS._registered, "fake", lambda: FakeDetector(face))
    monkeypatch.setitem(BACKENDS._registered, "fake", lambda: FakeBackend(EVEN))


def analyze_all(photos, **options):
    return list(groupemo.analyze_all(photos, **{"detector": "fake", "backend": "fake", **options}))


def evaluate(photos, labels, **options):
    return groupemo.evaluate(photos, labels, detectors=["fake"], backends=["fake"], **options)


def reasons(analyses):
    return {one.photo: one.failure and one.failure.reason for one in analyses}


def noise(kind="JPEG"):
    pixels = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def blank_png(width, height):
    """A whole PNG of one bit a pixel, all black: huge pictures in few bytes."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = zlib.compress(bytes(height * (1 + (width + 7) // 8)), 1)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


# --- photos ---


def test_a_missing_file(photos):
    for call in (groupemo.detect, groupemo.analyze, analyze_all):
        with pytest.raises(PhotoError, match=r"gone\.jpg"):
            call(photos / "gone.jpg")
    told = reasons(analyze_all([photos / "a.png", photos / "gone.jpg"]))
    assert told["a.png"] is None
    assert "gone.jpg: cannot be read: No such file" in told["gone.jpg"]


def test_an_empty_folder(tmp_path, photos):
    (tmp_path / "empty").mkdir()
    for call in (analyze_all, lambda folder: evaluate(folder, tmp_path / "labels.csv")):
        with pytest.raises(PhotoError, match=r"no photos in .*empty: expected .*\.jpg"):
            call(tmp_path / "empty")


def test_a_text_file_named_jpg(photos):
    (photos / "notes.jpg").write_text("not a picture at all\n" * 100)
    with pytest.raises(PhotoError, match=r"notes\.jpg: not a picture"):
        groupemo.detect(photos / "notes.jpg", "fake")
    told = reasons(analyze_all(photos))
    assert [name for name, reason in told.items() if reason] == ["notes.jpg"]
    assert "not a picture" in told["notes.jpg"]


@pytest.mark.parametrize("size", [0, 1, 100, 5000])
def test_a_cut_off_jpeg(photos, size):
    (photos / "cut.jpg").write_bytes(noise()[:size])
    with pytest.raises(PhotoError, match=r"cut\.jpg: .*(empty|not a picture|cut off)"):
        groupemo.detect(photos / "cut.jpg", "fake")
    assert [name for name, reason in reasons(analyze_all(photos)).items() if reason] == ["cut.jpg"]


def test_one_pixel(photos):
    Image.new("RGB", (1, 1)).save(photos / "dot.png")
    [one] = analyze_all(photos / "dot.png")
    assert (one.width, one.height, one.failure) == (1, 1, None)


@pytest.mark.models
@pytest.mark.parametrize("name", [name for name in DETECTORS.built_in if name != LABELLED])
def test_one_pixel_holds_no_face_for_any_detector(name, shared_models):
    try:
        detector = groupemo.get_detector(name)
    except (MissingExtra, ModelError, OptionError) as error:
        pytest.skip(f"{name} needs a file that is not here: {str(error).splitlines()[0]}")
    assert len(groupemo.detect(np.zeros((1, 1, 3), np.uint8), detector)) == 0


def test_20_000_by_20_000_pixels(photos):
    (photos / "huge.png").write_bytes(blank_png(20_000, 20_000))
    message = r"huge\.png: 20000 x 20000 pixels is over the limit of 100,000,000 .*max_pixels"
    with pytest.raises(PhotoError, match=message):
        groupemo.analyze(photos / "huge.png", detector="fake", backend="fake")
    told = reasons(analyze_all(photos))
    assert [name for name, reason in told.items() if reason] == ["huge.png"]


def test_the_limit_can_be_raised(photos):
    (photos / "large.png").write_bytes(blank_png(300, 200))
    assert "over the limit" in reasons(analyze_all(photos, max_pixels=59_999))["large.png"]
    assert reasons(analyze_all(photos, max_pixels=60_000))["large.png"] is None


def test_a_photo_with_no_face(photos, tmp_path):
    detector = FakeDetector(Faces.empty())
    one = groupemo.analyze(photos / "b.png", detector=detector, backend="fake")
    assert (len(one), one.probs.shape, one.failure) == (0, (0, 7), None)
    grid = groupemo.evaluate(
        photos, tmp_path / "labels.csv", detectors=[detector], backends=["fake"]
    )
    assert grid["fake", "fake"].overall()["missed"] == 2


# --- labels ---


def test_a_box_outside_its_photo(photos):
    labels = Labels(
        {"a.png": LabelledFaces([[9000, 0, 9010, 10]], [3]), "b.png": LabelledFaces.empty()}
    )
    with pytest.raises(LabelError, match=r"a\.png: the box .*9000, 0, 10, 10 lies outside"):
        evaluate(photos, labels)


def test_an_unknown_class_word(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text(HEADER + "a.png,0,0,5,5,happy\na.png,9,9,5,5,hapy\n")
    with pytest.raises(LabelError, match=r"labels\.csv, line 3.*'hapy'.*did you mean 'happy'"):
        load_labels(path)


def test_duplicate_rows(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text(HEADER + "a.png,0,0,5,5,happy\n" * 2)
    with pytest.raises(LabelError, match=r"labels\.csv, lines 2 and 3: the same row twice"):
        load_labels(path)


def test_labels_for_photos_that_are_absent(photos, tmp_path):
    with open(tmp_path / "labels.csv", "a") as file:
        file.write("gone.png,0,0,5,5,happy\n")
    with pytest.raises(LabelError, match=r"1 of 3 photos are labelled but not.*gone\.png"):
        evaluate(photos, tmp_path / "labels.csv")
    grid = evaluate(photos, tmp_path / "labels.csv", partial=True)
    assert sorted(grid.labels) == ["a.png", "b.png"]


def test_photos_without_labels(photos, tmp_path):
    Image.new("RGB", (9, 9)).save(photos / "new.png")
    with pytest.raises(PhotoError, match=r"1 of 3 photos are.*not labelled: new\.png"):
        evaluate(photos, tmp_path / "labels.csv")
    assert len(evaluate(photos, tmp_path / "labels.csv", partial=True).labels) == 2


def test_a_missing_label_file(photos, tmp_path):
    with pytest.raises(LabelError, match=r"gone\.csv: cannot read the labels: No such file"):
        evaluate(photos, tmp_path / "gone.csv")


# --- models and plugins ---


@pytest.fixture
def store(tmp_path, monkeypatch, shared_models):
    """Return an own mirror and cache, no network, and the bytes of YuNet's weights."""
    mirror, cache = tmp_path / "mirror", tmp_path / "cache"
    mirror.mkdir()
    monkeypatch.setenv("GROUPEMO_MODELS", str(mirror))
    monkeypatch.setenv("GROUPEMO_CACHE", str(cache))
    monkeypatch.setenv("GROUPEMO_OFFLINE", "1")
    name = "face_detection_yunet_2023mar.onnx"
    return mirror, cache, name, (shared_models / name).read_bytes()


@pytest.mark.models
def test_weights_cut_short(store):
    mirror, cache, name, data = store
    (mirror / name).write_bytes(data[:1000])
    with pytest.raises(ModelError, match=rf"{name} has SHA-256 .* cut short"):
        groupemo.detect(np.zeros((9, 9, 3), np.uint8), "yunet")
    assert not cache.exists()


@pytest.mark.models
def test_weights_with_a_wrong_checksum(store):
    mirror, _, name, data = store
    (mirror / name).write_bytes(data[:-1] + b"!")
    with pytest.raises(ModelError, match=rf"{name} has SHA-256 .*, expected 8f2383e4dd3c"):
        analyze_all(np.zeros((9, 9, 3), np.uint8), detector="yunet")
    (mirror / name).write_bytes(data)
    assert len(groupemo.detect(np.zeros((9, 9, 3), np.uint8), "yunet")) == 0


@pytest.mark.models
def test_a_cut_download_in_the_cache_is_not_used(store):
    _, cache, name, data = store
    (cache / "models").mkdir(parents=True)
    (cache / "models" / name).write_bytes(data[:1000])
    with pytest.raises(ModelError, match=r"cache .*cut short"):
        groupemo.get_detector("yunet")


def test_an_unknown_detector_name(photos):
    for call in (groupemo.detect, analyze_all):
        with pytest.raises(UnknownPlugin, match="no detector named 'yunett'; known: yunet"):
            call(photos / "a.png", detector="yunett")
    with pytest.raises(UnknownPlugin, match=r"no backend named 'ferr'; known: .*fer"):
        analyze_all(photos, backend="ferr")


BROKEN = {
    "outside": lambda image: Faces([[0, 0, 9999, 9999]]),
    "no Faces": lambda image: [(0, 0, 5, 5)],
    "raises": lambda image: {}["missing"],
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_detector_that_breaks_its_contract(photos, how):
    analyses = analyze_all(photos, detector=BROKEN[how])
    assert {one.failure.stage for one in analyses} == {"detect"}
    assert all(reason.startswith(f"{name}: <lambda> failed: ")
               for name, reason in reasons(analyses).items())  # fmt: skip
    if how != "raises":
        with pytest.raises(ContractError):
            groupemo.detect(photos / "a.png", BROKEN[how])


@pytest.mark.parametrize("probs", [EVEN * 2, EVEN - 0.2, np.full(7, np.inf)])
def test_a_backend_that_breaks_its_contract(photos, probs):
    analyses = analyze_all(photos, backend=FakeBackend(probs))
    assert {one.failure.stage for one in analyses} == {"classify"}
    with pytest.raises(PhotoError, match=r"a\.png: fake failed: .*sum to 1"):
        groupemo.analyze(photos / "a.png", detector="fake", backend=FakeBackend(probs))


# --- disks ---


@pytest.fixture
def tiny_disk(tmp_path):
    """Return a folder on a disk of 16 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not sys.platform.startswith("linux") or os.geteuid():
        pytest.skip("only root on Linux can make a small disk to fill")
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def many(n=100):
    return [np.full((50, 50, 3), i, np.uint8) for i in range(n)]


def test_a_full_disk_while_analyzing(tiny_disk):
    out = tiny_disk / "a.jsonl"
    with pytest.raises(OutputError, match=r"a\.jsonl: cannot be written: No space left"):
        analyze_all(many(), out=out)
    assert out.read_bytes().endswith(b"\n")
    assert 0 < len(load_analyses(out)) < 100


def test_a_full_disk_while_saving(tiny_disk, photos, tmp_path):
    labels = load_labels(tmp_path / "labels.csv")
    before = save_labels(labels, tiny_disk / "labels.csv").read_bytes()
    (tiny_disk / "full").write_bytes(bytes(8 << 10))
    several = Labels({f"{i:04}.png": labels["a.png"] for i in range(200)})
    with pytest.raises(OutputError, match=r"labels\.csv: cannot be written: No space left"):
        save_labels(several, tiny_disk / "labels.csv")
    assert (tiny_disk / "labels.csv").read_bytes() == before
    assert sorted(path.name for path in tiny_disk.iterdir()) == ["full", "labels.csv"]


def test_a_folder_that_cannot_be_written(photos, tmp_path):
    below = tmp_path / "labels.csv" / "run"  # root may write anywhere but below a file
    grid = evaluate(photos, tmp_path / "labels.csv")
    for call in (
        lambda: analyze_all(photos, out=below / "a.jsonl"),
        lambda: evaluate(photos, tmp_path / "labels.csv", out=below),
        lambda: grid.save(below),
        lambda: save_labels(grid.labels, below / "labels.csv"),
    ):
        with pytest.raises(OutputError, match=r"labels\.csv/run.*: cannot be written: Not a dir"):
            call()


# --- the same at the command line ---


@pytest.fixture
def command():
    """Run a command in this process; it may end in one line and an exit code, in no other way."""

    def call(*words, code):
        result = CliRunner().invoke(cli.app, [str(word) for word in words])
        assert result.exception is None or isinstance(result.exception, SystemExit)
        assert "Traceback" not in result.output
        assert result.exit_code == code, result.output
        return " ".join(result.output.split())

    return call


PLUGINS = ("--detector", "fake", "--backend", "fake")


def test_command_missing_file(command, photos, tmp_path):
    out = tmp_path / "out"
    assert "gone.jpg" in command("analyze", photos / "gone.jpg", "--out", out, *PLUGINS, code=1)
    assert not out.exists()


def test_command_empty_folder(command, tmp_path):
    (tmp_path / "empty").mkdir()
    told = command("analyze", tmp_path / "empty", "--out", tmp_path / "out", *PLUGINS, code=1)
    assert "no photos in" in told


@pytest.mark.parametrize(
    ("name", "data"),
    [("notes.jpg", b"hello"), ("cut.jpg", noise()[:5000]), ("huge.png", blank_png(20_000, 20_000))],
)
def test_command_one_bad_photo_among_good_ones(command, photos, tmp_path, name, data):
    (photos / name).write_bytes(data)
    told = command("analyze", photos, "--out", tmp_path / "out", *PLUGINS, code=3)
    assert name in told
    assert len(load_analyses(tmp_path / "out")) == 3


def test_command_unknown_detector(command, photos, tmp_path):
    told = command("analyze", photos, "--out", tmp_path / "out", "-d", "yunett", code=1)
    assert "no detector named 'yunett'" in told


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER + "a.png,0,0,5,5,hapy\n", "did you mean 'happy'"),
        (HEADER + "a.png,0,0,5,5,sad\n" * 2, "lines 2 and 3: the same row twice"),
        (HEADER + "a.png,9000,0,5,5,sad\nb.png\n", "lies outside the photo"),
        (HEADER + "a.png,0,0,5,5,sad\nb.png\nc.png\n", "labelled but not among the photos: c.png"),
        (HEADER + "a.png,0,0,5,5,sad\n", "not labelled: b.png"),
        ("", "the file is empty"),
    ],
    ids=["word", "twice", "outside", "absent", "unlabelled", "empty"],
)
def test_command_bad_labels(command, photos, tmp_path, text, message):
    (tmp_path / "labels.csv").write_text(text)
    out = tmp_path / "out"
    told = command(
        "evaluate", photos, tmp_path / "labels.csv", "--out", out, *PLUGINS, code=1
    )  # fmt: skip
    assert message in told


@pytest.mark.models
def test_command_weights_cut_short(command, store, photos, tmp_path):
    mirror, _, name, data = store
    (mirror / name).write_bytes(data[:1000])
    told = command(
        "analyze", photos, "--out", tmp_path / "out", "-d", "yunet", "-b", "fake", code=1
    )
    assert "cut short" in told
    assert not (tmp_path / "out").exists()


def test_command_a_plugin_that_breaks_its_contract(command, photos, tmp_path, monkeypatch):
    monkeypatch.setitem(DETECTORS._registered, "fake", lambda: BROKEN["outside"])
    told = command("analyze", photos, "--out", tmp_path / "out", *PLUGINS, code=3)
    assert "outside the" in told


def test_command_full_disk(command, tiny_disk, tmp_path):
    for number, image in enumerate(many(60)):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    told = command("analyze", tmp_path, "--out", tiny_disk / "out", *PLUGINS, code=1)
    assert "No space left" in told
    assert (tiny_disk / "out" / "analyses.jsonl").read_bytes().endswith(b"\n")
    assert {path.name for path in (tiny_disk / "out").iterdir()} == {"analyses.jsonl"}


def test_command_unwritable_folder(command, photos, tmp_path):
    told = command("analyze", photos, "--out", tmp_path / "labels.csv" / "x", *PLUGINS, code=1)
    assert "cannot be written" in told


SLOW = """
import sys, time
import groupemo
from groupemo.cli import app
from groupemo.testing import FakeBackend

def slow(image):
    time.sleep(0.05)
    return groupemo.Faces.empty()

groupemo.register_detector("slow", lambda: slow)
groupemo.register_backend("fake", lambda: FakeBackend([1 / 7] * 7))
app(sys.argv[1:])
"""


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT")
def test_command_ctrl_c(tmp_path):
    for number, image in enumerate(many()):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    lines = tmp_path / "out" / "analyses.jsonl"
    words = ["analyze", tmp_path, "--out", lines.parent, "-d", "slow", "-b", "fake"]
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, *map(str, words)], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while process.poll() is None and not (lines.exists() and lines.stat().st_size):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "interrupted" in errors
    assert 0 < len(load_analyses(lines)) < 100
