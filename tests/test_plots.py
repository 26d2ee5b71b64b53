import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure
from report_scenes import HAPPY, SAD, answers, evaluation

from groupemo import EMOTIONS, Evaluation, Faces
from groupemo.errors import OptionError
from groupemo.plots import draw_faces, plot_comparison, plot_confusion, plot_per_class


@pytest.fixture
def made(tmp_path):
    return evaluation(tmp_path)


def drawn(ax):
    """Let matplotlib lay everything out: what cannot be drawn fails here."""
    ax.figure.canvas.draw()
    return ax


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_draw_faces_boxes_each_face_and_says_the_answer():
    image = np.zeros((60, 80, 3), np.uint8)
    faces = Faces([[5, 10, 25, 30], [40, 10, 60, 30]])
    ax = drawn(draw_faces(image, faces, answers("happy", None), EMOTIONS))
    assert texts(ax) == ["happy 70%", "no answer"]
    assert {patch.get_bbox().bounds for patch in ax.patches} == {(5, 10, 20, 20), (40, 10, 20, 20)}
    assert not texts(drawn(draw_faces(image, Faces.empty())))
    assert not texts(drawn(draw_faces(image, faces)))


def test_confusion_shows_counts_and_row_percentages(made):
    ax = drawn(plot_confusion(made.scores[0]))
    cells = np.array(texts(ax)).reshape(8, 9)
    assert cells[HAPPY, HAPPY] == "1\n50%"  # one happy face answered, one abstained
    assert cells[HAPPY, 7] == "1\n50%"
    assert cells[SAD, HAPPY] == "1\n100%"
    assert cells[7, SAD] == "1\n100%"  # the stray box
    assert [label.get_text() for label in ax.get_xticklabels()][-2:] == ["abstained", "missed"]
    assert len(texts(drawn(plot_confusion(made.scores[0], over="matched")))) == 49


def test_per_class_leaves_out_what_is_not_defined(made):
    ax = drawn(plot_per_class(made.scores[0]))
    precision = ax.lines[0].get_xdata()
    assert precision[HAPPY] == 0.5
    assert np.isnan(precision[0])
    assert ax.get_yticklabels()[HAPPY].get_text() == "happy (n = 2)"


def test_comparison_has_a_dot_and_an_interval_a_pair(made):
    ax = drawn(plot_comparison(made, "end_to_end_accuracy"))
    assert ax.lines[0].get_xdata().tolist() == [0.25, 0.25]
    assert len(ax.collections[0].get_segments()) == 2
    assert "eye x mind (stand-in)" in [label.get_text() for label in ax.get_yticklabels()]
    drawn(plot_comparison(made, "matched_log_loss"))
    with pytest.raises(OptionError, match="end_to_end_macro_f1"):
        plot_comparison(made, "luck")


def test_axes_given_are_axes_returned(made):
    for plot, thing in (
        (plot_confusion, made.scores[0]),
        (plot_per_class, made.scores[0]),
        (plot_comparison, made),
    ):
        ax = Figure().add_subplot()
        assert plot(thing, ax=ax) is ax


def test_pyplot_is_never_loaded():
    code = "import groupemo.plots, sys; assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_comparison_of_one_photo_has_dots_alone(made):
    one = Evaluation.of(made.labels.only(["party.png"]), [made.scores[0].photos[0].analysis])
    ax = drawn(plot_comparison(one))
    assert np.isfinite(ax.lines[0].get_xdata()).all()
    assert not np.isfinite(ax.collections[0].get_segments()).any()
