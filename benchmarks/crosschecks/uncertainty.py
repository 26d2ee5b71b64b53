"""How sure a figure is: intervals, p-values, and their correction."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np
from scipy import stats
from statsmodels.stats import contingency_tables, multitest

from crosschecks.cases import Case, Check
from groupemo.metrics import paired
from groupemo.metrics import uncertainty as unc

DRAWS = 499
HAPPY = 3


@lru_cache(maxsize=8)
def counts(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Return how many faces of each photo were found, and how many are labelled."""
    found, labelled = np.zeros((2, len(case.photos)))
    for row in case.faces:
        labelled[row.photo] += 1
        found[row.photo] += row.detection >= 0
    return found, labelled


def recall(case: Case, photos: np.ndarray, axis: int = -1) -> np.ndarray:
    found, labelled = counts(case)
    return found[photos].sum(axis=axis) / labelled[photos].sum(axis=axis)


def jackknife(case: Case) -> np.ndarray:
    """Return the recall with each of the photos with a labelled face left out."""
    photos = np.flatnonzero(counts(case)[1])
    if len(photos) < 2:
        return np.zeros(0)
    return np.array([recall(case, np.delete(photos, at)) for at in range(len(photos))])


@lru_cache(maxsize=8)
def bootstrapped(case: Case, method: str) -> Any:
    """Return SciPy's bootstrap of the recall over photos with faces; None where all are alike."""
    if len(set(jackknife(case).tolist())) < 2:
        return None
    return stats.bootstrap(
        (np.flatnonzero(counts(case)[1]),),
        partial(recall, case),
        n_resamples=DRAWS,
        rng=np.random.default_rng(1),
        method=method,
    )


def scipy_interval(method: str, case: Case) -> tuple[float, float]:
    run = bootstrapped(case, method)
    return run.confidence_interval if run else (np.nan, np.nan)


def our_interval(method: unc.Method, case: Case) -> tuple[float, float]:
    run = bootstrapped(case, "BCa")
    if not run:
        return np.nan, np.nan
    point = float(recall(case, np.arange(len(case.photos))))
    return unc.interval(
        run.bootstrap_distribution, point=point, jackknife=jackknife(case), method=method
    )


def our_shares(case: Case) -> list[float]:
    """Return the shares of the draws below the bounds of the default interval."""
    run = bootstrapped(case, "BCa")
    if not run:
        return [np.nan, np.nan]
    point = float(recall(case, np.arange(len(case.photos))))
    correction = unc.Correction.fit(run.bootstrap_distribution, point, jackknife(case), "expanded")
    return [correction.share(z) for z in stats.norm.ppf([0.025, 0.975])]


def shares(case: Case) -> np.ndarray:
    """Return the same by the formulas, with SciPy's t and normal distribution."""
    run = bootstrapped(case, "BCa")
    if not run:
        return np.full(2, np.nan)
    drawn, without = run.bootstrap_distribution, jackknife(case)
    n, point = len(without), recall(case, np.arange(len(case.photos)))
    below = stats.percentileofscore(drawn, point, kind="mean") / 100
    z0 = stats.norm.ppf(np.clip(below, 0.5 / DRAWS, 1 - 0.5 / DRAWS))
    a = stats.skew(-without) / (6 * np.sqrt(n))
    df = 2 / max((stats.kurtosis(without, fisher=False) - 1) / n, 2 / (n - 1))
    w = z0 + stats.t.ppf([0.025, 0.975], df) * np.sqrt(n / (n - 1))
    with np.errstate(divide="ignore"):
        return stats.norm.cdf(z0 + w / np.maximum(1 - a * w, 0))


def only_one_right(case: Case) -> tuple[int, int]:
    """Return how many faces the run alone gets right, and how many who always says happy."""
    rows = case.matched
    return (
        sum(row.answer == row.truth != HAPPY for row in rows),
        sum(row.answer != row.truth == HAPPY for row in rows),
    )


def mcnemar(b: int, c: int) -> float:
    if b == c:
        return 1.0
    table = [[0, b], [c, 0]]
    return contingency_tables.mcnemar(table, exact=b + c < 25, correction=True).pvalue


def few_and_many(test: Callable[[int, int], float], case: Case) -> list[float]:
    """Return the p-values of the case's counts, and of ten times as many."""
    b, c = only_one_right(case)
    return [test(b, c), test(10 * b, 10 * c)]


def some_p_values(case: Case) -> list[float]:
    """Return numbers that may be p-values: the probabilities of up to twenty labels."""
    return [float(row.probs[row.truth]) / 4 for row in case.matched][:20]


def holm(case: Case) -> np.ndarray:
    given = some_p_values(case)
    return multitest.multipletests(given, method="holm")[1] if given else np.zeros(0)


CHECKS = (
    *(
        Check(
            f"{title} interval of a bootstrap over photos",
            "SciPy bootstrap",
            partial(our_interval, ours),
            partial(scipy_interval, theirs),
            note="of the same draws",
        )
        for title, ours, theirs in (
            ("percentile", "percentile", "percentile"),
            ("BCa", "bca", "BCa"),
        )
    ),
    Check(
        "where the default interval is read off the draws",
        "direct computation with SciPy's t",
        our_shares,
        shares,
        within=1e-3,
        note="shares of the draws; here t is Wallace's approximation, without SciPy",
    ),
    Check(
        "McNemar's p-value",
        "statsmodels mcnemar",
        partial(few_and_many, paired.mcnemar),
        partial(few_and_many, mcnemar),
        note="against always answering happy; exact below 25 faces; 1 where both are equal",
    ),
    Check(
        "Holm's correction",
        "statsmodels multipletests",
        lambda case: paired.holm(some_p_values(case)),
        holm,
        repeats=False,
    ),
)
