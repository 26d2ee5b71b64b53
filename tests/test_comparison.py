"""Comparing runs: against naive recomputation, and on scenes drawn in comments.

In the drawings, above what was labelled, below what two runs answered, `.` for nothing.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests
from test_evaluation import answered, labelled

import groupemo.comparison
from groupemo import Evaluation, Labels, compare
from groupemo.analysis import Failure
from groupemo.comparison import WATCHED, compare_all, joined
from groupemo.difference import Difference, amount, p_words
from groupemo.errors import AnalysisError, LabelError, OptionError
from groupemo.figures import FIGURES
from groupemo.metrics.paired import p_value
from groupemo.metrics.uncertainty import draw_weights, interval, leave_one_out, weightings

MACRO, LOSS, RECALL = (FIGURES[name] for name in
                       ("end_to_end_macro_f1", "matched_log_loss", "detection_recall"))  # fmt: skip
WORDS = ("happy", "sad", "neutral")


def evaluation(labels, *runs, **options):
    """Judge drawings: each run is a pair and one drawing a photo."""
    truth = Labels({name: labelled(line) for name, line in labels.items()})
    analyses = [
        answered(name, line, detector=detector, backend=backend)
        for (detector, backend), drawings in runs
        for name, line in drawings.items()
    ]
    return Evaluation.of(truth, analyses, **options)


def drawn_at_random(seed=0, n=16, backends=("x", "y", "z"), detector="d"):
    """Judge runs that are right on some faces, miss some, and abstain from some."""
    rng = np.random.default_rng(seed)
    labels = {f"p{i}": " ".join(rng.choice(WORDS, rng.integers(1, 6))) for i in range(n)}
    runs = [
        ((detector, backend), {name: _answers(rng, line) for name, line in labels.items()})
        for backend in backends
    ]
    return evaluation(labels, *runs)


def _answers(rng, line):
    said = rng.choice([*WORDS, "abstain", "."], len(line.split()), p=[0.3, 0.2, 0.2, 0.1, 0.2])
    return " ".join(np.where(rng.random(len(said)) < 0.5, line.split(), said))


# --- one pair ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_differences_are_those_of_a_naive_recomputation(seed):
    a, b = drawn_at_random(seed, backends=("x", "y")).scores
    names = [one.analysis.photo for one in a.photos]

    def naively(weights, figure):
        """Return a figure's difference with each photo as often as it was drawn."""
        values = []
        for row in weights.astype(int):
            drawn = [name for name, times in zip(names, row, strict=True) for _ in range(times)]
            x, y = (FIGURES[figure].of(weighed(run.only(drawn))) for run in (a, b))
            values.append(float(x[0] - y[0]))
        return np.round(values, 12)

    compared = compare(a, b, figures=WATCHED, draws=60, seed=seed)
    for figure, one in compared.differences.items():
        assert one.a == pytest.approx(a.overall()[figure], rel=1e-12)
        assert one.b == pytest.approx(b.overall()[figure], rel=1e-12)
        assert one.difference == pytest.approx(one.a - one.b, abs=1e-12)
        drawn = naively(draw_weights(len(names), draws=60, seed=seed), figure)
        more = {"point": one.difference, "jackknife": naively(leave_one_out(len(names)), figure)}
        np.testing.assert_allclose((one.low, one.high), interval(drawn, **more), atol=1e-9)
        assert one.p == pytest.approx(p_value(drawn, **more), abs=1e-9)


def weighed(run):
    return groupemo.comparison.Weighed(run, np.ones((1, len(run.photos))))


def test_turned_round_it_says_the_opposite():
    a, b = drawn_at_random(backends=("x", "y")).scores
    one, other = (compare(*pair, figures=WATCHED).frame() for pair in ((a, b), (b, a)))
    np.testing.assert_allclose(one["difference"], -other["difference"], atol=1e-12)
    np.testing.assert_allclose(one["p"], other["p"], rtol=1e-6)
    np.testing.assert_allclose(one["low"], -other["high"], atol=1e-3)


def test_a_run_is_no_better_than_itself():
    run = drawn_at_random().scores[0]
    frame = compare(run, run).frame()
    defined = frame[frame["a"].notna() & frame["low"].notna()]
    assert list(frame.index) == list(FIGURES)
    assert len(defined) > 10
    assert (defined[["difference", "low", "high"]] == 0).all(axis=None)
    assert (defined["p"] == 1).all()


def test_rounding_is_no_difference():
    # The same faces and answers in another order: sums of log-loss differ in the 16th digit.
    rng = np.random.default_rng(0)
    line = "happy sad neutral happy fear sad happy angry neutral"
    labels = Labels({f"{i}": labelled(line) for i in range(12)})
    forth, back = [], []
    for name in labels:
        one = answered(name, line, backend="forth")
        one = replace(one, probs=rng.dirichlet(np.ones(7), len(one)))
        forth.append(one)
        back.append(replace(one, faces=one.faces[::-1], probs=one.probs[::-1], backend="back"))
    a, b = Evaluation.of(labels, forth + back).scores
    assert (a.stacked["log_loss"] != b.stacked["log_loss"]).any()
    one = compare(a, b, figures=["matched_log_loss"]).differences["matched_log_loss"]
    assert (one.difference, one.low, one.high, one.p) == (0, 0, 0, 1)


def test_faces_only_one_run_got_right_by_hand():
    # labelled   happy  sad    neutral  fear     unsure  ignore   happy   sad
    # a          happy  happy  neutral  abstain  happy   happy    happy   sad     3 + 1 right
    # b          happy  sad    .        .        happy   happy    sad     happy   2 right
    #                   b      a                                  a       a
    grid = evaluation(
        {"one": "happy sad neutral fear unsure ignore", "two": "happy sad", "empty": "."},
        (("d", "a"), {"one": "happy happy neutral abstain happy happy", "two": "happy sad",
                      "empty": "sad"}),
        (("d", "b"), {"one": "happy sad . . happy happy", "two": "sad happy", "empty": "."}),
    )  # fmt: skip
    compared = compare(*grid.scores, figures=["end_to_end_accuracy"])
    assert (compared.only_a, compared.only_b, compared.faces) == (3, 1, 6)
    assert compared.mcnemar == pytest.approx(10 / 16), "4 of 4 coins: P(3+) + P(1-)"
    difference = compared.differences["end_to_end_accuracy"].difference
    assert difference == pytest.approx((3 - 1) / 6)


@pytest.mark.parametrize("seed", range(3))
def test_faces_only_one_run_got_right_are_its_lead_in_accuracy(seed):
    runs = drawn_at_random(seed, backends=("x", "y")).scores
    compared = compare(*runs, figures=["end_to_end_accuracy"])
    lead = compared.differences["end_to_end_accuracy"].difference * compared.faces
    assert compared.only_a - compared.only_b == pytest.approx(lead)


# --- which photos -----------------------------------------------------------------------------


def three(names="abc", **options):
    return evaluation(
        dict.fromkeys(names, "happy sad"),
        (("d", "x"), dict.fromkeys(names, "happy happy")),
        **options,
    )


def test_only_photos_both_have_count():
    compared = compare(three("abcd").scores[0], three("bcde").scores[0])
    assert compared.photos == ("b", "c", "d")
    assert compared.left_out == ("a", "e")
    assert compared.faces == 6


def test_photos_one_run_could_not_read_are_left_out():
    labels = Labels({name: labelled("happy") for name in "ab"})
    failed = replace(answered("b", "", backend="y"), failure=Failure("read", "cut off"))
    runs = [answered("a", "happy"), answered("b", "happy"), answered("a", "happy", backend="y")]
    compared = compare(*Evaluation.of(labels, [*runs, failed]).scores)
    assert (compared.photos, compared.left_out) == (("a",), ("b",))


def test_no_photo_in_common():
    with pytest.raises(AnalysisError, match="d x x and d x x have no photo in common"):
        compare(three("ab").scores[0], three("cd").scores[0])


@pytest.mark.parametrize(
    "change",
    [
        {"labels": [3, 5]},
        {"boxes": [[0, 0, 10, 10], [11, 0, 20, 10]]},
        {"complete": False},
        {"votes": np.eye(7)[[3, 4]]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_photos_labelled_otherwise_cannot_be_compared(change):
    other = labelled("happy sad")
    relabelled = replace(other, **change)
    runs = [
        Evaluation.of(
            Labels({"a": labelled("happy sad"), "b": faces, "c": faces}),
            [answered(name, "happy happy") for name in "abc"],
        ).scores[0]
        for faces in (other, relabelled)
    ]
    with pytest.raises(LabelError, match=r"^b: the runs were judged against different labels"):
        compare(*runs)


def test_photos_of_other_bytes_cannot_be_compared():
    labels = Labels({"a": labelled("happy")})
    runs = [Evaluation.of(labels, [answered("a", "happy", sha256=sha * 64)]) for sha in "ab"]
    with pytest.raises(AnalysisError, match=r"^a: the runs saw different files"):
        compare(*(grid.scores[0] for grid in runs))


def test_runs_judged_otherwise_cannot_be_compared():
    with pytest.raises(OptionError, match=r"min_iou 0\.5 and 0\.3"):
        compare(three().scores[0], three(min_iou=0.3).scores[0])
    other = replace(three().scores[0], classes=("happy", "sad"))
    with pytest.raises(OptionError, match="classes differ"):
        compare(three().scores[0], other)


def test_an_unknown_figure_lists_the_known():
    run = three().scores[0]
    with pytest.raises(OptionError, match=r"no figure 'f1'; known: detection_precision"):
        compare(run, run, figures=["f1"])
    with pytest.raises(OptionError, match=r"no figure 'matched_mcc'; known: detection_recall"):
        compare(run, run, figures=["detection_recall"]).sentence("matched_mcc")


# --- what it says -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("figure", "numbers", "sentence"),
    [
        (MACRO, (0.541, 0.5, 0.012, 0.07, 0.0042),
         "fer is better than deepface by 4.1 points of end-to-end macro-F1"
         " (95 % interval 1.2 to 7.0, p = .004)"),
        (MACRO, (0.5, 0.541, -0.07, -0.012, 0.0001),
         "fer is worse than deepface by 4.1 points of end-to-end macro-F1"
         " (95 % interval 1.2 to 7.0, p < .001)"),
        (MACRO, (0.5, 0.541, -0.1, 0.018, 0.17),
         "no telling which is better: fer is behind deepface by 4.1 points of end-to-end macro-F1"
         " (95 % interval -1.8 to 10.0, p = .17)"),
        (LOSS, (1.5, 1.2, 0.1, 0.5, 0.03),
         "fer is worse than deepface by 0.300 nats of matched log-loss"
         " (95 % interval 0.100 to 0.500, p = .030)"),
        (LOSS, (1.2, 1.5, -0.5, 0.0, 0.06),
         "no telling which is better: fer is ahead of deepface by 0.300 nats of matched log-loss"
         " (95 % interval 0.000 to 0.500, p = .060)"),
        (FIGURES["matched_kappa"], (0.5, 0.25, 0.1, 0.4, 0.01),
         "fer is better than deepface by 0.250 of matched Cohen's kappa"
         " (95 % interval 0.100 to 0.400, p = .010)"),
        (FIGURES["detection_phantoms_per_photo"], (0.5, 1.5, -1.4, -0.6, 0.01),
         "fer is better than deepface by 1.000 detection phantoms a photo"
         " (95 % interval 0.600 to 1.400, p = .010)"),
        (RECALL, (0.75, 0.75, 0.0, 0.0, 1.0),
         "fer and deepface have the same detection recall, whichever photos are drawn"),
        (RECALL, (0.75, 0.5, math.nan, math.nan, math.nan),
         "no telling which is better: fer is ahead of deepface by 25.0 points of detection recall,"
         " without an interval"),
        (LOSS, (math.nan, 1.5, math.nan, math.nan, math.nan),
         "matched log-loss of fer is undefined:"
         " no face with a known expression was found and answered"),
        (RECALL, (math.nan, math.nan, math.nan, math.nan, math.nan),
         "detection recall of fer and deepface is undefined: no face is labelled"),
    ],
)  # fmt: skip
def test_sentences(figure, numbers, sentence):
    assert Difference(figure, *numbers).sentence("fer", "deepface") == sentence


def test_a_sentence_names_what_differs():
    labels = dict.fromkeys("abcd", "happy sad")
    pairs = [("yunet", "fer"), ("yunet", "prior"), ("haar", "fer")]
    grid = evaluation(labels, *((pair, labels) for pair in pairs))

    def called(a, b, **options):
        one = compare(grid[a], grid[b], figures=[], **options)
        return one.a, one.b

    assert called(pairs[0], pairs[1]) == ("fer", "prior")
    assert called(pairs[0], pairs[2]) == ("yunet", "haar")
    assert called(pairs[1], pairs[2]) == ("yunet x prior", "haar x fer")
    assert called(pairs[0], pairs[0]) == ("a", "b")
    assert called(pairs[0], pairs[0], names=("new", "old")) == ("new", "old")


def test_a_comparison_says_its_main_figure():
    compared = compare(*drawn_at_random(backends=("x", "y")).scores, figures=WATCHED)
    main = compared.differences["end_to_end_macro_f1"]
    assert compared.sentence() == main.sentence("x", "y")


def test_words_for_numbers():
    assert amount(RECALL, 0.0412) == "4.1 points"
    assert amount(FIGURES["matched_js"], 0.0412) == "0.041 nats", "below ln 2, and no share"
    assert amount(FIGURES["matched_brier"], -0.0001) == "0.000"
    assert [p_words(p) for p in (1e-9, 0.00099, 0.001, 0.0996, 0.0994, 0.5, 0.999)] == [
        "p < .001", "p < .001", "p = .001", "p = .100", "p = .099", "p = .50", "p = 1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("figure", "low", "high", "margin", "fell", "could_hide"),
    [
        (RECALL, -0.05, -0.01, 0.0, True, 0.05),
        (RECALL, -0.05, -0.01, 0.01, False, 0.05),  # not the whole interval beyond it
        (RECALL, -0.05, 0.0, 0.0, False, 0.05),
        (RECALL, 0.01, 0.05, 0.0, False, 0.0),
        (LOSS, 0.01, 0.05, 0.0, True, 0.05),
        (LOSS, 0.01, 0.05, 0.02, False, 0.05),
        (LOSS, -0.05, -0.01, 0.0, False, 0.0),
        (RECALL, math.nan, math.nan, 0.0, False, math.nan),
    ],
)
def test_when_a_figure_fell(figure, low, high, margin, fell, could_hide):
    one = Difference(figure, 0.5, 0.5 - (low + high) / 2, low, high, 0.5)
    assert one.fell(margin) is fell
    assert one.could_hide == pytest.approx(could_hide, nan_ok=True)


def test_a_figure_that_is_gone_fell():
    nothing = (math.nan, math.nan, math.nan)
    assert Difference(LOSS, math.nan, 1.5, *nothing).fell()
    assert not Difference(LOSS, 1.5, math.nan, *nothing).fell()
    assert not Difference(LOSS, math.nan, math.nan, *nothing).fell()


# --- all with all -----------------------------------------------------------------------------


def test_every_pair_is_as_if_compared_alone():
    grid = drawn_at_random(backends=("w", "x", "y", "z"))
    every = grid.comparisons("matched_log_loss", draws=200)
    frame = every.frame()
    assert len(frame) == 6
    for _, row in frame.iterrows():
        a, b = (row["detector_a"], row["backend_a"]), (row["detector_b"], row["backend_b"])
        alone = grid.compare(a, b, figures=["matched_log_loss"], draws=200).iloc[0]
        columns = ["a", "b", "difference", "low", "high", "p"]
        np.testing.assert_array_equal(row[columns].tolist(), alone[columns].tolist())
    rejected, corrected, *_ = multipletests(frame["p"], method="holm")
    np.testing.assert_allclose(frame["p_holm"], corrected, atol=1e-12)
    assert frame["survives"].tolist() == rejected.tolist()


def test_the_grid_counts_what_survives():
    # right is right on 30 photos, wrong and worse on none: both of its comparisons survive.
    labels = {f"{i}": "happy sad neutral" for i in range(30)}
    wrong = dict.fromkeys(labels, "sad happy happy")
    every = evaluation(
        labels, (("d", "right"), labels), (("d", "wrong"), wrong), (("d", "twin"), wrong)
    ).comparisons()
    assert every.frame()["survives"].tolist() == [True, True, False]
    assert every.sentence() == (
        "2 of 2 comparisons of end-to-end macro-F1 survive Holm's correction at .05;"
        " 1 is between equal runs"
    )
    twins = every.differences[2]
    assert (twins.difference, twins.low, twins.high, twins.p) == (0, 0, 0, 1)
    assert twins.equal


def test_equal_runs_do_not_count_among_the_tests():
    grid = drawn_at_random(backends=("x", "y"))
    x, y = grid.scores
    alone = compare_all([x, y], draws=200)
    twice = compare_all([x, y, replace(x, backend="again")], draws=200)
    assert alone.corrected[0] == alone.differences[0].p
    # x with y, x with x again, y with x again: two tests
    assert [one.equal for one in twice.differences] == [False, True, False]
    np.testing.assert_allclose(twice.corrected[[0, 2]], np.minimum(2 * alone.corrected[0], 1))
    assert np.isnan(twice.corrected[1])


def test_a_great_lead_survives_however_many_compete():
    # eleven runs that are right on about half of the faces, one on all but a few; 66 comparisons
    rng = np.random.default_rng(0)
    labels = {f"{i:02}": " ".join(rng.choice(WORDS, 8)) for i in range(20)}

    def answers(share):
        return {
            name: " ".join(np.where(rng.random(8) < share, line.split(), "angry"))
            for name, line in labels.items()
        }

    runs = [(("d", f"{i}"), answers(0.97 if i == 0 else 0.4)) for i in range(12)]
    every = evaluation(labels, *runs).comparisons("end_to_end_accuracy")
    frame = every.frame()
    assert len(frame) == 66
    assert frame["survives"][frame["backend_a"] == "0"].all()
    assert not frame["survives"][frame["backend_a"] != "0"].any()


def test_detectors_are_compared_once_each():
    labels = {name: "happy sad neutral" for name in "abcdef"}
    half = {name: "happy . ." if name in "ace" else "sad sad ." for name in labels}
    runs = [((d, b), found) for d, found in (("all", labels), ("half", half)) for b in "xyz"]
    grid = evaluation(labels, *runs)
    every = grid.comparisons("detection_recall")
    assert every.pairs == ((("all", "x"), ("half", "x")),)
    assert every.corrected[0] == every.differences[0].p
    assert every.sentence() == (
        "1 of 1 comparisons of detection recall between detectors survive Holm's correction at .05"
    )
    assert len(grid.comparisons("end_to_end_accuracy").pairs) == 15


def test_the_labelled_boxes_do_not_compete():
    labels = dict.fromkeys("abc", "happy sad")
    pairs = [("d", "x"), ("labelled", "x"), ("d", "prior")]
    every = evaluation(labels, *((pair, labels) for pair in pairs)).comparisons()
    assert every.pairs == ((("d", "x"), ("d", "prior")),)


def test_one_run_has_nothing_to_be_compared_with():
    every = drawn_at_random(backends=("x",)).comparisons()
    assert len(every.frame()) == 0
    assert every.sentence().startswith("0 of 0 comparisons")


def test_what_is_undefined_is_not_tested():
    labels = dict.fromkeys("abcd", "happy sad")
    none = dict.fromkeys(labels, "abstain abstain")
    runs = [
        (("d", "x"), labels),
        (("d", "y"), dict.fromkeys(labels, "sad sad")),
        (("d", "z"), none),
    ]
    every = evaluation(labels, *runs).comparisons("matched_accuracy")
    assert np.isnan(every.corrected).tolist() == [False, True, True]
    assert every.survive[1:].tolist() == [False, False]
    assert every.sentence().endswith("at .05; 2 cannot be tested")


def test_the_grid_refuses_a_figure_it_does_not_know():
    with pytest.raises(OptionError, match="no figure 'luck'"):
        drawn_at_random().comparisons("luck")


# --- two evaluations --------------------------------------------------------------------------


def test_runs_of_two_evaluations_are_compared_like_those_of_one():
    grid = drawn_at_random(backends=("x", "y"))
    whole = grid.compare(("d", "x"), ("d", "y"), figures=WATCHED)
    before, after = (Evaluation.of(grid.labels, list(scores.analyses())) for scores in grid.scores)
    apart = before.compare(("d", "x"), ("d", "y"), other=after, figures=WATCHED)
    assert apart.equals(whole)
    with pytest.raises(OptionError, match="no scores for d x x; known: d x y"):
        before.compare(("d", "x"), ("d", "x"), other=after)


def runs(*pairs):
    return evaluation({"a": "happy"}, *((pair, {"a": "happy"}) for pair in pairs)).scores


def test_namesakes_are_joined():
    old, new = runs(("d", "x"), ("d", "y"), ("e", "x")), runs(("e", "x"), ("d", "x"), ("d", "z"))
    pairs = [(one.pair, other.pair) for one, other in joined(old, new)]
    assert pairs == [(("d", "x"), ("d", "x")), (("e", "x"), ("e", "x"))]


def test_the_only_runs_are_joined_whatever_they_are_called():
    [(one, other)] = joined(runs(("d", "x")), runs(("e", "y")))
    assert (one.pair, other.pair) == (("d", "x"), ("e", "y"))


def test_runs_can_be_chosen():
    old, new = runs(("d", "x"), ("d", "y")), runs(("d", "x"), ("e", "y"))
    [(one, other)] = joined(old, new, a="d x y", b="e x y")
    assert (one.pair, other.pair) == (("d", "y"), ("e", "y"))
    [(one, other)] = joined(old, new, a="d x x")
    assert (one.pair, other.pair) == (("d", "x"), ("d", "x"))
    with pytest.raises(OptionError, match="no run 'f x y'; known: d x x, e x y"):
        joined(old, new, b="f x y")


def test_runs_without_namesakes_must_be_chosen():
    with pytest.raises(AnalysisError, match=r"no run of the first \(d x x, d x y\) has a namesake"):
        joined(runs(("d", "x"), ("d", "y")), runs(("e", "x"), ("e", "y")))


def test_more_photos_than_the_jackknife_leaves_out_alone(monkeypatch):
    # the jackknife then has fewer rows than there are photos
    grid = drawn_at_random(n=30)
    whole = grid.comparisons().differences[0]
    monkeypatch.setattr("groupemo.metrics.uncertainty.GROUPS", 10)
    weightings.cache_clear()
    grouped = grid.comparisons().differences[0]
    weightings.cache_clear()
    assert grouped.difference == whole.difference
    assert grouped.low <= whole.low < whole.high <= grouped.high  # ten groups say less
    assert grouped.p == pytest.approx(whole.p, abs=0.2)
