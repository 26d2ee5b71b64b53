"""Differences of two runs: p-values held to their intervals, to statsmodels, and to chance."""

import warnings

import numpy as np
import pytest
from hypothesis import given
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
    # within the step from one draw to the next
    assert min(abs(end) for end in ends) < 0.01


def test_twice_the_smaller_side():
    # 100 draws, 3 of them below 0 and 1 at 0: 2 * (3 + 1/2 + 1/2) / 101
    assert p_value([-1.0] * 3 + [0.0] + [1.0] * 96) == pytest.approx(8 / 101)
    assert p_value([1.0] * 3 + [0.0] + [-1.0] * 96) == pytest.approx(8 / 101)


def test_a_p_value_is_never_0_and_1_for_equal_runs():
    assert p_value(np.ones(999)) == pytest.approx(1 / 1000)
    # t of 4 degrees of freedom is not as sure as the draws
    assert 1 / 1000 < p_value(np.ones(999), point=1.0, jackknife=np.ones(5)) < 0.05
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


def test_equal_runs_are_told_apart_one_time_in_twenty():
    found = [
        p_value(**drawn(np.random.default_rng(seed).normal(size=25), seed)) < 0.05
        for seed in range(600)
    ]
    # .05 +- 2.6 standard errors of 600 tries
    assert 0.027 < np.mean(found) < 0.073


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
