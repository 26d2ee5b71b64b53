"""`groupemo tune`: what it prints and leaves, and what it refuses."""

import json

import pytest
from test_cli import groupemo

pytest.importorskip("torch", reason="needs groupemo[train]")
pytest.importorskip("kornia", reason="needs groupemo[train]")
pytest.importorskip("optuna", reason="needs groupemo[train]")
from test_training_loop import patterned

TINY = tuple(
    word
    for each in ("epochs=2", "batch=14", "lr=0.005", "width=.35", "threads=1")
    for word in ("--set", each)
)


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """Return the words of a command of four trials."""
    folder = tmp_path_factory.mktemp("tune")
    (folder / "space.json").write_text('{"lr": [0.001, 0.02, "log"], "mixup": [0, 1]}')
    return ["tune", patterned(folder / "faces.h5", 42, seed=1), "--valid",
            patterned(folder / "valid.h5", 21, seed=2), "--space", folder / "space.json",
            "--out", folder / "study", "--trials", 4, *TINY]  # fmt: skip


def test_tune_prints_the_best_and_what_mattered(asked):
    run = groupemo(*asked)
    assert "Best of 4 trials: 4 complete" in run.stdout
    assert "What mattered" in run.stdout
    assert "from 4 complete trials" in " ".join(run.stdout.split())
    study = asked[asked.index("--out") + 1]
    assert f"best recipe: {study / 'best.json'}" in run.stdout
    assert f"report: {study / 'tuning.md'}" in run.stdout

    again = groupemo(*asked, "--json")
    told = json.loads(again.stdout)
    losses = {trial["number"]: trial["valid_loss"] for trial in told["trials"]}
    assert losses[told["best"]] == min(losses.values())
    assert set(told["importances"]) == {"lr", "mixup"}


def test_the_net_of_the_best_trial_is_had_without_training_again(asked):
    groupemo(*asked)
    study = asked[asked.index("--out") + 1]
    best = study / "trials" / f"{json.loads(groupemo(*asked, '--json').stdout)['best']:04d}"
    before = (best / "best.pt").read_bytes()
    groupemo("train", *asked[1:4], "--recipe", study / "best.json", "--out", best)
    assert (best / "net.onnx").exists()
    assert (best / "best.pt").read_bytes() == before


def test_a_failed_trial_is_named_on_standard_error(asked, tmp_path):
    space = tmp_path / "space.json"
    space.write_text('{"lr": {"choices": [0.01, 10]}}')
    wild = ("clip=1000000", "optimizer=sgd", "weight_decay=10", "warmup=0.1", "ema=0", "lr=0.01")
    words = [word for each in wild for word in ("--set", each)]
    run = groupemo(
        *asked[:4], *TINY, *words, "--space", space, "--out", tmp_path / "study", "--trials", 4
    )
    assert "failed: lr is 10: the loss was" in run.stderr


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ('{"lr": [0.1, 20]}', "space: lr is 20: expected a number from 1e-07 to 10"),
        ('{"learning": [0, 1]}', "space: no field 'learning'; known: architecture"),
        ("lr: 3", "cannot be read as JSON"),
    ],
)
def test_a_wrong_space_is_one_line(asked, tmp_path, space, said):
    path = tmp_path / "space.json"
    path.write_text(space)
    run = groupemo(*asked[:4], "--space", path, "--out", tmp_path / "study", code=1)
    assert said in run.stderr
    assert run.stderr.count("\n") == 1
    assert not (tmp_path / "study").exists()


def test_another_recipe_in_the_folder_is_refused(asked):
    groupemo(*asked)
    run = groupemo(*asked, "--set", "ema=0.5", code=1)
    assert "begun differently: ema is 0.5, there 0.999" in run.stderr
