"""Evaluation, on scenes drawn in comments and checked by hand.

Boxes are 10 x 10 pixels and named by their column: `box(2)` starts at x = 20. In the
drawings, above what was labelled, below what was answered, `.` for nothing.
"""

import json
import math

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

import groupemo
import groupemo.figures
from groupemo.analysis import Analysis, Failure, load_analyses, save_analyses
from groupemo.emotions import EMOTIONS
from groupemo.errors import AnalysisError, LabelError, OptionError, PhotoError
from groupemo.evaluation import Evaluation, evaluate, load_evaluation, score
from groupemo.faces import Faces
from groupemo.label_csv import load_labels
from groupemo.labels import IGNORE, UNSURE, LabelledFaces, Labels
from groupemo.plugins import DETECTORS
from groupemo.testing import FakeBackend, FakeDetector, make_scene, write_scenes

WORDS = {word: index for index, word in enumerate(EMOTIONS)} | {"unsure": UNSURE, "ignore": IGNORE}


def box(column):
    return [10 * column, 0, 10 * column + 10, 10]


def labelled(line, **options):
    """Read a drawing such as "happy . sad": a word is a face, a dot is nothing."""
    words = [(column, word) for column, word in enumerate(line.split()) if word != "."]
    return LabelledFaces(
        [box(column) for column, _ in words], [WORDS[word] for _, word in words], **options
    )


def answered(photo, line, *, sure=0.8, detector="d", backend="b", **fields):
    """Read a drawing such as "happy . abstain" into an analysis; `sure` goes to the answer."""
    words = [(column, word) for column, word in enumerate(line.split()) if word != "."]
    probs = np.full((len(words), 7), (1 - sure) / 6)
    for row, (_, word) in enumerate(words):
        probs[row, WORDS.get(word, 0)] = sure
        if word == "abstain":
            probs[row] = np.nan
    fields = {"sha256": "a" * 64, "width": 100, "height": 10, "seconds": {"read": 0.5}, **fields}
    faces = Faces([box(column) for column, _ in words])
    return Analysis(
        photo=photo, faces=faces, probs=probs, classes=EMOTIONS, detector=detector,
        backend=backend, **fields
    )  # fmt: skip


# one:   happy  sad    neutral  .       two:  fear   .      happy    empty:  (no face)
#        happy  happy  .        angry         fear   .      abstain          .
LABELS = Labels(
    {
        "one": labelled("happy sad neutral ."),
        "two": labelled("fear . happy"),
        "empty": labelled(""),
    }
)
ANSWERS = [
    answered("one", "happy happy . angry"),
    answered("two", "fear . abstain"),
    answered("empty", ""),
]


def test_a_scene_by_hand():
    overall = score(LABELS, ANSWERS).overall()
    counts = {
        "photos": 3,
        "unread": 0,
        "labelled": 5,
        "detected": 5,
        "found": 4,
        "missed": 1,
        "phantom": 1,
        "ignored": 0,
        "matched": 3,
        "abstained": 1,
        "wrong_emotion": 1,
        "clipped": 0,
    }
    assert {name: overall[name] for name in counts} == counts
    assert overall["detection_precision"] == 4 / 5
    assert overall["detection_recall"] == 4 / 5
    assert overall["matched_accuracy"] == 2 / 3
    assert overall["end_to_end_accuracy"] == 2 / 5
    # happy .8 right; sad got .2 / 6; fear .8 right
    assert overall["matched_log_loss"] == pytest.approx(
        -(2 * math.log(0.8) + math.log(0.2 / 6)) / 3
    )


def test_the_confusion_table_by_hand():
    table = score(LABELS, ANSWERS).confusion()
    filled = {
        (str(row), str(column)): int(count)
        for (row, column), count in table.stack().items()
        if count
    }
    assert filled == {
        ("happy", "happy"): 1,
        ("sad", "happy"): 1,
        ("neutral", "missed"): 1,
        ("no labelled face", "angry"): 1,
        ("fear", "fear"): 1,
        ("happy", "abstained"): 1,
    }


def test_every_face_has_its_outcome():
    faces = score(LABELS, ANSWERS).faces()
    rows = [tuple(row) for row in faces[["photo", "x", "outcome"]].itertuples(index=False)]
    assert rows == [
        ("one", 0, "correct"),
        ("one", 10, "wrong emotion"),
        ("one", 30, "phantom"),
        ("one", 20, "missed"),
        ("two", 0, "correct"),
        ("two", 20, "abstained"),
    ]
    wrong = faces.iloc[1]
    assert (wrong["labelled"], wrong["answered"], wrong["iou"]) == ("sad", "happy", 1.0)
    assert wrong["prob_answered"] == pytest.approx(0.8)
    assert wrong["prob_labelled"] == pytest.approx(0.2 / 6)
    errors = score(LABELS, ANSWERS).errors()
    assert list(errors["outcome"]) == ["wrong emotion", "phantom", "missed", "abstained"]


def test_per_photo_by_hand():
    table = score(LABELS, ANSWERS).per_photo()
    columns = ["labelled", "found", "missed", "phantom", "matched", "correct", "seconds"]
    assert table[columns].to_numpy().tolist() == [
        [3, 2, 1, 1, 2, 1, 0.5],
        [2, 2, 0, 0, 1, 1, 0.5],
        [0, 0, 0, 0, 0, 0, 0.5],
    ]


def test_per_class_by_hand():
    table = score(LABELS, ANSWERS).per_class()
    happy = table.loc["happy"]
    assert (happy["matched_precision"], happy["matched_recall"]) == (1 / 2, 1)
    assert (happy["end_to_end_precision"], happy["end_to_end_recall"]) == (1 / 2, 1 / 2)
    assert (happy["matched_support"], happy["end_to_end_support"]) == (1, 2)
    assert (happy["matched_answered"], happy["end_to_end_answered"]) == (2, 2)
    assert table.loc["angry", ["matched_answered", "end_to_end_answered"]].tolist() == [0, 1]
    assert table.loc["neutral", "end_to_end_recall"] == 0, "missed"
    assert table.loc["angry", "end_to_end_precision"] == 0, "a phantom costs precision"
    assert np.isnan(table.loc["disgust", "end_to_end_recall"]), "nobody is labelled disgust"


def test_anatomy_by_hand():
    scores = score(LABELS, ANSWERS)
    bins = scores.anatomy("end_to_end_accuracy")
    # happy and fear right, sad taken for happy, neutral missed, the last happy without answer
    counts = {name: tuple(map(int, row)) for name, row in
              zip(bins.index, bins[["labelled", "detected"]].to_numpy(), strict=True)}  # fmt: skip
    lone = {"missed", "phantom", "duplicate", "localisation"}
    assert counts["wrong emotion"] == counts["abstained"] == (1, 1)
    assert sum(labelled for labelled, _ in counts.values()) == 5
    assert bins.loc["wrong emotion", "gain"] == pytest.approx(1 / 5)
    assert bins.loc["abstained", "gain"] == pytest.approx(1 / 5)
    assert math.isnan(bins.loc["correct", "gain"])
    faces = scores.faces()
    assert faces["bin"].value_counts().to_dict() == {
        name: max(both) for name, both in counts.items() if max(both)
    }
    assert faces.query("outcome == 'phantom'")["bin"].isin(lone).all()


def test_anatomy_by_a_figure_of_the_detector():
    # one of two faces is missed, one of two detections a phantom
    run = score(
        Labels({"a": labelled("happy ."), "b": labelled("sad")}),
        [answered("a", ". happy"), answered("b", "sad")],
    )
    assert run.anatomy("detection_recall").loc["missed", "gain"] == pytest.approx(0.5)
    assert run.anatomy("detection_precision").loc["phantom", "gain"] == pytest.approx(0.5)
    with pytest.raises(OptionError, match=r"figure is 'matched_ece'.*end_to_end_macro_f1"):
        run.anatomy("matched_ece")


def test_every_figure_with_its_interval_its_number_and_its_reason():
    table = Evaluation.of(LABELS, ANSWERS).figures().set_index("figure")
    assert set(table.index) == set(groupemo.figures.FIGURES)
    accuracy = table.loc["end_to_end_accuracy"]
    assert (accuracy["value"], accuracy["n"], accuracy["unit"]) == (2 / 5, 5, "faces")
    assert accuracy["low"] <= accuracy["value"] <= accuracy["high"]
    assert accuracy["undefined"] == ""
    votes = table.loc["matched_kl"]
    assert math.isnan(votes["value"])
    assert votes["undefined"] == "no found and answered face has votes"
    assert table["value"].isna().equals(table["undefined"] != "")


def test_slices_through_the_evaluation():
    found = Evaluation.of(LABELS, ANSWERS).slices("d", "b", "emotion")
    recall = found.frame.query("figure == 'detection_recall'").set_index("group")["value"]
    assert set(recall.index) == {"happy", "sad", "neutral", "fear"}


def test_unsure_faces_count_for_detection_only():
    # unsure  ignore  happy
    # sad     angry   happy
    one = score(
        Labels({"a": labelled("unsure ignore happy")}), [answered("a", "sad angry happy")]
    ).overall()
    assert (one["labelled"], one["found"], one["ignored"], one["phantom"]) == (2, 2, 1, 0)
    assert (one["matched"], one["matched_accuracy"]) == (1, 1.0)


def test_faces_nobody_labelled_are_not_phantoms_where_labels_are_incomplete():
    labels = Labels({"a": labelled("happy .", complete=False)})
    overall = score(labels, [answered("a", "happy sad")]).overall()
    assert (overall["phantom"], overall["ignored"], overall["found"]) == (0, 1, 1)


# --- against scikit-learn ---


def random_run(seed, photos=12, faces=6):
    """Random labels and answers, some missed, abstained, phantom."""
    rng = np.random.default_rng(seed)
    truth, run = {}, []
    for number in range(photos):
        words = rng.choice([*EMOTIONS, "."], faces)
        said = np.where(
            rng.random(faces) < 0.5, words, rng.choice([*EMOTIONS, ".", "abstain"], faces)
        )
        truth[f"{number}"] = labelled(" ".join(words))
        run.append(answered(f"{number}", " ".join(said), sure=rng.uniform(0.3, 1)))
    return Labels(truth), run


@pytest.mark.parametrize("seed", range(5))
def test_matched_figures_agree_with_scikit_learn(seed):
    labels, run = random_run(seed)
    scores = score(labels, run)
    faces = scores.faces()
    pairs = faces[faces["outcome"].isin(["correct", "wrong emotion"])]
    true, said = pairs["labelled"].astype(str), pairs["answered"].astype(str)
    present = sorted(set(true), key=EMOTIONS.index)
    overall = scores.overall()
    assert overall["matched"] == len(pairs) > 20
    assert overall["matched_accuracy"] == pytest.approx(sk.accuracy_score(true, said))
    assert overall["matched_balanced_accuracy"] == pytest.approx(
        sk.recall_score(true, said, labels=present, average="macro")
    )
    assert overall["matched_macro_f1"] == pytest.approx(
        sk.f1_score(true, said, labels=present, average="macro")
    )
    probs = np.concatenate([p.probs[p.outcome.detected >= 0] for p in scores.photos])
    probs = probs[~np.isnan(probs).any(axis=1)]
    order = np.argsort(EMOTIONS)
    assert overall["matched_log_loss"] == pytest.approx(
        sk.log_loss(true, probs[:, order], labels=sorted(EMOTIONS))
    )
    figures = sk.precision_recall_fscore_support(true, said, labels=EMOTIONS, zero_division=np.nan)
    table = scores.per_class()
    for name, expected in zip(("precision", "recall"), figures, strict=False):
        np.testing.assert_allclose(table[f"matched_{name}"], expected)
    np.testing.assert_array_equal(table["matched_support"], figures[3])
    np.testing.assert_array_equal(
        scores.tally.counts[:7, :7], sk.confusion_matrix(true, said, labels=EMOTIONS)
    )


@pytest.mark.parametrize("seed", range(5))
def test_end_to_end_figures_agree_with_scikit_learn(seed):
    """To scikit-learn, "no answer" and "no face" are one more class that is not averaged over."""
    labels, run = random_run(seed)
    scores = score(labels, run)
    faces = scores.faces()
    true = faces["labelled"].fillna("none").astype(str)
    said = faces["answered"].fillna("none").astype(str)
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        true, said, labels=EMOTIONS, zero_division=np.nan
    )
    table, overall = scores.per_class(), scores.overall()
    np.testing.assert_allclose(table["end_to_end_precision"], precision)
    np.testing.assert_allclose(table["end_to_end_recall"], recall)
    np.testing.assert_array_equal(table["end_to_end_support"], support)
    assert overall["end_to_end_macro_f1"] == pytest.approx(f1[support > 0].mean())
    assert overall["end_to_end_weighted_f1"] == pytest.approx(
        np.average(f1[support > 0], weights=support[support > 0])
    )
    real = true != "none"
    assert overall["end_to_end_accuracy"] == pytest.approx(np.mean(true[real] == said[real]))


# --- the grid ---


def better_and_worse():
    """d x good is right everywhere, d x bad on the even photos only."""
    labels = Labels({f"{i}": labelled("happy sad") for i in range(20)})
    run = []
    for i in range(20):
        run.append(answered(f"{i}", "happy sad", backend="good"))
        run.append(answered(f"{i}", "happy sad" if i % 2 else "sad sad", backend="bad"))
    return Evaluation.of(labels, run)


def test_a_row_a_pair():
    table = better_and_worse().table()
    assert list(table.index) == [("d", "good"), ("d", "bad")]
    assert table["matched_accuracy"].tolist() == [1.0, 0.75]
    assert math.isnan(table.loc[("d", "good"), "matched_accuracy_low"])  # no spread to judge by
    bad = table.loc[("d", "bad")]
    assert bad["matched_accuracy_low"] < 0.75 < bad["matched_accuracy_high"]
    assert table["seconds_per_photo"].tolist() == [0.5, 0.5]
    assert "matched_accuracy_low" not in better_and_worse().table(intervals=False)


def test_compare_by_hand():
    grid = better_and_worse()
    row = grid.compare(("d", "good"), ("d", "bad")).loc["matched_accuracy"]
    assert (row["a"], row["b"], row["difference"]) == (1.0, 0.75, 0.25)
    assert 0 < row["low"] < 0.25 < row["high"] <= 0.5
    back = grid.compare(("d", "bad"), ("d", "good")).loc["matched_accuracy"]
    np.testing.assert_allclose(
        back[["difference", "low", "high"]].tolist(), [-0.25, -row["high"], -row["low"]]
    )
    same = grid.compare(("d", "bad"), ("d", "bad"))
    assert (same[["difference", "low", "high"]].fillna(0) == 0).all(axis=None)
    recall = grid.compare(("d", "good"), ("d", "bad")).loc["detection_recall"]
    assert (recall["difference"], recall["low"], recall["high"]) == (0, 0, 0)


def test_compare_is_repeatable():
    grid = better_and_worse()
    one, two = (grid.compare(("d", "good"), ("d", "bad"), seed=3) for _ in range(2))
    assert one.equals(two)


def test_an_unknown_pair_lists_the_known():
    with pytest.raises(OptionError, match="no scores for d x ugly; known: d x good, d x bad"):
        better_and_worse()["d", "ugly"]


def test_score_is_for_one_pair():
    run = [answered("a", "happy", backend=backend) for backend in "xy"]
    with pytest.raises(AnalysisError, match=r"several pairs \(d x x, d x y\)"):
        score(Labels({"a": labelled("happy")}), run)


def test_nothing_to_judge():
    with pytest.raises(AnalysisError, match="nothing was analyzed"):
        score(LABELS, [])


@pytest.mark.parametrize("min_iou", [0, -1, 1.1, float("nan")])
def test_a_min_iou_that_means_nothing(min_iou):
    with pytest.raises(OptionError, match="min_iou is"):
        score(LABELS, ANSWERS, min_iou=min_iou)


def test_min_iou_decides_what_is_found():
    # labelled 10 wide, detected 10 wide and 4 to the right: IoU 6 / 14 = .43
    labels = Labels({"a": labelled("happy")})
    near = answered("a", "happy")
    shifted = Analysis(
        photo="a", sha256="", width=100, height=10, faces=Faces([[4, 0, 14, 10]]),
        probs=near.probs, classes=EMOTIONS, detector="d", backend="b",
    )  # fmt: skip
    assert score(labels, [shifted]).overall()["found"] == 0
    assert score(labels, [shifted], min_iou=0.4).overall()["found"] == 1


# --- labels and analyses that do not fit ---


def test_a_labelled_photo_that_was_not_analyzed_is_refused():
    with pytest.raises(LabelError, match=r"1 of 3 photos are labelled but not among.*: two"):
        score(LABELS, [ANSWERS[0], ANSWERS[2]])


def test_an_analyzed_photo_without_labels_is_refused():
    with pytest.raises(PhotoError, match=r"1 of 4 photos are among.*but not labelled: extra"):
        score(LABELS, [*ANSWERS, answered("extra", "")])


def test_partial_leaves_out_both_ways_and_says_so():
    run = [ANSWERS[0], ANSWERS[2], answered("extra", "happy happy")]
    grid = Evaluation.of(LABELS, run, partial=True)
    assert grid.left_out == ("extra", "two")
    assert list(grid.labels) == ["one", "empty"]
    assert grid.scores[0].overall()["labelled"] == 3


def test_a_pair_that_lacks_a_photo_is_refused_or_costs_it_for_all():
    run = [*ANSWERS, *(answered(name, "", backend="c") for name in ("one", "two"))]
    with pytest.raises(LabelError, match="analyses of d x c: empty"):
        Evaluation.of(LABELS, run)
    grid = Evaluation.of(LABELS, run, partial=True)
    assert [len(scores.photos) for scores in grid.scores] == [2, 2]


def test_nothing_in_common():
    with pytest.raises(AnalysisError, match="no photo in common"):
        Evaluation.of(LABELS, [answered("other", "")], partial=True)


def test_labels_of_another_file_are_refused():
    labels = Labels({"a": labelled("happy")}, sha256={"a": "b" * 64})
    with pytest.raises(LabelError, match="a: the labels are of a file with SHA-256 bbbb"):
        score(labels, [answered("a", "happy")])
    assert score(labels, [answered("a", "happy", sha256="b" * 64)]).overall()["found"] == 1


def test_a_labelled_box_outside_its_photo_is_refused():
    labels = Labels({"a": LabelledFaces([[500, 0, 510, 10]], [0])})
    with pytest.raises(LabelError, match=r"a: the box .*500, 0, 10, 10 lies outside.*100 x 10"):
        score(labels, [answered("a", "")])


def test_a_labelled_box_over_the_edge_is_cut():
    labels = Labels({"a": LabelledFaces([[-10, 0, 10, 10]], [WORDS["happy"]])})
    assert score(labels, [answered("a", "happy")]).overall()["found"] == 1


# --- photos that failed ---


def failed(photo, stage, **fields):
    return answered(photo, "", failure=Failure(stage, f"{photo}: went wrong"), **fields)


def unread(photo):
    return failed(photo, "read", sha256="", width=0, height=0)


def test_an_unread_photo_is_left_out_and_shown():
    scores = score(LABELS, [*ANSWERS[1:], unread("one")])
    overall = scores.overall()
    assert (overall["photos"], overall["unread"], overall["labelled"]) == (2, 1, 2)
    table = scores.per_photo()
    assert table.loc["one", "failure"] == "one: went wrong"
    assert [one.photo for one in scores.failures] == ["one"]


def test_where_detection_failed_faces_are_missed():
    scores = score(LABELS, [*ANSWERS[1:], failed("one", "detect")])
    overall = scores.overall()
    assert (overall["photos"], overall["labelled"], overall["missed"]) == (3, 5, 3)
    assert scores.per_photo().loc["one", "failure"] == "one: went wrong"


def test_where_the_backend_failed_faces_are_abstained():
    broken = answered("one", "abstain abstain", failure=Failure("classify", "one: went wrong"))
    overall = score(LABELS, [*ANSWERS[1:], broken]).overall()
    assert (overall["found"], overall["abstained"], overall["missed"]) == (4, 3, 1)


def test_no_photo_at_all_could_be_read(tmp_path):
    grid = Evaluation.of(LABELS, [unread(name) for name in LABELS])
    row = grid.table().iloc[0]
    assert (row["photos"], row["unread"], row["labelled"]) == (0, 3, 0)
    assert np.isnan(row["matched_accuracy"])
    assert np.isnan(row["matched_accuracy_low"])
    assert len(grid.false_positives()) == 0
    assert len(grid.scores[0].per_photo()) == 3
    assert load_evaluation(grid.save(tmp_path)).table().iloc[0]["unread"] == 3


def test_a_saved_evaluation_that_was_cut_short_is_refused(tmp_path):
    folder = Evaluation.of(LABELS, ANSWERS).save(tmp_path)
    lines = (folder / "analyses.jsonl").read_text().splitlines(keepends=True)
    (folder / "analyses.jsonl").write_text("".join(lines[:-1]))
    with pytest.raises(AnalysisError, match=r"analyses.jsonl: holds 2 of the 3 photos x 1 runs"):
        load_evaluation(folder)


def test_labels_that_lost_a_photo_are_noticed(tmp_path):
    folder = Evaluation.of(LABELS, ANSWERS).save(tmp_path)
    lines = (folder / "labels.csv").read_text().splitlines(keepends=True)
    (folder / "labels.csv").write_text("".join(lines[:-1]))
    _as_before(folder)
    with pytest.raises(AnalysisError, match=r"labels.csv: not the labels .*evaluate once more"):
        load_evaluation(folder)


def _as_before(folder):
    """Make a manifest one of version 0.1."""
    told = json.loads((folder / "manifest.json").read_text())
    del told["labels_sha256"], told["analyses_bytes"]
    (folder / "manifest.json").write_text(json.dumps(told))


def test_labels_that_lost_a_face_are_refused(tmp_path):
    # happy . sad, both found: with its last row lost, sad would be a phantom
    labels = Labels({"one": labelled("happy . sad")})
    folder = Evaluation.of(labels, [answered("one", "happy . sad")]).save(tmp_path)
    whole = (folder / "labels.csv").read_text()
    (folder / "labels.csv").write_text(whole[: whole.rindex("one")])
    with pytest.raises(AnalysisError, match=r"labels.csv: not the labels .*evaluate once more"):
        load_evaluation(folder)
    # as saved, and by a manifest without the checksum, it loads
    (folder / "labels.csv").write_text(whole)
    assert not {"labels_sha256", "analyses_bytes"} & {*load_evaluation(folder).manifest}
    _as_before(folder)
    assert len(load_evaluation(folder).labels["one"].boxes) == 2


def test_analyses_that_lost_the_latest_answer_are_refused(tmp_path):
    # the photo was changed and analyzed anew: the line before the last is of the same run
    labels = Labels({"one": labelled("happy")})
    for answer, sha256 in (("sad", "a" * 64), ("happy", "b" * 64)):
        folder = Evaluation.of(labels, [answered("one", answer, sha256=sha256)]).save(tmp_path)
    whole = (folder / "analyses.jsonl").read_text()
    assert load_evaluation(folder).scores[0].overall()["matched_accuracy"] == 1
    (folder / "analyses.jsonl").write_text(whole.splitlines(keepends=True)[0])
    with pytest.raises(AnalysisError, match=r"analyses.jsonl: holds 1 .*: it was cut short"):
        load_evaluation(folder)
    _as_before(folder)
    assert load_evaluation(folder).scores[0].overall()["matched_accuracy"] == 0


def test_only_empty_photos():
    grid = Evaluation.of(Labels({"empty": labelled("")}), [answered("empty", "")])
    row = grid.table().iloc[0]
    assert row["photos"] == 1
    assert np.isnan(row["detection_recall"])
    assert len(grid.faces()) == len(grid.false_positives()) == 0


# --- through the models: evaluate() ---


@pytest.fixture
def scenes(tmp_path):
    """What is drawn: three photos; what the fakes say: the second face of a.png is wrong."""
    drawn = [
        make_scene(["happy", "sad"], name="a.png"),
        make_scene([], name="b.png"),
        make_scene(["fear"], name="c.png"),
    ]
    labels = write_scenes(drawn, tmp_path / "photos")
    said = [drawn[0], drawn[1], drawn[2]]
    backend = FakeBackend.of(said)
    digest_a = next(iter(backend._probs))
    backend._probs[digest_a] = np.eye(7)[[WORDS["happy"], WORDS["neutral"]]]
    return tmp_path / "photos", labels, FakeDetector.of(drawn), backend


def run(scenes, **options):
    photos, labels, detector, backend = scenes
    return evaluate(photos, labels, detectors=[detector], backends=[backend], **options)


def test_evaluate_is_detection_classification_and_judgement(scenes):
    grid = run(scenes)
    overall = grid["fake", "fake"].overall()
    assert (overall["labelled"], overall["found"], overall["wrong_emotion"]) == (3, 3, 1)
    assert grid.manifest["photos"] == 3
    assert set(grid.manifest["plugins"]) == {"detectors", "backends"}
    json.dumps(dict(grid.manifest))


def test_false_positives_have_crops_cut_from_the_photo(scenes):
    grid = run(scenes)
    wrong = grid.false_positives()
    assert list(wrong["outcome"]) == ["wrong emotion"]
    assert (wrong.loc[0, "labelled"], wrong.loc[0, "answered"]) == ("sad", "neutral")
    x, y, w, h = (int(wrong.loc[0, side]) for side in "xywh")
    image = groupemo.read_photo(scenes[0] / "a.png")
    np.testing.assert_array_equal(wrong.loc[0, "crop"], image[y : y + h, x : x + w])
    assert "crop" not in grid.false_positives(crops=False)


def test_a_crop_out_of_reach_is_none(scenes):
    grid = run(scenes)
    (scenes[0] / "a.png").unlink()
    assert grid.false_positives().loc[0, "crop"] is None


def test_saved_and_loaded_it_is_the_same(scenes, tmp_path):
    grid = run(scenes, min_iou=0.3)
    loaded = load_evaluation(grid.save(tmp_path / "run"))
    assert loaded.table().to_csv() == grid.table().to_csv()
    assert loaded.faces().equals(grid.faces())
    assert loaded.min_iou == 0.3
    assert loaded.manifest == grid.manifest
    assert len(loaded.false_positives().loc[0, "crop"]), "the photos are found again"
    files = {path.name for path in (tmp_path / "run").iterdir()}
    assert files == {
        "labels.csv", "analyses.jsonl", "manifest.json", "table.csv", "per_class.csv",
        "per_photo.csv", "faces.csv",
    }  # fmt: skip
    assert list(load_labels(tmp_path / "run" / "labels.csv")) == ["a.png", "b.png", "c.png"]


def test_what_was_left_out_is_still_told_when_saved_twice(tmp_path):
    grid = Evaluation.of(LABELS, [ANSWERS[0], ANSWERS[2]], partial=True)
    again = load_evaluation(grid.save(tmp_path / "1"))
    assert again.left_out == grid.left_out == ("two",)
    assert load_evaluation(again.save(tmp_path / "2")).left_out == ("two",)


@pytest.mark.parametrize(
    "text",
    [
        None, "", "[]", "{}", '{"min_iou": "x"}',
        '{"runs": [], "left_out": [], "min_iou": 0.5, "analyses_bytes": "x"}',
    ],
)  # fmt: skip
def test_a_folder_that_holds_no_evaluation_is_named(scenes, tmp_path, text):
    folder = run(scenes).save(tmp_path / "run")
    (folder / "manifest.json").unlink()
    if text is not None:
        (folder / "manifest.json").write_text(text)
    with pytest.raises(AnalysisError, match=r"manifest\.json|no saved evaluation here"):
        load_evaluation(folder)


def test_photos_without_labels_are_refused_before_any_model_runs(scenes):
    photos, labels, detector, backend = scenes
    with pytest.raises(PhotoError, match=r"1 of 3 photos are among the photos.*: b\.png"):
        run((photos, labels.only(["a.png", "c.png"]), detector, backend))
    (photos / "b.png").unlink()
    with pytest.raises(LabelError, match=r"1 of 3 photos are labelled but not.*: b\.png"):
        run((photos, labels, detector, backend))
    assert detector.calls == 0
    assert run((photos, labels, detector, backend), partial=True).left_out == ("b.png",)


def test_partial_names_photos_without_labels_too(scenes):
    photos, labels, detector, backend = scenes
    (photos / "c.png").unlink()
    grid = run((photos, labels.only(["b.png", "c.png"]), detector, backend), partial=True)
    assert list(grid.labels) == ["b.png"]
    assert grid.left_out == ("a.png", "c.png")


def test_a_min_iou_that_means_nothing_is_refused_before_any_model_runs(scenes):
    with pytest.raises(OptionError, match="min_iou is 0"):
        run(scenes, min_iou=0)
    assert scenes[2].calls == 0


def test_no_photo_has_labels(scenes):
    photos, labels, detector, backend = scenes
    with pytest.raises(PhotoError, match="none of the photos has labels"):
        run((photos / "b.png", labels.only(["a.png"]), detector, backend), partial=True)


def test_evaluating_again_runs_nothing(scenes, tmp_path):
    first = run(scenes, out=tmp_path / "run")
    calls = scenes[2].calls
    again = run(scenes, out=tmp_path / "run")
    assert scenes[2].calls == calls == 3
    assert again.table().to_csv() == first.table().to_csv()
    assert len(load_analyses(tmp_path / "run")) == 3


def test_a_folder_used_before_gives_only_what_is_asked(scenes, tmp_path, monkeypatch):
    photos, labels, detector, backend = scenes
    out = tmp_path / "run"
    run(scenes, out=out)
    other = FakeDetector(Faces.empty(), label="blind")
    grid = run((photos, labels, other, backend), out=out)
    assert [scores.pair for scores in grid.scores] == [("blind", "fake")]
    fewer = run((photos / "a.png", labels.only(["a.png"]), detector, backend), out=out)
    assert list(fewer.labels) == ["a.png"]
    assert fewer.left_out == ()


def test_going_back_to_an_earlier_model_gives_its_answers(scenes, tmp_path, monkeypatch):
    photos, labels, detector, backend = scenes

    class Versioned(FakeDetector):
        def __init__(self, version):
            super().__init__(detector._faces if version == 1 else Faces.empty(), label="net")
            self.models = {"net": str(version)}

    monkeypatch.setitem(DETECTORS._registered, "net", Versioned)
    found = [
        run((photos, labels, f"net:version={version}", backend), out=tmp_path / "run")
        .scores[0].overall()["found"]
        for version in (1, 2, 1)
    ]  # fmt: skip
    assert found == [3, 0, 3]


def test_analyses_saved_elsewhere_are_scored_without_models(scenes, tmp_path):
    photos, labels, detector, backend = scenes
    stream = groupemo.analyze_all(photos, detector=detector, backend=backend)
    path = save_analyses(stream, tmp_path / "run.jsonl")
    scores = groupemo.score(labels, load_analyses(path))
    assert scores.overall()["wrong_emotion"] == 1


def test_saving_keeps_what_other_runs_left_in_the_folder(tmp_path):
    scene = make_scene(["happy"], name="a.png")
    labels = write_scenes([scene], tmp_path / "photos")
    tables = {}
    for name in ("first", "second"):
        grid = groupemo.evaluate(
            tmp_path / "photos",
            labels,
            detectors=[FakeDetector.of([scene])],
            backends=[FakeBackend.of([scene], label=name)],
            out=tmp_path / "run",
        )
        grid.save(tmp_path / "run")
        tables[name] = grid.table()
    kept = groupemo.load_analyses(tmp_path / "run")
    assert [one.backend for one in kept] == ["first", "second"]
    again = groupemo.load_evaluation(tmp_path / "run")
    pd.testing.assert_frame_equal(again.table(), tables["second"])
