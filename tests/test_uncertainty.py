"""The bootstrap over photos, held to one that draws and adds photo by photo, and to SciPy's."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from groupemo.errors import OptionError
from groupemo.metrics import calibration as cal
from groupemo.metrics import classification as cls
from groupemo.metrics import detection as det
from groupemo.metrics.answers import Answers
from groupemo.metrics.tally import SUMS, Tally
from groupemo.metrics.uncertainty import (
    TAIL,
    Correction,
    Drawn,
    draw_weights,
    estimate,
    interval,
    leave_one_out,
    student,
    weigh,
    weightings,
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
    drawn = {
        "drawn": resampled.bootstrap_distribution,
        "point": values.mean(),
        "jackknife": leave_one_out(n) @ values / (n - 1),
        "method": ours,
    }
    correction = Drawn.of(**drawn).correction
    assume(min(stats.norm.cdf([correction.score(z) for z in (-1.96, 1.96)])) > TAIL)
    assume(max(stats.norm.cdf([correction.score(z) for z in (-1.96, 1.96)])) < 1 - TAIL)
    low, high = interval(**drawn)
    np.testing.assert_allclose((low, high), resampled.confidence_interval, atol=1e-9)


@pytest.mark.parametrize("df", [4, 6.5, 14, 59, 1000])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_expansion_is_students_t(df, level):
    z = stats.norm.ppf((1 + level) / 2)
    expected = stats.t.ppf((1 + level) / 2, df)
    np.testing.assert_allclose(Correction(df=df).score(z), expected, rtol=0.005)
    assert Correction(df=df).score(-z) == -Correction(df=df).score(z)


def test_degrees_of_freedom_are_those_of_the_photos_that_carry_the_figure():
    rng = np.random.default_rng(0)
    even = Correction.fit(0.5, rng.normal(size=4000))
    assert even.df == pytest.approx(3999, rel=0.1), "of normal values, all but one"
    # three photos of 300 move the figure, alike: d = .99 three times, -.01 297 times
    few = Correction.fit(0.5, np.repeat([1.0, 0.0], [3, 297]))
    assert few.df == pytest.approx(2 / (1 / 3 - 1 / 300), rel=0.03)
    # photos that move nothing are no reason against it
    assert Correction.fit(0.5, np.zeros(4)).df == pytest.approx(3)


def test_no_correction_is_the_plain_percentile():
    assert Correction().score(-1.959964) == -1.959964
    values = np.random.default_rng(0).normal(size=999)
    np.testing.assert_allclose(
        interval(values), np.quantile(values, [0.025, 0.975]), rtol=0, atol=1e-12
    )


def test_acceleration_by_hand():
    # without the photos one by one: 2, 2, 5; mean 3; d = 1, 1, -2
    # sum(d^3) = 1 + 1 - 8 = -6; sum(d^2) = 6; a = -6 / (6 * 6^1.5) = -1 / 14.697
    # draws 0 1 2 3 against 2: two below, one equal: (2 + 1/2) / 4 = .625; Phi(.31864) = .625
    correction = Drawn.of(np.arange(4.0), 2.0, [2, 2, 5]).correction
    assert correction.a == pytest.approx(-1 / 6**1.5)
    assert correction.z0 == pytest.approx(0.318639, abs=1e-6)
    # sum(d^4) = 18: 2 / (18 / 36 - 1 / 3) = 12, at most n - 1
    assert correction.df == pytest.approx(2)
    assert correction.stretch == pytest.approx(math.sqrt(3 / 2))


@given(
    st.floats(-1.3, 1.3), st.floats(-0.17, 0.17), st.floats(1, 500) | st.just(math.inf),
    st.floats(1, 1.5), st.lists(st.floats(-30, 30), min_size=2, max_size=9),
)  # fmt: skip
def test_a_bound_is_finite_and_farther_out_for_a_surer_interval(z0, a, df, stretch, zs):
    values = np.sort(np.random.default_rng(0).gamma(2, size=300))
    bounds = [Drawn(values, Correction(z0, a, df, stretch)).bound(z) for z in sorted(zs)]
    assert np.isfinite(bounds).all()
    assert (np.diff(bounds) >= 0).all()


def test_beyond_the_last_draws_tails_are_normal():
    values = np.random.default_rng(0).normal(5, 2, 20_000)
    for z in (-6, -4, -3, 3, 4, 6):
        # the 100th draw is the anchor: 2.58 +- .03 standard deviations out
        assert Drawn(np.sort(values), Correction()).bound(z) == pytest.approx(5 + 2 * z, abs=0.2)
    # nothing jumps where they begin
    around = [Drawn(np.sort(values), Correction()).bound(stats.norm.ppf(TAIL) + at) for at in
              (-1e-9, 1e-9)]  # fmt: skip
    np.testing.assert_allclose(*around, atol=1e-6)


def test_no_interval_is_wider_than_the_figure_can_be():
    drawn = np.repeat([0.9, 1.0], [300, 1700])
    given = {"point": 0.985, "jackknife": [0.95, 1.0, 0.99]}
    assert interval(drawn, **given)[1] > 1
    low, high = interval(drawn, **given, least=0, most=1)
    assert low < 0.985 < high == 1


# --- figures whose draws lie beside them ------------------------------------------------------


def lonely(n, seed=0, k=7):
    """Return answers of photos of three to nine faces; confidences are a little too high."""
    rng = np.random.default_rng(seed)
    photo = np.repeat(np.arange(n), rng.integers(3, 10, n))
    probs = rng.dirichlet(np.full(k, 0.4), len(photo))
    truth = probs**0.8
    cumulated = (truth / truth.sum(axis=1, keepdims=True)).cumsum(axis=1)
    labels = (rng.random((len(photo), 1)) > cumulated[:, :-1]).sum(axis=1)
    return Answers(photo, n, labels, probs)


CALIBRATION = {
    "ece": cal.expected_calibration_error,
    "adaptive": lambda answers, weights: cal.expected_calibration_error(
        answers, weights, adaptive=True
    ),
    "classwise": cal.classwise_calibration_error,
}


@pytest.mark.parametrize("n", [12, 40, 150])
@pytest.mark.parametrize("name", CALIBRATION)
def test_the_interval_of_a_calibration_error_holds_it(name, n):
    answers = lonely(n)
    value, low, high = estimate(
        lambda weights: CALIBRATION[name](answers, weights), n, least=0, most=1
    )
    assert 0 <= low < value < high <= 1
    assert high - low > 0.1 * value


def test_draws_beside_the_figure_are_re_centred():
    # every draw above the figure: the interval is theirs, moved by as much as their median is off
    drawn = np.random.default_rng(0).normal(3.5, 1, 1999)
    jackknife = np.random.default_rng(1).normal(size=4000)
    low, high = interval(drawn, point=1.0, jackknife=jackknife)
    expected = np.quantile(drawn, [0.025, 0.975]) - np.median(drawn) + 1
    np.testing.assert_allclose((low, high), expected, atol=0.05)
    assert Drawn.of(drawn, 1.0, jackknife).correction.z0 == 0
    # a figure well among its draws keeps BCa's correction, and the draws where they are
    among = Drawn.of(drawn, 3.0, jackknife)
    assert among.correction.z0 < -0.4
    np.testing.assert_array_equal(among.values, np.sort(drawn))
    # without the figure there is nothing to move them to
    np.testing.assert_array_equal(Drawn.of(drawn).values, np.sort(drawn))


@given(
    st.integers(0, 99), st.floats(-5, 5), st.sampled_from([3, 9, 40]),
    st.sampled_from(["bca", "expanded"]),
)  # fmt: skip
def test_a_95_percent_interval_holds_the_figure(seed, point, n, method):
    rng = np.random.default_rng(seed)
    drawn, jackknife = rng.gamma(2, size=400) - 2, rng.exponential(size=n)
    low, high = interval(drawn, point=point, jackknife=jackknife, method=method)
    assert low <= point <= high


# --- scenes -----------------------------------------------------------------------------------


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
    assert interval([np.nan, 0.25, 0.75, np.nan, 0.5], level=1e-9)[0] == pytest.approx(0.5)
    assert np.isnan(interval([np.nan, np.nan])).all()
    assert np.isnan(interval([np.nan, 0.25])).all(), "half of the draws are too few"
    np.testing.assert_array_equal(Drawn.of([2, np.nan, 1], 1.5, [0, 0]).values, [1, 2])
    assert not len(Drawn.of([1, 2, 3], 2, [0, np.nan]).values)


def test_draws_that_are_all_alike_are_no_certainty():
    alike = {"drawn": np.ones(50), "point": 1.0, "jackknife": np.ones(4)}
    assert np.isnan(interval(**alike)).all()
    assert np.isnan(interval(0.3 + 1e-16 * np.arange(50))).all(), "but for rounding"
    # every one of 37 faces was found
    photos = tallies(*[table(3)] * 9, *[table(5)] * 2)
    assert np.isnan(bounds(det.detection_recall, photos)).all()
    # of a difference they are taken at their word
    assert interval(**alike, difference=True) == (1, 1)
    nothing = {"drawn": np.zeros(50), "point": 0.0, "jackknife": np.zeros(4)}
    assert interval(**nothing, difference=True) == (0, 0)


@pytest.mark.parametrize("method", ["expanded", "bca", "percentile"])
def test_draws_nearly_all_alike_are_no_certainty(method):
    nearly = {"drawn": np.repeat([1 / 6, 1 / 5], [1991, 9]), "point": 1 / 6, "method": method}
    jackknife = np.array([1 / 6] * 30)
    assert np.isnan(interval(**nearly, jackknife=jackknife)).all()
    both = interval(**nearly, jackknife=jackknife, difference=True)
    assert both == pytest.approx((1 / 6, 1 / 6)), "of a difference they are taken at their word"
    # no width is left within the figure's bounds
    assert np.isnan(interval(**nearly, jackknife=jackknife, most=1 / 6)).all()


def test_an_estimate_is_the_figure_with_its_interval():
    values = np.random.default_rng(2).normal(size=60)
    value, low, high = estimate(lambda weights: weights @ values / weights.sum(axis=1), 60)
    assert value == pytest.approx(values.mean())
    reach = stats.t.ppf(0.975, 59) * values.std(ddof=1) / math.sqrt(60)
    np.testing.assert_allclose((low, high), (value - reach, value + reach), atol=0.03)


@pytest.mark.parametrize(("z", "df"), [(37, 1), (-37, 2), (1e6, 19)])
def test_a_t_too_great_for_a_float_is_still_a_number(z, df):
    assert math.isfinite(student(z, df))


@pytest.mark.parametrize("level", [0, 1, -0.5, 95])
def test_a_level_is_a_share(level):
    with pytest.raises(OptionError, match="level is"):
        interval([1.0, 2.0], level=level)


def test_the_jackknife_of_many_photos_leaves_out_groups():
    few, many = leave_one_out(7), leave_one_out(2500)
    np.testing.assert_array_equal(few, 1 - np.eye(7))
    assert many.shape == (1000, 2500)
    np.testing.assert_array_equal((many == 0).sum(axis=0), 1)  # each photo is left out once
    assert set((many == 0).sum(axis=1).tolist()) == {2, 3}
    assert leave_one_out(0).shape == (0, 0)


@pytest.mark.parametrize("options", [{"draws": 0}, {"draws": -1}, {"seed": -1}])
def test_options_that_mean_nothing(options):
    with pytest.raises(OptionError, match="expected at least 1, and at least 0"):
        draw_weights(5, **options)


def test_an_interval_takes_some_draws():
    with pytest.raises(OptionError, match="draws is 19: expected 20 or more"):
        weightings(5, draws=19)
