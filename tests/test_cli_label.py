"""`groupemo label`, as far as it goes without a browser; how it ends: test_labeller_crash.py."""

import inspect

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import groupemo
from groupemo.cli import app
from groupemo.labeller import serving
from groupemo.labeller.desk import Desk


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(folder / "a.png")
    return folder


def run(*words):
    return CliRunner().invoke(app, ["label", *map(str, words), "-d", "haar", "--no-browser"])


@pytest.fixture
def served(monkeypatch):
    """Let no server start; keep the desks it would have had, and its options."""
    seen = []
    monkeypatch.setattr(serving, "serve", lambda desk, **options: seen.append((desk, options)))
    return seen


def test_the_function_and_the_command_serve_a_desk(photos, served, capsys):
    result = run(photos, "-a", "AB", "--port", 8001)
    assert (result.exit_code, result.stdout) == (0, "nothing is labelled yet\n")
    path = groupemo.label(photos, detector="haar", annotator="CD")
    assert capsys.readouterr().out == "nothing is labelled yet\n"
    assert path == photos / "labels.csv"
    assert [options for _, options in served] == [
        {"port": 8001, "annotator": "AB", "open_browser": False},
        {"port": None, "annotator": "CD", "open_browser": True},
    ]
    assert all(desk.labels == path for desk, _ in served)


def test_every_option_reaches_the_desk(photos, monkeypatch):
    seen = {}
    monkeypatch.setattr(serving, "label", lambda photos, **options: seen.update(options))
    assert run(photos).exit_code == 0
    desk = set(inspect.signature(Desk).parameters) - {"photos"}
    assert set(seen) == desk | {"port", "open_browser", "notebook"}


def test_labels_are_taken_in_and_written_again(photos, served, tmp_path):
    old = tmp_path / "old.csv"
    old.write_text("image,x,y,w,h,emotion,annotator\na.png,1,2,20,21,sad,AB\n")
    out = tmp_path / "new" / "labels.csv"
    result = run(photos, "--labels", out, "--import", old)
    saved, following = result.stdout.splitlines()
    assert saved == f"saved to {out} (faces: 1, photos: 1)"
    assert following == f"next: groupemo evaluate {photos} {out}"
    [labels] = groupemo.load_labels(out).values()
    assert labels.boxes.tolist() == [[1, 2, 21, 23]]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--order", "bogus"], "order is 'bogus': expected one of name, shuffle, active"),
        (["--order", "active"], "name one"),
        (["--import", "nonesuch.csv"], "nonesuch.csv: cannot read the labels"),
        (["--import", "x", "--format", "bogus"], "expected one of"),
        (["-d", "nonesuch"], "no detector named 'nonesuch'; known: "),
        (["--port", "0"], "port 0: not a number from 1 to 65535: give another, or none at all"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(photos, words, reason):
    result = CliRunner().invoke(app, ["label", str(photos), "-d", "haar", "--no-browser", *words])
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert reason in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_label_file_that_was_changed_by_hand_is_not_overwritten(photos, served):
    file = photos / "labels.csv"
    file.write_text("image,x,y,w,h,emotion\na.png,1,2,20,21,sad\n")
    assert run(photos, "-a", "AB").exit_code == 0
    file.write_text("image,x,y,w,h,emotion\na.png,1,2,20,21,happy\n")
    result = run(photos, "-a", "AB")
    assert result.exit_code == 1
    assert f"take it in with --import {file}" in result.stderr
    assert "happy" in file.read_text()
