"""How far annotators agree, with each other and with themselves, as JSON.

Kappa and alpha are those of `groupemo.metrics.agreement`: they compare the seven
expressions, and leave out faces to which fewer than two people gave one. The tables of
words have all words in them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from groupemo.emotions import EMOTIONS
from groupemo.labeller.actions import LABELS
from groupemo.labeller.consensus import Consensus
from groupemo.labeller.exchange import PhotoAnswers, to_labels
from groupemo.metrics import agreement as metrics
from groupemo.metrics.classification import cohen_kappa
from groupemo.metrics.tally import Tally

__all__ = ["agreement_of", "self_agreement"]


def agreement_of(photos: Sequence[PhotoAnswers]) -> dict[str, Any]:
    """Return how far annotators agree, before anything was settled.

    Returns
    -------
    dict
        `annotators`, `faces`, `alpha`, `fleiss` and `pairs`: see `groupemo.labeller.desk`.
    """
    labels = to_labels(photos, settled=False, votes=False)
    if not labels.annotators:
        return {"annotators": [], "faces": 0, "alpha": None, "fleiss": None, "pairs": []}
    found = metrics.agreement(labels)
    views = [photo.consensus for photo in photos]
    return {
        "annotators": list(found.annotators),
        "faces": found.faces,
        "alpha": _known(found.alpha),
        "fleiss": _known(found.fleiss),
        "pairs": [
            {
                "annotators": [found.annotators[i], found.annotators[j]],
                "faces": int(found.shared[i, j]),
                "kappa": _known(found.kappa[i, j]),
                **_side_by_side(found.annotators[i], found.annotators[j], views),
            }
            for i, j in combinations(range(len(found.annotators)), 2)
        ],
    }


def _side_by_side(first: str, second: str, views: Iterable[Consensus]) -> dict[str, Any]:
    """Return the table of two annotators' words, and how many faces one alone has."""
    table: Counter[tuple[str, str]] = Counter()
    alone = {first: 0, second: 0}
    for common in (face for view in views for face in view.faces):
        words = {who: face.label for who, face in common.answers.items() if face.is_face}
        for one, other in ((first, second), (second, first)):
            alone[one] += one in words and common.denied_by(other)
        if first in words and second in words:
            table[str(words[first]), str(words[second])] += 1
    used = [word for word in LABELS if any(word in pair for pair in table)]
    return {
        "labels": used,
        "confusion": [[table[row, column] for column in used] for row in used],
        "alone": alone,
    }


def self_agreement(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return how far somebody agrees with themselves: labels of a face in both passes.

    Returns
    -------
    dict
        `faces`; `same`, those with the same word; `kappa`, on the seven expressions.
    """
    codes = {word: row for row, word in enumerate(EMOTIONS)}
    first, second = (
        np.array([codes.get(pair[at], -1) for pair in pairs], dtype=np.int64) for at in (0, 1)
    )
    k = len(EMOTIONS)
    counts = np.zeros((k + 2, k + 2), dtype=np.int64)
    counts[:k, :k] = metrics.confusion_between(first, second, k)
    return {
        "faces": len(pairs),
        "same": sum(one == other for one, other in pairs),
        "kappa": _known(cohen_kappa(Tally(counts))),
    }


def _known(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None
