"""Tuning: what is tried, how a study goes on, and what it leaves."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs groupemo[train]")
pytest.importorskip("kornia", reason="needs groupemo[train]")
pytest.importorskip("optuna", reason="needs groupemo[train]")
import optuna
import pandas as pd
import torch
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState
from PIL import Image
from test_training_loop import TINY, patterned

from groupemo.errors import LabelError, ModelError, OptionError
from groupemo.training import tuning
from groupemo.training.locking import locked
from groupemo.training.loop import train
from groupemo.training.recipe import Recipe
from groupemo.training.run import Run
from groupemo.training.search_space import as_distributions, default_space, own_values, read_space
from groupemo.training.tuning import tune
from groupemo.training.tuning_plots import plot_history, plot_learning, plot_parameters

SMALL = replace(TINY, batch=14, mixup=0.0)
LONG = replace(SMALL, epochs=40)
SPACE = {"lr": [1e-3, 3e-2, "log"], "optimizer": ["adamw", "sgd"]}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faces")
    faces = patterned(folder / "faces.h5", 42, seed=1)
    return {"faces": faces, "valid": patterned(folder / "valid.h5", 21, seed=2)}


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """Return a study that nothing interrupted."""
    return tune(**data, trials=9, out=tmp_path_factory.mktemp("whole"), recipe=SMALL, space=SPACE)


def found(study):
    """Return the trials but for what the clock says."""
    return study.table().drop(columns="seconds").to_dict("records")


def checkpoints(study):
    return {path.parent.name for path in study.folder.glob("trials/*/*.pt")}


# What is tried


def test_a_space_is_ranges_and_choices():
    space = {
        "lr": [1e-3, 1e-2, "log"],
        "augmentation.rotation": [0, 30],
        "batch": [16, 64],
        "epochs": {"choices": [10, 20]},
        "architecture": ["groupemo", "mini-xception"],
        "dropout": [None, 0.1, 0.3],
        "flip_valid": [False, True],
    }
    assert as_distributions(space, Recipe()) == {
        "lr": FloatDistribution(1e-3, 1e-2, log=True),
        "augmentation.rotation": FloatDistribution(0, 30),
        "batch": IntDistribution(16, 64),
        "epochs": CategoricalDistribution([10, 20]),
        "architecture": CategoricalDistribution(["groupemo", "mini-xception"]),
        "dropout": CategoricalDistribution([None, 0.1, 0.3]),
        "flip_valid": CategoricalDistribution([False, True]),
    }


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({}, "space: is empty"),
        ({"lr": [1e-3, 20]}, "space: lr is 20: expected a number from 1e-07 to 10"),
        ({"learning": [0, 1]}, "space: no field 'learning'; known: architecture"),
        ({"augmentation.tilt": [0, 1]}, "space: no field 'augmentation.tilt'; known: flip"),
        ({"lr": [0.1, 0.01]}, "space: lr is from 0.1 to 0.01: expected low < high"),
        ({"mixup": [0, 1, "log"]}, "space: mixup is from 0 to 1: expected 0 < low < high"),
        ({"batch": [16, 32.5]}, "space: batch is 32.5: expected a whole number"),
        ({"strays": [0, 1]}, "space: strays is 0: expected one of"),
        ({"lr": 0.1}, r"space: lr is 0.1: expected \[LOW, HIGH\]"),
        ({"optimizer": ["sgd"]}, r"space: optimizer is \['sgd'\]: expected"),
        ({"distil": [["a"], ["b"]]}, r"space: distil: \['a'\] is no choice"),
        ({"architecture": ["groupemo", "resnet"]}, "space: architecture is 'resnet': expected"),
        ({"seed": [0, 9]}, "space: seed is not tuned: a luckier seed"),
        ({"start": ["a", "b"]}, "space: start is not tuned: trials have to begin alike"),
    ],
)
def test_a_space_that_means_nothing_is_refused(space, said):
    with pytest.raises(OptionError, match=said):
        as_distributions(space, Recipe())


def test_the_space_by_default_lies_around_the_recipe():
    for recipe in (Recipe(), Recipe(optimizer="sgd", lr=0.1, weight_decay=5e-4)):
        own = own_values(as_distributions(default_space(recipe), recipe), recipe)
        assert (own["lr"], own["weight_decay"]) == (recipe.lr, recipe.weight_decay)
        assert own["dropout"] == 0.2
    assert "dropout" not in default_space(Recipe(architecture="mini-xception"))
    assert "weight_decay" not in default_space(Recipe(weight_decay=0))


def test_a_recipe_outside_the_space_has_no_values_in_it():
    space = as_distributions(SPACE, Recipe())
    assert own_values(space, Recipe(lr=0.01)) == {"lr": 0.01, "optimizer": "adamw"}
    assert own_values(space, Recipe(lr=0.1)) is None


def test_a_space_that_is_no_json_object_is_refused(tmp_path):
    with pytest.raises(OptionError, match=r"none\.json: cannot be read as JSON"):
        read_space(tmp_path / "none.json")
    path = tmp_path / "space.json"
    path.write_text("[0, 1]")
    with pytest.raises(OptionError, match=r"space\.json: expected an object such as"):
        read_space(path)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"trials": 0}, "trials is 0"),
        ({"workers": 0}, "workers is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"space": {"architecture": ["groupemo", "deepface"]}}, "deepface needs 45 or more"),
        (
            {"space": {"dropout": [0, 0.5], "architecture": ["groupemo", "mini-xception"]}},
            "but mini-xception has no options",
        ),
    ],
)
def test_what_cannot_be_tried_is_refused_before_anything_is(data, tmp_path, options, said):
    recipe = replace(SMALL, width=None)
    with pytest.raises(OptionError, match=said):
        tune(**data, out=tmp_path / "out", recipe=recipe, **options)
    assert not (tmp_path / "out").exists()


def test_faces_that_are_not_there_are_named(tmp_path):
    with pytest.raises(LabelError, match=r"none\.h5: no such file"):
        tune(tmp_path / "none.h5", out=tmp_path / "out")


# What comes of it


def test_the_first_trial_is_the_recipe_itself(whole):
    assert whole.trials[0].params == {"lr": SMALL.lr, "optimizer": "adamw"}
    assert whole.recipe(whole.trials[0]) == SMALL


def test_the_loss_of_a_trial_is_that_of_its_training(whole, data, tmp_path):
    best = Recipe.from_json((whole.folder / "best.json").read_text())
    run = train(**data, recipe=best, out=tmp_path)
    assert run.best["valid_loss"] == whole.best.value == min(t.value for t in whole.complete)
    assert best == SMALL.changed(whole.best.params)


def test_trials_that_promise_little_are_ended_early(whole):
    states = [trial.state.name for trial in whole.trials]
    assert states[:5] == ["COMPLETE"] * 5
    assert "PRUNED" in states[5:]
    pruned = next(trial for trial in whole.trials if trial.state.name == "PRUNED")
    step = pruned.last_step
    assert step >= 2
    others = [
        t.intermediate_values for t in whole.trials[: pruned.number] if t.state.name == "COMPLETE"
    ]
    best_so_far = min(pruned.intermediate_values.values())
    assert best_so_far > pd.Series([other[step] for other in others]).median()


def test_only_the_best_trial_keeps_its_checkpoints(whole):
    assert checkpoints(whole) == {f"{whole.best.number:04d}"}
    assert len(list(whole.folder.glob("trials/*/history.csv"))) == len(whole.trials)


def test_the_folder_tells_what_was_found(whole):
    rows = pd.read_csv(whole.folder / "trials.csv")
    assert list(rows) == [
        "number",
        "state",
        "valid_loss",
        "epochs",
        "seconds",
        "lr",
        "optimizer",
        "reason",
    ]
    assert len(rows) == 9
    assert (rows["seconds"] > 0).all()
    page = (whole.folder / "tuning.md").read_text()
    assert f"9 trials: {len(whole.complete)} complete, {9 - len(whole.complete)} pruned" in page
    assert f"| {whole.best.number} | {whole.best.value:.4f} | 3 |" in page
    assert f"from {len(whole.complete)} complete trials; with fewer than 50" in page
    for name in ("history", "learning", "importances", "parameters"):
        assert f"({name}.png)" in page
        with Image.open(whole.folder / f"{name}.png") as picture:
            assert min(picture.size) > 150


def test_pictures_show_every_trial(whole):
    complete, pruned = (
        [one for one in whole.trials if one.state == state]
        for state in (TrialState.COMPLETE, TrialState.PRUNED)
    )
    early, done, best, least = plot_history(whole.trials).get_lines()
    assert early.get_xdata().tolist() == [one.number for one in pruned]
    assert done.get_ydata().tolist() == [one.value for one in complete]
    assert best.get_xdata().tolist() == [whole.best.number]
    assert least.get_ydata()[-1] == whole.best.value
    assert len(plot_learning(whole.trials).get_lines()) == len(whole.trials) + 1
    lr, optimizer = plot_parameters(whole.trials, ["lr", "optimizer"]).axes
    assert lr.get_xscale() == "log"
    assert [text.get_text() for text in optimizer.get_xticklabels()] == ["adamw", "sgd"]


def test_trials_that_cannot_start_fail_alone_and_another_start_is_noticed(data, tmp_path):
    start = tmp_path / "start"
    train(data["faces"], valid=data["valid"], recipe=replace(SMALL, epochs=1), out=start)
    options = {
        **data,
        "out": tmp_path / "study",
        "recipe": replace(SMALL, epochs=1, start=str(start)),
        "space": {"width": {"choices": [SMALL.width, 0.5]}},
    }
    study = tune(trials=4, **options)
    states = {one.params["width"]: one.state for one in study.trials}
    assert states == {SMALL.width: TrialState.COMPLETE, 0.5: TrialState.FAIL}
    shutil.rmtree(start)
    other = replace(SMALL, epochs=1, seed=9)
    train(data["faces"], valid=data["valid"], recipe=other, out=start)
    with pytest.raises(OptionError, match="start"):
        tune(trials=5, **options)


def test_importances_are_parts_of_one(whole):
    assert sum(whole.importances.values()) == pytest.approx(1)
    assert set(whole.importances) == set(SPACE)


# How it goes on


def test_the_same_call_again_trains_nothing(whole, data):
    before = {path: path.stat().st_mtime_ns for path in whole.folder.glob("trials/*/*")}
    again = tune(**data, trials=9, out=whole.folder, recipe=SMALL, space=SPACE)
    assert found(again) == found(whole)
    assert {path: path.stat().st_mtime_ns for path in whole.folder.glob("trials/*/*")} == before


def test_a_study_may_grow(whole, data, tmp_path):
    tune(**data, trials=1, out=tmp_path, recipe=SMALL, space=SPACE)
    grown = tune(**data, trials=3, out=tmp_path, recipe=SMALL, space=SPACE)
    assert found(grown) == found(whole)[:3]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_interrupted_study_ends_like_one_that_was_not(
    whole, data, tmp_path, monkeypatch, moment
):
    report = optuna.Trial.report

    def interrupted(trial, value, step):
        if moment == "after":
            report(trial, value, step)
        if (trial.number, step) == (1, 2):
            raise KeyboardInterrupt
        if moment == "before":
            report(trial, value, step)

    arguments = {**data, "trials": 3, "out": tmp_path, "recipe": SMALL, "space": SPACE}
    with monkeypatch.context() as patch:
        patch.setattr(optuna.Trial, "report", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tune(**arguments)
    assert (tmp_path / "trials" / "0001" / "last.pt").exists()
    assert found(tune(**arguments)) == found(whole)[:3]


@pytest.mark.slow
def test_a_killed_study_ends_like_one_that_was_not(whole, data, tmp_path):
    code = f"""
import optuna, os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_training_tuning import SMALL, SPACE, tune
report = optuna.Trial.report
def killed(trial, value, step):
    report(trial, value, step)
    if (trial.number, step) == (2, 1):
        os.kill(os.getpid(), signal.SIGKILL)
optuna.Trial.report = killed
tune({str(data["faces"])!r}, valid={str(data["valid"])!r}, trials=9, out={str(tmp_path)!r},
     recipe=SMALL, space=SPACE)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240)
    assert run.returncode == -signal.SIGKILL, run.stderr
    assert not (tmp_path / "tuning.md").exists()
    begun = (tmp_path / "trials" / "0002" / "last.pt").stat().st_mtime_ns
    resumed = tune(**data, trials=9, out=tmp_path, recipe=SMALL, space=SPACE)
    assert found(resumed) == found(whole)
    assert (tmp_path / "trials" / "0000" / "history.csv").stat().st_mtime_ns < begun


def test_a_study_begun_differently_is_refused(whole, data):
    about = {"trials": 9, "out": whole.folder, "recipe": SMALL, "space": SPACE}
    for change, said in (
        ({"recipe": replace(SMALL, ema=0.5)}, "ema is 0.5, there 0.9"),
        ({"space": {"lr": [1e-3, 1e-2]}}, r"space is \{'lr': \[0.001, 0.01\]\}, there"),
        ({"seed": 3}, "seed is 3, there 0"),
        ({"prune": False}, "prune is False, there True"),
        ({"valid": None}, "faces is .* there"),
    ):
        with pytest.raises(OptionError, match=f"begun differently: {said}"):
            tune(**{**data, **about, **change})


def test_one_process_at_a_time_tunes_in_a_folder(data, tmp_path):
    with (
        locked(tmp_path),
        pytest.raises(OptionError, match="is in use by another process"),
    ):
        tune(**data, out=tmp_path, recipe=SMALL, space=SPACE)


def test_a_file_that_is_no_study_is_named(data, tmp_path):
    (tmp_path / "study.db").write_text("a diary" * 1000)
    with pytest.raises(ModelError, match=r"study\.db: not a study that can be read here"):
        tune(**data, out=tmp_path, recipe=SMALL, space=SPACE)


# What goes wrong

WILD = replace(
    SMALL, epochs=2, optimizer="sgd", weight_decay=10.0, warmup=0.1, lr=0.01, clip=1e6, ema=0.0
)


def test_a_trial_that_fails_is_not_the_end(data, tmp_path):
    odd = tmp_path / "50 % {x} ?#é"
    study = tune(
        **data, trials=4, out=odd, recipe=WILD, space={"lr": {"choices": [0.01, 10]}}, prune=False
    )
    assert study.failures
    assert study.complete
    assert all("lr is 10: the loss was" in reason for reason in study.failures.values())
    rows = study.table().set_index("number")
    for number in study.failures:
        assert rows.loc[number, "state"] == "failed"
        assert rows.loc[number, "lr"] == 10
    assert f"- Trial {next(iter(study.failures))}: lr is 10" in (odd / "tuning.md").read_text()
    assert (odd / "study.db").exists()


def test_a_study_without_a_complete_trial_says_why(data, tmp_path):
    with pytest.raises(OptionError, match=r"no trial was completed: lr is 10: the loss was"):
        tune(**data, trials=1, out=tmp_path, recipe=replace(WILD, lr=10.0), space={"lr": [5, 10]})
    assert "lr is 10" in (tmp_path / "trials.csv").read_text()
    assert not (tmp_path / "best.json").exists()


# Side by side


def serve_and_die(pipe, folder, plan):
    """Serve trials, but end the process in the middle of trial 1."""
    run = tuning._run_trial

    def run_or_die(study, folder, plan, number):
        if number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        run(study, folder, plan, number)

    tuning._run_trial = run_or_die
    serve(pipe, folder, plan)


serve = tuning._serve


@pytest.mark.slow
def test_a_worker_that_dies_ends_its_trial_alone(whole, data, tmp_path, monkeypatch):
    monkeypatch.setattr(tuning, "_serve", serve_and_die)
    recipe = replace(SMALL, threads=None)
    study = tune(**data, trials=4, out=tmp_path, recipe=recipe, space=SPACE, workers=2)
    assert [trial.number for trial in study.trials] == [0, 1, 2, 3]
    assert study.failures == {1: "its process ended with signal SIGKILL"}
    assert {study.recipe(trial).threads for trial in study.complete} == {
        max(1, torch.get_num_threads() // 2)
    }
    assert checkpoints(study) == {f"{study.best.number:04d}"}


def wait_until(condition):
    deadline = time.monotonic() + 200
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ps(*words):
    run = subprocess.run(["ps", *words], capture_output=True, text=True, check=False)
    return run.stdout.split()


@pytest.mark.slow
def test_workers_end_with_a_killed_parent_and_their_trials_go_on(data, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_training_tuning import LONG, SPACE, tune
if __name__ == "__main__":
    tune({str(data["faces"])!r}, valid={str(data["valid"])!r}, trials=2, out={str(tmp_path)!r},
         recipe=LONG, space=SPACE, workers=2)
""")
    parent = subprocess.Popen([sys.executable, script])
    try:
        begun = [tmp_path / "trials" / name / "last.pt" for name in ("0000", "0001")]
        wait_until(lambda: any(path.exists() for path in begun))
        children = ps("-o", "pid=", "--ppid", str(parent.pid))
    finally:
        parent.kill()
        parent.wait()
    assert len(children) >= 2
    wait_until(lambda: not {"R", "S", "D"} & {one[0] for one in ps("-o", "stat=", *children)})
    for path in begun:
        assert not path.exists() or len(Run.open(path.parent).history) < LONG.epochs
    study = tune(**data, trials=2, out=tmp_path, recipe=LONG, space=SPACE)
    assert [len(trial.intermediate_values) for trial in study.complete] == [40, 40]
    assert [trial.number for trial in study.trials] == [0, 1]
