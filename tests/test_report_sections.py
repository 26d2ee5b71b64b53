"""What each section of the report says, against hand counts and the metrics themselves."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_scenes import HAPPY, NEUTRAL, SAD, analysis, evaluation, voted

from groupemo import EMOTIONS, Evaluation, LabelledFaces, Labels
from groupemo.figures import FIGURES, Estimate
from groupemo.metrics.calibration import risk_coverage
from groupemo.report import words
from groupemo.report.axes import axis
from groupemo.report.grid import MAIN, Grid
from groupemo.report.sections.agreement import agreement
from groupemo.report.sections.anatomy import anatomy
from groupemo.report.sections.answer import answer
from groupemo.report.sections.calibration import POINTS, calibration
from groupemo.report.sections.comparisons import comparisons
from groupemo.report.sections.group import group
from groupemo.report.sections.pairs import pairs
from groupemo.report.sections.slices import slices
from groupemo.report.sections.table import Notes, table
from groupemo.testing import make_scene, write_scenes


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    return Grid(voted(tmp_path_factory.mktemp("photos")))


@pytest.fixture
def small(tmp_path):
    return Grid(evaluation(tmp_path))


def alone(folder, said, labelled=("happy",), runs=("mind",), photos=1):
    """One scene a photo, its faces found, and answered as said."""
    scenes = [make_scene(list(labelled), name=f"{i}.png") for i in range(photos)]
    labels = write_scenes(scenes, folder)
    return Grid(
        Evaluation.of(
            labels,
            [
                analysis(scene, folder, scene.labelled.boxes, said[run], ("eye", run))
                for run in runs
                for scene in scenes
            ],
        )
    )


def test_words_for_numbers():
    assert words.number(-0.126) == "\N{MINUS SIGN}0.13"
    assert words.number(math.nan) == words.percent(math.nan) == words.points(math.nan) == words.DASH
    assert words.points(0.0416) == "+4.2"
    assert words.points(-0.0416) == "\N{MINUS SIGN}4.2"
    assert words.points(-0.0001) == words.points(0.0001) == words.number(-0.01, 1) == "0.0"
    assert words.span(0.1, 0.25) == "0.10 to 0.25"
    assert words.span(math.nan, math.nan) == ""
    assert [words.plural(n, "photo") for n in (1, 1200)] == ["1 photo", "1,200 photos"]
    assert words.plural(2, "class", "classes") == "2 classes"
    estimate = Estimate(FIGURES[MAIN], 0.5, 0.4, 0.6, 9)
    assert words.interval(estimate) == " (95 % interval 0.40 to 0.60)"
    assert words.interval(replace(estimate, low=math.nan, high=math.nan)) == ""
    assert [words.p_value(p) for p in (0.0004, 0.02, math.nan)] == ["< .001", ".020", words.DASH]
    assert words.listed(["a"]) == "a"
    assert words.listed(["a", "b", "c"]) == "a, b and c"


@given(st.lists(st.floats(-1e3, 1e3) | st.just(math.nan), max_size=8))
def test_an_axis_holds_its_values_between_round_ticks(values):
    scale = axis(values)
    for value in values:
        if math.isfinite(value):
            assert scale.low - 1e-4 <= value <= scale.high + 1e-4
            assert 0 <= scale.at(value) <= 100
    assert scale.ticks[0] == pytest.approx(scale.low)
    assert scale.ticks[-1] == pytest.approx(scale.high)
    assert 2 <= len(scale.ticks) <= 9
    assert scale.low <= 1e-4
    assert scale.high >= 0


def test_an_axis_by_hand():
    assert axis([0.28, 0.43, math.nan]).ticks == [0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert axis([-0.1, 0.3]).ticks == [-0.1, 0, 0.1, 0.2, 0.3]
    assert axis([]).ticks == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert axis([0.5]).at(0.25) == 50


def test_runs_are_ranked_in_their_parts(grid):
    parts = [(run.part, run.name) for run in grid.runs]
    assert parts == [
        ("candidate", "eye x mind"),
        ("candidate", "eye x guess"),
        ("floor", "eye x prior"),
        ("reference", "labelled x mind"),
        ("reference", "labelled x guess"),
        ("reference", "labelled x prior"),
    ]
    assert [run.number for run in grid.runs] == [1, 2, 3, 4, 5, 6]


def test_where_there_are_only_floors_one_of_them_comes_first(tmp_path):
    floors = alone(tmp_path, {"prior": ["happy"]}, runs=["prior"])
    assert [run.name for run in floors.candidates] == ["eye x prior"]
    assert not floors.floors
    assert "eye x prior was compared" in answer(floors).lead


def test_the_answer_says_what_came_first_and_how_surely(grid):
    said = answer(grid)
    main = grid.evaluation["eye", "mind"].estimates()[MAIN]
    assert said.lead == (
        "eye x mind came closest to the hand labels: end-to-end macro-F1"
        f" {main.value:.2f}{words.interval(main)}."
    )
    better, compared, halves = said.more
    assert better.startswith("eye x mind is better than eye x guess by ")
    assert better.endswith("Corrected for all 2 comparisons, p < .001: the difference survives.")
    floor, human = grid.floors[0].main.value, grid.person.estimate(MAIN).value
    given = grid.evaluation["labelled", "mind"].overall()[MAIN]
    assert compared == (
        f"To compare: the same answer for every face reaches {floor:.2f}; one annotator, judged"
        f" by the others, reaches {human:.2f}; mind with the labelled boxes given reaches"
        f" {given:.2f}."
    )
    assert halves == (
        "It found 24 of 36 labelled faces; where it found a face and answered, it gave the"
        " labelled expression on 12 of 24."
    )
    assert not said.cautions


def test_the_answer_of_a_few_faces_is_given_with_caution(small):
    said = answer(small)
    assert "eye x mind came closest to the hand labels: end-to-end macro-F1 0.17" in said.lead
    assert "the same end-to-end macro-F1" in said.more[0]
    assert said.cautions == [
        "Few faces stand for happy (2), sad (1) and neutral (1): the macro-F1 hangs on them, and"
        " is less sure than it looks.",
        "With so few photos (2), the intervals themselves are rough.",
    ]


def test_no_class_is_called_rare_that_has_many_faces(tmp_path):
    many = alone(tmp_path, {"mind": ["happy"] * 10}, labelled=["sad"] * 10)
    assert not any("Few faces" in caution for caution in answer(many).cautions)


def test_one_photo_has_no_interval(tmp_path):
    grid = alone(tmp_path, {"a": ["happy"], "b": ["sad"]}, runs=["a", "b"])
    said = " ".join(answer(grid).sentences)
    assert "(95 % interval" not in said
    assert "One photo says nothing about others" in said
    assert all(math.isnan(one.low) for one in table(grid).rows[0].estimates)


def test_the_table_has_the_figures_of_all_runs(grid):
    made = table(grid)
    assert sum(n for _, n in made.groups) == len(made.columns)
    for row in made.rows:
        whole = row.run.scores.overall()
        for each in row.estimates:
            np.testing.assert_equal(each.value, whole[each.figure.name])
        assert row.seconds == pytest.approx(0.75)


def test_a_reason_is_given_once(small):
    estimates = small.runs[0].estimates.values()
    notes = Notes.of(estimates)
    lacking = {each.figure.undefined for each in estimates if math.isnan(each.value)}
    assert set(notes) == lacking
    assert sorted(notes.values()) == list("abcdefgh"[: len(lacking)])


def test_comparisons_are_those_of_the_evaluation(grid):
    made, frame = comparisons(grid), grid.evaluation.comparisons().frame()
    assert [run.name for run in made.runs] == ["eye x mind", "eye x guess", "eye x prior"]
    gains = [[cell.gain if cell else 0 for cell in row] for row in made.matrix]
    np.testing.assert_allclose(gains, -np.transpose(gains))
    value = {run.name: run.main.value for run in made.runs}
    assert gains[0][1] == pytest.approx(value["eye x mind"] - value["eye x guess"])
    assert len(made.rows) == len(frame) == 3
    assert sum(row.survives for row in made.rows) == frame["survives"].sum() == 2
    for row in made.rows:
        assert row.gain[0] >= 0
        assert row.gain[0] == pytest.approx(value[row.better.name] - value[row.worse.name])
    assert [row.survives for row in made.rows] == [True, True, False]


def test_one_run_has_nothing_to_be_compared_with(tmp_path):
    assert comparisons(alone(tmp_path, {"mind": ["happy"]})) is None


def test_confusion_leaves_out_what_nobody_is_in(small, grid):
    (pair, _) = pairs(small).pairs
    assert pair.columns == [*EMOTIONS, "abstained", "missed"]
    assert [name for name, _, _ in pair.confusion] == [*EMOTIONS, "no labelled face"]
    other = pairs(grid).pairs[0]
    assert other.columns == [*EMOTIONS, "missed"]
    for each in (pair, other):
        assert all(total == sum(cell.count for cell in cells) for _, cells, total in each.confusion)
        right = [cell for _, cells, _ in each.confusion for cell in cells if cell.right]
        assert len(right) == len(EMOTIONS)


def test_classes_have_their_intervals(grid):
    pair = pairs(grid).pairs[0]
    frame = pair.run.scores.per_class()
    for row in pair.classes:
        known = frame.loc[row.name]
        np.testing.assert_equal(
            [row.f1, row.low, row.high, row.n],
            known[[*(f"end_to_end_f1{end}" for end in ("", "_low", "_high")),
                   "end_to_end_support"]].tolist(),
        )  # fmt: skip
    assert pair.classes[HAPPY].f1 == 1
    assert pair.classes[NEUTRAL].f1 == 0
    assert math.isnan(pair.classes[0].f1)


def test_a_few_pairs_are_open_of_many_the_first(grid, small):
    assert [pair.open for pair in pairs(grid).pairs] == [True, True, False, False, False, False]
    assert [pair.open for pair in pairs(small).pairs] == [True, True]


def test_reliability_says_whether_answers_are_too_sure(grid):
    made = pairs(grid).pairs[0].reliability
    assert sum(each.count for each in made.bins) == 24
    (one,) = made.bins  # every answer has .7, half are right
    assert (one.confidence, one.accuracy) == (pytest.approx(0.7), 0.5)
    assert made.text == (
        "Mean confidence 0.70, right on 0.50: overconfident by 20.0 points (no interval)."
    )


def test_a_gap_that_may_be_chance_is_no_verdict(tmp_path):
    # every answer has .7; of 10 photos 7 are right, then of 20 photos none, then all
    def said(right, wrong):
        folder = tmp_path / f"{right}"
        folder.mkdir()
        scenes = [make_scene(["happy"], name=f"{i:02}.png") for i in range(right + wrong)]
        labels = write_scenes(scenes, folder)
        words = ["happy"] * right + ["sad"] * wrong
        runs = [
            analysis(one, folder, one.labelled.boxes, [word])
            for one, word in zip(scenes, words, strict=True)
        ]
        return pairs(Grid(Evaluation.of(labels, runs))).pairs[0].reliability.text

    assert "0.70: no telling whether it is too sure: 0.0 points (95 % interval" in said(7, 3)
    assert "0.05: overconfident by 65.0 points (95 % interval " in said(1, 19)
    assert "0.97: underconfident by 26.7 points (95 % interval " in said(29, 1)


def test_parts_of_figures_make_them_up(grid):
    pair = pairs(grid).pairs[0]
    for row in pair.classes:
        if row.f1 > 0:
            assert row.pq == pytest.approx(row.sq * row.f1)
    mean = np.mean([row.pq for row in pair.classes if row.n])
    assert pair.run.estimates["end_to_end_pq"].value == pytest.approx(mean)
    # eye finds 24 of 36 faces, boxes as labelled, and 6 boxes are no face
    assert dict(pair.lrp) == pytest.approx({"boxes off": 0, "phantoms": 6 / 30, "missed": 12 / 36})


def test_clipped_log_losses_are_told_also_where_there_are_none(grid):
    least = "Log-loss takes a probability below 1e-15 for 1e-15: here on "
    assert table(grid).clipped == f"{least}0 faces."
    assert pairs(grid).pairs[0].clipped == f"{least}0 faces."


def test_clipped_log_losses_are_counted_run_by_run(tmp_path):
    scene = make_scene(["happy", "sad"])
    labels = write_scenes([scene], tmp_path)
    runs = [analysis(scene, tmp_path, scene.labelled.boxes, ["happy"] * 2, ("eye", name))
            for name in ("soft", "hard")]  # fmt: skip
    object.__setattr__(runs[1], "probs", np.eye(7)[[HAPPY, HAPPY]])
    made = Grid(Evaluation.of(labels, runs))
    assert table(made).clipped.endswith("here on 1 of eye x hard.")
    told = {pair.run.backend: pair.clipped[-15:] for pair in pairs(made).pairs}
    assert told == {"hard": "here on 1 face.", "soft": "ere on 0 faces."}


def test_the_table_has_a_row_for_a_person(grid, small):
    person = table(grid)
    shown = {each.figure.over for each in person.human if not math.isnan(each.value)}
    assert len(person.human) == len(person.columns)
    assert shown == {"matched"}
    assert {each.n for each in person.human} == {36, 0}
    assert table(small).human == []


def test_a_run_without_an_answer_has_no_reliability(tmp_path):
    silent = alone(tmp_path, {"mind": [None]})
    assert pairs(silent).pairs[0].reliability is None
    assert calibration(silent) is None


def test_every_face_and_detection_is_in_one_bin(grid):
    made = anatomy(grid)
    first = made.runs[0]
    counts = {part.name: part.count for part in first.parts if part.count}
    assert counts == {"correct": 12, "wrong emotion": 12, "missed": 12, "phantom": 6}
    assert sum(part.share for part in first.parts) == pytest.approx(1)
    assert set(made.names) == {*counts}
    mended = {gain.name: gain for gain in first.gains}
    # happy is 1 already; with sad right it is 1 as well, and neutral no longer answered wrongly: 0
    assert mended["wrong emotion"].value == pytest.approx(2 / 3 - 1 / 3)
    assert mended["phantom"].value == 0
    assert all(gain.low <= gain.value + 1e-12 for gain in first.gains)
    assert not any(one.gains for one in made.runs if one.run.part != "candidate")


def test_the_parts_of_a_loss_sum_to_it(grid):
    ablations = anatomy(grid).ablations
    assert [one.run.name for one in ablations] == ["eye x mind", "eye x guess"]
    for one in ablations:
        assert one.value + sum(loss.value for loss in one.losses) == pytest.approx(1)
        assert [loss.name for loss in one.losses] == ["crop", "detector", "classifier"]


def test_errors_of_nothing_are_left_out(tmp_path):
    scene = make_scene([])
    labels = write_scenes([scene], tmp_path)
    assert anatomy(Grid(Evaluation.of(labels, [analysis(scene, tmp_path, [], [])]))) is None


def test_curves_are_those_of_the_metric(tmp_path):
    rng = np.random.default_rng(0)
    scenes = [make_scene(["happy"] * 20, name=f"{i}.png") for i in range(10)]
    labels = write_scenes(scenes, tmp_path)
    runs = []
    for scene in scenes:
        probs = rng.dirichlet(np.ones(7), 20)
        one = analysis(scene, tmp_path, scene.labelled.boxes, ["happy"] * 20)
        object.__setattr__(one, "probs", probs)
        runs.append(one)
    grid = Grid(Evaluation.of(labels, runs))
    (curve,) = calibration(grid).curves
    whole = risk_coverage(grid.runs[0].scores.answers)
    known = dict(zip(whole.coverage.tolist(), whole.risk.tolist(), strict=True))
    assert len(curve.points) <= POINTS
    assert curve.points[0][0] == pytest.approx(0.1)  # 20 of 200 faces
    assert curve.points[-1][0] == 1
    assert all(known[x] == y for x, y in curve.points)
    (_, everyone), _, (threshold, half) = curve.kept
    confidence = grid.runs[0].scores.answers.confidence
    sure = confidence >= np.sort(confidence)[100]
    assert threshold == confidence[sure].min()
    right = grid.runs[0].scores.answers.right
    assert half == pytest.approx(1 - right[sure].mean())
    assert everyone == pytest.approx(1 - right.mean())


def test_slices_show_the_labellers_own_columns_first(grid):
    made = slices(grid)
    assert made.run is grid.candidates[0]
    first = made.panels[0]
    assert (first.by, first.figure.name) == ("light", "end_to_end_accuracy")
    assert [(one.name, one.value, one.n) for one in first.groups] == [("day", 0.5, 24),
                                                                     ("night", 0, 12)]  # fmt: skip
    assert not first.groups[0].enough
    assert first.gap == "Too few faces to say how far the groups are apart."
    assert all(panel.told or panel.by == "light" for panel in made.panels)


def test_too_few_photos_are_not_cut_into_slices(small):
    assert slices(small) is None


def test_a_gap_is_told_with_its_interval(tmp_path):
    scenes = [make_scene(["happy", "sad"] * 3, name=f"{i:02}.png") for i in range(20)]
    write_scenes(scenes, tmp_path)
    labels = Labels(
        {
            one.name: LabelledFaces(
                one.labelled.boxes, one.labelled.labels, extra={"side": ("left", "right") * 3}
            )
            for one in scenes
        }
    )
    runs = [analysis(one, tmp_path, one.labelled.boxes, ["happy"] * 6) for one in scenes]
    panel = slices(Grid(Evaluation.of(labels, runs))).panels[0]
    assert panel.gap.startswith("Worst gap: 100.0 points, left over right (")
    assert "chance" not in panel.gap


def test_a_gap_that_chance_may_make_is_said_to_be(tmp_path):
    rng = np.random.default_rng(0)
    scenes = [make_scene(["happy"] * 4, name=f"{i:02}.png") for i in range(20)]
    write_scenes(scenes, tmp_path)
    sides = {"side": ("left", "right") * 2}
    labels = Labels(
        {
            one.name: LabelledFaces(one.labelled.boxes, one.labelled.labels, extra=sides)
            for one in scenes
        }
    )
    runs = [
        analysis(one, tmp_path, one.labelled.boxes, rng.choice(["happy", "sad"], 4))
        for one in scenes
    ]
    made = slices(Grid(Evaluation.of(labels, runs)))
    assert made.panels[0].gap.endswith("): chance alone may make as much.")
    assert made.thin[:3] == ["size", "yaw", "roll"]  # of one size, without landmarks


def test_photos_are_counted_by_their_valence(grid):
    made = group(grid)
    # labelled: happy, sad, neutral: 0, neutral; answered: happy, neutral and, by the stray box of
    # every second photo, neutral: 1/2 and 1/3
    assert made.photos == 12
    assert made.words == ["negative", "neutral", "positive"]
    assert made.matrix == [[0, 0, 0], [0, 6, 6], [0, 0, 0]]
    assert sorted({round(y, 6) for _, y in made.dots}) == [0.333333, 0.5]
    assert len(made.rows) == len(grid.runs)
    two = (np.log(3) - 2 / 3 * np.log(2)) / np.log(7)  # of three faces two alike
    labelled, answered = np.log(3) / np.log(7), (np.log(2) / np.log(7) + two) / 2
    assert made.diversity == pytest.approx((labelled, answered))


def test_nothing_is_said_of_groups_without_answers(tmp_path):
    assert group(alone(tmp_path, {"mind": [None]})) is None


def test_the_human_ceiling_by_hand(grid, small):
    # happy: 8 of 10 say happy, and the majority of the others is happy for all: 8 right, 2 sad
    # sad: 6 say sad, the others 5 to 4: right; 4 say neutral, the others 6 to 3: wrong
    # neutral: all agree
    sad = 2 * 6 / (6 + 2 + 10)
    happy, neutral = 2 * 8 / (8 + 10), 2 * 10 / (10 + 4 + 10)
    assert grid.person.estimate(MAIN).value == pytest.approx((happy + sad + neutral) / 3)
    made = agreement(grid)
    assert made.faces == 36
    assert made.measures[0].value == grid.person.estimate(MAIN).value
    assert made.measures[1].value == pytest.approx(24 / 30)
    people = [row.human for row in pairs(grid).pairs[0].classes]
    assert [people[c] for c in (HAPPY, SAD, NEUTRAL)] == pytest.approx([happy, sad, neutral])
    assert not pairs(small).human
    assert all(not one.low > one.value + 1e-9 for one in made.measures)  # alike: no interval
    assert math.isnan(small.person.estimate(MAIN).value)
    assert agreement(small) is None


def test_annotators_are_compared_in_pairs(tmp_path):
    scene = make_scene(["happy", "sad", "neutral"], name="a.png")
    boxes = np.repeat(scene.labelled.boxes, 2, axis=0)
    labelled = LabelledFaces(
        boxes, [HAPPY, HAPPY, SAD, SAD, NEUTRAL, SAD], annotators=("ann", "bo") * 3
    )
    write_scenes([scene], tmp_path)
    one = analysis(scene, tmp_path, scene.labelled.boxes, ["happy", "sad", "neutral"])
    made = agreement(Grid(Evaluation.of(Labels({"a.png": labelled}), [one])))
    assert made.annotators == ("ann", "bo")
    assert made.shared == [[3, 3], [3, 3]]
    # agree on 2 of 3; by chance 1/3 x 1/3 (happy) + 1/3 x 2/3 (sad)
    assert made.kappa[0][1] == pytest.approx((2 / 3 - 1 / 3) / (1 - 1 / 3))
    assert not made.settled
    words = [SAD, SAD, -3, -3, -3, -3]  # of the first face
    settled = replace(labelled, settled=words, settlers=["cy", "cy", "", "", "", ""])
    again = agreement(Grid(Evaluation.of(Labels({"a.png": settled}), [one])))
    assert again.settled.startswith("The labels of 1 face were settled by cy where they differed;")
    assert again.kappa == made.kappa
