"""How many photos to label: held to textbook formulas, and to sets of photos really drawn."""

import json
import math
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import typer
from statsmodels.stats.proportion import samplesize_confint_proportion
from typer.testing import CliRunner

from groupemo import EMOTIONS
from groupemo.analysis import Analysis
from groupemo.cli.planning import plan as plan_command
from groupemo.errors import OptionError
from groupemo.evaluation import Evaluation
from groupemo.faces import Faces
from groupemo.labels import LabelledFaces, Labels
from groupemo.metrics import detection as det
from groupemo.metrics.tally import Tally
from groupemo.metrics.uncertainty import draw_weights, interval, leave_one_out, weigh
from groupemo.planning import Plan, in_digits, plan, plan_ahead


def run(found, missed):
    """Return a run whose photos have so many found and missed faces each."""
    counts = np.zeros((len(found), 9, 9), int)
    counts[:, 3, 3], counts[:, 3, 8] = found, missed
    return SimpleNamespace(photos=range(len(found)), stacked=Tally(counts))


def drawn_run(n, seed=0):
    """Return a run of photos of ten faces of which now many, now few are found."""
    rng = np.random.default_rng(seed)
    found = rng.binomial(10, rng.beta(8, 2, n))
    return run(found, 10 - found)


@pytest.mark.parametrize("expect", [0.1, 0.5, 0.85])
@pytest.mark.parametrize("width", [0.05, 0.2])
def test_photos_of_one_face_are_a_binomial_sample(expect, width):
    faces = samplesize_confint_proportion(expect, width / 2)
    assert plan_ahead(expect, faces=1, width=width).photos == math.ceil(faces)


def test_faces_that_go_together_by_hand():
    # 8 faces a photo, correlation .1: design effect 1 + 7 * .1 = 1.7
    # 1.7 * .6 * .4 * (2 * 1.959964 / .1)^2 / 8 = 78.4 photos
    assert plan_ahead(0.6, faces=8, icc=0.1, width=0.1).photos == 79
    # if all of a photo are alike, as many photos as there are no faces but one in each
    alone = plan_ahead(0.6, faces=1, width=0.1).photos
    assert plan_ahead(0.6, faces=8, icc=1, width=0.1).photos == alone


def test_the_curve_falls_as_the_root_of_photos():
    planned = plan_ahead(0.5, width=0.04)
    widths = dict(planned.curve)
    photos = planned.photos
    assert widths[photos] <= 0.04 < plan_ahead(0.5, width=0.0399).curve[2][1] * 1.01
    assert widths[2 * photos] == pytest.approx(widths[photos] / math.sqrt(2))
    assert planned.labelled is None


def test_a_run_of_single_faces_plans_like_the_formula():
    # 400 photos of one face, 300 found
    scores = run(np.repeat([1, 0], [300, 100]), np.repeat([0, 1], [300, 100]))
    ours = plan(scores, figure="detection_recall", width=0.1).photos
    assert ours == pytest.approx(plan_ahead(0.75, faces=1, width=0.1).photos, rel=0.1)


@pytest.mark.parametrize("width", [0.06, 0.12])
def test_studies_really_made_are_as_wide_as_planned(width):
    photos = plan(drawn_run(120), figure="detection_recall", width=width, draws=500).photos
    ways = np.ones((1, photos)), leave_one_out(photos), draw_weights(photos, draws=500)
    widths = []
    for seed in range(20):
        stacked = drawn_run(photos, seed).stacked
        points, jackknife, drawn = (det.detection_recall(weigh(stacked, way)) for way in ways)
        low, high = interval(drawn, point=float(points[0]), jackknife=jackknife)
        widths.append(high - low)
    assert np.mean(widths) == pytest.approx(width, rel=0.2)


@pytest.mark.parametrize("n", [9, 50])
@pytest.mark.parametrize("figure", ["detection_recall", "detection_f1", "end_to_end_macro_f1"])
@pytest.mark.parametrize("width", [0.02, 0.1, 0.3])
def test_the_table_bears_the_sentence_out(n, figure, width):
    planned = plan(drawn_run(n), figure=figure, width=width, draws=400)
    widths = dict(planned.curve)
    assert widths[planned.photos] <= width
    assert widths[planned.photos] == pytest.approx(width, rel=0.01) or planned.photos < 40
    assert planned.labelled == n
    assert list(widths) == sorted(widths)
    assert list(widths.values()) == sorted(widths.values(), reverse=True)
    if planned.photos > 2:
        narrower = widths[planned.photos] * (1 - 1e-9)
        less = plan(drawn_run(n), figure=figure, width=narrower, draws=400)
        assert less.photos == planned.photos + 1


@pytest.mark.parametrize("figure", ["detection_recall", "end_to_end_macro_f1"])
def test_with_the_photos_of_the_run_it_is_as_wide_as_reported(evaluated, figure):
    scores = evaluated[("some", "b")]
    reported = scores.estimates()[figure]
    planned = plan(scores, figure=figure)
    assert dict(planned.curve)[40] == pytest.approx(reported.high - reported.low, abs=1e-12)


def test_four_times_the_photos_are_half_as_wide():
    planned = plan(drawn_run(200), figure="detection_recall", width=0.005)
    widths = dict(planned.curve)
    assert planned.photos > 8 * 200, "beyond what is drawn"
    assert widths[2 * planned.photos] == pytest.approx(widths[planned.photos] / 2**0.5, rel=0.001)


def test_a_figure_of_few_faces_needs_more_than_the_law_for_many():
    # a class with one face in each of three photos of forty
    counts = np.zeros((40, 9, 9), int)
    counts[:, 3, 3] = 5
    counts[:3, 1, [1, 1, 3]] += np.eye(3, dtype=int)
    scores = SimpleNamespace(photos=range(40), stacked=Tally(counts))
    planned = plan(scores, width=0.2, draws=400)
    assert planned.photos > 40
    assert dict(planned.curve)[planned.photos] <= 0.2


@pytest.mark.parametrize(
    "scores",
    [run([4], [1]), run([], []), run([4, 2, 5], [0, 0, 0]), run([0, 0, 0], [0, 0, 0])],
    ids=["one photo", "none", "all found", "no face"],
)
def test_what_has_no_interval_gives_nothing_to_plan_from(scores):
    reason = f"detection_recall has no interval on the run's {len(scores.photos)} photos.*--expect"
    with pytest.raises(OptionError, match=reason):
        plan(scores, figure="detection_recall")


@pytest.mark.parametrize("width", [3, 1, 0, -0.1, math.nan, math.inf, 1e-200])
def test_a_width_that_means_nothing_is_named(width):
    for planned in (
        lambda: plan(drawn_run(20), figure="detection_recall", width=width, draws=50),
        lambda: plan_ahead(0.5, width=width),
    ):
        with pytest.raises(OptionError, match=f"^width is {width}: "):
            planned()


@pytest.mark.parametrize("expect", [0.5, 0.99])
def test_too_narrow_a_width_is_refused_with_one_that_can_be_had(expect):
    with pytest.raises(
        OptionError, match=r"more than 1000000 labelled photos; the narrowest"
    ) as error:
        plan_ahead(expect, width=1e-5)
    can = float(re.search(r"about (\S+)$", str(error.value))[1])
    assert 970_000 < plan_ahead(expect, width=can).photos <= 1_000_000


@pytest.mark.parametrize(
    "options",
    [
        {"expect": 0.0}, {"expect": 1}, {"faces": 0.5}, {"icc": -0.1}, {"icc": 1.1},
        {"level": 1.0}, {"expect": math.nan}, {"faces": math.inf}, {"faces": math.nan},
        {"icc": math.nan},
    ],
)  # fmt: skip
def test_assumptions_out_of_range_are_named(options):
    with pytest.raises(OptionError, match=f"^{next(iter(options))} is .*: expected a "):
        plan_ahead(**{"expect": 0.5, **options})


def test_an_unknown_figure_is_refused_with_the_known():
    with pytest.raises(OptionError, match=r"no figure named 'recall'.*detection_recall"):
        plan(drawn_run(9), figure="recall")


def test_a_plan_in_words():
    planned = Plan("detection recall", 0.1, 0.95, 120, ((60, 0.14), (120, 0.1)), labelled=60)
    assert planned.sentence == (
        "A 95 % interval of detection recall that is 0.1 wide takes about 120 labelled photos."
        " With the 60 of this run it is 0.140 wide."
    )
    assert "enough" in replace(planned, photos=50).sentence
    assert "run" not in replace(planned, labelled=None).sentence


def test_a_plan_from_few_photos_says_how_rough_it_is():
    few = Plan("detection recall", 0.1, 0.95, 100, ((9, 0.4), (100, 0.1)), labelled=9)
    # e^(1.96 sqrt(2 / 8)) = 2.66
    assert few.rough == (38, 266)
    assert few.sentence.endswith(
        " Planned from so few it is rough, 38 to 266: plan again with more."
    )
    assert "rough" not in replace(few, labelled=30, curve=((30, 0.2),)).sentence


def test_few_photos_are_enough_only_where_the_rough_plan_says_so_too():
    few = Plan("detection recall", 0.1, 0.95, 4, ((4, 0.1), (9, 0.08)), labelled=9)
    assert few.rough == (2, 11)
    assert few.sentence.endswith(
        " With the 9 of this run it is 0.0800 wide. Planned from so few it is rough, 2 to 11:"
        " plan again with more."
    )
    sure = replace(few, photos=3)
    assert sure.rough == (2, 8)
    assert sure.sentence.endswith(" it is 0.0800 wide: they are enough.")


def test_how_rough_a_plan_is_by_simulation():
    # plans from 9 photos each, of photos drawn as those of the great run
    truth = plan(drawn_run(2000), figure="detection_recall", width=0.1, draws=200).photos
    planned = [
        plan(drawn_run(9, seed), figure="detection_recall", width=0.1, draws=200)
        for seed in range(40)
    ]
    held = np.mean([one.rough[0] <= truth <= one.rough[1] for one in planned])
    assert held > 0.7


# --- the command -----------------------------------------------------------------------------

app = typer.Typer()
app.command()(plan_command)


def command(*words, code=0):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, (result.output, result.exception)
    return result


@pytest.fixture(scope="module")
def evaluated():
    """Return an evaluation of two detectors on 40 photos of four faces; the first misses some."""
    rng = np.random.default_rng(1)
    boxes = np.array([[10 * at, 0, 10 * at + 10, 10] for at in range(4)])
    truth = {f"{at:02}.jpg": rng.integers(0, 7, 4) for at in range(40)}
    analyses = [
        Analysis(
            photo=name, sha256="a" * 64, width=40, height=10, faces=Faces(boxes[seen]),
            probs=np.eye(7)[np.where(rng.random(seen.sum()) < 0.6, labels[seen], 3)],
            classes=EMOTIONS, detector=detector, backend="b", seconds={"read": 0.1},
        )
        for detector, share in (("some", 0.7), ("all", 1.0))
        for name, labels in truth.items()
        for seen in [rng.random(4) < share]
    ]  # fmt: skip
    labels = Labels({name: LabelledFaces(boxes, each) for name, each in truth.items()})
    return Evaluation.of(labels, analyses)


@pytest.fixture(scope="module")
def folder(evaluated, tmp_path_factory):
    return evaluated.save(tmp_path_factory.mktemp("plan"))


def test_plan_from_a_run(folder):
    words = (folder, "--detector", "some", "--width", 0.1)
    told = json.loads(command(*words, "--json").stdout)
    assert told["title"] == "end-to-end macro-F1"
    assert told["labelled"] == 40
    assert told["photos"] > 40
    printed = " ".join(command(*words).stdout.split())
    assert told["sentence"] in printed


def test_plan_from_assumptions():
    told = json.loads(command("--expect", 0.6, "--faces", 8, "--icc", 0.1, "--json").stdout)
    assert (told["photos"], told["labelled"]) == (79, None)
    assert "takes about 79 labelled photos" in " ".join(command("--expect", 0.6).stdout.split())


@pytest.mark.parametrize(
    ("width", "written"),
    [(0.0035, "0.00350"), (0.03539, "0.0354"), (0.09996, "0.100"), (1, "1.00"), (1234.5, "1234")],
)
def test_widths_have_three_digits_at_least(width, written):
    assert in_digits(width).startswith(written)


def test_the_table_and_the_sentence_write_a_width_alike(folder):
    words = (folder, "--detector", "some", "--width", 0.0035)
    said = " ".join(command(*words).stdout.split())
    told = json.loads(command(*words, "--json").stdout)
    widths = {photos: in_digits(width) for photos, width in told["curve"]}
    assert widths[told["photos"]] in ("0.00349", "0.00350")
    assert all(f"{photos} {width}" in said for photos, width in widths.items())
    assert f"With the 40 of this run it is {widths[40]} wide." in said


def test_plan_asks_for_one_run_and_one_way(folder):
    result = CliRunner().invoke(app, [str(folder)])
    assert isinstance(result.exception, OptionError)
    assert "some x b, all x b" in str(result.exception)
    assert "either DIR or --expect" in command(code=2).output
    command(folder, "--expect", 0.5, code=2)
