"""What is said of a group as a whole."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy import stats
from scipy.spatial import distance
from sklearn import metrics as sk

from crosschecks.cases import Case, figure
from crosschecks.judging import K

POSITIVE, NEUTRAL, NEGATIVE = 1, 0, -1
VALENCE = (NEGATIVE, NEGATIVE, NEGATIVE, POSITIVE, NEGATIVE, NEUTRAL, NEUTRAL)
"""Of angry, disgust, fear, happy, sad, surprise, neutral."""


def compared(case: Case) -> list[tuple[list[int], list[int]]]:
    """Return labels and answers of each photo that has both; what is not judged is no answer."""
    labels: list[list[int]] = [[] for _ in case.photos]
    answers: list[list[int]] = [[] for _ in case.photos]
    for row in case.rows:
        if 0 <= row.truth < K:
            labels[row.photo].append(row.truth)
        if row.answer < K:
            answers[row.photo].append(row.answer)
    return [both for both in zip(labels, answers, strict=True) if all(both)]


def mean_valences(case: Case) -> tuple[list[float], list[float]]:
    both = compared(case)
    return tuple(
        [np.mean([VALENCE[each] for each in photo[side]]) for photo in both] for side in (0, 1)
    )


def valence_accuracy(case: Case) -> float:
    labelled, answered = mean_valences(case)
    if not labelled:
        return np.nan
    return sk.accuracy_score(*([_third(mean) for mean in side] for side in (labelled, answered)))


def _third(mean: float) -> str:
    return "positive" if mean > 1 / 3 else "negative" if mean < -1 / 3 else "neutral"


def correlation(statistic: Callable[..., float], case: Case) -> float:
    labelled, answered = mean_valences(case)
    if min(len(set(labelled)), len(set(answered))) < 2:
        return np.nan
    return statistic(labelled, answered).statistic


def over_photos(score: Callable[[np.ndarray, np.ndarray], float], case: Case) -> float:
    """Return the mean of a score of the photos' labelled and answered shares."""
    shares = [
        [np.bincount(side, minlength=K) / len(side) for side in photo] for photo in compared(case)
    ]
    return np.mean([score(*both) for both in shares] or [np.nan])


def js(labelled: np.ndarray, answered: np.ndarray) -> float:
    return distance.jensenshannon(labelled, answered) ** 2


def half_cityblock(labelled: np.ndarray, answered: np.ndarray) -> float:
    return distance.cityblock(labelled, answered) / 2


def diversity_error(labelled: np.ndarray, answered: np.ndarray) -> float:
    return abs(stats.entropy(labelled, base=K) - stats.entropy(answered, base=K))


CHECKS = (
    figure("group_valence_accuracy", "scikit-learn accuracy_score", valence_accuracy),
    figure("group_valence_pearson", "SciPy pearsonr", partial(correlation, stats.pearsonr)),
    figure("group_valence_spearman", "SciPy spearmanr", partial(correlation, stats.spearmanr)),
    figure("group_js", "SciPy jensenshannon, squared", partial(over_photos, js)),
    figure("group_tv", "SciPy cityblock, halved", partial(over_photos, half_cityblock)),
    figure("group_diversity_error", "SciPy entropy", partial(over_photos, diversity_error)),
)
