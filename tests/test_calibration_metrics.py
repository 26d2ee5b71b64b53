"""Calibration errors, reliability, risk-coverage and scaling: by hand, and against other code."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mapie.metrics import calibration as mapie
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import precision_recall_curve

from groupemo.errors import OptionError
from groupemo.metrics.answers import Answers, sums_per_photo
from groupemo.metrics.calibration import (
    aurc,
    classwise_calibration_error,
    expected_calibration_error,
    reliability,
    risk_coverage,
)
from groupemo.metrics.scaling import TEMPERATURES, cross_fit, fit_scaling, scaled

SEEDS = st.integers(0, 2**32 - 1)
ERRORS = [
    expected_calibration_error,
    classwise_calibration_error,
    aurc,
    lambda answers, weights: expected_calibration_error(answers, weights, adaptive=True),
    lambda answers, weights: classwise_calibration_error(answers, weights, adaptive=True),
]


def scene(seed, *, faces=60, photos=9, k=4, decimals=None):
    """Make overconfident answers; with few `decimals`, many of equal confidence."""
    rng = np.random.default_rng(seed)
    true = rng.dirichlet(np.full(k, 0.6), faces)
    labels = (true.cumsum(axis=1) < rng.random((faces, 1))).sum(axis=1).clip(max=k - 1)
    probs = np.maximum(true**1.8, 1e-9)
    probs /= probs.sum(axis=1, keepdims=True)
    if decimals is not None:
        probs = np.round(probs, decimals) + 10.0**-decimals
        probs /= probs.sum(axis=1, keepdims=True)
    return Answers(rng.integers(0, photos, faces), photos, labels, probs)


def ones(answers):
    return np.ones((1, answers.n))


def copies(answers, counts):
    """Return the answers with every photo's faces there as often as its photo weighs."""
    times = np.asarray(counts)[answers.photo]
    rows = np.repeat(np.arange(len(answers)), times)
    return replace(
        answers, photo=answers.photo[rows], labels=answers.labels[rows], probs=answers.probs[rows]
    )


# --- by hand ---------------------------------------------------------------------------------

# photo   face   angry  disgust  answer   label     right   confidence
#   0      a      0.9     0.1    angry    angry      yes       0.9
#   0      b      0.3     0.7    disgust  angry      no        0.7
#   1      c      0.4     0.6    disgust  disgust    yes       0.6
#   1      d      0.9     0.1    angry    disgust    no        0.9
# photo 2 has no such face
HAND = Answers(
    np.array([0, 0, 1, 1]),
    3,
    np.array([0, 0, 1, 1]),
    np.array([[0.9, 0.1], [0.3, 0.7], [0.4, 0.6], [0.9, 0.1]]),
)


def test_a_reliability_diagram_by_hand():
    diagram = reliability(HAND, bins=5)
    np.testing.assert_allclose(diagram.edges, [0, 0.2, 0.4, 0.6, 0.8, 1])
    assert diagram.count.tolist() == [0, 0, 1, 1, 2]  # 0.6 is in (0.4, 0.6]
    np.testing.assert_allclose(diagram.confidence, [np.nan, np.nan, 0.6, 0.7, 0.9])
    np.testing.assert_allclose(diagram.accuracy, [np.nan, np.nan, 1, 0, 0.5])


def test_calibration_errors_by_hand():
    # bins of a fifth: |1 - 0.6| + |0 - 0.7| + |1 - 2 * 0.9|, over 4 faces
    assert expected_calibration_error(HAND, ones(HAND), bins=5) == pytest.approx([1.9 / 4])
    # one bin: |2 right - 3.1 promised|
    assert expected_calibration_error(HAND, ones(HAND), bins=1) == pytest.approx([1.1 / 4])
    # photo 1 weighs 3: 3 * 0.4 + 0.7 + |(1 - 0.9) + 3 * (0 - 0.9)|, over 2 + 6
    weights = np.array([[1.0, 3, 7]])
    assert expected_calibration_error(HAND, weights, bins=5) == pytest.approx([4.5 / 8])
    # angry: a and d share a bin, |1 - 1.8|, and b and c, |1 - 0.7|; disgust: a and d, |1 - 0.2|,
    # b 0.7, and c, in (0.4, 0.6], 1 - 0.6; the mean of the two classes
    error = classwise_calibration_error(HAND, ones(HAND), bins=5)
    assert error == pytest.approx([(1.1 / 4 + 1.9 / 4) / 2])


def test_adaptive_bins_by_hand():
    # quantiles of .6 .7 .9 .9: the middle is 0.8, two faces on each side
    diagram = reliability(HAND, bins=2, adaptive=True)
    np.testing.assert_allclose(diagram.edges, [0, 0.8, 1])
    assert diagram.count.tolist() == [2, 2]
    error = expected_calibration_error(HAND, ones(HAND), bins=2, adaptive=True)
    assert error == pytest.approx([(0.3 + 0.8) / 4])


def test_adaptive_bins_do_not_move_with_the_weights():
    weights = np.array([[0.0, 1, 0]])  # c and d alone: 0.6 right, 0.9 wrong, still in two bins
    error = expected_calibration_error(HAND, weights, bins=2, adaptive=True)
    assert error == pytest.approx([(0.4 + 0.9) / 2])


def test_risk_and_coverage_by_hand():
    curve = risk_coverage(HAND)
    assert curve.threshold.tolist() == [0.9, 0.7, 0.6]
    assert curve.coverage.tolist() == [0.5, 0.75, 1]
    np.testing.assert_allclose(curve.risk, [1 / 2, 2 / 3, 2 / 4])
    assert aurc(HAND, ones(HAND)) == pytest.approx([(0.5 + 0.5 + 2 / 3 + 0.5) / 4])
    # photo 0 alone: a is right and the surer, b is wrong
    assert aurc(HAND, np.array([[1.0, 0, 0]])) == pytest.approx([(0 + 1 / 2) / 2])


def test_true_confidences_have_no_error():
    # eight faces at 0.75, six of them right
    answers = Answers(np.arange(8), 8, np.array([0] * 6 + [1] * 2), np.tile([0.75, 0.25], (8, 1)))
    for error in ERRORS[:2] + ERRORS[3:]:
        np.testing.assert_allclose(error(answers, ones(answers)), 0, atol=1e-15)


@pytest.mark.parametrize("metric", ERRORS)
def test_without_a_face_that_weighs_a_figure_is_nan(metric):
    empty = Answers(np.zeros(0, int), 3, np.zeros(0, int), np.zeros((0, 7)))
    assert np.isnan(metric(empty, np.ones((2, 3)))).tolist() == [True, True]
    assert metric(empty, np.ones((0, 3))).shape == (0,)
    assert np.isnan(metric(HAND, np.array([[0.0, 0, 1], [1, 1, 1]]))).tolist() == [True, False]


def test_no_face_makes_an_empty_diagram_and_curve():
    empty = Answers(np.zeros(0, int), 3, np.zeros(0, int), np.zeros((0, 7)))
    for adaptive in (False, True):
        diagram = reliability(empty, adaptive=adaptive)
        assert not diagram.count.any()
        assert np.isnan([*diagram.confidence, *diagram.accuracy]).all()
    assert len(risk_coverage(empty).threshold) == 0


def test_certain_answers_are_in_the_last_bin():
    sure = Answers(np.zeros(2, int), 1, np.array([0, 1]), np.array([[1.0, 0], [1.0, 0]]))
    assert reliability(sure).count.tolist() == [0] * 14 + [2]
    assert expected_calibration_error(sure, ones(sure)) == pytest.approx([0.5])


def test_no_bin_is_refused():
    with pytest.raises(OptionError, match="bins is 0"):
        expected_calibration_error(HAND, ones(HAND), bins=0)


# --- against other code ----------------------------------------------------------------------


@given(SEEDS, st.integers(2, 20))
@settings(max_examples=30)
def test_the_error_agrees_with_mapie(seed, bins):
    answers = scene(seed)
    theirs = mapie.expected_calibration_error(
        answers.right, answers.confidence, num_bins=bins + 1, split_strategy="uniform"
    )  # what it calls bins are edges
    ours = expected_calibration_error(answers, ones(answers), bins=bins)
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


def curve_error(true, probs, bins, strategy):
    """Return the calibration error of scikit-learn's curve, the faces of each bin counted here."""
    accuracy, confidence = calibration_curve(true, probs, n_bins=bins, strategy=strategy)
    even = np.linspace(0, 1, bins + 1)
    edges = np.percentile(probs, 100 * even) if strategy == "quantile" else even
    count = np.bincount((probs[:, None] > edges[1:-1]).sum(axis=1))
    return (count[count > 0] * np.abs(accuracy - confidence)).sum() / len(true)


@given(SEEDS, st.integers(1, 20), st.sampled_from(["uniform", "quantile"]))
@settings(max_examples=60)
def test_diagrams_and_errors_agree_with_scikit_learn(seed, bins, strategy):
    answers = scene(seed, decimals=1 if seed % 2 else None)
    how = {"bins": bins, "adaptive": strategy == "quantile"}
    diagram = reliability(answers, **how)
    accuracy, confidence = calibration_curve(
        answers.right, answers.confidence, n_bins=bins, strategy=strategy
    )
    filled = diagram.count > 0
    np.testing.assert_allclose(diagram.accuracy[filled], accuracy, atol=1e-9)
    np.testing.assert_allclose(diagram.confidence[filled], confidence, atol=1e-9)
    np.testing.assert_allclose(
        expected_calibration_error(answers, ones(answers), **how),
        curve_error(answers.right, answers.confidence, bins, strategy),
        atol=1e-9,
    )
    by_class = [
        curve_error(answers.labels == one, answers.probs[:, one], bins, strategy)
        for one in range(answers.probs.shape[1])
    ]
    np.testing.assert_allclose(
        classwise_calibration_error(answers, ones(answers), **how), np.mean(by_class), atol=1e-9
    )


@given(SEEDS, st.sampled_from([None, 1]))
@settings(max_examples=60)
def test_risk_and_coverage_agree_with_scikit_learn(seed, decimals):
    # where an answer's being right is what is looked for, precision is 1 - risk
    answers = scene(seed, decimals=decimals)
    weights = np.random.default_rng(seed).exponential(size=(3, answers.n))
    drawn = aurc(answers, weights)
    for row, area in zip(weights[:, answers.photo], drawn, strict=True):
        precision, _, thresholds = precision_recall_curve(
            answers.right, answers.confidence, sample_weight=row
        )
        own = np.searchsorted(thresholds, answers.confidence)
        expected = ((1 - precision[own]) * row).sum() / row.sum()
        np.testing.assert_allclose(area, expected, atol=1e-9)
    precision, _, thresholds = precision_recall_curve(answers.right, answers.confidence)
    curve = risk_coverage(answers)
    np.testing.assert_array_equal(curve.threshold, thresholds[::-1])
    np.testing.assert_allclose(curve.risk, 1 - precision[-2::-1], atol=1e-9)
    sure = (answers.confidence[:, None] >= curve.threshold).mean(axis=0)
    np.testing.assert_allclose(curve.coverage, sure)


@pytest.mark.parametrize("metric", ERRORS[:3])
@given(seed=SEEDS)
@settings(max_examples=20)
def test_a_photo_that_weighs_two_is_there_twice(metric, seed):
    answers = scene(seed, decimals=1)
    counts = np.random.default_rng(seed).integers(0, 4, (5, answers.n)).clip(min=[1] + [0] * 8)
    drawn = metric(answers, counts.astype(float))
    for row, value in zip(counts, drawn, strict=True):
        again = copies(answers, row)
        np.testing.assert_allclose(value, metric(again, ones(again))[0], atol=1e-9)


def test_many_draws_are_the_same_in_parts(monkeypatch):
    answers = scene(0)
    weights = np.random.default_rng(0).exponential(size=(10, answers.n))
    whole = aurc(answers, weights)
    monkeypatch.setattr("groupemo.metrics.calibration.CELLS", 3 * len(answers))
    np.testing.assert_array_equal(aurc(answers, weights), whole)


# --- scaling ---------------------------------------------------------------------------------


def test_scaling_by_hand():
    # p = (0.8, 0.2) at a temperature of 2: roots in the ratio 2 : 1
    half = np.full(2, 0.5)
    np.testing.assert_allclose(scaled(np.array([[0.8, 0.2]]), half, np.zeros(2)), [[2 / 3, 1 / 3]])
    # a bias of ln 4 for the second class takes the odds of 4 : 1 away
    np.testing.assert_allclose(
        scaled(np.array([[0.8, 0.2]]), np.ones(2), np.array([0, np.log(4)])), [[0.5, 0.5]]
    )


def test_scaling_by_one_changes_nothing_and_nan_stays_nan():
    probs = np.array([[0.2, 0.8], [np.nan, np.nan], [1.0, 0.0]])
    np.testing.assert_allclose(scaled(probs, np.ones(2), np.zeros(2)), probs, atol=1e-14)
    assert scaled(np.zeros((0, 2)), np.ones(2), np.zeros(2)).shape == (0, 2)


@given(SEEDS, st.integers(2, 7))
@settings(max_examples=30)
def test_the_temperature_agrees_with_scipy(seed, k):
    answers = scene(seed, faces=200, k=k)
    logs, rows = np.log(answers.probs), np.arange(len(answers))

    def loss(log_temperature):
        return -log_softmax(logs / np.exp(log_temperature), axis=1)[rows, answers.labels].mean()

    best = minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded",
                           options={"xatol": 1e-10})  # fmt: skip
    scale, bias = fit_scaling(answers, "temperature")
    assert not bias.any()
    assert len(set(scale)) == 1
    np.testing.assert_allclose(1 / scale[0], np.exp(best.x), rtol=1e-5)
    assert loss(-np.log(scale[0])) <= best.fun + 1e-9


def test_the_temperature_agrees_with_scikit_learn():
    sklearn_calibration = pytest.importorskip("sklearn.calibration")
    if not hasattr(sklearn_calibration, "_TemperatureScaling"):
        pytest.skip("scikit-learn before 1.8 has no temperature scaling")
    answers = scene(1, faces=2000)
    theirs = sklearn_calibration._TemperatureScaling().fit(np.log(answers.probs), answers.labels)
    scale, _ = fit_scaling(answers, "temperature")
    np.testing.assert_allclose(scale[0], theirs.beta_, rtol=1e-4)


@given(SEEDS, st.integers(2, 7))
@settings(max_examples=20)
def test_vector_scaling_agrees_with_scipy(seed, k):
    answers = scene(seed, faces=200, k=k)
    logs, chosen = np.log(answers.probs), np.eye(k)[answers.labels]
    start = np.concatenate([np.ones(k), np.zeros(k)])

    def loss(at):
        costs = -(log_softmax(at[:k] * logs + at[k:], axis=1) * chosen).sum()
        return costs + ((at - start) ** 2).sum() / 2

    def slope(at):
        extra = softmax(at[:k] * logs + at[k:], axis=1) - chosen
        return np.concatenate([(extra * logs).sum(axis=0), extra.sum(axis=0)]) + at - start

    best = minimize(loss, start, jac=slope, method="BFGS", options={"gtol": 1e-7})
    ours = np.concatenate(fit_scaling(answers, "vector"))
    np.testing.assert_allclose(ours, best.x, atol=1e-5)
    assert loss(ours) <= best.fun + 1e-9


def test_scaling_finds_the_temperature_the_answers_were_made_with():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 7)) * 3
    true = softmax(logits, axis=1)
    labels = (true.cumsum(axis=1) < rng.random((20_000, 1))).sum(axis=1).clip(max=6)
    answers = Answers(np.zeros(20_000, int), 1, labels, softmax(2.5 * logits, axis=1))
    scale, _ = fit_scaling(answers, "temperature")
    assert 1 / scale[0] == pytest.approx(2.5, abs=0.05)
    scale, bias = fit_scaling(answers, "vector")
    np.testing.assert_allclose(1 / scale, 2.5, atol=0.25)
    np.testing.assert_allclose(bias, 0, atol=0.1)


@pytest.mark.parametrize("method", ["temperature", "vector"])
@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_answers_without_a_doubt_are_fitted_too(method, share):
    # certain answers, none, half or all of them right; the third class is never seen
    labels = np.tile([0, 1], 10)
    answered = np.where(np.arange(20) < 20 * share, labels, 1 - labels)
    answers = Answers(np.arange(20), 20, labels, np.eye(3)[answered])
    scale, bias = fit_scaling(answers, method)
    assert np.isfinite([*scale, *bias]).all()
    after = scaled(answers.probs, scale, bias)[np.arange(20), labels]
    if share == 1:
        assert after.min() > 0.99
    else:
        assert -np.log(after).mean() < 3  # it was 34.5 on the wrong ones


@pytest.mark.parametrize("method", ["temperature", "vector"])
def test_answers_that_say_nothing_stay(method):
    even = Answers(np.arange(6), 6, np.arange(6) % 3, np.full((6, 3), 1 / 3))
    scale, bias = fit_scaling(even, method)
    np.testing.assert_allclose(scaled(even.probs, scale, bias), even.probs, atol=1e-9)
    if method == "temperature":
        assert scale.tolist() == [1, 1, 1]


def test_a_class_without_a_labelled_face_is_not_ruled_out():
    answers = scene(0, faces=100)
    seen = replace(answers, labels=np.where(answers.labels == 3, 0, answers.labels))
    after = scaled(seen.probs, *fit_scaling(seen, "vector"))
    assert 0.1 < after[:, 3].sum() < 5


def test_an_unknown_method_is_refused():
    with pytest.raises(OptionError, match="'platt': expected one of temperature, vector"):
        fit_scaling(HAND, "platt")


def test_a_photo_is_scaled_by_the_others():
    answers = scene(3, photos=5)
    probs = cross_fit(answers, "temperature", folds=5)  # as many folds as photos: each alone
    for photo in range(5):
        here = answers.photo == photo
        rest = replace(answers, photo=answers.photo[~here], labels=answers.labels[~here],
                       probs=answers.probs[~here])  # fmt: skip
        expected = scaled(answers.probs[here], *fit_scaling(rest, "temperature"))
        np.testing.assert_allclose(probs[here], expected)


def test_photos_without_a_face_leave_no_photo_without_others():
    rows, labels = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]), np.array([0, 1, 1])
    for seed in range(20):
        sparse = Answers(np.array([3, 3, 41]), 50, labels, rows)
        assert np.isfinite(cross_fit(sparse, "temperature", seed=seed)).all()


def test_values_are_summed_over_each_photos_faces():
    # photo 0: faces 1 and 3; photo 1: none; photo 2: faces 0 and 2
    values = np.array([[1, 10], [2, 20], [4, 40], [8, 80]])
    sums = sums_per_photo(np.array([2, 0, 2, 0]), 3, values)
    np.testing.assert_array_equal(sums, [[10, 100], [0, 0], [5, 50]])
    assert sums_per_photo(np.zeros(0, int), 2, np.zeros(0)).tolist() == [0, 0]


def test_one_photo_alone_has_no_others():
    alone = Answers(np.zeros(2, int), 1, np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]]))
    assert np.isnan(cross_fit(alone, "temperature")).all()
