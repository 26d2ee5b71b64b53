"""Figures of whole groups, held to SciPy's and to groups that fit in a comment."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from groupemo.emotions import EMOTIONS
from groupemo.errors import ContractError
from groupemo.metrics.group import (
    VALENCE,
    Groups,
    diversity,
    diversity_error,
    evenness,
    groups,
    jensen_shannon,
    mean_valence,
    rows,
    total_variation,
    valence_accuracy,
    valence_class,
    valence_pearson,
    valence_spearman,
)
from groupemo.metrics.uncertainty import draw_weights, leave_one_out

K = len(EMOTIONS)
FIGURES = {
    "valence_accuracy": valence_accuracy,
    "valence_pearson": valence_pearson,
    "valence_spearman": valence_spearman,
    "jensen_shannon": jensen_shannon,
    "total_variation": total_variation,
    "labelled": lambda photos, weights: diversity(photos, weights, "labelled"),
    "answered": lambda photos, weights: diversity(photos, weights, "answered"),
    "diversity_error": diversity_error,
}
seeds = st.integers(0, 2**32 - 1)
every_figure = pytest.mark.parametrize("figure", FIGURES.values(), ids=FIGURES)


def once(photos):
    return np.ones((1, len(photos.labelled)))


def scene(seed, n=12):
    """Return random photos, some without a face on either side."""
    rng = np.random.default_rng(seed)
    labelled, answered = (
        [rng.multinomial(rng.integers(9), rng.dirichlet(np.ones(K))) for _ in range(n)]
        for _ in range(2)
    )
    return Groups(np.array(labelled, float), np.array(answered, float))


def some(photos, keep):
    return Groups(photos.labelled[keep], photos.answered[keep])


def of(*photos):
    """Return photos given as (labelled, answered) words, a letter a face."""
    letters = {"a": 0, "d": 1, "f": 2, "h": 3, "s": 4, "!": 5, "n": 6}
    count = [
        [np.bincount([letters[face] for face in side], minlength=K) for side in photo]
        for photo in photos
    ]
    return Groups(*np.array(count, float).transpose(1, 0, 2))


def reference(photos):
    """Return the figures of the photos, one by one with SciPy."""
    photos = some(photos, photos.compared)
    p = photos.labelled / photos.labelled.sum(axis=1, keepdims=True)
    q = photos.answered / photos.answered.sum(axis=1, keepdims=True)
    x, y = np.round([p @ VALENCE, q @ VALENCE], 12)  # equal where only the rounding differs
    third = [[-1 if v < -1 / 3 else int(v > 1 / 3) for v in side] for side in (x, y)]
    even = [stats.entropy(side, axis=1) / np.log(K) for side in (p, q)]
    return {
        "valence_accuracy": np.mean(np.equal(*third)),
        "valence_pearson": stats.pearsonr(x, y).statistic,
        "valence_spearman": stats.spearmanr(x, y).statistic,
        "jensen_shannon": np.mean(jensenshannon(p, q, axis=1) ** 2),
        "total_variation": np.mean([np.maximum(a - b, 0).sum() for a, b in zip(p, q, strict=True)]),
        "labelled": even[0].mean(),
        "answered": even[1].mean(),
        "diversity_error": np.mean(np.abs(even[0] - even[1])),
    }


@pytest.mark.filterwarnings("ignore:An input array is constant")  # SciPy's NaN comes with one
@given(seeds)
def test_every_figure_is_scipy_s(seed):
    photos = scene(seed)
    expected = reference(photos)
    for name, figure in FIGURES.items():
        seen = figure(photos, once(photos))
        assert seen.shape == (1,)
        np.testing.assert_allclose(seen[0], expected[name], rtol=0, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("name", FIGURES)
def test_a_photo_of_weight_two_is_a_photo_twice(name):
    photos = scene(5)
    times = np.random.default_rng(1).integers(0, 4, size=(20, 12))
    drawn = FIGURES[name](photos, times.astype(float))
    expected = [reference(some(photos, np.repeat(np.arange(12), row)))[name] for row in times]
    np.testing.assert_allclose(drawn, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", FIGURES)
def test_a_photo_of_weight_zero_is_left_out(name):
    photos = scene(6)
    drawn = FIGURES[name](photos, leave_one_out(12))
    expected = [reference(some(photos, np.arange(12) != out))[name] for out in range(12)]
    np.testing.assert_allclose(drawn, expected, rtol=0, atol=1e-9)


def test_groups_by_hand():
    photos = of(
        ("hhn", "hhn"),  # 2/3, positive; the same
        ("hnn", "hhn"),  # 1/3 is still neutral; answered positive; 1 of 3 faces differs
        ("as!", "nnn"),  # -2/3, negative; answered neutral; all differ
        ("!", "n"),      # 0, neutral, both; all differ
        ("", "h"),       # nobody labelled: left out
        ("h", ""),       # nobody answered: left out
    )  # fmt: skip
    table = rows(photos)
    np.testing.assert_allclose(table["labelled_valence"], [2 / 3, 1 / 3, -2 / 3, 0, np.nan, 1])
    np.testing.assert_array_equal(table["labelled_valence_class"], [1, 0, -1, 0, np.nan, 1])
    np.testing.assert_array_equal(table["answered_valence_class"], [1, 1, 0, 0, 1, np.nan])
    assert photos.compared.tolist() == [True] * 4 + [False] * 2
    assert valence_accuracy(photos, once(photos)) == 2 / 4
    np.testing.assert_allclose(total_variation(photos, once(photos)), (0 + 1 / 3 + 1 + 1) / 4)
    ln2 = np.log(2)  # of distributions that share no class
    np.testing.assert_allclose(table["jensen_shannon"][[0, 2, 3]], [0, ln2, ln2], atol=1e-12)
    even = np.log(3) / np.log(7), 0
    np.testing.assert_allclose(table["labelled_diversity"][2:4], even, atol=1e-12)
    assert set(map(len, table.values())) == {6}


def test_three_classes_of_valence():
    third = 1 / 3
    seen = valence_class(np.array([1, np.nextafter(third, 1), third, 0, -third, -0.34, np.nan]))
    np.testing.assert_array_equal(seen, [1, 1, 0, 0, 0, -1, np.nan])
    # one smile more than frowns, of three, six and nine faces: a third each time
    counts = of(("hnn", ""), ("hhhann", ""), ("hhhhhhaaa", "")).labelled
    np.testing.assert_array_equal(valence_class(mean_valence(counts)), 0)


def test_whoever_surprises_may_be_left_out_or_pleased():
    photos = of(("hn!", "h!"), ("!!", "n"), ("a", "a"))
    known = (*VALENCE[:5], np.nan, 0)
    np.testing.assert_array_equal(mean_valence(photos.labelled, known), [0.5, np.nan, -1])
    assert valence_accuracy(photos, once(photos), known) == 1.0
    pleased = (*VALENCE[:5], 1, 0)
    np.testing.assert_allclose(mean_valence(photos.labelled, pleased), [2 / 3, 1, -1])
    assert valence_accuracy(photos, once(photos), pleased) == 2 / 3


def test_faces_are_put_together_photo_by_photo():
    probs = [[[0.6, 0.4], [0.5, 0.5], [np.nan, np.nan]], np.zeros((0, 2)), [[0.1, 0.9]]]
    labels = [[0, 1, -1, -2], [1], []]
    counted = groups(labels, probs, 2)
    np.testing.assert_array_equal(counted.labelled, [[1, 1], [0, 1], [0, 0]])
    np.testing.assert_array_equal(counted.answered, [[2, 0], [0, 0], [0, 1]])
    summed = groups(labels, probs, 2, soft=True)
    np.testing.assert_allclose(summed.answered, [[1.1, 0.9], [0, 0], [0.1, 0.9]])


@every_figure
def test_without_photos_nothing_is_defined(figure):
    assert np.isnan(figure(groups([], [], K), np.ones((3, 0)))).tolist() == [True] * 3
    alone = of(("", "h"), ("h", ""))
    assert np.isnan(figure(alone, draw_weights(2, draws=4))).all()
    photos = of(("h", "h"), ("a", "n"), ("n", "n"))
    assert np.isnan(figure(photos, np.zeros((2, 3)))).all()
    assert figure(photos, np.zeros((0, 3))).shape == (0,)


@pytest.mark.parametrize("figure", [valence_pearson, valence_spearman])
def test_what_does_not_vary_does_not_correlate(figure):
    constant = of(*[("hnn", "h"), ("hhhann", "a"), ("hnn", "n")] * 4)
    assert np.isnan(figure(constant, draw_weights(12, draws=50))).all(), "rounding is no spread"
    weights = draw_weights(15, draws=50)
    weights[:, 12:] = 0
    photos = of(
        *[("hnn", "h"), ("hhhann", "a"), ("hnn", "n")] * 4, ("h", "a"), ("a", "h"), ("n", "h")
    )
    assert np.isnan(figure(photos, weights)).all(), "the three that vary weigh nothing"
    # without the last photo, all answers are neutral
    photos = of(("h", "n"), ("a", "n"), ("n", "h"))
    assert np.isnan(figure(photos, leave_one_out(3))).tolist() == [False, False, True]


def test_diversity_of_one_face_and_of_all_classes():
    counts = np.array([[3.0, 0, 0, 0], [2, 2, 2, 2], [0, 0, 0, 0]])
    np.testing.assert_allclose(evenness(counts), [0, 1, np.nan], atol=1e-12)
    assert np.isnan(evenness(np.ones((2, 1)))).all(), "one class cannot be diverse"


def test_shapes_that_disagree_are_refused():
    with pytest.raises(ContractError, match=r"labelled \(2, 7\) and answered \(3, 7\)"):
        Groups(np.zeros((2, 7)), np.zeros((3, 7)))
