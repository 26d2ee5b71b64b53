"""Cards of trained nets: every figure is what its own definition gives."""
# ruff: noqa: E402

import itertools
import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch", reason="needs groupemo[train]")

from groupemo.cli import app
from groupemo.emotions import EMOTIONS
from groupemo.errors import LabelError, OptionError
from groupemo.plugins import get_backend
from groupemo.training.assessment import assess
from groupemo.training.card import FEW, write_cards
from groupemo.training.faces_file import FaceBatch, FacesFile, write_faces
from groupemo.training.loop import train
from groupemo.training.onnx_export import answer
from groupemo.training.recipe import Recipe
from groupemo.training.run import Run
from groupemo.training.run_export import export_run

K = len(EMOTIONS)

pytestmark = pytest.mark.usefixtures("shallow_nets")


def softmax(z):
    raised = np.exp(z - z.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def answers():
    """Return logits and votes of 400 faces, ten a face, that agree more often than not."""
    rng = np.random.default_rng(0)
    truth = rng.choice(K, 400, p=[0.15, 0.05, 0.1, 0.3, 0.1, 0.1, 0.2])
    shares = np.full((400, K), 0.05) + 0.65 * np.eye(K)[truth]
    votes = np.stack([rng.multinomial(10, row) for row in shares])
    logits = rng.normal(0, 1, (400, K)) + 2.5 * np.eye(K)[truth]
    return logits, votes


@pytest.fixture(scope="module")
def assessed(answers):
    logits, votes = answers
    return assess(softmax(logits / 2), labels_of(votes), votes, np.arange(400), temperature=2.0)


def labels_of(votes):
    ahead = (votes == votes.max(axis=1, keepdims=True)).sum(axis=1) == 1
    return np.where(ahead, votes.argmax(axis=1), -1)


def ece_of(probs, labels, bins=15):
    sure, right = probs.max(axis=1), probs.argmax(axis=1) == labels
    edges = np.linspace(0, 1, bins + 1)
    inside = [(sure > low) & (sure <= high) for low, high in itertools.pairwise(edges)]
    return sum(abs(sure[each].sum() - right[each].sum()) for each in inside) / len(labels)


def test_figures_are_those_of_their_definitions(answers, assessed):
    logits, votes = answers
    labels, probs = labels_of(votes), softmax(logits / 2)
    known = labels >= 0
    right = (probs.argmax(axis=1) == labels)[known]
    recalls = [right[labels[known] == at].mean() for at in range(K)]
    shares = votes / votes.sum(axis=1, keepdims=True)
    expected = {
        "matched_accuracy": right.mean(),
        "matched_balanced_accuracy": np.mean(recalls),
        "matched_macro_f1": np.mean([each["f1"].value for each in assessed.classes.values()]),
        "matched_soft_cross_entropy": -(shares * np.log(probs)).sum(axis=1).mean(),
        "matched_ece": ece_of(probs[known], labels[known]),
    }
    unscaled = {
        "matched_soft_cross_entropy": -(shares * np.log(softmax(logits))).sum(axis=1).mean(),
        "matched_ece": ece_of(softmax(logits)[known], labels[known]),
    }
    assert 0 < (~known).sum() < 40
    assert (assessed.faces, assessed.labelled) == (400, known.sum())
    for told, values in ((assessed.figures, expected), (assessed.unscaled, unscaled)):
        assert told.keys() == values.keys()
        for name, value in values.items():
            assert told[name].value == pytest.approx(value, abs=1e-9), name
            assert told[name].low < value < told[name].high, name
            assert told[name].n == (400 if "entropy" in name else known.sum()), name


def test_classes_and_confusion_count_the_labelled_faces(answers, assessed):
    logits, votes = answers
    labels, chosen = labels_of(votes), logits.argmax(axis=1)
    table = np.zeros((K, K), int)
    np.add.at(table, (labels[labels >= 0], chosen[labels >= 0]), 1)
    np.testing.assert_array_equal(assessed.confusion, table)
    for at, name in enumerate(EMOTIONS):
        right, labelled, answered = table[at, at], table[at].sum(), table[:, at].sum()
        of = assessed.classes[name]
        assert (of["recall"].n, of["precision"].n, of["f1"].n) == (labelled, answered, labelled)
        assert of["recall"].value == pytest.approx(right / labelled)
        assert of["precision"].value == pytest.approx(right / answered)
        assert of["f1"].value == pytest.approx(2 * right / (labelled + answered))
    word, share = assessed.commonest
    assert word == EMOTIONS[table.sum(axis=1).argmax()]
    assert share == table.sum(axis=1).max() / table.sum()


def test_the_threshold_is_the_lowest_that_reaches_the_target(answers, assessed):
    logits, votes = answers
    labels, probs = labels_of(votes), softmax(logits / 2)
    known = labels >= 0
    sure, right = probs[known].max(axis=1), (probs.argmax(axis=1) == labels)[known]
    for step in range(100):
        here = sure >= step / 100
        if here.sum() >= 30 and right[here].mean() >= 0.95:
            break
    threshold = assessed.threshold
    assert 0 < step < 99
    assert threshold.confidence == step / 100
    assert threshold.coverage == here.mean()
    assert threshold.accuracy.value == right[here].mean()
    assert threshold.accuracy.n == here.sum()


def test_no_threshold_where_answers_are_no_better_when_sure():
    rng = np.random.default_rng(0)
    votes = np.eye(K)[rng.integers(0, K, 200)]
    probs = softmax(rng.normal(0, 2, (200, K)))
    assert assess(probs, labels_of(votes), votes, np.arange(200)).threshold is None


def test_intervals_are_wider_over_photos_than_over_their_faces(answers):
    """Copies of a face in one photo say nothing new; taken for photos of their own they seem to."""
    logits, votes = (np.repeat(each, 4, axis=0) for each in answers)
    probs = softmax(logits)
    over_photos, over_faces = (
        assess(probs, labels_of(votes), votes, photos).figures["matched_accuracy"]
        for photos in (np.repeat(np.arange(400), 4), np.arange(1600))
    )
    assert over_photos.value == over_faces.value
    ratio = (over_photos.high - over_photos.low) / (over_faces.high - over_faces.low)
    assert ratio == pytest.approx(2, rel=0.1)


def test_a_voter_is_judged_by_the_others():
    votes = np.zeros((3, K))
    votes[0, 3], votes[1, 3], votes[2, 6] = 3, 3, 3
    votes[2, 4] = 1
    probs = np.full((3, K), 1 / K)
    human = assess(probs, labels_of(votes), votes, np.arange(3)).human
    # Ten voters in all: one says sad where the three others say neutral.
    assert human["matched_accuracy"] == pytest.approx((1 + 1 + 3 / 4) / 3)
    assert assess(probs, np.arange(3), np.eye(K)[:3], np.arange(3)).human == {}


def test_faces_without_a_label_leave_what_needs_one_undefined():
    votes = np.ones((5, K))
    assessed = assess(np.full((5, K), 1 / K), np.full(5, -1), votes, np.arange(5))
    assert assessed.labelled == 0
    assert math.isnan(assessed.figures["matched_accuracy"].value)
    assert assessed.figures["matched_soft_cross_entropy"].value == pytest.approx(math.log(K))
    assert assessed.threshold is None


# --- a training, from faces to cards --------------------------------------------------------


def made_faces(path, n, seed, terms="none: made up | `so`", kind="a folder of classes"):
    """Write faces whose class mostly shows as where they are bright; one vote of ten is stray."""
    rng = np.random.default_rng(seed)
    shown = rng.integers(0, K, n)
    classes = np.where(rng.random(n) < 0.2, rng.integers(0, K, n), shown)
    faces = rng.integers(0, 80, (n, 16, 16))
    for face, at in zip(faces, shown, strict=True):
        face[2 * at : 2 * at + 3] += 150
    votes = 9 * np.eye(K)[classes] + np.eye(K)[rng.integers(0, K, n)]
    batch = FaceBatch(
        faces.astype(np.uint8), votes, np.array([f"{seed}/{at // 2}" for at in range(n)])
    )
    source = {"name": "made.csv", "sha256": "0" * 64, "terms": terms}
    provenance = {
        "kind": kind,
        "groupemo": "0.1.0",
        "sources": [source],
        "left_out": {"contempt": 3},
        "options": {"margin": 0.1, "square": True},
    }
    return write_faces(path, [batch], side=16, channels=1, provenance=provenance)


@pytest.fixture(scope="module")
def run(tmp_path_factory, shallow_nets):
    folder = tmp_path_factory.mktemp("card")
    faces = made_faces(folder / "faces.h5", 240, 1, "none", "a FER2013 CSV")
    valid = made_faces(folder / "valid.h5", 90, 2)
    recipe = Recipe(epochs=6, batch=32, width=0.34, lr=0.02, ema=0.8, flip_valid=True, threads=1)
    return train(faces, valid=valid, recipe=recipe, out=folder / "first")


@pytest.fixture(scope="module")
def files(run):
    return export_run(run, precision="int8", licence="MIT")


@pytest.fixture(scope="module")
def cards(run, files):
    return texts_of(write_cards(run, files))


def texts_of(paths):
    return [path.read_text(encoding="utf-8") for path in paths]


def test_a_run_leaves_files_that_answer_as_its_net(run, files):
    plain, whole = files
    assert [each.path.name for each in files] == ["net.onnx", "net.int8.onnx"]
    assert plain.largest_difference <= 1e-4
    assert (plain.faces, plain.labelled) == (90, 90)
    assert plain.metadata["licence"] == "MIT"
    assert plain.metadata["training_faces_sha256"] == run.data["faces"]["sha256"]
    assert plain.metadata["temperature_fitted_on_sha256"] == run.data["valid"]["sha256"]
    assert plain.temperature != 1
    assert whole.temperature == plain.temperature
    assert whole.accuracy_before == plain.accuracy_before
    backend = get_backend(f"onnx:model={plain.path}")
    assert (backend._about.margin, backend._about.square) == (0.1, True)
    assert get_backend(f"onnx:model={whole.path}").classes == EMOTIONS


def test_the_fitted_temperature_is_better_than_others(run, files):
    with FacesFile(run.data["valid"]["path"]) as valid:
        faces, votes = valid.faces[()], valid.votes
    labels = votes.argmax(axis=1)
    net, rows = run.load_net(), np.arange(len(labels))
    inputs = torch.from_numpy(faces[:, None] / np.float32(255))
    with torch.no_grad():  # the recipe's flip_valid: of the face and its mirror
        logits = ((net(inputs) + net(inputs.flip(3))) / 2).double().numpy()
    costs = [
        -np.log(probs[rows, labels]).mean()
        for probs in (
            answer(files[0].path, faces),
            *(softmax(logits / (files[0].temperature * off)) for off in (1, 0.9, 1.1)),
            softmax(logits),
        )
    ]
    assert costs[0] == pytest.approx(costs[1], abs=1e-6)
    assert costs[1] < min(costs[2:])


def row_of(card, first):
    """Return the cells of the table's row that begins so."""
    [line] = [line for line in card.splitlines() if line.startswith(f"| {first} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_cards_figures_are_those_of_the_file(run, files, cards):
    card, sheet, _ = cards
    with FacesFile(run.data["valid"]["path"]) as valid:
        labels = valid.votes.argmax(axis=1)
        probs = answer(files[0].path, valid.faces[()])
    right = probs.argmax(axis=1) == labels
    assert row_of(card, "accuracy")[1] == f"{right.mean():.3f}"
    assert row_of(card, "accuracy")[3] == "90"
    happy = EMOTIONS.index("happy")
    cells = row_of(card, "happy")
    assert cells[1] == str((labels == happy).sum())
    assert re.fullmatch(rf"{right[labels == happy].mean():.3f} \[0\.\d+, [01]\.\d+\]", cells[3])
    counts = [int(cell) for cell in row_of(card, "**happy**")[1:]]
    assert counts == [
        int(((labels == happy) & (probs.argmax(axis=1) == at)).sum()) for at in range(K)
    ]
    assert row_of(card, "parameters")[1] == (
        f"{sum(each.numel() for each in run.load_net().parameters()):,}"
    )
    assert f"{files[1].bytes:,} bytes" in card
    assert files[0].sha256 in card
    assert "over the 45 photos" in card
    assert "0 of these 90 faces have the pixels" in sheet
    assert run.data["faces"]["sha256"] in sheet


def test_the_figures_are_there_for_programs(run, files, cards):
    card, _, figures = cards
    told = json.loads(figures)
    assert (told["net"]["sha256"], told["net"]["file"]) == (files[0].sha256, "net.onnx")
    assert (told["net"]["temperature"], told["net"]["metadata"]["flip"]) == (
        files[0].temperature,
        "true",
    )
    for name, part in (("learned", "faces"), ("validated", "valid")):
        assert told[name]["sha256"] == run.data[part]["sha256"]
        assert told[name]["faces"] == run.data[part]["faces"]
    accuracy = told["figures"]["matched_accuracy"]
    value, interval, n = row_of(card, "accuracy")[1:]
    assert (f"{accuracy['value']:.3f}", f"{accuracy['n']}") == (value, n)
    assert f"{accuracy['low']:.3f} to {accuracy['high']:.3f}" == interval
    confusion = np.array(told["confusion"])
    for at, name in enumerate(EMOTIONS):
        assert told["classes"][name]["recall"]["n"] == confusion[at].sum()
    assert np.trace(confusion) / confusion.sum() == accuracy["value"]


def test_what_is_undefined_is_null():
    nothing = assess(np.full((2, K), 1 / K), np.full(2, -1), np.ones((2, K)), np.arange(2))
    told = json.loads(json.dumps(nothing.to_dict(), allow_nan=False))
    assert told["figures"]["matched_accuracy"] == {"value": None, "low": None, "high": None, "n": 0}
    assert told["threshold"] is None


def test_the_recipe_says_first_what_it_changes(cards):
    changed, rest = cards[0].split("What its recipe changes:")[1].split("The rest of the recipe")
    assert row_of(changed, "`flip_valid`")[1:] == ["true", "false"]
    assert row_of(changed, "`width`")[1:] == ["0.34", "none"]
    assert "`lr`" not in rest
    assert "| `mixup` | 0.0 |" in rest


def test_the_card_says_where_learning_went_on_from(files, run, tmp_path):
    recipe = replace(run.recipe, start=str(run.folder), epochs=1, lr=1e-4)
    data = run.data
    on = train(data["faces"]["path"], valid=data["valid"]["path"], recipe=recipe, out=tmp_path)
    card = texts_of(write_cards(on, files))[0]
    assert row_of(card, "`start`")[1] == f"{run.folder.name} ({on.data['start']['sha256']})"
    told = card.split("Learning went on from another training's net, of epoch ")[1]
    assert told.startswith(
        f"{run.best_epoch} of {run.recipe.epochs}, which learned from the same faces."
    )
    assert row_of(told, "`width`")[1] == "0.34"
    again = replace(recipe, start=str(on.folder), distil=(str(on.folder),))
    twice = train(
        data["faces"]["path"], valid=data["valid"]["path"], recipe=again, out=tmp_path / "twice"
    )
    card = texts_of(write_cards(twice, files))[0]
    told = card.split("That one went on from another training's net")[0]
    assert row_of(told.split("Learning went on")[1], "`start`")[1] == run.folder.name
    assert str(tmp_path) not in card


def test_the_cards_say_what_the_net_is_not_for(cards):
    card, sheet, _ = cards
    for words in ("perceived expression", "Art. 5(1)(f)", "never what a person feels"):
        assert words in card
    for each in (card, sheet):
        assert "FER2013" in each
        assert not re.search(r"\{\{|\{%|None|nan\b", each)
        assert "/" not in re.sub(r"https?://\S+|2024/1689", "", "".join(re.findall(r"`.*?`", each)))
    few = [name for name in EMOTIONS if f"{name} " in card.split(f"under {FEW}")[1].split(".")[0]]
    assert few == list(EMOTIONS)
    assert "contempt 3" in sheet
    assert "Ten crowd workers voted on each face for FER+" in sheet
    assert "![Loss" in card
    assert "no figure is given by\n  group" in card


def test_text_from_outside_stays_text(files, tmp_path):
    faces = made_faces(tmp_path / "a|b.h5", 60, 3, "<b>bold</b> | *mine*")
    other = train(faces, recipe=Recipe(epochs=1, batch=16, width=0.34), out=tmp_path / "run")
    card, sheet, _ = texts_of(write_cards(other, files))  # another net, the same text
    assert "&lt;b&gt;bold&lt;/b&gt; \\| \\*mine\\*" in card
    assert "`a\\|b.h5`" in sheet
    assert "dealt out of the same file by photo" in card
    assert "FER2013" not in card
    assert "FER+" not in sheet


def test_the_same_training_gives_the_same_cards(run, files, cards):
    assert texts_of(write_cards(run, files)) == cards


def test_faces_that_are_others_by_now_are_refused(tmp_path):
    faces = made_faces(tmp_path / "faces.h5", 60, 4)
    run = train(faces, recipe=Recipe(epochs=1, batch=16, width=0.34), out=tmp_path / "run")
    made_faces(faces, 60, 5)
    with pytest.raises(OptionError, match=r"not the faces of .*run any more"):
        export_run(run)
    faces.unlink()
    with pytest.raises(LabelError, match="no such file"):
        export_run(run)


def test_the_command_exports_and_says_what_it_cost(run, cards):
    result = CliRunner().invoke(app, ["export", str(run.folder), "--precision", "float16"])
    assert result.exit_code == 0, result.output
    assert "net.onnx" in result.stdout
    assert "float16" in result.stdout
    assert str(run.folder / "card.md") in result.stdout.replace("\n", "")
    assert Run.open(run.folder).best_epoch == run.best_epoch
    assert not [*run.folder.glob("net.int8.*")]  # it was of another export
    wrong = CliRunner().invoke(app, ["export", str(run.folder), "--precision", "int2"])
    assert wrong.exit_code == 1
    assert "expected one of float32, float16, int8" in wrong.stderr
    none = CliRunner().invoke(app, ["export", str(run.folder.parent)])
    assert none.exit_code == 1
    assert "not the folder of a training" in none.stderr
