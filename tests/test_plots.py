"""Each plot draws what it says: positions and words are read back from the axes."""

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure
from report_scenes import HAPPY, NEUTRAL, SAD, answers, evaluation, voted

from groupemo import EMOTIONS, Evaluation, Faces, LabelledFaces, Labels, compare, plots
from groupemo.comparison import Comparisons
from groupemo.errors import OptionError
from groupemo.figures import FIGURES
from groupemo.metrics import calibration as cal
from groupemo.planning import plan, plan_ahead
from groupemo.plots import (
    draw_faces,
    plot_ablation,
    plot_anatomy,
    plot_comparison,
    plot_confusion,
    plot_differences,
    plot_gains,
    plot_per_class,
    plot_precision_recall,
    plot_reliability,
    plot_risk_coverage,
    plot_slices,
    plot_valence,
    plot_width,
)
from groupemo.plots._axes import BLUE, GRAY, ORANGE, VERMILLION, curve_look
from groupemo.slices import slices
from groupemo.standing import Person, Run


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return evaluation(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    return voted(tmp_path_factory.mktemp("many"))


@pytest.fixture(scope="module")
def nothing(made):
    """One photo in which no face is labelled and none was found."""
    one = made.scores[0].photos[0].analysis
    bare = type(one)(**{**vars(one), "faces": Faces.empty(), "probs": np.empty((0, 7))})
    return Evaluation.of(Labels({one.photo: LabelledFaces.empty()}), [bare])


def drawn(ax):
    """Let matplotlib lay everything out: what cannot be drawn fails here."""
    ax.figure.draw_without_rendering()
    return ax


def texts(ax):
    return [text.get_text() for text in ax.texts]


def names(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def dots(ax):
    """Return the value of each row of a dot plot."""
    return [float(line.get_xdata()[0]) for line in ax.lines if len(line.get_xdata()) == 1]


def spans(ax):
    """Return the interval of each row of a dot plot."""
    return [
        tuple(each[:, 0])
        for lines in ax.collections
        for each in lines.get_segments()
        if each.ndim == 2
    ]


# --- faces and classes ---


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
    assert names(ax)[HAPPY] == "happy (n = 2)"
    assert names(ax)[-1] == "no labelled face (n = 1)"
    assert len(texts(drawn(plot_confusion(made.scores[0], over="matched")))) == 49


def test_per_class_leaves_out_what_is_not_defined(made):
    ax = drawn(plot_per_class(made.scores[0]))
    precision, f1, recall = (line.get_xdata() for line in ax.lines)
    assert precision[HAPPY] == 0.5
    assert recall[HAPPY] == 0.5
    assert f1[HAPPY] == 0.5
    assert np.isnan([precision[0], f1[0], recall[0]]).all()
    assert legend(ax) == ["precision", "F1", "recall"]
    assert names(ax)[HAPPY] == "happy (n = 2)"
    # angry, disgust, fear and surprise: nobody labelled or answered them
    assert texts(ax) == ["undefined: neither labelled\nnor answered"] * 4


def test_intervals_of_classes_hold_their_figures(many):
    ax = drawn(plot_per_class(many["eye", "mind"], over="matched"))
    for line, lines in zip(ax.lines, ax.collections[:-1], strict=True):
        for value, segment in zip(line.get_xdata(), lines.get_segments(), strict=True):
            if segment.ndim == 2:  # none where draws are alike
                assert segment[0, 0] <= value <= segment[1, 0]
    # each photo's happy face is answered happy, its sad one neutral, its neutral one not found
    precision, f1, recall = (line.get_xdata() for line in ax.lines)
    assert [precision[HAPPY], f1[HAPPY], recall[HAPPY]] == [1, 1, 1]
    assert [precision[NEUTRAL], f1[NEUTRAL], recall[SAD]] == [0, 0, 0]


# --- runs ---


def test_a_persons_f1_is_a_line_in_each_row(many):
    *_, people = drawn(plot_per_class(many["eye", "mind"])).collections
    human = Person.of(many["eye", "mind"]).classes()
    known = np.flatnonzero(np.isfinite(human))
    middles = [each.mean(axis=0).tolist() for each in people.get_segments()]
    assert middles == [[human[row], row] for row in known]
    assert known.tolist() == sorted([HAPPY, SAD, NEUTRAL])


def test_comparison_puts_runs_in_their_parts_best_first(many):
    ax = drawn(plot_comparison(many, "matched_macro_f1"))
    assert names(ax) == [
        "eye x mind",
        "eye x guess",
        "eye x prior\n(same answer for every face)",
        "labelled x mind\n(given the labelled boxes)",
        "labelled x guess\n(given the labelled boxes)",
        "labelled x prior\n(given the labelled boxes)",
    ]
    # mind: happy right, sad read as neutral: F1 1 and 0. Always happy: 2/3 and 0. With the
    # labelled boxes neutral faces, too: F1 1, 0 and 2/3; always happy 1/2, 0 and 0
    assert dots(ax) == pytest.approx([1 / 2, 1 / 3, 1 / 3, 5 / 9, 1 / 6, 1 / 6])
    assert texts(ax)[0] == "0.50, n = 24"
    ax = drawn(plot_comparison(many, "detection_precision"))
    assert names(ax) == ["eye", "labelled\n(given the labelled boxes)"]
    known = many["eye", "mind"].estimates()["detection_precision"]
    assert spans(ax)[0] == pytest.approx((known.low, known.high))


def test_comparison_draws_the_floor_and_the_human_ceiling(many):
    ax = drawn(plot_comparison(many, "matched_accuracy"))
    # of 10 people, 8 say of the happy face what most of the others say, 6 of the sad one, 10
    assert legend(ax) == ["constant answer 0.50", "human ceiling 0.80"]
    lines = [line.get_xdata()[0] for line in ax.lines if len(line.get_xdata()) == 2]
    assert lines == pytest.approx([0.5, 0.8])
    assert ax.get_xlim()[1] > 0.8
    assert drawn(plot_comparison(many, "detection_recall")).get_legend() is None


def test_low_is_best_where_it_is(many):
    ax = drawn(plot_comparison(many, "matched_log_loss"))
    assert dots(ax)[:2] == sorted(dots(ax)[:2])
    assert "lower is better" in ax.get_xlabel()
    assert names(ax)[0] == "eye x mind"


def test_what_is_undefined_says_why(made):
    ax = drawn(plot_comparison(made, "matched_kl"))
    assert np.isnan(dots(ax)).all()
    assert f"undefined: {FIGURES['matched_kl'].undefined}" in texts(ax)
    assert "n = 0" in texts(ax)


def test_comparison_knows_every_figure(made):
    for name in FIGURES:
        drawn(plot_comparison(made, name))
    with pytest.raises(OptionError, match="end_to_end_macro_f1"):
        plot_comparison(made, "luck")


def test_comparison_of_one_photo_has_dots_alone(made):
    one = Evaluation.of(made.labels.only(["party.png"]), [made.scores[0].photos[0].analysis])
    ax = drawn(plot_comparison(one))
    assert np.isfinite(dots(ax)).all()
    assert not spans(ax)


def test_differences_of_all_runs_have_the_better_one_first(many):
    found = many.comparisons("matched_macro_f1")
    ax = drawn(plot_differences(found))
    assert set(names(ax)[:2]) == {"eye x mind\nover eye x guess", "eye x mind\nover eye x prior"}
    assert dots(ax) == pytest.approx([1 / 6, 1 / 6, 0])
    assert found.sentence().split()[0] == ax.get_title().split()[0] == "2"
    full = [line.get_markerfacecolor() for line in ax.lines if len(line.get_xdata()) == 1]
    assert full == [BLUE, BLUE, "white"]
    assert "12 photos" in ax.get_xlabel().replace("\n", " ")
    only = plot_differences(found, of=("eye", "guess"))
    assert len(dots(only)) == 2


def test_differences_of_two_runs_are_gains(many):
    found = compare(many["labelled", "mind"], many["eye", "mind"])
    ax = drawn(plot_differences(found))
    by_name = dict(zip(names(ax), dots(ax), strict=True))
    assert by_name["matched macro-F1"] == pytest.approx(5 / 9 - 1 / 2)
    assert by_name["matched log-loss (nats)"] > 0  # 24 of 36 right, not 12 of 24: a lesser loss
    assert by_name["detection recall"] == pytest.approx(1 / 3)
    assert "how much better labelled is" in ax.get_xlabel()
    assert ax.get_title() == "labelled against eye"


def test_no_differences_is_a_picture_too(many):
    ax = drawn(plot_differences(Comparisons(FIGURES["matched_accuracy"], (), (), ())))
    assert "nothing to compare" in texts(ax)[0].replace("\n", " ")


def test_names_shrink_to_fit_their_rows(many):
    def letters(height):
        ax = Figure(figsize=(6, height), dpi=72).add_subplot()
        return plot_comparison(many, ax=ax).get_yticklabels()[0].get_fontsize()

    assert letters(6) == 9
    assert letters(1) < 72 * 1 / 6 / 2  # six names of two lines in an inch


# --- curves ---


def test_reliability_shows_each_bin_and_its_count(many):
    scores = many["eye", "mind"]
    found = cal.reliability(scores.answers)
    ax = drawn(plot_reliability(scores))
    confidence, accuracy = ax.lines[1].get_data()
    assert accuracy.tolist() == pytest.approx([0.5])  # happy right, sad wrong
    assert confidence.tolist() == pytest.approx([0.7])
    counts = [bar.get_height() for bar in ax.child_axes[0].patches]
    assert counts == found.count.tolist()
    assert "ECE 0.20" in ax.get_title()
    assert ax.get_title().endswith("n = 24")
    gaps = ax.collections[0].get_segments()  # confident beyond truth
    assert gaps[0][:, 1].tolist() == pytest.approx([0.7, 0.5])
    assert "adaptive" in drawn(plot_reliability(scores, adaptive=True)).get_title()


def test_risk_coverage_has_a_curve_a_run_and_its_area(many):
    runs = [many["eye", "mind"], many["eye", "guess"]]
    ax = drawn(plot_risk_coverage(runs))
    curves = ax.lines[::2]
    for run, curve in zip(runs, curves, strict=True):
        found = cal.risk_coverage(run.answers)
        assert curve.get_xdata().tolist() == found.coverage.tolist()
        assert curve.get_ydata().tolist() == found.risk.tolist()
    assert legend(ax)[0].startswith("eye x mind: AURC 0.50")
    assert legend(ax)[0].endswith("n = 24")
    assert curves[0].get_linestyle() != curves[1].get_linestyle()


def test_no_two_curves_look_alike():
    assert len({curve_look(at) for at in range(20)}) == 20


def test_precision_recall_has_a_curve_a_detector(many):
    ax = drawn(plot_precision_recall(many.scores))
    assert [text.partition(":")[0] for text in legend(ax)] == ["eye", "labelled"]
    recall, precision = ax.lines[0].get_data()
    # 24 of 36 faces are found, and 6 stray boxes
    assert recall[-1] == pytest.approx(24 / 36)
    assert precision[-1] == pytest.approx(24 / 30)
    assert (np.diff(recall) >= 0).all()
    assert ax.lines[2].get_data()[0][-1] == 1  # the labelled boxes find every face


def test_width_marks_what_is_wanted_and_what_there_is(many):
    planned = plan(many["eye", "mind"], figure="detection_precision", width=0.1)
    ax = drawn(plot_width(planned))
    assert list(zip(*ax.lines[0].get_data(), strict=True)) == list(planned.curve)
    assert legend(ax)[:2] == ["wanted: 0.1", f"takes {planned.photos} photos"]
    assert legend(ax)[2].endswith("with 12")
    assert len(legend(drawn(plot_width(plan_ahead(0.5))))) == 2


# --- errors ---


def test_anatomy_stacks_the_bins_of_each_run(many):
    ax = drawn(plot_anatomy(many))
    parts = Run(many["eye", "mind"]).bins
    total = sum(parts.values())
    assert names(ax)[0] == f"eye x mind\n(n = {total})"
    first = {bars.get_label(): bars[0] for bars in ax.containers}
    assert {name: bar.get_width() for name, bar in first.items() if bar.get_width()} == {
        name: count for name, count in parts.items() if count
    }
    assert max(bar.get_x() + bar.get_width() for bar in first.values()) == total
    hatches = [bar.get_hatch() for bar in first.values()]
    assert len(set(hatches)) > 1  # told apart without colour


def test_gains_are_those_of_mending(many):
    gains = Run(many["eye", "mind"]).gains
    ax = drawn(plot_gains(many["eye", "mind"]))
    assert names(ax) == [gain.name for gain in gains]
    assert dots(ax) == [gain.value for gain in gains]
    assert texts(ax) == [f"n = {gain.count}" for gain in gains]


def test_ablation_is_a_waterfall(many):
    steps = many.ablation("eye", "mind", "end_to_end_accuracy")
    ax = drawn(plot_ablation(many, "eye", "mind", "end_to_end_accuracy"))
    ends = [bar.get_x() + bar.get_width() for bar in ax.patches]
    assert ends == pytest.approx(steps["value"].tolist())
    assert [bar.get_x() for bar in ax.patches[1:]] == pytest.approx(steps["value"].tolist()[:-1])
    assert names(ax) == ["as found", "labelled crops\n(crop's)", "labelled boxes\n(detector's)",
                         "all right\n(classifier's)"]  # fmt: skip
    assert "n = 36 faces, 12 photos" in ax.get_xlabel()
    assert texts(ax)[0] == f"{steps['value'].iloc[0]:.2f}"
    assert texts(ax)[2].startswith(f"{steps['gain'].iloc[2]:+.2f}")


def test_slices_show_each_group_and_hollow_ones_of_small_support(many):
    found = slices(many["eye", "mind"], "light")
    ax = drawn(plot_slices(found, "detection_recall"))
    assert names(ax) == ["day", "night"]
    assert dots(ax) == [1, 0]  # only the last face is never found
    assert texts(ax) == ["n = 24, 12 photos", "n = 12, 12 photos"]
    assert "hollow" in ax.get_xlabel()
    assert [line.get_color() for line in ax.lines] == [GRAY, GRAY]
    assert [line.get_markerfacecolor() for line in ax.lines] == ["white", "white"]
    assert ax.get_title() == "by light"  # too few for a gap
    with pytest.raises(OptionError, match="detection_recall"):
        plot_slices(found, "luck")


def test_slices_name_the_worst_gap(tmp_path):
    many = voted(tmp_path, photos=32)
    ax = drawn(plot_slices(slices(many["eye", "mind"], "light"), "end_to_end_accuracy"))
    assert "day over night" in ax.get_title() or "night over day" in ax.get_title()
    assert "hollow" not in ax.get_xlabel()


def test_valence_puts_a_dot_where_photos_are(many):
    ax = drawn(plot_valence(many["eye", "mind"]))
    # labelled happy, sad and neutral: 0. Answered happy and neutral: 1/2. And neutral: 1/3
    places = {tuple(np.round(place, 6)) for place in ax.collections[0].get_offsets().tolist()}
    assert {x for x, _ in places} == {0}
    assert "n = 12 photos" in ax.get_title()
    assert "correlation undefined" in ax.get_title()
    assert ax.collections[0].get_sizes().sum() == 28 * 12


# --- all of them ---


def every(grid):
    """Yield each plot of an evaluation as a function of `ax`."""
    run = grid.scores[0]
    for plot in (plot_confusion, plot_per_class, plot_reliability, plot_risk_coverage,
                 plot_precision_recall, plot_gains, plot_valence):  # fmt: skip
        yield lambda ax, plot=plot: plot(run, ax)
    yield lambda ax: plot_comparison(grid, ax=ax)
    yield lambda ax: plot_anatomy(grid, ax)
    yield lambda ax: plot_slices(slices(run, "size"), ax=ax)
    yield lambda ax: plot_differences(grid.comparisons(), ax)
    yield lambda ax: plot_width(plan_ahead(0.5), ax)


def test_axes_given_are_axes_returned(made):
    for plot in every(made):
        ax = Figure().add_subplot()
        assert plot(ax) is ax


def test_nothing_at_all_is_drawn_and_said(nothing):
    for plot in every(nothing):
        drawn(plot(Figure().add_subplot()))
    run = nothing.scores[0]
    assert "no face" in texts(plot_reliability(run))[0]
    assert "without an answer" in texts(plot_risk_coverage(run))[0].replace("\n", " ")
    assert "no photo" in texts(plot_valence(run))[0]


def test_nothing_is_read_as_mathematics(made):
    one = made.scores[0].photos[0].analysis
    named = type(one)(**{**vars(one), "backend": "$\\frac$", "detector": "a_b^"})
    grid = Evaluation.of(made.labels.only([one.photo]), [named])
    for plot in every(grid):
        drawn(plot(Figure().add_subplot()))


def test_colours_are_those_of_okabe_and_ito():
    assert (BLUE, VERMILLION, ORANGE) == ("#0072b2", "#d55e00", "#e69f00")


def test_every_plot_is_public():
    assert all(name.startswith(("plot_", "draw_")) for name in plots.__all__)
    assert sorted(plots.__all__) == plots.__all__


def test_pyplot_is_never_loaded():
    code = "import groupemo.plots, sys; assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
