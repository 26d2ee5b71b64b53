"""How good the probabilities are, one number a face.

Conventions
-----------
`probs` are rows of `k` probabilities that sum to 1; `labels` are classes 0..k-1;
`votes` count how many people chose each class, at least one a row. Everything
is in nats. Means of these rows over faces are the figures; lower is better.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "MIN_PROB",
    "brier",
    "clipped",
    "entropy",
    "jensen_shannon",
    "kl_divergence",
    "log_loss",
    "soft_cross_entropy",
    "top_k",
]

MIN_PROB = 1e-15
"""Least probability a logarithm is taken of: one face costs at most 34.5 nats."""

Floats = NDArray[np.float64]


def log_loss(probs: Floats, labels: NDArray[np.int64]) -> Floats:
    """Return -ln of each label's probability, clipped at `MIN_PROB`, shape (f,)."""
    return np.log(1 / np.maximum(_given(probs, labels), MIN_PROB))


def clipped(probs: Floats, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return whose label has a probability below `MIN_PROB`, shape (f,)."""
    return np.asarray(_given(probs, labels) < MIN_PROB)


def brier(probs: Floats, labels: NDArray[np.int64]) -> Floats:
    """Return the sum over classes of (p - [label])^2, 0 to 2, shape (f,).

    The original form for several classes (Brier, Monthly Weather Review 78, 1950).
    """
    return np.asarray(((probs - np.eye(probs.shape[1])[labels]) ** 2).sum(axis=1))


def top_k(probs: Floats, labels: NDArray[np.int64], k: int = 2) -> NDArray[np.bool_]:
    """Return whose label is among its `k` likeliest classes, shape (f,); of equals the first."""
    likeliest = np.argsort(-probs, axis=1, kind="stable")[:, :k]
    return np.asarray((likeliest == labels[:, None]).any(axis=1))


def soft_cross_entropy(probs: Floats, votes: Floats) -> Floats:
    """Return -sum(q ln p) with q the share of votes, p clipped at `MIN_PROB`, shape (f,)."""
    return np.asarray(-(_shares(votes) * np.log(np.maximum(probs, MIN_PROB))).sum(axis=1))


def kl_divergence(probs: Floats, votes: Floats) -> Floats:
    """Return sum(q ln(q / p)): what of the cross-entropy is not the voters' own doubt, (f,)."""
    return soft_cross_entropy(probs, votes) - entropy(votes)


def jensen_shannon(probs: Floats, votes: Floats) -> Floats:
    """Return the Jensen-Shannon divergence of answer and votes, 0 to ln 2, shape (f,).

    H((p + q) / 2) - (H(p) + H(q)) / 2 (Lin, IEEE Transactions on Information Theory 37, 1991).
    """
    mixed = (_shares(probs) + _shares(votes)) / 2
    return entropy(mixed) - (entropy(probs) + entropy(votes)) / 2


def entropy(weights: Floats) -> Floats:
    """Return the Shannon entropy of each row's shares, 0 to ln k, shape (f,); NaN for no weight."""
    shares = _shares(weights)
    return np.asarray((shares * np.log(1 / np.where(shares > 0, shares, 1))).sum(axis=1))


def _given(probs: Floats, labels: NDArray[np.int64]) -> Floats:
    return np.asarray(np.take_along_axis(probs, labels[:, None], axis=1)[:, 0])


def _shares(weights: Floats) -> Floats:
    total = weights.sum(axis=1, keepdims=True)
    out: Floats = np.full(weights.shape, np.nan)
    np.divide(weights, total, out=out, where=total > 0)
    return out
