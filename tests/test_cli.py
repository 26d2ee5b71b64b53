"""The command line, as a user meets it: what is printed where, and how a command ends."""

import importlib.util
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from importlib.metadata import entry_points
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT
from typer.testing import CliRunner

from groupemo import __version__, demo
from groupemo.analysis import load_analyses
from groupemo.cli import EXIT_CODES, app
from groupemo.cli._console import figure, plain
from groupemo.faces import Faces
from groupemo.label_csv import load_labels, save_labels
from groupemo.plugins import BACKENDS, DETECTORS
from groupemo.testing import FakeBackend, FakeDetector, make_scene, write_scenes

SCENES = [
    make_scene(["happy", "sad"], name="a.png"),
    make_scene(["happy", "neutral", "happy"], name="b.png"),
    make_scene([], name="empty.png"),
]
HAPPY = [0, 0, 0, 1, 0, 0, 0]


@pytest.fixture(autouse=True)
def fakes(monkeypatch):
    """Two detectors (`all` finds every face, `none` no face) and two backends that say happy."""
    monkeypatch.setenv("COLUMNS", "80")
    detectors = {
        "all": lambda: FakeDetector.of(SCENES, label="all"),
        "none": lambda: FakeDetector(Faces.empty(), label="none"),
        "broken": lambda: broken,
    }
    backends = {
        "cheerful": lambda: FakeBackend(HAPPY, label="cheerful"),
        "stand": lambda: FakeBackend(HAPPY, label="stand (stand-in)"),
    }
    for name, factory in detectors.items():
        monkeypatch.setitem(DETECTORS._registered, name, factory)
    for name, factory in backends.items():
        monkeypatch.setitem(BACKENDS._registered, name, factory)


def broken(image):
    raise ZeroDivisionError("a plugin's own trouble")


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    save_labels(write_scenes(SCENES, folder), tmp_path / "labels.csv")
    return folder


def groupemo(*words, code=0):
    """Run a command in this process; return what it printed on either stream."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


# --- detect ----------------------------------------------------------------------------------


def test_detect_prints_a_row_a_face(photos):
    lines = groupemo("detect", photos, "-d", "all").stdout.splitlines()
    assert [line.split() for line in lines if line.startswith(" a.png")] == [
        ["a.png", "1", "24", "24", "72", "72", "1.00"]
    ]
    assert "3 photos, 5 faces" in lines


def test_no_face_is_a_result(photos):
    printed = groupemo("detect", photos / "empty.png", "-d", "all").stdout
    assert "no face" in printed
    assert "1 photo, 0 faces" in printed


def test_detect_as_json(photos):
    one, *_ = json.loads(groupemo("detect", photos, "-d", "all", "--json").stdout)
    assert one == {
        "photo": "a.png",
        "boxes": [[24, 24, 72, 72], [96, 24, 144, 72]],
        "scores": [1, 1],
        "landmarks": None,
        "failure": None,
    }


def test_one_bad_photo_is_named_and_the_others_are_done(photos):
    (photos / "bad.jpg").write_text("no picture")
    result = groupemo("detect", photos, "-d", "all", "--json", code=3)
    assert [len(one["boxes"]) for one in json.loads(result.stdout)] == [2, 3, 0, 0]
    assert result.stderr.startswith(f"failed: {photos / 'bad.jpg'}: not a picture")


def test_a_detector_that_raises_fails_photo_by_photo(photos):
    result = groupemo("detect", photos, "-d", "broken", code=3)
    assert "failed: a.png: ZeroDivisionError: a plugin's own trouble" in result.stderr


def test_too_many_pixels(photos):
    result = groupemo("detect", photos / "a.png", "-d", "all", "--max-pixels", 100, code=3)
    assert "over the limit of 100 pixels" in result.stderr


def test_a_narrow_terminal_loses_nothing(photos, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    printed = groupemo("detect", photos / "b.png", "-d", "all").stdout
    assert max(map(len, printed.splitlines())) <= 40
    assert printed.count("1.00") == 3


# --- names are untrusted ---------------------------------------------------------------------


def test_a_name_is_no_markup_and_no_control_code(tmp_path):
    name = "[red]a[/blue]\x1b[31m\n.png"
    write_scenes([make_scene(["happy"], name=name)], tmp_path)
    printed = groupemo("detect", tmp_path, "-d", "all").stdout
    assert r"[red]a[/blue]\x1b[31m\n.png" in printed
    assert "\x1b" not in printed


@pytest.mark.parametrize(
    ("text", "printed"), [("é ü 顔", "é ü 顔"), ("\udcff", r"\udcff"), ("a\tb\x07", r"a\tb\x07")]
)
def test_plain(text, printed):
    assert plain(text) == printed


# --- analyze ---------------------------------------------------------------------------------


def analyze(photos, out, *words, code=0):
    grid = ["-d", "all", "-b", "cheerful"]
    return groupemo("analyze", photos, *grid, "--out", out, *words, code=code)


def test_analyze_leaves_lines_and_tables(photos, tmp_path):
    printed = analyze(photos, tmp_path / "out").stdout
    assert "happy 5" in printed
    assert "3 analyses, 3 of them new" in printed
    assert len(load_analyses(tmp_path / "out")) == 3
    assert len(pd.read_csv(tmp_path / "out" / "faces.csv")) == 5
    assert len(pd.read_csv(tmp_path / "out" / "photos.csv")) == 3


def test_analyze_again_does_only_what_is_missing(photos, tmp_path):
    analyze(photos / "a.png", tmp_path / "out")
    told = json.loads(analyze(photos, tmp_path / "out", "--json").stdout)
    assert told["new"] == 2
    [run] = told["runs"]
    assert (run["photos"], run["faces"], run["emotions"]) == (3, 5, {"happy": 5})
    assert len(pd.read_csv(tmp_path / "out" / "faces.csv")) == 5


def test_analyze_a_grid(photos, tmp_path):
    told = json.loads(analyze(photos, tmp_path, "-d", "none", "-b", "stand", "--json").stdout)
    assert [(run["detector"], run["backend"], run["faces"]) for run in told["runs"]] == [
        ("all", "cheerful", 5),
        ("all", "stand (stand-in)", 5),
        ("none", "cheerful", 0),
        ("none", "stand (stand-in)", 0),
    ]


def test_analyze_says_which_photos_failed(photos, tmp_path):
    (photos / "empty.jpg").touch()
    result = analyze(photos, tmp_path / "out", "--annotate", code=3)
    assert result.stderr == f"failed: {photos / 'empty.jpg'}: the file is empty\n"
    assert "4 analyses" in result.stdout


def test_analyze_draws_and_writes_a_workbook(photos, tmp_path):
    analyze(photos, tmp_path / "out", "--annotate", "--blur", "--xlsx")
    assert (tmp_path / "out" / "groupemo.xlsx").exists()
    assert len(list((tmp_path / "out" / "annotated").iterdir())) == 3


def test_a_photo_that_went_away_is_not_drawn(photos, tmp_path):
    analyze(photos, tmp_path / "out")
    (photos / "b.png").unlink()
    assert "not drawn: " in analyze(photos, tmp_path / "out", "--annotate").stderr


# --- evaluate and report ---------------------------------------------------------------------


def evaluate(photos, out, *words, code=0):
    labels, grid = photos.parent / "labels.csv", ["-d", "all", "-b", "cheerful"]
    return groupemo("evaluate", photos, labels, *grid, "--out", out, *words, code=code)


def test_evaluate_prints_every_denominator(photos, tmp_path):
    # labelled: happy sad | happy neutral happy | -    found: all    answered: happy, always
    printed = evaluate(photos, tmp_path / "out").stdout
    for title in ("Detection: ", "Matched: ", "End-to-end: "):
        assert title in printed
    [matched] = [line for line in printed.splitlines() if "cheerful" in line and " 5 " in line]
    assert matched.split()[:4] == ["all", "cheerful", "5", "0.60"]
    assert "IoU >= 0.5" in printed
    assert "95 % interval" in printed
    assert "below 1e-15 for 1e-15: here on 2 faces." in " ".join(printed.split())
    assert max(map(len, printed.splitlines()[:-1])) <= 80


def test_evaluate_leaves_tables_and_report_and_report_remakes_it(photos, tmp_path):
    out = tmp_path / "out"
    evaluate(photos, out)
    page = out / "index.html"
    assert page.exists()
    page.unlink()
    assert groupemo("report", out).stdout == f"report: {page}\n"
    assert page.exists()
    assert json.loads(groupemo("report", out, "--json").stdout) == {"report": str(page)}


def test_the_report_tells_the_command_that_made_it(photos, tmp_path):
    out = tmp_path / "my out"
    evaluate(photos, out, "--min-iou", "0.3", "--partial")
    told = json.loads((out / "manifest.json").read_text())["command"]
    assert shlex.split(told)[1:] == [
        "evaluate", str(photos), str(photos.parent / "labels.csv"), "-d", "all", "-b", "cheerful",
        "--min-iou", "0.3", "--partial", "--out", str(out),
    ]  # fmt: skip
    assert told in (out / "report.md").read_text()
    groupemo("report", out)
    assert told in (out / "report.md").read_text()


def test_evaluate_as_json_with_null_for_what_is_undefined(photos, tmp_path):
    told = json.loads(evaluate(photos, tmp_path / "out", "-d", "none", "--json").stdout)
    found, nothing = told["scores"]
    assert (found["detector"], found["matched"], found["matched_accuracy"]) == ("all", 5, 0.6)
    assert (nothing["detector"], nothing["matched"]) == ("none", 0)
    assert nothing["matched_accuracy"] is None
    assert told["photos"] == ["a.png", "b.png", "empty.png"]


def test_an_undefined_figure_is_a_dash(photos, tmp_path):
    printed = evaluate(photos, tmp_path / "out", "-d", "none").stdout
    assert "nan" not in printed
    assert str(figure(float("nan"))) == "-"


def test_stand_in_weights_are_said_to_be_so(photos, tmp_path):
    printed = evaluate(photos, tmp_path / "out", "-b", "stand").stdout
    assert "stand*" in printed
    assert "* stand-in weights: not the published model" in printed
    assert "stand-in" not in evaluate(photos, tmp_path / "other").stdout
    told = json.loads(evaluate(photos, tmp_path / "out", "-b", "stand", "--json").stdout)
    assert [row["stand_in"] for row in told["scores"]] == [False, True]


def test_photos_without_labels_are_refused_or_left_out_knowingly(photos, tmp_path):
    write_scenes([make_scene(["sad"], name="new.png")], photos)
    assert "not labelled: new.png" in evaluate(photos, tmp_path / "out", code=1).stderr
    assert "3 photos" in evaluate(photos, tmp_path / "out", "--partial").stdout


def test_evaluate_names_the_photo_that_could_not_be_read(photos, tmp_path):
    (photos / "a.png").write_bytes(b"no picture")
    result = evaluate(photos, tmp_path / "out", code=3)
    assert result.stderr.startswith(f"failed: {photos / 'a.png'}: not a picture")


# --- models, samples, demo -------------------------------------------------------------------


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A machine without model files, photos and network; return its cache folder."""
    for variable in ("GROUPEMO_MODELS", "GROUPEMO_SAMPLES"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("GROUPEMO_OFFLINE", "1")
    monkeypatch.setenv("GROUPEMO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.usefixtures("bare")
def test_models_list_names_plugins_and_files():
    told = json.loads(groupemo("models", "list", "--json").stdout)
    assert {"yunet", "all", "fer", "cheerful"} <= {one["name"] for one in told["plugins"]}
    [yunet] = [one for one in told["files"] if one["name"] == "yunet"]
    assert (yunet["state"], yunet["path"], yunet["licence"]) == ("not here", None, "MIT")
    printed = groupemo("models", "list").stdout
    assert "Detectors and backends" in printed
    assert "deepface-emotion-stand-in" in printed


@pytest.mark.usefixtures("bare")
def test_models_that_cannot_be_had():
    result = groupemo("models", "pull", "yunet", "--json", code=1)
    assert list(json.loads(result.stdout)["out_of_reach"]) == ["yunet"]
    first, *more = result.stderr.splitlines()
    assert first.startswith("error: yunet: ")
    assert all(line.startswith("  ") for line in more)
    assert "GROUPEMO_OFFLINE is set" in result.stderr


@pytest.mark.usefixtures("bare")
def test_models_path_of_what_is_not_here():
    result = groupemo("models", "path", "yunet", "fer", code=1)
    assert result.stderr == "error: not here: yunet fer; get with: groupemo models pull yunet fer\n"
    assert "knows no 'nonesuch'" in groupemo("models", "path", "nonesuch", code=1).stderr


def test_models_here_and_damaged(bare):
    file = bare / "models" / "face_detection_yunet_2023mar.onnx"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"cut short")
    told = json.loads(groupemo("models", "verify", "yunet", "--json", code=1).stdout)
    assert told["yunet"]["state"] == "damaged"
    assert "damaged" in groupemo("models", "verify", code=1).stdout
    assert groupemo("models", "verify", "haar-frontal").stdout.count("here") == 1
    assert groupemo("models", "path", "haar-frontal").stdout.endswith("frontalface_default.xml\n")


@pytest.mark.usefixtures("bare")
def test_samples_that_cannot_be_had_are_named(tmp_path):
    listed = json.loads(groupemo("samples", "list", "--json").stdout)
    result = groupemo("samples", "pull", "--out", tmp_path / "out", code=3)
    assert {"name", "file", "licence", "sha256"} <= set(listed[0])
    assert len(result.stderr.splitlines()) >= len(listed) - 5  # some are in packages that are here
    assert f"out of reach: {listed[0]['file']}: GROUPEMO_OFFLINE is set" in result.stderr


def test_demo_prints_the_scores_and_what_was_out_of_reach(photos, tmp_path, monkeypatch):
    def run_demo(labels, folder, out):
        asked.append(labels)
        grid = {"detectors": ["all"], "backends": ["cheerful"]}
        evaluation = demo.evaluate(photos, tmp_path / "labels.csv", **grid)
        return demo.Demo(evaluation, out / "index.html", {"far.jpg": "tried:\n  - a: gone\n  end"})

    asked = []
    monkeypatch.setattr(demo, "run_demo", run_demo)
    monkeypatch.chdir(tmp_path)
    result = groupemo("demo", "--out", tmp_path)
    assert "astronaut.png" in load_labels(*asked)  # wherever one is
    assert result.stderr == "out of reach: far.jpg: a: gone\n"
    assert "Matched: " in result.stdout
    assert f"report: {tmp_path / 'index.html'}" in result.stdout


# --- errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["detect", "nowhere.jpg", "-d", "all"], "no such file or folder: nowhere.jpg"),
        (["detect", ".", "-d", "nonesuch"], "no detector named 'nonesuch'; known: yunet"),
        (["detect", ".", "-d", "all:x"], "'all:x': 'x' is not an option: expected name:key=value"),
        (["detect", ".", "-d", "all:x=1"], "detector 'all'"),
        (["report", "."], ".: no saved evaluation here: "),
    ],
)
def test_an_error_is_one_line(words, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = groupemo(*words, code=1)
    assert result.stderr.startswith("error: ")
    assert told in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_a_folder_that_cannot_be_written(photos, tmp_path):
    (tmp_path / "file").touch()
    result = analyze(photos, tmp_path / "file", code=1)
    assert "cannot be written" in result.stderr


def test_wrong_usage_is_2():
    assert "Missing argument" in groupemo("detect", code=2).stderr
    groupemo("detect", ".", "--max-pixels", "many", code=2)
    groupemo("nonesuch", code=2)


def test_exit_codes_are_in_the_help():
    printed = " ".join(groupemo("--help").stdout.split())
    for code, meaning in EXIT_CODES.items():
        assert f"{code}: {meaning}" in printed


# --- as a process ----------------------------------------------------------------------------

PLUGIN = """
import os, time
from groupemo.faces import Faces
from groupemo.testing import FakeBackend

def detector():
    def find(image):
        time.sleep(float(os.environ.get("SLOW", 0)))
        return Faces([[0, 0, 9, 9]])
    return find

def backend():
    return FakeBackend([0, 0, 0, 1, 0, 0, 0], label="cheerful")
"""


@pytest.fixture
def installed(tmp_path):
    """Return an environment in which a third party's plugins are installed."""
    info = tmp_path / "site" / "third_party-1.0.dist-info"
    info.mkdir(parents=True)
    (info.parent / "third_party.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: third-party\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[groupemo.detectors]\nslow = third_party:detector\n"
        "[groupemo.backends]\nthird = third_party:backend\n"
    )
    return {**os.environ, "PYTHONPATH": str(info.parent), "COLUMNS": "80"}


def process(*words, **options):
    command = [sys.executable, "-m", "groupemo", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


def test_the_script_is_the_app():
    [script] = [one for one in entry_points(group="console_scripts") if one.name == "groupemo"]
    assert script.load() is app


def test_version():
    assert process("--version").stdout == f"groupemo {__version__}\n"


def test_a_third_party_plugin_is_found(installed, photos):
    done = process("detect", photos, "-d", "slow", "--json", env=installed)
    assert [one["boxes"] for one in json.loads(done.stdout)] == [[[0, 0, 9, 9]]] * 3


def test_interrupted_and_gone_on_with(installed, tmp_path):
    photos, out = tmp_path / "photos", tmp_path / "out"
    write_scenes([make_scene(["happy"], name=f"{n}.png") for n in range(12)], photos)
    words = ["analyze", photos, "-d", "slow", "-b", "third", "--out", out, "--workers", 1]
    running = subprocess.Popen(
        [sys.executable, "-m", "groupemo", *map(str, words)],
        env={**installed, "SLOW": "0.2"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    file = out / "analyses.jsonl"
    waited = time.monotonic() + 30
    while not (file.exists() and file.stat().st_size) and time.monotonic() < waited:
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    printed, told = running.communicate(timeout=30)
    assert running.returncode == 130
    assert printed == ""
    assert told == (
        f"interrupted: what was done is kept in {file}; run the same command again to go on\n"
    )
    kept = len(load_analyses(file))
    assert 0 < kept < 12
    again = json.loads(process(*words, "--json", env=installed).stdout)
    assert again["new"] == 12 - kept
    assert again["runs"][0]["photos"] == 12


@pytest.mark.parametrize("words", [["--json"], []])
def test_a_closed_pipe_is_quiet(installed, tmp_path, words):
    write_scenes([make_scene([], name=f"{n}.png", face=8) for n in range(400)], tmp_path / "photos")
    command = ["-m", "groupemo", "detect", str(tmp_path / "photos"), "-d", "slow", *words]
    with subprocess.Popen(
        [sys.executable, *command], env=installed, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        running.stdout.read(10)
        running.stdout.close()
        assert running.stderr.read() == b""


def test_a_terminal_that_knows_only_ascii(installed, tmp_path):
    write_scenes([make_scene(["happy"], name="café 顔.png")], tmp_path / "photos")
    ascii_only = {**installed, "PYTHONIOENCODING": "ascii"}
    done = process("detect", tmp_path / "photos", "-d", "slow", env=ascii_only)
    assert done.returncode == 0
    assert r"caf\xe9 \u9854.png" in done.stdout


@pytest.mark.parametrize("words", [["--help"], ["evaluate", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(words):
    code = (
        "import sys\nfrom groupemo.cli import app\n"
        f"try: app({words!r})\nexcept SystemExit: pass\n"
        "print(*({'cv2', 'pandas', 'matplotlib', 'onnxruntime', 'dlib'} & set(sys.modules)),"
        " file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr.split() == []


def test_completion_knows_the_plugins():
    asked = {**os.environ, "_GROUPEMO_COMPLETE": "complete_bash",
             "COMP_WORDS": "groupemo detect -d yu", "COMP_CWORD": "3"}  # fmt: skip
    script = Path(sys.executable).with_name("groupemo")
    done = subprocess.run([script], env=asked, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["yunet"]


# --- the page --------------------------------------------------------------------------------


def test_the_page_is_what_the_help_says():
    path = ROOT / "docs" / "make_cli.py"
    spec = importlib.util.spec_from_file_location("make_cli", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = module.page()
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == made, "run `make docs`"
    rows = [line for line in made.splitlines() if line.startswith("|")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 3 for row in rows), "two cells each"


# --- odd places -------------------------------------------------------------------------------


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("words", [["--help"], ["--version"], ["samples", "list"]])
def test_a_full_disk_under_standard_output_is_said_in_one_line(words):
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "groupemo", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert ended.returncode == 1
    assert ended.stderr == "error: standard output: No space left on device\n"


def test_what_was_drawn_is_not_taken_for_photos(photos):
    words = ["analyze", photos, "--out", photos, "--annotate", "-d", "all", "-b", "cheerful"]
    groupemo(*words)
    assert (photos / "annotated" / "a.png.jpg").exists()
    groupemo(*words)
    assert len(load_analyses(photos)) == len(SCENES)


def test_a_detector_that_exits_fails_for_its_photo_alone(photos, monkeypatch):
    monkeypatch.setitem(DETECTORS._registered, "exits", lambda: lambda image: sys.exit(0))
    assert "SystemExit" in groupemo("detect", photos, "-d", "exits", code=3).stderr


def test_a_limit_below_one_pixel_is_wrong_usage(photos):
    groupemo("detect", photos, "-d", "all", "--max-pixels", "0", code=2)
