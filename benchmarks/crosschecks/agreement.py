"""How far people agree, and what one of them would score."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from statistics import multimode

import krippendorff
import numpy as np
from scipy import stats
from statsmodels.stats import inter_rater

from crosschecks.cases import Case, Check
from crosschecks.judging import K
from groupemo.metrics import agreement as agr
from groupemo.metrics import classification as cls
from groupemo.metrics import probabilistic as prob
from groupemo.metrics.agreement import Ballots
from groupemo.metrics.tally import Tally
from groupemo.metrics.uncertainty import weigh


def ballots(case: Case) -> Ballots:
    """Return the votes of the run's photos."""
    photos = [one.labelled for one in case.scores.photos]
    votes = [np.zeros((len(one), K)) if one.votes is None else one.votes for one in photos]
    row = np.repeat(np.arange(len(photos)), [len(one) for one in photos])
    return Ballots(row, len(photos), np.concatenate(votes))


def halved(cast: Ballots) -> Ballots:
    """Return votes halved and rounded down: faces then have different numbers of them."""
    return Ballots(cast.photo, cast.n, cast.votes // 2)


def cast(case: Case) -> np.ndarray:
    """Return the votes of all faces that have any, each as often as its photo counts."""
    votes = [row for photo in case.photos for row in photo.votes if row is not None]
    return np.array(votes, dtype=int).reshape(-1, K)


def cast_halved(case: Case) -> np.ndarray:
    votes = cast(case) // 2
    return votes[votes.sum(axis=1) >= 2]


def of_votes(score: Callable[..., float], votes: np.ndarray) -> float:
    """Return a score of votes, NaN where they are all of one class."""
    return score(votes) if (votes.sum(axis=0) > 0).sum() > 1 else np.nan


def alpha(votes: np.ndarray) -> float:
    return krippendorff.alpha(value_counts=votes, level_of_measurement="nominal")


def two_annotators(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Return two made annotators: the labels, and the votes' first choice; some are missing."""
    labels = list(chain.from_iterable(photo.labels for photo in case.photos))
    votes = chain.from_iterable(photo.votes for photo in case.photos)
    return np.array(labels, int), np.array([-3 if v is None else v.argmax() for v in votes], int)


def our_cohen(case: Case) -> float:
    table = agr.confusion_between(*two_annotators(case), K)
    return cls.cohen_kappa(Tally(np.pad(table, (0, 2))))


def cohen(case: Case) -> float:
    first, second = two_annotators(case)
    both = (first >= 0) & (second >= 0)
    table = np.histogram2d(first[both], second[both], bins=np.arange(K + 1))[0]
    if (table.sum(axis=0) + table.sum(axis=1) > 0).sum() < 2:
        return np.nan
    return inter_rater.cohens_kappa(table, return_results=False)


def one_person(case: Case) -> np.ndarray:
    """Return the table of one annotator of each face against the others, one by one."""
    table = np.zeros((K + 2, K + 2))
    for votes in cast(case):
        voters = np.repeat(np.arange(K), votes)
        for at, answer in enumerate(voters):
            others = multimode(np.delete(voters, at).tolist())
            truth = others[0] if len(others) == 1 else K
            table[truth, answer] += 1 / len(voters)
    return table


CHECKS = (
    Check(
        "Cohen's kappa of two annotators",
        "statsmodels cohens_kappa",
        our_cohen,
        cohen,
    ),
    Check(
        "Fleiss' kappa",
        "statsmodels fleiss_kappa",
        lambda case: agr.fleiss_kappa(ballots(case), case.weights),
        lambda case: of_votes(inter_rater.fleiss_kappa, cast(case)),
        note="statsmodels wants as many votes for each face: ten",
    ),
    Check(
        "Krippendorff's alpha",
        "krippendorff alpha",
        lambda case: agr.krippendorff_alpha(halved(ballots(case)), case.weights),
        lambda case: of_votes(alpha, cast_halved(case)),
        note="of votes halved and rounded down: faces have different numbers of them",
    ),
    Check(
        "vote entropy per face",
        "SciPy entropy",
        lambda case: prob.entropy(ballots(case).compared.votes),
        lambda case: stats.entropy(cast(case), axis=1),
        repeats=False,
    ),
    Check(
        "one annotator against the others, as a table",
        "direct enumeration of annotators",
        lambda case: weigh(agr.human_tally(ballots(case)), case.weights).counts,
        one_person,
    ),
)
