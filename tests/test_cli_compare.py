"""`groupemo compare`: a worse run is gated, an equal and a better one pass."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from test_cli import groupemo
from test_evaluation import answered, labelled

from groupemo import Labels, load_evaluation, save_analyses, save_labels
from groupemo.cli.comparison import FELL
from groupemo.engine import key_of

WORDS = ("happy", "sad", "neutral", "fear")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Evaluations as saved, without their tables: `same` as `base`, `worse`, and others.

    Every fourth answer of `base` is wrong; in `worse`, another third of them is.
    """
    folder = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(1)
    drawings = {f"p{i:02}": list(rng.choice(WORDS, rng.integers(2, 7))) for i in range(40)}
    labels = Labels({name: labelled(" ".join(words)) for name, words in drawings.items()})

    def flipped(drawings, share):
        return {
            name: [_other(word) if rng.random() < share else word for word in words]
            for name, words in drawings.items()
        }

    def save(name, *runs, labels=labels):
        analyses = [
            answered(photo, " ".join(words), detector=detector, backend=backend)
            for (detector, backend), drawn in runs
            for photo, words in drawn.items()
            if photo in labels
        ]
        save_labels(labels, folder / name / "labels.csv")
        save_analyses(analyses, folder / name / "analyses.jsonl")
        keys = list(dict.fromkeys(key_of(one)[1:] for one in analyses))
        manifest = {"runs": keys, "min_iou": 0.5, "left_out": []}
        (folder / name / "manifest.json").write_text(json.dumps(manifest))

    base = flipped(drawings, 0.25)
    worse = flipped(base, 0.33)
    few = Labels({name: labels[name] for name in list(labels)[:25]})
    relabelled = Labels({**labels, "p07": replace(labels["p07"], labels=labels["p07"].labels * 0)})
    blind = {name: [] for name in drawings}
    save("base", (("d", "b"), base))
    save("same", (("d", "b"), base))
    save("worse", (("d", "b"), worse))
    save("renamed", (("d", "c"), worse))
    save("few", (("d", "b"), base), labels=few)
    save("relabelled", (("d", "b"), base), labels=relabelled)
    save("blind", (("d", "b"), blind))
    save("two", (("d", "b"), base), (("d", "c"), base))
    save("half", (("d", "b"), base), (("d", "c"), worse))
    return folder


def _other(word):
    return WORDS[(WORDS.index(word) + 1) % len(WORDS)]


def lines(result):
    return " ".join(result.stdout.split())


def test_a_worse_run_is_gated_by_the_real_command_line(folder):
    run = subprocess.run(
        [sys.executable, "-m", "groupemo", "compare", "base", "worse"],
        cwd=folder, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert run.returncode == FELL == 4
    assert run.stderr == "fell: d x b: matched log-loss, end-to-end macro-F1\n"
    assert run.stdout.startswith("A: base, B: worse\n")
    assert "B is worse than A by" in " ".join(run.stdout.split())
    assert "passed" not in run.stdout


def test_an_equal_run_passes(folder):
    result = groupemo("compare", folder / "base", folder / "same")
    assert "B and A have the same end-to-end macro-F1" in lines(result)
    assert result.stdout.endswith("passed: no figure fell by more than 0\n")
    assert result.stderr == ""


def test_a_better_run_passes(folder):
    result = groupemo("compare", folder / "worse", folder / "base")
    assert "B is better than A by" in lines(result)
    assert "points of end-to-end macro-F1 (95 % interval" in lines(result)
    assert result.stdout.endswith("passed: no figure fell by more than 0\n")


def told(before, after, *options, code=0):
    """Return the JSON of a comparison."""
    return json.loads(groupemo("compare", before, after, *options, "--json", code=code).stdout)


def test_as_json(folder):
    result = told(folder / "base", folder / "worse", code=FELL)
    assert (result["fell"], result["margin"]) == (True, 0)
    [one] = result["comparisons"]
    assert (one["a"], one["b"]) == (["d", "b"], ["d", "b"])
    assert (len(one["photos"]), one["left_out"]) == (40, [])
    figures = {each["figure"]: each for each in one["figures"]}
    assert list(figures) == ["detection_recall", "matched_log_loss", "end_to_end_macro_f1"]
    before, after = (
        load_evaluation(folder / name).scores[0].overall() for name in ("base", "worse")
    )
    for name, each in figures.items():
        assert each["a"] == pytest.approx(before[name], rel=1e-12)
        assert each["b"] == pytest.approx(after[name], rel=1e-12)
        assert each["change"] == pytest.approx(after[name] - before[name])
        assert each["low"] <= each["change"] <= each["high"]
        assert each["fell"] is (name != "detection_recall")
    right = one["faces"] * (after["end_to_end_accuracy"] - before["end_to_end_accuracy"])
    assert one["right_in_b_alone"] - one["right_in_a_alone"] == pytest.approx(right)
    assert one["mcnemar_p"] < 0.001


def test_a_fall_within_the_margin_passes_and_says_so(folder):
    fall = told(folder / "base", folder / "worse", "--figure", "end_to_end_macro_f1", code=FELL)
    [one] = fall["comparisons"][0]["figures"]
    within = -one["high"] + 0.001
    assert within > 0
    words = ("compare", folder / "base", folder / "worse", "--figure", one["figure"], "--margin")
    result = groupemo(*words, within)
    hidden = f"up to {100 * one['could_hide']:.1f} points of end-to-end macro-F1"
    assert result.stdout.rstrip().endswith(f"; falls that may be hidden: {hidden}")
    groupemo(*words, within - 0.002, code=FELL)


def test_figures_to_watch_are_chosen(folder):
    chosen = ("--figure", "detection_f1", "--figure", "matched_mcc")
    result = told(folder / "base", folder / "worse", *chosen, code=FELL)
    assert [one["figure"] for one in result["comparisons"][0]["figures"]] == [
        "detection_f1",
        "matched_mcc",
    ]
    groupemo("compare", folder / "base", folder / "worse", "--figure", "detection_f1")
    error = groupemo("compare", folder / "base", folder / "same", "--figure", "luck", code=1).stderr
    assert error.startswith("error: no figure 'luck'; known: detection_precision, ")


def test_a_run_that_answers_nothing_fell(folder):
    result = groupemo("compare", folder / "base", folder / "blind", code=FELL)
    assert result.stderr == (
        "fell: d x b: detection recall, matched log-loss, end-to-end macro-F1\n"
    )
    assert "matched log-loss of B is undefined: no face with a known expression" in lines(result)


def test_only_shared_photos_are_compared(folder):
    result = groupemo("compare", folder / "base", folder / "few", "--partial")
    assert "25 photos of both." in result.stdout
    assert "left out, not in both: p25, p26" in result.stdout


def test_a_pass_is_of_all_that_could_be_judged_before(folder):
    error = groupemo("compare", folder / "base", folder / "few", code=1).stderr
    assert error.startswith("error: RUN_B lacks 15 photos (p25, p26, p27, p28, p29 ...) of RUN_A")
    error = groupemo("compare", folder / "two", folder / "same", code=1).stderr
    assert error.startswith("error: RUN_B lacks 1 run (d x c) of RUN_A")
    groupemo("compare", folder / "few", folder / "base")  # more than before is no loss
    missing = told(folder / "same", folder / "two")["not_compared"]
    assert missing == {"a": [], "b": ["d x c"]}


def test_a_margin_of_one_figure(folder):
    wide = ("--margin", 1, "--margin", "matched_log_loss=0")
    result = told(folder / "base", folder / "worse", *wide, code=FELL)
    assert result["margins"] == {"matched_log_loss": 0}
    assert [one["fell"] for one in result["comparisons"][0]["figures"]] == [False, True, False]
    for wrong in ("x", "-0.1", "nan", "luck=1", "matched_log_loss="):
        groupemo("compare", folder / "base", folder / "same", "--margin", wrong, code=2)


def test_relabelled_photos_are_refused(folder):
    error = groupemo("compare", folder / "base", folder / "relabelled", code=1).stderr
    assert error.startswith("error: p07: the runs were judged against different labels")


def test_what_is_no_saved_evaluation_is_refused(folder):
    error = groupemo("compare", folder / "base", folder / "nowhere", code=1).stderr
    assert "nowhere" in error


def test_the_only_runs_are_compared_whatever_they_are_called(folder):
    result = groupemo("compare", folder / "base", folder / "renamed", code=FELL)
    assert result.stderr.startswith("fell: d x b -> d x c: ")
    assert "c is worse than b by" in lines(result)


def test_each_run_is_compared_with_its_namesake(folder):
    result = groupemo("compare", folder / "two", folder / "half", code=FELL)
    assert result.stderr == "fell: d x c: matched log-loss, end-to-end macro-F1\n"
    assert [len(told(folder / "two", folder / "two")["comparisons"])] == [2]


def test_runs_can_be_chosen(folder):
    assert (
        "not compared: d x c"
        in groupemo("compare", folder / "two", folder / "same", "--partial").stdout
    )
    result = groupemo("compare", folder / "half", folder / "same", "--a", "d x c")
    assert "d x c -> d x b" in result.stdout
    assert "not compared" not in result.stdout
    error = groupemo("compare", folder / "half", folder / "same", "--b", "e x b", code=1).stderr
    assert error == "error: no run 'e x b'; known: d x b\n"


def test_a_margin_is_not_negative(folder):
    groupemo("compare", folder / "base", folder / "same", "--margin", "-0.1", code=2)
