"""The bootstrap over photos, held to one that draws and adds photo by photo, and to SciPy's."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from groupemo.errors import OptionError
from groupemo.metrics import classification as cls
from groupemo.metrics import detection as det
from groupemo.metrics.tally import SUMS, Tally
from groupemo.metrics.uncertainty import (
    Correction,
    defined,
    draw_weights,
    interval,
    leave_one_out,
    weigh,
)


def table(right=0, wrong=0, missed=0, phantom=0):
    """Return a photo's counts: faces of class 0 answered 0 or 1, missed; phantoms answered 0."""
    counts = np.zeros((4, 4), int)
    counts[0, 0], counts[0, 1], counts[0, 3], counts[3, 0] = right, wrong, missed, phantom
    return counts


def tallies(*tables):
    """Return one tally a photo; two classes, so tables are 4 x 4."""
    return Tally.stack([Tally(one, np.arange(len(SUMS)) * np.sum(one)) for one in tables])


def bounds(statistic, photos, **options):
    """Return the interval of a figure of the photos' tallies."""
    n = len(photos.counts)
    return interval(
        statistic(weigh(photos, draw_weights(n))),
        point=float(statistic(weigh(photos, np.ones((1, n))))[0]),
        jackknife=statistic(weigh(photos, leave_one_out(n))),
        **options,
    )


def macro_f1(counts):
    return cls.macro(cls.f1(counts, "matched"), cls.support(counts, "matched"))


def test_a_draw_takes_as_many_photos_as_there_are():
    weights = draw_weights(7, draws=4000)
    assert weights.shape == (4000, 7)
    assert (weights == weights.round()).all()
    assert (weights.sum(axis=1) == 7).all()
    # how often a photo comes up is binomial: 7 tries, one in 7
    np.testing.assert_allclose(weights.mean(axis=0), 1, rtol=0.06)
    np.testing.assert_allclose(weights.var(axis=0), 6 / 7, rtol=0.1)
    np.testing.assert_array_equal(weights, draw_weights(7, draws=4000))
    assert (weights != draw_weights(7, draws=4000, seed=1)).any()


def test_a_draw_takes_as_many_photos_as_told():
    assert (draw_weights(7, draws=50, photos=30).sum(axis=1) == 30).all()


def test_the_jackknife_leaves_each_photo_out_once():
    np.testing.assert_array_equal(leave_one_out(3), [[0, 1, 1], [1, 0, 1], [1, 1, 0]])


@pytest.mark.parametrize("statistic", [det.detection_recall, det.detection_f1, macro_f1])
def test_drawing_is_adding_the_photos_drawn(statistic):
    photos = tallies(table(3, 1), table(0, 2, 4), table(5, 0, 0, 2), table(1, 1, 1, 1))
    weights = draw_weights(4, draws=30)
    drawn = weigh(photos, weights)
    for row, value, sums in zip(weights, statistic(drawn), drawn.sums, strict=True):
        chosen = np.repeat(np.arange(4), row.astype(int))
        once = Tally(photos.counts[chosen].sum(axis=0))
        np.testing.assert_allclose(value, statistic(once))
        np.testing.assert_allclose(sums, photos.sums[chosen].sum(axis=0))


def sets(least=3):
    """Return a strategy of one value a photo."""
    value = st.floats(-100, 100, allow_subnormal=False).map(lambda x: round(x, 3))
    return st.lists(value, min_size=least, max_size=30).filter(lambda x: len(set(x)) > 1)


@given(sets(), st.sampled_from([("bca", "BCa"), ("percentile", "percentile")]))
def test_intervals_of_a_mean_are_scipys(values, methods):
    ours, theirs = methods
    values, n = np.array(values), len(values)
    chosen = np.random.default_rng(7)
    same = np.random.default_rng(7)
    resampled = stats.bootstrap(
        (values,), np.mean, n_resamples=999, method=theirs, rng=chosen, vectorized=True
    )
    # SciPy draws photos by number; what each number weighs is how often it was drawn
    numbers = same.integers(0, n, (999, n))
    weights = np.stack([np.bincount(row, minlength=n) for row in numbers])
    np.testing.assert_allclose(weights @ values / n, resampled.bootstrap_distribution, atol=1e-9)
    low, high = interval(
        resampled.bootstrap_distribution,
        point=values.mean(),
        jackknife=leave_one_out(n) @ values / (n - 1),
        method=ours,
    )
    np.testing.assert_allclose((low, high), resampled.confidence_interval, atol=1e-9)


@pytest.mark.parametrize("df", [4, 6.5, 14, 59, 1000])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_expansion_is_students_t(df, level):
    z = stats.norm.ppf((1 + level) / 2)
    expanded = -stats.norm.ppf(Correction(df=df).share(-z))
    np.testing.assert_allclose(expanded, stats.t.ppf((1 + level) / 2, df), rtol=0.005)


def test_degrees_of_freedom_are_those_of_the_photos_that_carry_the_figure():
    rng = np.random.default_rng(0)
    even = Correction.fit(np.zeros(9), 0.0, rng.normal(size=4000), "expanded")
    assert even.df == pytest.approx(3999, rel=0.1), "of normal values, all but one"
    # three photos of 300 move the figure, alike: d = .99 three times, -.01 297 times
    few = Correction.fit(np.zeros(9), 0.0, np.repeat([1.0, 0.0], [3, 297]), "expanded")
    assert few.df == pytest.approx(2 / (1 / 3 - 1 / 300), rel=0.03)
    # photos that move nothing are no reason against it
    assert Correction.fit(np.zeros(9), 0.0, np.zeros(4), "expanded").df == pytest.approx(3)


@given(
    st.floats(-1, 1), st.floats(-0.15, 0.15), st.floats(1, 500) | st.just(math.inf),
    st.floats(1, 1.4), st.floats(0.01, 0.99),
)  # fmt: skip
def test_a_correction_and_back(z0, a, df, stretch, share):
    correction = Correction(z0, a, df, stretch)
    z = correction.z(share)
    if math.isfinite(z):
        np.testing.assert_allclose(correction.share(z), share, atol=1e-9)


def test_no_correction_is_the_plain_percentile():
    assert Correction().share(-1.959964) == pytest.approx(0.025, abs=1e-8)


def test_acceleration_by_hand():
    # without the photos one by one: 2, 2, 5; mean 3; d = 1, 1, -2
    # sum(d^3) = 1 + 1 - 8 = -6; sum(d^2) = 6; a = -6 / (6 * 6^1.5) = -1 / 14.697
    # draws 0 1 2 3 against 2: two below, one equal: (2 + 1/2) / 4 = .625; Phi(.31864) = .625
    correction = Correction.fit(np.arange(4.0), 2.0, [2, 2, 5], "expanded")
    assert correction.a == pytest.approx(-1 / 6**1.5)
    assert correction.z0 == pytest.approx(0.318639, abs=1e-6)
    # sum(d^4) = 18: 2 / (18 / 36 - 1 / 3) = 12, at most n - 1
    assert correction.df == pytest.approx(2)
    assert correction.stretch == pytest.approx(math.sqrt(3 / 2))


def test_an_interval_beyond_what_acceleration_bears_ends_at_the_last_draw():
    # 1 - a w is negative for the upper bound
    assert Correction(z0=2.0, a=0.16, df=2).share(2.5) == 1.0
    assert Correction(z0=-2.0, a=-0.16, df=2).share(-2.5) == 0.0


def test_the_interval_of_a_share_is_near_the_textbook_one():
    # 400 photos of one face each: the cluster bootstrap is the plain one, and the
    # interval that of a binomial share, .8 +- 1.96 * sqrt(.8 * .2 / 400) = .0392
    photos = tallies(*[table(1)] * 320, *[table(0, 1)] * 80)
    for method in ("expanded", "bca", "percentile"):
        low, high = bounds(lambda counts: cls.accuracy(counts, "matched"), photos, method=method)
        np.testing.assert_allclose((low, high), (0.8 - 0.0392, 0.8 + 0.0392), atol=0.006)


def test_few_photos_make_the_expanded_interval_wider():
    photos = tallies(*[table(3, 1), table(2, 2), table(4, 0), table(1, 3)] * 2)
    narrow = bounds(macro_f1, photos, method="bca")
    wide = bounds(macro_f1, photos)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_photos_have_no_interval(n):
    photos = Tally(np.zeros((n, 4, 4)) + table(3, 1))
    drawn = det.detection_recall(weigh(photos, draw_weights(n)))
    assert drawn.shape == (0,)
    assert np.isnan(interval(drawn)).all()
    assert np.isnan(interval(drawn, point=0.75, jackknife=np.full(n, np.nan))).all()


def test_a_figure_that_hangs_on_one_photo_has_no_interval():
    # class 1 has one face in twelve photos: its recall is 0 or undefined, never unsure
    rare = np.zeros((4, 4), int)
    rare[1, 0] = 1
    photos = tallies(rare, *[table(1)] * 11)
    assert np.isnan(bounds(lambda counts: cls.recall(counts, "matched")[..., 1], photos)).all()
    # its macro-F1 is that of class 0 alone in the draws without that photo, 1
    low, high = bounds(macro_f1, photos)
    assert low < macro_f1(Tally(photos.counts.sum(axis=0))) < high == 1


def test_draws_that_are_not_defined_are_left_out():
    assert interval([np.nan, 0.25, 0.25, np.nan, 0.25]) == (0.25, 0.25)
    assert np.isnan(interval([np.nan, np.nan])).all()
    assert np.isnan(interval([np.nan, 0.25])).all(), "half of the draws are too few"
    np.testing.assert_array_equal(defined([1, np.nan, 2], [0, 0]), [1, 2])
    assert not len(defined([1, 2, 3], [0, np.nan]))


def test_draws_that_are_all_the_same_have_no_width():
    assert interval(np.ones(50), point=1.0, jackknife=np.ones(4)) == (1, 1)


@pytest.mark.parametrize("level", [0, 1, -0.5, 95])
def test_a_level_is_a_share(level):
    with pytest.raises(OptionError, match="level is"):
        interval([1.0, 2.0], level=level)
