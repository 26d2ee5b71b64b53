"""Training: learns, repeats itself by seed, goes on after a stop, refuses what does not fit."""

import csv
import json
import pickle
import shutil
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs groupemo[train]")
pytest.importorskip("kornia", reason="needs groupemo[train]")
import torch
from scipy.optimize import minimize_scalar
from torch import nn

from groupemo.errors import ModelError, OptionError
from groupemo.training import checkpoints
from groupemo.training.curves import plot_loss, plot_right
from groupemo.training.faces_file import FaceBatch, FacesFile, write_faces
from groupemo.training.feed import Feed, as_input, targets
from groupemo.training.learner import _warming_average
from groupemo.training.locking import locked
from groupemo.training.loop import _is_done, train
from groupemo.training.recipe import Augmentation, Recipe
from groupemo.training.run import COLUMNS, Run
from groupemo.training.validation import judge, predict

MILD = Augmentation(rotation=4, shift=0.05, shear=0, shrink=0.05, enlarge=0.05, flip=0, erasing=0)
TINY = Recipe(
    epochs=3, batch=20, lr=5e-3, width=0.35, ema=0.9, mixup=0.3, threads=1, augmentation=MILD
)


def patterned(path, n, *, seed, side=16, channels=1):
    """Write faces whose class is the pattern of squares they show; nine votes and a stray one."""
    random = np.random.default_rng(seed)
    patterns = np.random.default_rng(7).integers(0, 256, (7, 4, 4))
    classes = np.arange(n) % 7
    faces = np.kron(patterns[classes], np.ones((side // 4, side // 4)))
    faces = (faces + random.normal(0, 20, faces.shape)).clip(0, 255).astype(np.uint8)
    if channels == 3:
        faces = np.stack([faces] * 3, axis=3)
    votes = 9 * np.eye(7)[classes]
    votes[np.arange(n), random.integers(0, 7, n)] += 1
    names = np.array([f"{seed}/{at}" for at in range(n)])
    batch = FaceBatch(faces, votes.astype(np.float32), names)
    return write_faces(path, [batch], side=side, channels=channels, provenance={})


def curve(run):
    """Return the history but for what the clock says."""
    return [{name: row[name] for name in COLUMNS if name != "seconds"} for row in run.history]


def same_nets(*runs):
    one, other = (run.load_net().state_dict() for run in runs)
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("training")


@pytest.fixture(scope="module")
def faces(folder):
    return patterned(folder / "faces.h5", 105, seed=1)


@pytest.fixture(scope="module")
def valid(folder):
    return patterned(folder / "valid.h5", 70, seed=2)


@pytest.fixture(scope="module")
def run(faces, valid, folder):
    return train(faces, valid=valid, recipe=TINY, out=folder / "run")


def test_a_net_learns_what_is_there(faces, valid, tmp_path):
    recipe = replace(TINY, epochs=12, mixup=0.0)
    best = train(faces, valid=valid, recipe=recipe, out=tmp_path).best
    assert best["valid_accuracy"] > 0.9
    assert best["valid_uar"] > 0.9


def test_the_folder_holds_what_happened(run):
    with open(run.folder / "history.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]
    assert list(rows[0]) == list(COLUMNS)
    assert (run.folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    again = Run.open(run.folder)
    assert (again.recipe, again.history, again.data) == (TINY, run.history, run.data)
    losses = [row["valid_loss"] for row in run.history]
    assert run.best_epoch == 1 + losses.index(min(losses))
    assert [path.name for path in run.folder.glob(".*")] == [".lock"]


def test_the_kept_net_has_the_figures_of_the_best_epoch(run, valid):
    with FacesFile(valid) as file:
        feed = Feed(file, np.arange(len(file)))
        told = judge(predict(run.load_net(), feed), feed.labels, feed.votes)
    assert told["loss"] == pytest.approx(run.best["valid_loss"], abs=1e-6)
    assert told["ece"] == pytest.approx(run.best["valid_ece"], abs=1e-6)


def test_the_seed_decides(run, faces, valid, tmp_path):
    again = train(faces, valid=valid, recipe=TINY, out=tmp_path / "again")
    other = train(faces, valid=valid, recipe=replace(TINY, seed=1), out=tmp_path / "other")
    assert curve(again) == curve(run)
    assert same_nets(again, run)
    assert curve(other) != curve(run)


def test_training_leaves_the_callers_generator_and_threads_alone(faces, valid, tmp_path):
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        train(faces, valid=valid, recipe=replace(TINY, epochs=1), out=tmp_path)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert torch.equal(torch.rand(3), wanted)


def test_what_stopped_goes_on_to_the_same_net(run, faces, valid, tmp_path, monkeypatch):
    saved = checkpoints.save

    def stop(*_):
        raise KeyboardInterrupt

    def last_alone(path, values):
        if path.name == "best.pt" and values["epoch"] == 2:
            stop()
        saved(path, values)

    with pytest.raises(KeyboardInterrupt):  # after the first epoch
        train(faces, valid=valid, recipe=TINY, out=tmp_path, on_epoch=stop)
    with monkeypatch.context() as patch:  # between last.pt and best.pt
        patch.setattr(checkpoints, "save", last_alone)
        with pytest.raises(KeyboardInterrupt):
            train(faces, valid=valid, recipe=TINY, out=tmp_path)
    assert Run.open(tmp_path).best_epoch == 1
    Run.open(tmp_path).load_net()
    with monkeypatch.context() as patch:  # between best.pt and history.csv
        patch.setattr(Run, "write_history", stop)
        with pytest.raises(KeyboardInterrupt):
            train(faces, valid=valid, recipe=TINY, out=tmp_path)
    with pytest.raises(ModelError, match=r"best\.pt: of epoch [23], but .* 1 is the best"):
        Run.open(tmp_path).load_net()
    resumed = train(faces, valid=valid, recipe=TINY, out=tmp_path)
    assert curve(resumed) == curve(run)
    assert curve(Run.open(tmp_path)) == curve(run)
    assert same_nets(resumed, run)


def test_a_finished_training_is_not_repeated(run, faces, valid):
    before = (run.folder / "last.pt").stat().st_mtime_ns
    again = train(faces, valid=valid, recipe=TINY, out=run.folder)
    assert again.history == run.history
    assert (run.folder / "last.pt").stat().st_mtime_ns == before


def test_a_folder_of_another_training_is_refused(run, faces, valid):
    with pytest.raises(OptionError, match=r"another recipe: lr is 0.1, there 0\.005; seed is 3"):
        train(faces, valid=valid, recipe=replace(TINY, lr=0.1, seed=3), out=run.folder)
    with pytest.raises(OptionError, match=r"other faces: faces.faces is 70, there 105"):
        train(valid, valid=faces, recipe=TINY, out=run.folder)


def test_a_folder_that_lost_its_history_is_not_begun_anew(run, faces, valid, tmp_path):
    (tmp_path / "last.pt").write_bytes((run.folder / "last.pt").read_bytes())
    with pytest.raises(ModelError, match="not the folder of a training"):
        train(faces, valid=valid, recipe=replace(TINY, lr=0.1), out=tmp_path)


def test_one_process_at_a_time_trains_in_a_folder(faces, valid, tmp_path):
    with locked(tmp_path), pytest.raises(OptionError, match="in use by another process"):
        train(faces, valid=valid, recipe=TINY, out=tmp_path)
    train(faces, valid=valid, recipe=replace(TINY, epochs=1), out=tmp_path)


def test_what_was_left_half_written_is_removed(tmp_path):
    (tmp_path / f".{'a1' * 8}").write_text("half")
    (tmp_path / ".profile").write_text("whole")
    with locked(tmp_path):
        assert {path.name for path in tmp_path.iterdir()} == {".lock", ".profile"}


@pytest.mark.parametrize(("epochs", "warmup"), [(1, 0.15), (2, 0.15), (3, 0.9), (4, 0.9)])
def test_a_training_of_few_steps_ends(epochs, warmup, faces, valid, tmp_path):
    recipe = replace(TINY, epochs=epochs, warmup=warmup, batch=105)
    assert len(train(faces, valid=valid, recipe=recipe, out=tmp_path).history) == epochs


def test_a_recipe_that_cannot_work_leaves_no_folder(faces, tmp_path):
    recipe = replace(TINY, architecture="vgg", width=None)
    with pytest.raises(OptionError, match="architecture is 'vgg'"):
        train(faces, recipe=recipe, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["fer2013-cnn", "mini-xception", "deepface"])
def test_every_architecture_is_trained(name, tmp_path):
    large = patterned(tmp_path / "large.h5", 42, seed=3, side=48, channels=3)
    recipe = replace(TINY, architecture=name, width=None, epochs=1)
    assert np.isfinite(train(large, recipe=recipe, out=tmp_path / "run").best["valid_loss"])


def test_leaked_faces_are_left_out_of_validation(faces, tmp_path):
    with FacesFile(faces) as file:
        leaked = FaceBatch(file.faces[:10], file.votes[:10], np.array([f"x{i}" for i in range(10)]))
    new = patterned(tmp_path / "new.h5", 21, seed=3)
    with FacesFile(new) as file:
        others = FaceBatch(file.faces[()], file.votes, np.array([f"y{i}" for i in range(21)]))
    mixed = write_faces(tmp_path / "v.h5", [leaked, others], side=16, channels=1, provenance={})
    run = train(faces, valid=mixed, recipe=replace(TINY, epochs=1), out=tmp_path / "run")
    assert (run.data["left_out"], run.data["valid"]["faces"]) == (10, 21)
    with pytest.raises(OptionError, match="every face in it, or its photo, is in"):
        train(faces, valid=faces, recipe=TINY, out=tmp_path / "none")


def test_without_faces_to_validate_on_a_part_is_kept_for_it(faces, tmp_path):
    run = train(faces, recipe=replace(TINY, epochs=1, valid_share=0.2), out=tmp_path)
    assert (run.data["faces"]["faces"], run.data["valid"]["faces"]) == (84, 21)


def test_faces_of_another_side_are_refused(faces, tmp_path):
    large = patterned(tmp_path / "large.h5", 14, seed=3, side=24)
    with pytest.raises(OptionError, match=r"large\.h5: side is 24, but 16 in .*faces\.h5"):
        train(faces, valid=large, recipe=TINY, out=tmp_path / "run")


def test_a_loss_that_is_no_number_ends_it_with_advice(faces, valid, tmp_path):
    recipe = replace(TINY, lr=10, weight_decay=10, optimizer="sgd", warmup=0.1, epochs=5)
    with pytest.raises(OptionError, match=r"lr is 10: the loss was .* try a lower lr"):
        train(faces, valid=valid, recipe=recipe, out=tmp_path)
    assert np.isfinite([row["loss"] for row in Run.open(tmp_path).history]).all()


def test_it_stops_once_validation_gets_no_better(run):
    def history(*losses):
        rows = [dict.fromkeys(COLUMNS, loss) for loss in losses]
        return [{**row, "epoch": at} for at, row in enumerate(rows, 1)]

    patient = replace(TINY, epochs=9, patience=2)
    assert not _is_done(replace(run, recipe=patient, history=history(3, 1, 2)))
    assert _is_done(replace(run, recipe=patient, history=history(3, 1, 2, 1)))
    assert not _is_done(
        replace(run, recipe=replace(patient, patience=None), history=history(1, 2, 3))
    )


def test_early_stopping_shortens_a_training(faces, valid, tmp_path):
    recipe = replace(TINY, epochs=40, patience=1, lr=1e-7, ema=0.0)
    done = train(faces, valid=valid, recipe=recipe, out=tmp_path).history
    assert 2 <= len(done) < 40


def test_damaged_and_foreign_checkpoints_are_refused(run, faces, valid, tmp_path):
    begun = train(faces, valid=valid, recipe=replace(TINY, epochs=1), out=tmp_path / "run")
    last = begun.folder / "last.pt"
    whole = last.read_bytes()
    last.write_bytes(whole[:1000])
    with pytest.raises(ModelError, match=r"last\.pt: not a checkpoint"):
        train(faces, valid=valid, recipe=begun.recipe, out=begun.folder)
    checkpoints.save(last, {"net": {}, "history": []})
    checkpoints.save(begun.folder / "best.pt", {"net": {}})
    with pytest.raises(
        ModelError,
        match=r"best\.pt: not the net of this training \(.* \.\.\.\): give the training's command",
    ):
        begun.load_net()
    with pytest.raises(ModelError, match="not a checkpoint of this net"):
        train(faces, valid=valid, recipe=begun.recipe, out=begun.folder)


def test_a_lost_net_is_made_again_or_the_way_is_named(faces, valid, tmp_path):
    run = train(faces, valid=valid, recipe=TINY, out=tmp_path)
    best = tmp_path / "best.pt"
    whole = best.read_bytes()
    best.write_bytes(whole[:1000])
    past = replace(run, history=[*run.history, {**run.best, "epoch": 4, "valid_loss": 9.0}])
    with pytest.raises(
        ModelError, match=rf"epoch {run.best_epoch} is past, .* remove last\.pt, too, and give"
    ):
        past.load_net()
    (tmp_path / "last.pt").unlink()
    with pytest.raises(
        ModelError, match=r"not a checkpoint .*\): give the training's command again"
    ):
        past.load_net()
    assert same_nets(train(faces, valid=valid, recipe=TINY, out=tmp_path), run)
    assert best.read_bytes() == whole


def test_with_mirrors_logits_are_averaged(run, valid):
    net = run.load_net()
    with FacesFile(valid) as file:
        probs = predict(net, Feed(file, np.arange(len(file))), flip=True)
        faces = as_input(file.read())
    with torch.no_grad():
        mean = (net(faces) + net(faces.flip(3))) / 2
    np.testing.assert_allclose(probs, mean.softmax(1), atol=1e-5)


class Bomb:
    def __reduce__(self):
        return (open, ("/nonexistent/groupemo", "x"))


def test_nothing_in_a_checkpoint_is_run(tmp_path):
    torch.save({"net": Bomb()}, tmp_path / "bomb.pt")
    (tmp_path / "pickle.pt").write_bytes(pickle.dumps(Bomb(), protocol=2))
    (tmp_path / "text.pt").write_text("epoch,loss")
    (tmp_path / "empty.pt").write_bytes(b"")
    for name in ("bomb.pt", "pickle.pt", "text.pt", "empty.pt", "none.pt"):
        with pytest.raises(ModelError, match=f"{name}: not a checkpoint"):
            checkpoints.load(tmp_path / name)


@pytest.mark.parametrize("text", ["[]", "{}", '{"faces": {"path": 3}}', "[" * 100_000])
def test_data_that_name_no_faces_are_refused(text, run, tmp_path):
    for name in ("recipe.json", "history.csv"):
        (tmp_path / name).write_bytes((run.folder / name).read_bytes())
    (tmp_path / "data.json").write_text(text)
    with pytest.raises(ModelError, match="not the folder of a training"):
        Run.open(tmp_path)


def test_a_training_without_an_epoch_has_no_net(run, tmp_path):
    Run(tmp_path, run.recipe, run.data, []).begin()
    with pytest.raises(ModelError, match="no epoch is done"):
        Run.open(tmp_path).load_net()


def test_a_folder_without_a_training_is_named(tmp_path):
    with pytest.raises(ModelError, match="not the folder of a training"):
        Run.open(tmp_path)


def test_teachers_shift_the_targets(run, faces, valid, tmp_path):
    probs = np.full((105, 7), 1 / 7)
    np.save(tmp_path / "flat.npy", probs)
    flat = replace(TINY, epochs=2, distil=(str(tmp_path / "flat.npy"),), distil_share=1.0)
    taught = train(faces, valid=valid, recipe=flat, out=tmp_path / "flat")
    assert taught.history[-1]["loss"] == pytest.approx(np.log(7), abs=0.1)
    both = replace(flat, epochs=1, distil=(*flat.distil, str(run.folder)))
    assert set(train(faces, valid=valid, recipe=both, out=tmp_path / "both").data["teachers"]) == {
        *both.distil
    }
    np.save(tmp_path / "short.npy", probs[:9])
    wrong = replace(TINY, distil=(str(tmp_path / "short.npy"),))
    with pytest.raises(ModelError, match=r"short\.npy: shape \(9, 7\): expected \(105, 7\)"):
        train(faces, valid=valid, recipe=wrong, out=tmp_path / "wrong")
    large = patterned(tmp_path / "large.h5", 35, seed=5, side=24)
    taught = replace(TINY, distil=(str(run.folder),))
    with pytest.raises(ModelError, match=r"best\.pt: learned from faces whose side is 16"):
        train(large, recipe=taught, out=tmp_path / "large")
    with pytest.raises(ModelError, match="no such file: start takes"):
        train(faces, recipe=replace(TINY, distil=("nowhere",)), out=tmp_path / "nowhere")


def test_learning_goes_on_from_another_net(run, faces, valid, tmp_path):
    on = replace(TINY, start=str(run.folder), epochs=1, lr=1e-7, ema=0.0)
    gone_on = train(faces, valid=valid, recipe=on, out=tmp_path / "on")
    anew = train(faces, valid=valid, recipe=replace(on, start=None), out=tmp_path / "anew")
    assert gone_on.best["valid_loss"] < run.best["valid_loss"] + 0.1 < anew.best["valid_loss"]
    assert gone_on.data["start"]["epochs"] == run.best_epoch


def test_a_start_that_became_another_is_refused(run, faces, valid, tmp_path):
    start = tmp_path / "start"
    shutil.copytree(run.folder, start)
    on = replace(TINY, start=str(start), epochs=1)
    train(faces, valid=valid, recipe=on, out=tmp_path / "on")
    kept = checkpoints.load(start / "best.pt")
    checkpoints.save(start / "best.pt", {**kept, "other": 1})
    with pytest.raises(OptionError, match="other faces: start is"):
        train(faces, valid=valid, recipe=on, out=tmp_path / "on")


def test_what_the_start_learned_from_is_not_validated_on(run, faces, valid, tmp_path):
    on = replace(TINY, start=str(run.folder), epochs=1, valid_share=0.2)
    other = patterned(tmp_path / "other.h5", 35, seed=8)
    with pytest.raises(OptionError, match="learned from 105 of the 105 faces to validate on"):
        train(other, valid=faces, recipe=on, out=tmp_path / "all")
    with pytest.raises(OptionError, match="seed and valid_share of that training"):
        train(faces, recipe=on, out=tmp_path / "split")
    second = train(other, valid=valid, recipe=on, out=tmp_path / "second")
    assert second.data["start"]["checked"] is True
    third = replace(on, start=str(second.folder))
    with pytest.raises(OptionError, match="learned from 105"):  # the start's start did
        train(other, valid=faces, recipe=third, out=tmp_path / "third")
    moved = tmp_path / "gone"
    shutil.copytree(run.folder, moved)
    told = json.loads((moved / "data.json").read_text())
    told["faces"]["path"] = str(tmp_path / "none.h5")
    (moved / "data.json").write_text(json.dumps(told))
    unknown = train(
        other, valid=valid, recipe=replace(on, start=str(moved)), out=tmp_path / "unknown"
    )
    assert unknown.data["start"]["checked"] is False
    chained = train(
        other, valid=valid, recipe=replace(on, start=str(second.folder)), out=tmp_path / "chained"
    )
    assert chained.data["start"]["start"]["checked"] is True
    shutil.copytree(run.folder, tmp_path / "first")
    on = replace(on, start=str(tmp_path / "first"))
    later = train(other, valid=valid, recipe=on, out=tmp_path / "later")
    shutil.rmtree(tmp_path / "first")
    on = replace(on, start=str(later.folder))
    lost = train(other, valid=valid, recipe=on, out=tmp_path / "lost").data["start"]
    assert (later.data["start"]["checked"], lost["checked"]) == (True, False)
    assert lost["start"]["sha256"] == later.data["start"]["sha256"]


def test_the_same_split_may_be_gone_on_with(faces, tmp_path):
    split = replace(TINY, epochs=1, valid_share=0.2)
    first = train(faces, recipe=split, out=tmp_path / "first")
    on = replace(split, start=str(first.folder), lr=1e-3)
    assert train(faces, recipe=on, out=tmp_path / "on").data["start"]["checked"] is True
    with pytest.raises(OptionError, match=r"learned from \d+ of"):
        train(faces, recipe=replace(on, seed=1), out=tmp_path / "other")


def test_epochs_that_are_all_right_are_told_apart():
    votes = np.eye(7, dtype=np.float32)[[0, 1]] * 10
    losses = []
    for sure in (0.3, 0.6, 0.9):
        probs = np.where(votes > 0, sure, (1 - sure) / 6)
        losses.append(judge(probs, np.array([0, 1]), votes)["loss"])
    assert losses[0] > losses[1] > losses[2] > 0


def test_a_start_of_another_kind_is_refused(run, faces, valid, tmp_path):
    large = patterned(tmp_path / "large.h5", 35, seed=5, side=24)
    on = replace(TINY, start=str(run.folder))
    with pytest.raises(OptionError, match="learned from faces with side 16, not 24"):
        train(large, recipe=on, out=tmp_path / "large")
    with pytest.raises(OptionError, match="ask for the same net"):
        train(faces, valid=valid, recipe=replace(on, width=2.0), out=tmp_path / "wide")
    with pytest.raises(ModelError, match="no such file: start takes"):
        train(faces, recipe=replace(TINY, start="nowhere"), out=tmp_path / "nowhere")


@pytest.mark.parametrize("kind", ["empty", "text", "words", "complex", "archive"])
def test_a_teacher_that_is_no_array_of_numbers_is_named(kind, faces, valid, tmp_path):
    path = tmp_path / "odd.npy"
    with open(path, "wb") as file:
        if kind == "text":
            file.write(b"hello")
        elif kind == "archive":
            np.savez(file, probs=np.full((105, 7), 1 / 7))
        elif kind != "empty":
            np.save(file, np.full((105, 7), "happy" if kind == "words" else 1 / 7 + 0j))
    with pytest.raises(ModelError, match=r"odd\.npy: not an array of probabilities"):
        train(faces, valid=valid, recipe=replace(TINY, distil=(str(path),)), out=tmp_path / "run")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_precision_changes_products_alone(precision, faces, valid, tmp_path):
    recipe = replace(TINY, epochs=1, precision=precision, optimizer="sgd", flip_valid=True)
    run = train(faces, valid=valid, recipe=recipe, out=tmp_path)
    assert all(value.dtype != torch.bfloat16 for value in run.load_net().state_dict().values())


@pytest.mark.parametrize(("channels", "side"), [(1, 32), (3, 64)])
def test_faces_read_in_blocks_are_all_seen_in_another_order(channels, side, tmp_path):
    path = patterned(tmp_path / "f.h5", 300, seed=4, side=side, channels=channels)
    with FacesFile(path) as file:
        rows = np.setdiff1d(np.arange(300), [3, 50, 51, 299])
        pixels, face = file.faces[()][rows], side**2 * channels
        feed = Feed(file, rows, memory=150 * face)
        assert np.array_equal(np.concatenate(list(feed.in_order())), pixels)
        batches = list(feed.shuffled(32, np.random.default_rng(0)))
        again = list(feed.shuffled(32, np.random.default_rng(0)))
    at = np.concatenate([which for _, which in batches])
    assert len(batches) == len(rows) // 32
    assert len(np.unique(at)) == len(at)
    assert all(np.array_equal(read, pixels[which]) for read, which in batches)
    assert np.abs(np.diff(at)).mean() > 10
    assert all(np.array_equal(one[1], other[1]) for one, other in zip(batches, again, strict=True))


def test_training_in_blocks_works(faces, valid, tmp_path):
    run = train(faces, valid=valid, recipe=replace(TINY, epochs=1), out=tmp_path, memory=5000)
    assert len(run.history) == 1


def test_inputs_are_planes_from_0_to_1():
    rgb = np.zeros((2, 4, 4, 3), np.uint8)
    rgb[..., 1] = 255
    planes = as_input(rgb, torch.device("cpu"))
    assert planes.shape == (2, 3, 4, 4)
    assert planes[:, 1].min() == 1
    assert planes[:, ::2].max() == 0


def test_targets_are_shares_without_strays():
    votes = np.array([[0, 0, 0, 6, 0, 1, 2], [0, 1, 0, 0, 0, 1, 0], [0, 0, 0.7, 0, 0, 0, 0.3]])
    shares, weights = targets(votes.astype(np.float32))
    assert shares[0].tolist() == [0, 0, 0, 0.75, 0, 0, 0.25]
    assert shares[1].tolist() == [0, 0.5, 0, 0, 0, 0.5, 0]
    assert shares[2].tolist() == pytest.approx([0, 0, 0.7, 0, 0, 0, 0.3])
    assert weights == pytest.approx(np.array([9, 2, 1]) / 4)
    kept, _ = targets(votes.astype(np.float32), strays="keep")
    assert kept[0, 5] == pytest.approx(1 / 9)


def test_balance_lets_rare_classes_weigh_as_much():
    votes = np.eye(7, dtype=np.float32)[[0] * 8 + [1] * 2] * 10
    _, weights = targets(votes, balance=1.0)
    assert weights[:8].sum() == pytest.approx(weights[8:].sum())
    _, weights = targets(votes, balance=0.5)
    assert weights[9] / weights[0] == pytest.approx(2)


def test_figures_of_validation_by_hand():
    votes = np.zeros((4, 7), np.float32)
    votes[[0, 1, 2], [0, 0, 1]] = 10
    votes[3, :2] = 5  # no majority
    probs = np.full((4, 7), 0.02)
    probs[[0, 1, 2, 3], [0, 3, 1, 6]] = 0.88
    told = judge(probs, np.array([0, 0, 1, -1]), votes)
    assert told["accuracy"] == pytest.approx(2 / 3)
    assert told["uar"] == pytest.approx((1 / 2 + 1) / 2)

    def loss(temperature):
        raised = probs ** (1 / temperature)
        logs = np.log(raised / raised.sum(1, keepdims=True))
        return -(votes / 10 * logs).sum(1).mean()

    least = minimize_scalar(loss, bounds=(0.1, 20), method="bounded")
    assert least.fun < loss(1.0) - 0.1
    assert told["loss"] == pytest.approx(least.fun, abs=1e-6)
    assert told["ece"] == pytest.approx(0.88 - 2 / 3)


def test_the_average_warms_up_and_holds_statistics():
    net = nn.BatchNorm1d(1)
    averaged = torch.optim.swa_utils.AveragedModel(
        net, multi_avg_fn=_warming_average(0.999), use_buffers=True
    )
    averaged.update_parameters(net)
    with torch.no_grad():
        net.weight.fill_(2)
        net.running_mean.fill_(4)
        net.num_batches_tracked.fill_(9)
    averaged.update_parameters(net)  # keeps (1 + 1) / (10 + 1)
    assert averaged.module.weight.item() == pytest.approx(1 * 2 / 11 + 2 * 9 / 11)
    assert averaged.module.running_mean.item() == pytest.approx(4 * 9 / 11)
    assert averaged.module.num_batches_tracked.item() == 9


def test_what_is_kept_averages_statistics_as_well(run):
    last = checkpoints.load(run.folder / "last.pt")
    name = "1.1.running_mean"
    assert not torch.equal(last["net"][name], last["averaged"][f"module.{name}"])


def test_curves_show_every_epoch_and_the_best(run):
    axes = plot_loss(run)
    train_line, valid_line, best = axes.get_lines()
    assert valid_line.get_ydata().tolist() == [row["valid_loss"] for row in run.history]
    assert train_line.get_xdata().tolist() == [1, 2, 3]
    assert best.get_xdata()[0] == run.best_epoch
    empty = plot_right(replace(run, history=[]))
    assert [text.get_text() for text in empty.texts] == ["no epoch is done"]


def test_what_a_run_was_made_of_is_in_its_folder(run, faces):
    data = json.loads((run.folder / "data.json").read_text(encoding="utf-8"))
    with FacesFile(faces) as file:
        assert data["faces"]["sha256"] == file.sha256
    assert data["faces"]["faces"] == 105
