"""How good the probabilities are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy import special
from scipy.spatial import distance
from sklearn import metrics as sk

from crosschecks.cases import CLIP, Case, figure
from crosschecks.judging import K


def over_labels(score: Callable[..., float], case: Case) -> float:
    rows = case.matched
    if not rows:
        return np.nan
    return score([row.truth for row in rows], np.array([row.probs for row in rows]))


def log_loss(labels: list[int], probs: np.ndarray) -> float:
    return sk.log_loss(labels, np.maximum(probs, CLIP), labels=range(K))


def brier(labels: list[int], probs: np.ndarray) -> float:
    return sk.brier_score_loss(labels, probs, labels=range(K), scale_by_half=False)


def top2(labels: list[int], probs: np.ndarray) -> float:
    return sk.top_k_accuracy_score(labels, probs, k=2, labels=range(K))


def over_votes(score: Callable[..., np.ndarray], case: Case) -> float:
    rows = case.voted
    if not rows:
        return np.nan
    votes = np.array([row.votes for row in rows])
    shares = votes / votes.sum(axis=1, keepdims=True)
    return score(shares, np.array([row.probs for row in rows])).mean()


def kl(shares: np.ndarray, probs: np.ndarray) -> np.ndarray:
    return special.rel_entr(shares, np.maximum(probs, CLIP)).sum(axis=1)


def soft_cross_entropy(shares: np.ndarray, probs: np.ndarray) -> np.ndarray:
    return kl(shares, probs) + special.entr(shares).sum(axis=1)


def js(shares: np.ndarray, probs: np.ndarray) -> np.ndarray:
    return distance.jensenshannon(shares, probs, axis=1) ** 2


CLIPPED = "its probabilities clipped at 1e-15, as here"

CHECKS = (
    figure(
        "matched_log_loss", "scikit-learn log_loss", partial(over_labels, log_loss), note=CLIPPED
    ),
    figure("matched_brier", "scikit-learn brier_score_loss", partial(over_labels, brier)),
    figure("matched_top2", "scikit-learn top_k_accuracy_score", partial(over_labels, top2)),
    figure("matched_kl", "SciPy rel_entr", partial(over_votes, kl), note=CLIPPED),
    figure(
        "matched_soft_cross_entropy",
        "SciPy rel_entr + entr",
        partial(over_votes, soft_cross_entropy),
        note=CLIPPED,
    ),
    figure("matched_js", "SciPy jensenshannon, squared", partial(over_votes, js)),
)
