"""How right the answers are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from sklearn import metrics as sk

from crosschecks.cases import Case, Check, figure
from crosschecks.judging import ABSTAINED, NOBODY, K, Row
from groupemo.metrics import classification as ours

OVER = ("matched", "end_to_end")


def pairs(rows: list[Row]) -> tuple[list[int], list[int]]:
    """Return labels and answers; no face, no answer and missed are one further class."""
    return [row.truth for row in rows], [min(row.answer, ABSTAINED) for row in rows]


def known(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row.truth != NOBODY]


def per_class(over: str, case: Case) -> np.ndarray:
    """Return scikit-learn's precision, recall, F1 and support, shape (4, k)."""
    rows = getattr(case, over)
    if not rows:
        return np.concatenate([np.full((3, K), np.nan), np.zeros((1, K))])
    return np.array(
        sk.precision_recall_fscore_support(*pairs(rows), labels=range(K), zero_division=np.nan)
    )


def averaged_f1(rows: list[Row], average: str) -> float:
    """Return scikit-learn's F1 over the classes that are labelled."""
    labelled = sorted({row.truth for row in known(rows)})
    if not labelled:
        return np.nan
    return sk.f1_score(*pairs(rows), labels=labelled, average=average, zero_division=np.nan)


def averaged_precision(rows: list[Row], average: str) -> float:
    """Return scikit-learn's precision over the classes that are labelled and answered."""
    truth, answer = pairs(rows)
    both = sorted({row.truth for row in known(rows)} & set(answer))
    if not both:
        return np.nan
    return sk.precision_score(truth, answer, labels=both, average=average, zero_division=np.nan)


def micro_precision(case: Case) -> float:
    rows = [row for row in case.end_to_end if row.answer < K]
    return sk.precision_score(*pairs(rows), average="micro") if rows else np.nan


def micro_f1(case: Case) -> float:
    rows = case.end_to_end
    if not any(min(row.truth, row.answer) < K for row in rows):
        return np.nan
    return sk.f1_score(*pairs(rows), labels=range(K), average="micro", zero_division=np.nan)


def accuracy(over: str, score: Callable[..., float], case: Case) -> float:
    rows = known(getattr(case, over))
    return score(*pairs(rows)) if rows else np.nan


def mean_recall(truth: list[int], answer: list[int]) -> float:
    """Return scikit-learn's mean recall of the labelled classes: UAR."""
    return sk.recall_score(
        truth, answer, labels=sorted(set(truth)), average="macro", zero_division=np.nan
    )


def agreement(score: Callable[..., float], undefined: Callable[..., bool], case: Case) -> float:
    truth, answer = pairs(case.matched)
    return np.nan if undefined(set(truth), set(answer)) else score(truth, answer)


def one_side_has_one_class(truth: set[int], answer: set[int]) -> bool:
    return min(len(truth), len(answer)) < 2


def both_are_one_class(truth: set[int], answer: set[int]) -> bool:
    return len(truth | answer) < 2


def table(case: Case) -> np.ndarray:
    """Return scikit-learn's confusion matrix of the found and answered faces."""
    if not case.matched:
        return np.zeros((K, K))
    return sk.confusion_matrix(*pairs(case.matched), labels=range(K))


CHECKS = (
    Check(
        "confusion matrix",
        "scikit-learn confusion_matrix",
        lambda case: ours.confusion(case.tally, "matched"),
        table,
    ),
    *(
        Check(
            f"{over.replace('_', '-')} {score.__name__} per class",
            "scikit-learn precision_recall_fscore_support",
            lambda case, score=score, over=over: score(case.tally, over),
            lambda case, place=place, over=over: per_class(over, case)[place],
        )
        for over in OVER
        for place, score in enumerate((ours.precision, ours.recall, ours.f1, ours.support))
    ),
    *(
        figure(
            f"{over}_{average}_f1",
            "scikit-learn f1_score",
            lambda case, over=over, average=average: averaged_f1(getattr(case, over), average),
            note="over the classes that are labelled",
        )
        for over in OVER
        for average in ("macro", "weighted")
    ),
    *(
        figure(
            f"{over}_{average}_precision",
            "scikit-learn precision_score",
            lambda case, over=over, average=average: averaged_precision(
                getattr(case, over), average
            ),
            note="over the classes that are labelled and answered",
        )
        for over in OVER
        for average in ("macro", "weighted")
    ),
    figure("end_to_end_micro_precision", "scikit-learn precision_score", micro_precision),
    figure("end_to_end_micro_f1", "scikit-learn f1_score", micro_f1),
    *(
        figure(
            f"{over}_accuracy", "scikit-learn accuracy_score",
            partial(accuracy, over, sk.accuracy_score),
        )
        for over in OVER
    ),
    *(
        figure(
            f"{over}_balanced_accuracy", "scikit-learn recall_score",
            partial(accuracy, over, mean_recall),
        )
        for over in OVER
    ),
    figure(
        "matched_mcc",
        "scikit-learn matthews_corrcoef",
        partial(agreement, sk.matthews_corrcoef, one_side_has_one_class),
        note="with one class on a side: 0 there, undefined here",
    ),
    figure(
        "matched_kappa",
        "scikit-learn cohen_kappa_score",
        partial(agreement, sk.cohen_kappa_score, both_are_one_class),
    ),
)  # fmt: skip
