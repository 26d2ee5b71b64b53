"""Slices held to Fairlearn's MetricFrame on random runs, and to scenes drawn by hand."""

import numpy as np
import pytest
from fairlearn.metrics import MetricFrame
from sklearn.metrics import accuracy_score, f1_score, log_loss

from groupemo import EMOTIONS, Analysis, Faces, LabelledFaces, Labels, score
from groupemo.errors import OptionError
from groupemo.images import Photo
from groupemo.labels import IGNORE, UNSURE
from groupemo.metrics.tally import Tally
from groupemo.slices import (
    BUILT_IN,
    MIN_FACES,
    MIN_PHOTOS,
    UNKNOWN,
    _parts,
    slice_names,
    slices,
    tones,
    worst_gap,
)
from groupemo.testing import make_scene

HAPPY, SAD, NEUTRAL = (EMOTIONS.index(word) for word in ("happy", "sad", "neutral"))
K = len(EMOTIONS)


def at(slot, side=20):
    return [100 * slot, 0, 100 * slot + side, side]


def answers(*classes):
    """Return .7 on each class, .05 on the others; None abstains."""
    rows = np.full((len(classes), K), 0.05)
    for row, answer in zip(rows, classes, strict=True):
        row[answer or 0] += 0.65
        row[:] = np.nan if answer is None else row
    return rows


def analysis(name, faces, probs, **more):
    made = {"sha256": "", "width": 2000, "height": 250, "detector": "eye", "backend": "mind"}
    return Analysis(photo=name, faces=faces, probs=probs, classes=EMOTIONS, provenance={},
                    seconds={}, **{**made, **more})  # fmt: skip


def run_of(photos):
    """Return the scores of {name: (labelled, faces, probs)}."""
    labels = Labels({name: labelled for name, (labelled, _, _) in photos.items()})
    return score(labels, [analysis(name, *rest) for name, (_, *rest) in photos.items()])


def random_run(seed, photos=12):
    """Return scores of faces of random sizes, columns and answers; some missed, some phantoms."""
    rng = np.random.default_rng(seed)
    made = {}
    for index in range(photos):
        m = int(rng.integers(0, 9))
        boxes = np.array([at(slot, rng.uniform(10, 95)) for slot in range(m)]).reshape(-1, 4)
        labelled = LabelledFaces(
            boxes,
            rng.integers(UNSURE, K, m),
            extra={
                "age": [str(age) for age in rng.integers(1, 90, m)],
                "light": rng.choice(["dim", "bright", ""], m).tolist(),
            },
        )
        seen = rng.uniform(size=m) < 0.7
        phantoms = np.array([at(9 + slot) for slot in range(rng.integers(0, 3))]).reshape(-1, 4)
        found = np.concatenate([boxes[seen] + 0.5, phantoms])
        probs = rng.dirichlet(np.ones(K) / 2, len(found))
        probs[rng.uniform(size=len(found)) < 0.15] = np.nan
        landmarks = rng.uniform(0, 20, (len(found), 5, 2))
        scores = rng.uniform(0.5, 1, len(found))
        made[f"{index:02}.jpg"] = (labelled, Faces(found, scores, landmarks), probs)
    return run_of(made)


def rows_of(run, group):
    """Return a row a labelled face of known label: group, label, found, answer, probabilities."""
    for one in run.photos:
        for face, label in enumerate(one.labelled.labels):
            row = one.outcome.labelled[face]
            probs = one.probs[row] if row >= 0 else np.full(K, np.nan)
            if label != IGNORE:
                yield group(one, face), label, row >= 0, probs


def side(one, face):
    x1, y1, x2, y2 = one.labelled.boxes[face].astype(float)
    length = ((x2 - x1) * (y2 - y1)) ** 0.5
    return "below 32 px" if length < 32 else "32 to 96 px" if length < 96 else "96 px or more"


GROUPS = {
    "size": side,
    "light": lambda one, face: one.labelled.extra["light"][face] or UNKNOWN,
    "emotion": lambda one, face: EMOTIONS[one.labelled.labels[face]],
}


@pytest.mark.parametrize("by", GROUPS)
@pytest.mark.parametrize("seed", range(5))
def test_values_are_those_of_fairlearn(by, seed):
    run = random_run(seed)
    wanted = ["matched_accuracy", "matched_macro_f1", "matched_log_loss", "end_to_end_accuracy",
              "detection_recall"]  # fmt: skip
    got = slices(run, by, figures=wanted if by != "emotion" else None, draws=10).frame
    got = got.pivot(index="group", columns="figure", values="value")

    groups, labels, found, probs = (
        list(part) for part in zip(*rows_of(run, GROUPS[by]), strict=True)
    )
    groups, labels, found, probs = map(np.array, (groups, labels, found, probs))
    known = labels >= 0
    answered = known & ~np.isnan(probs).any(axis=1)
    answer = np.where(answered, probs.argmax(axis=1), -9)

    def frame(metric, chosen, predicted):
        return MetricFrame(
            metrics=metric, y_true=labels[chosen], y_pred=predicted[chosen],
            sensitive_features=groups[chosen],
        ).by_group  # fmt: skip

    def loss(y_true, y_pred):
        return log_loss(y_true, probs[y_pred], labels=range(K))

    def macro_f1(y_true, y_pred):
        return f1_score(y_true, y_pred, labels=np.unique(y_true), average="macro")

    want = {
        "matched_accuracy": frame(accuracy_score, answered, answer),
        "matched_macro_f1": frame(macro_f1, answered, answer),
        "matched_log_loss": frame(loss, answered, np.arange(len(labels))),
        "end_to_end_accuracy": frame(accuracy_score, known, answer),
    }
    if by != "emotion":
        recall = MetricFrame(metrics=accuracy_score, y_true=np.ones(len(found)), y_pred=found,
                             sensitive_features=groups)  # fmt: skip
        want["detection_recall"] = recall.by_group
    for name, column in want.items():
        if name in got:
            np.testing.assert_allclose(got[name].reindex(column.index), column, atol=1e-9)


@pytest.mark.parametrize("by", ["size", "relative_size", "light", "age", "emotion", "yaw", "roll"])
def test_every_face_is_in_one_group(by):
    run = random_run(1)
    run_rows = run.tally.counts[:-1] if by not in ("yaw", "roll") else run.tally.counts[:-1, :-1]
    parts = [part for _, _, part in _parts(run, by, None)]
    total = sum((part.tally for part in parts), Tally.zero(K))
    np.testing.assert_array_equal(total.counts[:-1, : run_rows.shape[1]], run_rows)
    assert not total.counts[-1].any(), "a phantom has no label to be sliced by"
    for name in ("log_loss", "brier", "iou"):
        np.testing.assert_allclose(total[name], run.tally[name])


def test_every_detection_is_in_one_group_of_scores():
    run = random_run(2)
    parts = [part for _, _, part in _parts(run, "score", None)]
    total = sum((part.tally for part in parts), Tally.zero(K))
    np.testing.assert_array_equal(total.counts[:, :-1], run.tally.counts[:, :-1])
    assert not total.counts[:, -1].any(), "a missed face has no score"
    got = slices(run, "score", draws=10).frame.set_index(["figure", "group"])["value"]
    shown = [
        (np.float64(sure), row >= 0)
        for one in run.photos
        for sure, row in zip(one.analysis.faces.scores, one.outcome.detected, strict=True)
    ]
    low, high = (
        float(f"{edge:.3g}") for edge in np.quantile([s for s, _ in shown], [1 / 3, 2 / 3])
    )
    middle = [found for score, found in shown if low <= score < high]
    assert got["detection_precision", f"{low:g} to {high:g}"] == pytest.approx(np.mean(middle))


def test_the_groups_of_a_run_by_hand():
    # crowd.jpg  labelled  happy     sad       happy      unsure    [ignore]
    #            age       8         30        -          30        8
    #            answered  happy     happy     missed     sad       happy      and a phantom
    # pair.jpg   labelled  sad       neutral
    #            age       8         (no such column)
    crowd = LabelledFaces(
        [at(0), at(1, 40), at(2), at(3), at(4)], [HAPPY, SAD, HAPPY, UNSURE, IGNORE],
        extra={"age": ["8", "30", "", "30", "8"]},
    )  # fmt: skip
    found = Faces([at(0), at(1, 40), at(3), at(4), at(8)], [0.9, 0.8, 0.7, 0.6, 0.5])
    pair = LabelledFaces([at(0), at(1)], [SAD, NEUTRAL])
    run = run_of(
        {
            "crowd.jpg": (crowd, found, answers(HAPPY, HAPPY, SAD, HAPPY, SAD)),
            "pair.jpg": (pair, Faces([at(0)], [0.7]), answers(None)),
        }
    )
    table = slices(run, "age", draws=10).frame.set_index(["group", "figure"])
    assert list(table.index.unique("group")) == ["8", "30", UNKNOWN]
    value, n, photos = table["value"], table["n"], table["photos"]
    assert value["8", "detection_recall"] == value["30", "detection_recall"] == 1
    assert value[UNKNOWN, "detection_recall"] == pytest.approx(1 / 3)
    assert value["8", "matched_accuracy"] == 1
    assert value["30", "matched_accuracy"] == 0
    assert np.isnan(value[UNKNOWN, "matched_accuracy"])
    assert value[UNKNOWN, "end_to_end_accuracy"] == 0
    assert value["8", "matched_log_loss"] == pytest.approx(-np.log(0.7))
    assert n["30", "detection_recall"] == 2
    assert n["30", "matched_accuracy"] == 1
    assert photos["8", "detection_recall"] == 1
    assert photos[UNKNOWN, "detection_recall"] == 2
    assert not table["enough"].any()

    by_photo = slices(run, "photo", draws=10).frame.set_index(["group", "figure"])["value"]
    assert by_photo["crowd.jpg", "detection_precision"] == pytest.approx(3 / 4)
    assert by_photo["pair.jpg", "detection_precision"] == 1
    assert by_photo["pair.jpg", "detection_recall"] == 0.5

    sized = slices(run, "size", draws=10).frame
    assert list(sized["group"].unique()) == ["below 32 px", "32 to 96 px"]


def test_numbers_are_cut_into_thirds_and_few_of_them_are_not():
    def groups(ages):
        faces = LabelledFaces([at(slot) for slot in range(9)], [SAD] * 9, extra={"age": ages})
        run = run_of({"one.jpg": (faces, Faces.empty(), np.empty((0, K)))})
        return list(slices(run, "age", draws=10).frame["group"].unique())

    assert groups(list("123456789")) == ["below 3.67", "3.67 to 6.33", "6.33 or more"]
    assert groups([*list("12345678"), ""]) == [
        "below 3.33",
        "3.33 to 5.67",
        "5.67 or more",
        UNKNOWN,
    ]
    assert groups(list("210210210")) == ["0", "1", "2"]
    assert groups(["10", "9", "adult"] * 3) == ["9", "10", "adult"]
    assert groups(["unknown", "", "9"] * 3) == ["9", UNKNOWN]


def column(cells):
    """Return a run of a photo with as many missed faces, each with its cell."""
    faces = LabelledFaces([at(slot) for slot in range(len(cells))], [SAD] * len(cells),
                          extra={"own": list(map(str, cells))})  # fmt: skip
    return run_of({"one.jpg": (faces, Faces.empty(), np.empty((0, K)))})


@pytest.mark.parametrize(
    ("values", "edges"),
    [
        (range(1_700_000_000, 1_700_009_001, 1000), ("1700003000", "1700006000")),
        (range(1990, 2026, 2), ("2001.3", "2012.7")),
        ([1e-5 * step for step in range(1, 10)], ("0.0000367", "0.0000633")),
        ([1e22 + 1e20 * step for step in range(10)], ("10300000000000000000000",
                                                      "10600000000000000000000")),
        ([*range(-4, 5), ""], ("-1.33", "1.33")),
    ],
)  # fmt: skip
def test_edges_are_rounded_by_the_range_of_the_numbers(values, edges):
    frame = slices(column(values), "own", figures=["detection_recall"], draws=10).frame
    low, high = edges
    expected = [f"below {low}", f"{low} to {high}", f"{high} or more"]
    known = frame[frame["group"] != UNKNOWN]
    assert known["group"].tolist() == expected
    assert known["n"].max() - known["n"].min() <= 2, "thirds"


def test_numbers_beyond_reckoning_are_words():
    huge = [f"{step}e307" for step in range(1, 9)]
    assert list(slices(column(huge), "own", draws=10).frame["group"].unique()) == huge
    tiny = [f"{step}e-310" for step in range(1, 9)]
    assert len(slices(column(tiny), "own", draws=10).frame["group"].unique()) <= 3


def test_spaces_around_a_word_make_no_group():
    frame = slices(column(["dim", " dim", "dim ", "bright", " ", ""]), "own", draws=10).frame
    recall = frame[frame["figure"] == "detection_recall"].set_index("group")["n"]
    assert recall.to_dict() == {"bright": 1, "dim": 3, UNKNOWN: 2}


def test_a_detector_without_scores_is_one_group():
    run = run_of({"one.jpg": (LabelledFaces([at(0)], [SAD]), Faces([at(0)]), answers(SAD))})
    assert list(slices(run, "score", draws=10).frame["group"].unique()) == ["all"]


def test_faces_turned_either_way_are_of_one_group():
    # eyes 20 apart; the nose below the middle, below either eye, and where nothing shows
    def landmarks(nose):
        return [[0, 0], [20, 0], [nose, 10], [5, 20], [15, 20]]

    boxes = [at(slot) for slot in range(4)]
    noses = [landmarks(10), landmarks(0), landmarks(20), landmarks(10)]
    found = Faces(boxes[:3], landmarks=noses[:3])
    labelled = LabelledFaces(boxes, [HAPPY, SAD, SAD, SAD])
    run = run_of({"one.jpg": (labelled, found, answers(SAD, SAD, SAD))})
    got = slices(run, "yaw", figures=["matched_accuracy"], draws=10).frame
    assert got["n"].sum() == 3, "a missed face has no landmarks"
    assert got["value"].tolist() == [0, 1]
    without = run_of({"one.jpg": (labelled, Faces(boxes[:3]), answers(SAD, SAD, SAD))})
    assert list(slices(without, "roll", draws=10).frame["group"].unique()) == [UNKNOWN]


def test_tones_are_measured_in_the_photos_that_are_there(tmp_path):
    scene = make_scene(["happy", "sad"], name="here.png")
    (tmp_path / "here.png").write_bytes(scene.encoded())
    faces = Faces(scene.labelled.boxes)
    rest = {"sha256": "", "width": scene.image.shape[1], "height": scene.image.shape[0]}
    run = score(
        Labels({"here.png": scene.labelled, "gone.png": scene.labelled}),
        [
            analysis("here.png", faces, answers(HAPPY, SAD), **rest),
            analysis("gone.png", faces, answers(SAD, SAD), **rest),
        ],
    )
    places = {"here.png": Photo("here.png", tmp_path / "here.png")}
    measured = tones(run, places)
    assert np.isfinite(measured["here.png"]["sharpness"]).all()
    assert np.isnan(measured["gone.png"]["sharpness"]).all()
    got = slices(run, "brightness", measured=measured, draws=10).frame
    assert list(got["group"].unique())[-1] == UNKNOWN
    recall = got[got["figure"] == "detection_recall"].set_index("group")
    assert recall.loc[UNKNOWN, "n"] == 2
    assert recall["n"].sum() == 4
    assert slices(
        run, "brightness", measured={"here.png": measured["here.png"]}, draws=10
    ).frame.equals(got)
    unread = slices(run, "sharpness", draws=10).frame
    assert list(unread["group"].unique()) == [UNKNOWN], "nothing says where these photos are"


def two_lights(photos, found_dim, found_bright, seed=0):
    """Return a run with two faces in dim and two in bright light a photo, found that often."""
    rng = np.random.default_rng(seed)
    made = {}
    for index in range(photos):
        boxes = np.array([at(slot) for slot in range(4)])
        lights = ["dim", "dim", "bright", "bright"]
        labelled = LabelledFaces(boxes, [SAD] * 4, extra={"light": lights})
        seen = rng.uniform(size=4) < [found_dim, found_dim, found_bright, found_bright]
        made[f"{index}.jpg"] = (labelled, Faces(boxes[seen]), answers(*[SAD] * seen.sum()))
    return run_of(made)


def test_the_worst_gap_names_its_groups():
    result = slices(two_lights(60, 0.3, 0.9), "light")
    gap = result.gaps.set_index("figure").loc["detection_recall"]
    values = result.frame.set_index(["figure", "group"])["value"]["detection_recall"]
    assert gap["gap"] == pytest.approx(values["bright"] - values["dim"])
    assert (gap["best"], gap["worst"], gap["groups"]) == ("bright", "dim", 2)
    assert 0.3 < gap["low"] < gap["gap"] < gap["high"] < 0.9
    loss = result.gaps.set_index("figure").loc["matched_log_loss"]
    assert loss["gap"] == pytest.approx(0, abs=1e-9)
    assert result.warnings == (), "no gap at all is no chance"


def test_a_gap_that_chance_may_make_is_told():
    result = slices(two_lights(60, 0.6, 0.62), "light", figures=["detection_recall"])
    (gap,) = result.gaps.itertuples()
    assert gap.gap > gap.low == 0
    assert result.warnings == (
        "may be chance, for no interval leaves out 0: the worst gap of detection recall",
    )
    never = slices(two_lights(60, 0, 1), "light", figures=["detection_recall"])
    (gap,) = never.gaps.itertuples()
    assert gap.gap == 1
    assert np.isnan([gap.low, gap.high]).all(), "draws that are all alike are not certain"
    assert len(never.warnings) == 1


def test_why_there_is_no_gap_is_told():
    said = slices(column(["", " "]), "own", draws=10).warnings
    assert said[0] == "no face has a known own: there is nothing to compare"
    said = slices(column(["a", "a", ""]), "own", draws=10).warnings
    assert said[0] == "by own, all known faces are in one group: there is nothing to compare"
    assert "2 of 2 groups have a figure that stands on fewer" in said[1]
    empty = run_of({"one.jpg": (LabelledFaces.empty(), Faces.empty(), np.empty((0, K)))})
    assert slices(empty, "size", draws=10).warnings == (
        "no face has a known size: there is nothing to compare",
    )


def test_groups_with_little_support_are_flagged_and_in_no_gap():
    result = slices(two_lights(MIN_PHOTOS, 0.3, 0.9), "light")
    assert not result.frame["enough"].any(), f"20 faces are fewer than {MIN_FACES}"
    assert (result.gaps["groups"] == 0).all()
    assert result.gaps["gap"].isna().all()
    assert result.warnings == (
        "2 of 2 groups have a figure that stands on fewer than 30 faces or 10 photos,"
        " and is in no gap: bright, dim",
    )


def test_the_gap_of_two_groups_by_hand():
    # drawn - value: (.1, 0), (-.1, .1), (0, 0), (0, 0): ranges .1, .2, 0, 0
    gap, low, high = worst_gap([0.2, 0.5], [[0.3, 0.1, 0.2, 0.2], [0.5, 0.6, 0.5, 0.5]], level=1)
    assert (gap, low, high) == pytest.approx((0.3, 0.1, 0.5))
    assert np.isnan(worst_gap([0.2], [[0.3, 0.1]])).all()
    assert np.isnan(worst_gap([], [])).all()
    assert worst_gap([0.2, 0.3], [[0.1, 0.4], [0.5, 0.2]])[1] == 0


def test_equal_groups_seldom_have_a_gap_above_0():
    # six groups of normal means, each of 40 photos, that do not differ
    rng = np.random.default_rng(0)
    data = rng.normal(size=(400, 6, 40))
    weights = rng.multinomial(40, np.full(40, 1 / 40), size=300) / 40
    lows = [worst_gap(sample.mean(axis=1), sample @ weights.T)[1] for sample in data]
    assert 0.02 < np.mean(np.array(lows) > 0) < 0.09


def test_one_photo_has_no_interval():
    frame = slices(random_run(3), "photo", draws=50).frame
    assert frame[["low", "high"]].isna().all(axis=None)
    assert np.isfinite(frame["value"]).any()


def test_runs_without_photos_or_faces_have_no_groups():
    empty = run_of({"one.jpg": (LabelledFaces.empty(), Faces.empty(), np.empty((0, K)))})
    for run in (empty, empty.only([])):
        for by in BUILT_IN:
            if by != "photo":
                assert slices(run, by, draws=10).frame.empty


def test_what_a_run_can_be_sliced_by():
    run = random_run(4)
    assert slice_names(run) == (*BUILT_IN, "age", "light")
    notes = LabelledFaces(
        [at(slot) for slot in range(15)], [SAD] * 15,
        extra={"note": [f"n{i}" for i in range(15)], "batch": ["a"] * 15, "size": ["b"] * 15},
    )  # fmt: skip
    run = run_of({"one.jpg": (notes, Faces.empty(), np.empty((0, K)))})
    assert slice_names(run) == BUILT_IN
    assert len(slices(run, "note", draws=10).frame["group"].unique()) == 15


def test_the_same_seed_gives_the_same_intervals():
    run = random_run(5, photos=20)
    first, again, other = (slices(run, "light", draws=200, seed=s).frame for s in (0, 0, 1))
    assert first.equals(again)
    assert not first.equals(other)


@pytest.mark.parametrize(
    ("by", "figures", "message"),
    [
        ("hair", None, "by is 'hair': expected one of size, .*, age, light, or a column"),
        ("size", ["accuracy"], "no figure named 'accuracy'"),
        ("size", ["detection_precision"], "detection_precision means nothing in slices by size"),
        ("yaw", ["detection_recall"], "detection_recall means nothing .* or no others"),
        ("score", ["end_to_end_accuracy"], "means nothing in slices by score"),
    ],
)
def test_what_means_nothing_is_refused(by, figures, message):
    with pytest.raises(OptionError, match=message):
        slices(random_run(6), by, figures=figures)
