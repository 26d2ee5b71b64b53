"""Differences of two runs: p-values held to their intervals, to statsmodels, and to chance."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from groupemo.metrics.paired import holm, mcnemar, p_value
from groupemo.metrics.uncertainty import draw_weights, interval, leave_one_out

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from statsmodels.stats import contingency_tables
    from statsmodels.stats.multitest import multipletests

counts = st.integers(0, 60)


def drawn(values, seed=0):
    """Return draws, figure and jackknife of the mean of one value a photo."""
    n = len(values)
    weights = draw_weights(n, seed=seed)
    return {
        "drawn": weights @ values / n,
        "point": values.mean(),
        "jackknife": leave_one_out(n) @ values / (n - 1),
    }


@pytest.mark.parametrize("method", ["percentile", "bca", "expanded"])
@pytest.mark.parametrize("shift", [0.15, 0.3, 0.4])
def test_the_interval_of_level_1_less_p_ends_at_0(method, shift):
    values = np.random.default_rng(3).exponential(size=40) - 1 + shift
    difference = drawn(values)
    p = p_value(**difference, method=method)
    ends = interval(**difference, level=1 - p, method=method)
    assert min(abs(end) for end in ends) < 1e-9


@given(
    st.lists(st.integers(-3, 3) | st.floats(-3, 3), min_size=3, max_size=12),
    st.floats(-2, 2), st.sampled_from(["percentile", "bca", "expanded"]),
)  # fmt: skip
def test_a_p_value_is_below_05_where_the_interval_leaves_out_0(values, shift, method):
    difference = drawn(np.round(np.array(values, dtype=float), 3) + round(shift, 2))
    difference["drawn"] = np.round(difference["drawn"], 12)
    low, high = interval(**difference, method=method, difference=True)
    p = p_value(**difference, method=method)
    assert 0 < p <= 1
    assert (p < 0.05) == (low > 0 or high < 0)


@given(st.integers(0, 30), st.sampled_from([4, 20, 60]))
def test_a_greater_difference_is_a_surer_one(seed, n):
    values = np.random.default_rng(seed).normal(size=n)
    difference = drawn(values - values.mean())
    shifted = [
        {name: np.round(each + more, 12) for name, each in difference.items()}
        for more in np.geomspace(0.05, 12, 9)
    ]
    ps = [p_value(**each) for each in shifted]
    assert (np.diff(ps) <= 1e-12).all()
    assert min(ps) > 0


def test_twice_the_smaller_side():
    # 101 draws, at shares 0, .01, .02 ...: those up to 0 end at .03, twice that is .06
    assert p_value([-1.0] * 3 + [0.0] + [1.0] * 97) == pytest.approx(0.06)
    assert p_value([1.0] * 3 + [0.0] + [-1.0] * 97) == pytest.approx(0.06)


def test_where_no_draw_reaches_0_the_tail_is_normal():
    # the draw at a share of .005 is 2.58 standard deviations below the mean, 0 is 8 below it
    draws = np.random.default_rng(0).normal(8, 1, 2000)
    expected = 2 * stats.norm.sf(8)
    assert np.log10(p_value(draws)) == pytest.approx(np.log10(expected), abs=1)


def test_a_great_difference_on_few_photos_survives_many_comparisons():
    values = np.random.default_rng(0).normal(0.3, 0.04, 20)
    assert values.mean() / (values.std(ddof=1) / np.sqrt(20)) > 30, "standard errors"
    sure, p_t = p_value(**drawn(values)), stats.ttest_1samp(values, 0).pvalue
    assert np.log10(sure) == pytest.approx(np.log10(p_t), rel=0.25)
    assert (holm([sure, *np.linspace(0.2, 1, 65)]) < 0.05).sum() == 1


def test_a_p_value_is_never_0_and_1_for_equal_runs():
    assert p_value(np.ones(999)) == pytest.approx(1 / 1000)
    assert p_value(np.ones(999), point=1.0, jackknife=np.ones(5)) == pytest.approx(1 / 1000)
    assert 0 < p_value(np.random.default_rng(0).normal(1000, 1, 99)) < 1e-200
    assert p_value(np.zeros(99)) == 1
    assert p_value(np.zeros(99), point=0.0, jackknife=np.zeros(5)) == 1


def test_what_has_no_interval_has_no_p_value():
    assert np.isnan(p_value([]))
    assert np.isnan(p_value([np.nan, 0.1]))
    assert np.isnan(p_value([0.1, 0.2], point=0.1, jackknife=[0.1, np.nan]))


def test_it_is_near_the_t_test_of_the_photos():
    for seed in range(5):
        values = np.random.default_rng(seed).normal(0.25, 1, 60)
        expected = stats.ttest_1samp(values, 0).pvalue
        assert p_value(**drawn(values)) == pytest.approx(expected, abs=0.06)


def test_equal_runs_have_any_p_value_alike():
    ps = [
        p_value(**drawn(np.random.default_rng(seed).normal(size=25), seed)) for seed in range(600)
    ]
    # .05 +- 2.6 standard errors of 600 tries; the whole, uniform
    assert 0.027 < np.mean(np.less(ps, 0.05)) < 0.073
    assert stats.kstest(ps, "uniform").pvalue > 0.01


@given(counts, counts)
def test_mcnemar_is_statsmodels(only_a, only_b):
    exact = only_a + only_b < 25
    theirs = contingency_tables.mcnemar([[9, only_a], [only_b, 9]], exact=exact).pvalue
    # where both are equal and many, statsmodels corrects a difference of 0 to -1; R does not
    expected = 1.0 if only_a == only_b else theirs
    assert mcnemar(only_a, only_b) == pytest.approx(expected, abs=1e-9)


def test_mcnemar_by_hand():
    # 1 against 5: 2 * (1 + 6) / 2^6
    assert mcnemar(1, 5) == mcnemar(5, 1) == pytest.approx(14 / 64)
    assert mcnemar(0, 0) == 1


@settings(max_examples=25)  # statsmodels takes its time
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_is_statsmodels(p_values):
    expected = multipletests(p_values, method="holm")[1]
    np.testing.assert_allclose(holm(p_values), expected, atol=1e-9)


def test_holm_by_hand():
    # .01 * 3, .02 * 2, .04 * 1 raised to .04; what is undefined does not count
    corrected = holm([0.02, np.nan, 0.01, 0.04])
    np.testing.assert_allclose(corrected, [0.04, np.nan, 0.03, 0.04])
    assert holm([]).shape == (0,)
    assert np.isnan(holm([np.nan])).all()
