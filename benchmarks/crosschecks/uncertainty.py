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
EDGE = stats.norm.ppf(1 - unc.TAIL)
"""Beyond this normal quantile the draws are taken as normal."""


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


def point(case: Case) -> float:
    return float(recall(case, np.arange(len(case.photos))))


def below(case: Case) -> float:
    """Return the share of draws below the figure, ties halved."""
    drawn = bootstrapped(case, "BCa").bootstrap_distribution
    return float(stats.percentileofscore(drawn, point(case), kind="mean") / 100)


def scores(case: Case) -> np.ndarray:
    """Return where the default interval is read off the draws, with SciPy's t and normal."""
    without = jackknife(case)
    n, share = len(without), below(case)
    z0 = stats.norm.ppf(share) if unc.MOVED <= share <= 1 - unc.MOVED else 0.0
    df = 2 / max((stats.kurtosis(without, fisher=False) - 1) / n, 2 / (n - 1))
    w = z0 + stats.t.ppf([0.025, 0.975], df) * np.sqrt(n / (n - 1))
    return z0 + w / (1 - acceleration(case) * np.clip(w, -EDGE, EDGE))


def acceleration(case: Case) -> float:
    without = jackknife(case)
    return float(stats.skew(-without) / (6 * np.sqrt(len(without))))


def ordinary(case: Case) -> bool:
    """Return whether plain BCa is ours: no re-centring, and no bound in a tail of the draws."""
    share = below(case)
    if not unc.MOVED <= share <= 1 - unc.MOVED:
        return False
    z0 = stats.norm.ppf(share)
    w = z0 + stats.norm.ppf([0.025, 0.975])
    read = z0 + w / (1 - acceleration(case) * w)
    return bool(np.abs([*w, *read]).max() <= EDGE)


def scipy_interval(method: str, case: Case) -> tuple[float, float]:
    run = bootstrapped(case, method)
    known = run and (method != "BCa" or ordinary(case))
    return run.confidence_interval if known else (np.nan, np.nan)


def our_interval(method: unc.Method, case: Case) -> tuple[float, float]:
    run = bootstrapped(case, "BCa")
    if not run or (method == "bca" and not ordinary(case)):
        return np.nan, np.nan
    drawn = run.bootstrap_distribution
    return unc.interval(drawn, point=point(case), jackknife=jackknife(case), method=method)


def our_shares(case: Case) -> np.ndarray:
    """Return the shares of the draws below the bounds of the default interval."""
    run = bootstrapped(case, "BCa")
    if not run:
        return np.full(2, np.nan)
    drawn = unc.Drawn.of(run.bootstrap_distribution, point(case), jackknife(case))
    read = [drawn.correction.score(z) for z in stats.norm.ppf([0.025, 0.975])]
    return stats.norm.cdf(read)


def shares(case: Case) -> np.ndarray:
    return stats.norm.cdf(scores(case)) if bootstrapped(case, "BCa") else np.full(2, np.nan)


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
            note=note,
        )
        for title, ours, theirs, note in (
            ("percentile", "percentile", "percentile", "of the same draws"),
            ("BCa", "bca", "BCa", "of the same draws, where the figure is amid them"),
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
