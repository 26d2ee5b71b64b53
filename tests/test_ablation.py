"""Whose the loss is, on scenes drawn in comments and checked by hand.

Boxes are 10 x 10 pixels, side by side from column 0 on. In the drawings, `.` is nothing.
"""

import numpy as np
import pytest

import groupemo
from groupemo.ablation import STEPS
from groupemo.analysis import Analysis, Failure
from groupemo.emotions import EMOTIONS
from groupemo.errors import OptionError
from groupemo.evaluation import Evaluation, load_evaluation
from groupemo.faces import Faces
from groupemo.figures import FIGURES
from groupemo.labels import IGNORE, UNSURE, LabelledFaces, Labels
from groupemo.testing import FakeDetector, make_scene, write_scenes

WORDS = {word: index for index, word in enumerate(EMOTIONS)} | {"unsure": UNSURE, "ignore": IGNORE}

#            one:  happy  sad    neutral  unsure  .         two:  fear  ignore
# found            happy  happy  .        sad     angry           sad   .
# on labels        happy  sad    neutral  happy   .               sad   .
#                         crop's detector's       detector's      classifier's
PHOTOS = {"one": "happy sad neutral unsure .", "two": "fear ignore"}
FOUND = {"one": "happy happy . sad angry", "two": "sad ."}
ON_LABELS = {"one": "happy sad neutral happy .", "two": "sad ."}


def placed(line):
    """Return the boxes and words of a drawing."""
    words = [(column, word) for column, word in enumerate(line.split()) if word != "."]
    return [[10 * c, 0, 10 * c + 10, 10] for c, _ in words], [word for _, word in words]


def labels_of(photos):
    drawn = {name: placed(line) for name, line in photos.items()}
    return Labels({name: LabelledFaces(boxes, [WORDS[word] for word in words])
                   for name, (boxes, words) in drawn.items()})  # fmt: skip


def analysis(name, line, detector, **fields):
    boxes, words = placed(line)
    probs = [np.eye(7)[WORDS[word]] if word in EMOTIONS else np.full(7, np.nan) for word in words]
    return Analysis(name, "a" * 64, 100, 10, Faces(boxes), np.array(probs), EMOTIONS, detector,
                    "fake", **fields)  # fmt: skip


def grid(found=FOUND, on_labels=ON_LABELS, photos=PHOTOS):
    runs = {"d": found, "labelled": on_labels}
    analyses = [analysis(photo, line, detector)
                for detector, run in runs.items() for photo, line in run.items()]  # fmt: skip
    return Evaluation.of(labels_of(photos), analyses)


def test_each_gain_by_hand():
    # Right of the four known faces: 1, then sad too, then neutral too, then all.
    frame = grid().ablation("d", "fake", "end_to_end_accuracy")
    assert frame.index.tolist() == list(STEPS)
    assert frame["of"].tolist() == ["", "crop", "detector", "classifier"]
    assert frame["value"].tolist() == pytest.approx([1 / 4, 2 / 4, 3 / 4, 1])
    assert frame["gain"].tolist() == pytest.approx([0, 1 / 4, 1 / 4, 1 / 4])


def test_a_phantom_is_the_detectors():
    # labelled happy; found happy and a phantom taken for happy: F1 2/3, then 1.
    frame = grid({"one": "happy happy"}, {"one": "happy ."}, {"one": "happy ."}).ablation(
        "d", "fake"
    )
    assert frame["value"].tolist() == pytest.approx([2 / 3, 2 / 3, 1, 1])
    assert frame["gain"].tolist() == pytest.approx([0, 0, 1 / 3, 0])


def test_abstaining_is_the_crops_where_the_labelled_box_is_answered():
    frame = grid({"one": "abstain"}, {"one": "happy"}, {"one": "happy"}).ablation("d", "fake")
    assert frame["gain"].tolist() == [0, 1, 0, 0]


def test_a_crop_that_is_better_than_the_labelled_one_is_a_loss():
    frame = grid({"one": "happy"}, {"one": "sad"}, {"one": "happy"}).ablation("d", "fake")
    assert frame["gain"].tolist() == [0, -1, 0, 1]


@pytest.mark.parametrize(
    "name", [name for name, each in FIGURES.items() if each.over in ("end_to_end", "group")]
)
def test_the_steps_are_the_runs_and_the_gains_sum_to_the_loss(name):
    evaluation = grid()
    frame = evaluation.ablation("d", "fake", name)
    found, labelled = (
        evaluation[detector, "fake"].overall()[name] for detector in ("d", "labelled")
    )
    assert frame["value"].iloc[[0, 2]].tolist() == pytest.approx([found, labelled], nan_ok=True)
    best = frame["value"].iloc[-1]
    assert frame["gain"].sum() == pytest.approx(abs(best - found), abs=1e-9, nan_ok=True)
    if FIGURES[name].over == "end_to_end":
        assert best == 1


def test_intervals_hold_the_gains():
    rng = np.random.default_rng(0)
    words = [word for word in EMOTIONS if word != "angry"]
    photos = {f"{i}": " ".join(rng.choice(words, 5)) for i in range(40)}
    found = {name: " ".join(w if rng.random() < 0.6 else "." if rng.random() < 0.5 else "angry"
                            for w in line.split()) for name, line in photos.items()}  # fmt: skip
    on_labels = {name: " ".join(w if rng.random() < 0.8 else "angry" for w in line.split())
                 for name, line in photos.items()}  # fmt: skip
    frame = grid(found, on_labels, photos).ablation("d", "fake")
    assert (frame["low"] <= frame["gain"]).all()
    assert (frame["gain"] <= frame["high"]).all()
    assert (frame["high"] - frame["low"])[1:].gt(0.01).all()
    assert frame.loc["as found", ["gain", "low", "high"]].tolist() == [0, 0, 0]
    assert frame.loc["all right", "value"] == 1


def test_photos_that_one_run_could_not_read_are_left_out():
    unread = analysis("two", "", "labelled", failure=Failure("read", "gone"))
    analyses = [analysis("one", "happy", "d"), analysis("two", ".", "d"),
                analysis("one", "happy", "labelled"), unread]  # fmt: skip
    grid = Evaluation.of(labels_of({"one": "happy", "two": "sad"}), analyses)
    assert grid.ablation("d", "fake")["value"].tolist() == [1, 1, 1, 1]


def test_without_a_run_on_the_labelled_faces_it_says_how_to_get_one():
    alone = Evaluation.of(labels_of({"one": "happy"}), [analysis("one", "happy", "d")])
    with pytest.raises(OptionError, match=r"no run of fake .* detectors=\['d', 'labelled'\]"):
        alone.ablation("d", "fake")


def test_a_figure_of_one_part_is_refused():
    with pytest.raises(OptionError, match="figure is 'matched_accuracy': expected one of end_to"):
        grid().ablation("d", "fake", "matched_accuracy")


def test_the_whole_way_and_back(tmp_path):
    # A backend that answers by the width of the box: right on labelled boxes alone.
    scene = make_scene(["happy", "sad"], name="a.png")
    labels = write_scenes([scene], tmp_path / "photos")
    wide = Faces(scene.labelled.boxes[:1] - [0, 0, 10, 0])

    class ByWidth:
        classes = EMOTIONS
        label = "by width"

        def prepare(self, image, faces):
            return (faces.boxes[:, 2] - faces.boxes[:, 0])[:, None]

        def predict(self, inputs):
            return np.eye(7)[np.where(inputs[:, 0] == 48, WORDS["happy"], WORDS["sad"])]

    evaluation = groupemo.evaluate(
        tmp_path / "photos", labels, detectors=[FakeDetector(wide), "labelled"],
        backends=[ByWidth()], out=tmp_path / "run",
    )  # fmt: skip
    want = [0, 1 / 2, 1 / 2, 1]
    for one in (evaluation, load_evaluation(evaluation.save(tmp_path / "run"))):
        frame = one.ablation("fake", "by width", "end_to_end_accuracy")
        assert frame["value"].tolist() == want
