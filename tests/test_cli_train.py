"""`groupemo train`: what it prints and leaves, what it refuses, and being killed for real."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from test_cli import groupemo

pytest.importorskip("torch", reason="needs groupemo[train]")
pytest.importorskip("kornia", reason="needs groupemo[train]")
import torch
from test_training_loop import patterned

from groupemo.backends.onnx import Onnx
from groupemo.training import checkpoints, loop
from groupemo.training.run import COLUMNS, Run

TINY = ("--batch", "20", "--seed", "3", *(
    word for each in ("width=.35", "threads=1", "mixup=0.3") for word in ("--set", each)
))  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("train")
    patterned(folder / "faces.h5", 105, seed=1)
    patterned(folder / "valid.h5", 70, seed=2)
    return folder


@pytest.fixture
def asked(folder, tmp_path, shallow_nets):
    """Return the words of a command of two epochs."""
    return ["train", folder / "faces.h5", "--valid", folder / "valid.h5", "--out", tmp_path / "run",
            "--epochs", "2", *TINY]  # fmt: skip


@pytest.fixture
def quick(monkeypatch):
    """Leave out what the commands' other tests see: the export, which takes seconds."""
    monkeypatch.setattr("groupemo.training.run_export.export_run", lambda run: ())
    monkeypatch.setattr("groupemo.training.card.write_cards", lambda run, files: ())


def test_it_prints_figures_and_leaves_a_net_that_can_be_used(asked, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    ran = groupemo(*asked)
    lines = [" ".join(line.split()) for line in ran.stdout.splitlines()]
    run = Run.open(tmp_path / "run")
    best = [run.best[f"valid_{name}"] for name in ("loss", "accuracy", "uar", "ece")]
    assert " ".join([f"{run.best_epoch} of 2", *(f"{each:.3f}" for each in best)]) in lines
    assert any(line.startswith("Validated on 70 faces, 0 left out as leaked.") for line in lines)
    shown = ["net.onnx", "card.md", "datasheet.md", "figures.json"]
    assert lines[-4:] == [str(run.folder / name) for name in shown]
    kept = ["net.toml", "best.pt", "last.pt", "curves.png", "history.csv", "recipe.json"]
    assert {path.name for path in run.folder.iterdir()} == {*shown, *kept, "data.json", ".lock"}
    assert Onnx(model=run.folder / "net.onnx").classes[3] == "happy"


def test_the_same_command_again_prints_the_same(asked, quick):
    first, again = groupemo(*asked, "--json"), groupemo(*asked, "--json")
    assert json.loads(first.stdout) == json.loads(again.stdout)
    assert json.loads(first.stdout)["history"][1]["epoch"] == 2


def test_a_recipe_file_gives_way_to_options(asked, tmp_path, quick):
    recipe = tmp_path / "recipe.json"
    recipe.write_text('{"lr": 0.004, "ema": 0.5, "epochs": 7}')
    groupemo(
        *asked, "--recipe", recipe, "--set", "augmentation.rotation=20", "--lr", "0.001",
        "--patience", "9",
    )  # fmt: skip
    used = Run.open(tmp_path / "run").recipe
    assert (used.lr, used.ema, used.epochs, used.augmentation.rotation) == (0.001, 0.5, 2, 20.0)
    assert used.patience == 9


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--set", "lr=fast"], "error: lr is 'fast': expected a number from 1e-07 to 10"),
        (["--set", "rotation=3"], "error: no field 'rotation'; known: architecture"),
        (["--architecture", "vgg"], "error: architecture is 'vgg': expected one of"),
        (["--architecture", "deepface"], "error: width is 0.35, but deepface has no options"),
        (["--recipe", "none.json"], "error: none.json: cannot be read"),
        (["--valid", "none.h5"], "error: none.h5: no such file"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(asked, tmp_path, words, told):
    ran = groupemo(*asked, *words, code=1)
    assert ran.stderr.startswith(told)
    assert not (tmp_path / "run").exists()


def test_a_setting_without_a_value_is_wrong_usage(asked):
    assert "expected FIELD=VALUE" in groupemo(*asked, "--set", "lr", code=2).stderr


def test_without_the_extra_it_says_what_to_install(asked, monkeypatch):
    monkeypatch.setitem(sys.modules, "kornia", None)
    for name in ("loop", "learner", "augmentation"):
        monkeypatch.delitem(sys.modules, f"groupemo.training.{name}")
    ran = groupemo(*asked, code=1)
    assert ran.stderr == "error: kornia is not installed: pip install 'groupemo[train]'\n"


def test_interrupted_it_says_how_to_go_on(asked, tmp_path, monkeypatch, quick):
    class Stopped(loop.Learner):
        def epoch(self, number, bar):
            if number == 2:
                raise KeyboardInterrupt
            return super().epoch(number, bar)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "Learner", Stopped)
        ran = groupemo(*asked, code=130)
    assert ran.stderr.strip().splitlines()[-1] == (
        f"interrupted: what was done is kept in {tmp_path / 'run' / 'last.pt'};"
        " run the same command again to go on"
    )
    assert len(Run.open(tmp_path / "run").history) == 1
    groupemo(*asked)
    assert len(Run.open(tmp_path / "run").history) == 2


def curve(run):
    with open(run / "history.csv", encoding="utf-8", newline="") as file:
        return [{name: row[name] for name in COLUMNS[:-1]} for row in csv.DictReader(file)]


def killed(command, out, epochs):
    """Start a command, and kill it where it cannot defend itself, amid the epoch after `epochs`."""
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 200
        while not (out / "history.csv").exists() or len(curve(out)) < epochs:
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.01)
        time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    return process.returncode


@pytest.mark.slow
def test_killed_it_goes_on_to_the_very_same_net(folder, tmp_path):
    def command(out):
        words = ["train", folder / "faces.h5", "--valid", folder / "valid.h5", "--out", out,
                 "--epochs", "8", *TINY]  # fmt: skip
        return [sys.executable, "-m", "groupemo", *map(str, words)]

    subprocess.run(command(tmp_path / "whole"), check=True, capture_output=True, timeout=250)
    for epochs in (1, 4):
        assert killed(command(tmp_path / "run"), tmp_path / "run", epochs) == -signal.SIGKILL
        assert epochs <= len(curve(tmp_path / "run")) < 8
    subprocess.run(command(tmp_path / "run"), check=True, capture_output=True, timeout=250)

    assert len(curve(tmp_path / "run")) == 8
    assert curve(tmp_path / "run") == curve(tmp_path / "whole")
    nets = [checkpoints.load(tmp_path / name / "best.pt")["net"] for name in ("run", "whole")]
    assert nets[0].keys() == nets[1].keys()
    assert all(torch.equal(nets[0][name], nets[1][name]) for name in nets[1])
    onnx = [(tmp_path / name / "net.onnx").read_bytes() for name in ("run", "whole")]
    assert onnx[0] == onnx[1]
