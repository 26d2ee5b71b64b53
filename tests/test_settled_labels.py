"""Faces whose label somebody settled: the word counts, and the annotators' answers stay theirs."""

import numpy as np
import pytest

from groupemo import Labels, load_labels, save_labels
from groupemo.emotions import EMOTIONS
from groupemo.errors import LabelError
from groupemo.labels import IGNORE, NOT_SETTLED, UNSURE, LabelledFaces
from groupemo.metrics.agreement import agreement, ballots, by_annotator, human_tally

HAPPY, SAD, NEUTRAL = (EMOTIONS.index(word) for word in ("happy", "sad", "neutral"))

HEAD = "image,x,y,w,h,emotion,annotator,settled,settled_by\n"
FACES = (
    "a.jpg,0,0,9,9,happy,A,sad,C\na.jpg,0,0,9,9,happy,B,sad,C\n"  # overruled
    "a.jpg,20,0,9,9,happy,A,unsure,C\na.jpg,20,0,9,9,sad,B,unsure,C\n"
    "a.jpg,40,0,9,9,sad,A,,\na.jpg,40,0,9,9,sad,B,,\n"
    "a.jpg,60,0,9,9,neutral,A,ignore,C\n"
    "a.jpg,80,0,9,9,happy,C,happy,C\n"  # nobody's but the settler's
)


def read(tmp_path, text):
    file = tmp_path / "labels.csv"
    file.write_text(text)
    return load_labels(file)


@pytest.fixture
def labels(tmp_path):
    return read(tmp_path, HEAD + FACES)


def test_a_settled_label_stands_and_the_votes_are_the_annotators(labels):
    merged = labels["a.jpg"]
    assert merged.labels.tolist() == [SAD, UNSURE, SAD, IGNORE, HAPPY]
    assert merged.votes[:, HAPPY].tolist() == [2, 1, 0, 0, 0]
    assert merged.votes.sum(axis=1).tolist() == [2, 2, 2, 1, 0]
    assert merged.merged() is merged


def test_who_settles_is_no_annotator(labels):
    assert (labels.annotators, labels.settlers) == (("A", "B"), ("C",))
    with pytest.raises(LabelError, match="no annotator 'C'"):
        labels.by("C")
    assert labels.by("A")["a.jpg"].labels.tolist() == [HAPPY, HAPPY, SAD, NEUTRAL]
    assert labels.by("A").settlers == ()


def test_agreement_is_of_what_was_said(labels):
    found = agreement(labels)
    # happy-happy, happy-sad, sad-sad: 2/3 the same, by chance (2*1 + 1*2) / 9
    assert found.kappa[0, 1] == pytest.approx(0.4)
    assert found.shared.tolist() == [[4, 3], [3, 3]]
    assert (found.faces, found.settled) == (3, 4)
    _, table = by_annotator(labels)
    assert table[:3].tolist() == [[HAPPY, HAPPY], [HAPPY, SAD], [SAD, SAD]]
    human = human_tally(ballots(labels)).counts.sum(axis=0)
    assert human[HAPPY, HAPPY] == 1  # of the overruled face: each predicts the other


def test_what_was_settled_changes_no_figure_of_agreement(labels, tmp_path):
    rows = [row.rsplit(",", 2)[0] for row in FACES.splitlines()[:-1]]
    before = agreement(read(tmp_path, "\n".join(["image,x,y,w,h,emotion,annotator", *rows])))
    after = agreement(labels)
    for name in ("kappa", "shared", "alpha", "fleiss", "entropy"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))


def test_files_with_settled_faces_come_back_as_they_are(labels, tmp_path):
    again = load_labels(save_labels(labels, tmp_path / "again.csv"))
    assert (tmp_path / "again.csv").read_text() == HEAD + FACES
    assert again.written["a.jpg"].settled.tolist() == labels.written["a.jpg"].settled.tolist()
    assert again.only(["a.jpg"]).settlers == ("C",)


def test_what_is_settled_may_stand_in_one_row(tmp_path):
    text = HEAD + "a.jpg,0,0,9,9,happy,A,sad,\na.jpg,0,0,9,9,neutral,B,,\n"
    labels = read(tmp_path, text)
    assert labels["a.jpg"].labels.tolist() == [SAD]
    assert labels["a.jpg"].votes.sum() == 2
    assert labels.settlers == ()


def test_a_face_of_one_row_may_be_settled(tmp_path):
    [face] = read(tmp_path, HEAD + "a.jpg,0,0,9,9,happy,A,sad,C\n")["a.jpg"].labels
    assert face == SAD


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ("a.jpg,0,0,9,9,happy,A,grumpy,C\n", "line 2, column 'settled': unknown .*'grumpy'"),
        ("a.jpg,0,0,9,9,happy,A,contempt,C\n", "column 'settled': 'contempt' has no class"),
        ("a.jpg,0,0,9,9,happy,A,,C\n", "column 'settled_by': somebody settled this face"),
        ("a.jpg,,,,,,A,sad,C\n", "line 2, column 'x': '' is not a number"),
        (
            "a.jpg,0,0,9,9,happy,A,sad,C\na.jpg,0,0,9,9,happy,B,fear,C\n",
            "lines 2 and 3, column 'settled': two values for 'a.jpg'",
        ),
    ],
)
def test_what_cannot_be_settled_so_is_refused(tmp_path, rows, reason):
    with pytest.raises(LabelError, match=reason):
        read(tmp_path, HEAD + rows)


def test_one_face_is_not_settled_in_two_ways():
    box = [[0, 0, 9, 9]] * 2
    faces = LabelledFaces(
        box, [SAD, SAD], annotators=["A", "B"], settled=[SAD, HAPPY], settlers=["C", "C"]
    )
    with pytest.raises(LabelError, match=r"a.jpg: the box 0, 0, 9, 9 .* settled as happy and as"):
        Labels({"a.jpg": faces})
    with pytest.raises(LabelError, match=r"settled\[0\] is 7: .* -3 \(not settled\)"):
        LabelledFaces(box[:1], [SAD], settled=[7])
    assert LabelledFaces(box, [SAD, SAD]).settled.tolist() == [NOT_SETTLED] * 2
