"""From faces to the group, held to groups that fit in a comment; and how they are drawn."""

import numpy as np
import pytest

from groupemo import EMOTIONS, Analysis, Faces, LabelledFaces, Labels, group_table
from groupemo.errors import AnalysisError, LabelError
from groupemo.labels import IGNORE, UNSURE
from groupemo.plots import plot_agreement, plot_groups

ANGRY, HAPPY, SAD, SURPRISE, NEUTRAL = (
    EMOTIONS.index(word) for word in ("angry", "happy", "sad", "surprise", "neutral")
)


def boxes(n):
    return [[20 * at, 0, 20 * at + 10, 10] for at in range(n)]


def labelled(*labels, **more):
    return LabelledFaces(boxes(len(labels)), labels, **more)


def analysis(photo, probs, classes=EMOTIONS):
    faces = Faces(boxes(len(probs)), [0.9] * len(probs))
    return Analysis(photo, "", 99, 99, faces, np.array(probs), classes, "eye", "mind")


def test_one_mean_may_be_of_two_kinds_of_groups():
    table = group_table(
        Labels(
            {
                "torn": labelled(HAPPY, HAPPY, ANGRY, SAD),
                "calm": labelled(NEUTRAL, NEUTRAL, NEUTRAL),
                "glad": labelled(HAPPY, SURPRISE, HAPPY, UNSURE, IGNORE),
                "empty": LabelledFaces.empty(),
            }
        )
    )
    assert table["faces"].to_list() == [4, 3, 3, 0]
    assert table.loc["torn", list(EMOTIONS)].to_list() == [1, 0, 0, 2, 1, 0, 0]
    assert table["valence"].to_list()[:3] == pytest.approx([0, 0, 2 / 3])
    # of 1, 0, 1: the mean is 2/3, and the mean of the squares is 2/3 too
    assert table["spread"].to_list()[:3] == pytest.approx([1, 0, np.sqrt(2 / 3 - 4 / 9)])
    assert table["group"].to_list()[:3] == ["neutral", "neutral", "positive"]
    torn = -(0.5 * np.log(0.5) + 2 * 0.25 * np.log(0.25)) / np.log(7)
    assert table["diversity"].to_list()[:2] == pytest.approx([torn, 0])
    assert table.loc["empty", ["valence", "group", "spread", "diversity"]].isna().all()


def test_answers_are_counted_or_their_probabilities_summed():
    one = analysis("a.png", [[0.75, 0.25], [np.nan, np.nan], [0.5, 0.5]], ("happy", "sad"))
    hard = group_table(one)
    assert hard.loc["a.png", ["faces", "happy", "sad", "valence"]].to_list() == [2, 2, 0, 1]
    soft = group_table([one], soft=True)
    assert soft.loc["a.png", ["faces", "happy", "sad", "valence"]].to_list() == [
        2,
        1.25,
        0.75,
        0.25,
    ]
    assert group_table([analysis("b.png", np.empty((0, 7)))])["faces"].to_list() == [0]


def test_valence_may_be_another():
    ill = [-1, -1, -1, 1, -1, -0.5, 0]
    photo = Labels({"a": labelled(SURPRISE, HAPPY)})
    assert group_table(photo, valence=ill)["valence"].to_list() == [0.25]


def test_two_backends_are_not_put_together():
    one = analysis("a.png", np.eye(7)[:2])
    with pytest.raises(AnalysisError, match="analyzed twice"):
        group_table([one, one])


# drawn


def test_each_group_is_a_bar_with_its_numbers():
    table = group_table(
        Labels({"torn.jpg": labelled(HAPPY, ANGRY, ANGRY), "none.jpg": LabelledFaces.empty()})
    )
    axes = plot_groups(table)
    axes.figure.draw_without_rendering()
    assert [name.get_text() for name in axes.get_yticklabels()] == [
        "torn.jpg (n = 3)", "none.jpg (n = 0)",
    ]  # fmt: skip
    widths = {bar.get_label(): bar.patches[0].get_width() for bar in axes.containers}
    assert widths == pytest.approx({"angry": 2 / 3, "happy": 1 / 3})
    assert [text.get_text() for text in axes.texts] == [
        "2", "1", "valence  spread  diversity", "  -0.33    0.94       0.33",
        "      -       -          -",
    ]  # fmt: skip
    bare = plot_groups(table.loc[["none.jpg"]])
    bare.figure.draw_without_rendering()
    assert "no face has an expression" in bare.texts[-1].get_text()


def by(*answers):
    """Return labels of one photo: for each annotator, what they say of each face."""
    rows = [(box, label, who) for who, said in answers
            for box, label in zip(boxes(len(said)), said, strict=True)]  # fmt: skip
    places, labels, people = zip(*rows, strict=True)
    return Labels({"a.png": LabelledFaces(places, labels, annotators=people)})


def cells(axes):
    axes.figure.draw_without_rendering()
    names = [[tick.get_text().split(" (")[0] for tick in ticks] for ticks in
             (axes.get_yticklabels(), axes.get_xticklabels())]  # fmt: skip
    found = {}
    for text in axes.texts:
        column, row = text.get_position()
        found[names[0][row], names[1][column]] = int(text.get_text().split("\n")[0])
    return {place: count for place, count in found.items() if count}


def test_two_annotators_stand_beside_each_other():
    labels = by(
        ("AB", [HAPPY, HAPPY, SAD, UNSURE]),
        ("CD", [HAPPY, NEUTRAL, SAD, SAD]),
        ("EF", [SAD, SAD]),
    )
    axes = plot_agreement(labels)
    assert cells(axes) == {
        ("happy", "happy"): 1, ("happy", "neutral"): 1, ("sad", "sad"): 1, ("unsure", "sad"): 1,
    }  # fmt: skip
    # three faces, two alike; by chance (2 * 1 + 1 * 1) / 9: (2/3 - 1/3) / (1 - 1/3)
    assert axes.get_title() == "AB and CD, n = 4 faces\nkappa 0.50"
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("AB", "CD")
    assert plot_agreement(labels, ("EF", "AB")).get_title().startswith("EF and AB, n = 2")
    with pytest.raises(LabelError, match="no annotator 'XY'"):
        plot_agreement(labels, ("AB", "XY"))


def test_agreement_takes_two():
    alone = plot_agreement(by(("AB", [HAPPY])))
    assert alone.texts[0].get_text() == "annotators: AB; agreement takes two"
    apart = Labels(
        {
            "a": LabelledFaces(boxes(1), [HAPPY], annotators=["AB"]),
            "b": LabelledFaces(boxes(1), [SAD], annotators=["CD"]),
        }
    )
    axes = plot_agreement(apart)
    axes.figure.draw_without_rendering()
    assert axes.get_title() == "AB and CD, n = 0 faces\nkappa undefined"
    assert axes.texts[0].get_text() == "no face has both"
