"""The figures of a robustness curve, and what each is without looking."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groupemo.metrics import classification as cls
from groupemo.metrics.tally import Tally, ratio

__all__ = ["FIGURES", "MAIN", "Figure"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """A figure of a curve, and what it is without looking.

    Parameters
    ----------
    title : str
    of : callable
        Tallies, one a draw -> the figure, shape (draws,).
    chance : callable, optional
        The same, for the best answer that is the same for every face; None where
        half of it has no meaning.
    most : float
    """

    title: str
    of: Callable[[Tally], Floats]
    chance: Callable[[Tally], Floats] | None = None
    most: float = 1.0


def _commonest(tally: Tally) -> Floats:
    support = cls.support(tally, "end_to_end")
    return ratio(support.max(axis=-1), support.sum(axis=-1))


def _one_of_many(tally: Tally) -> Floats:
    known = (cls.support(tally, "end_to_end") > 0).sum(axis=-1)
    return ratio(np.ones(known.shape), known)


FIGURES: Mapping[str, Figure] = {
    "accuracy": Figure("accuracy", lambda tally: cls.accuracy(tally, "end_to_end"), _commonest),
    "balanced_accuracy": Figure(
        "balanced accuracy", lambda tally: cls.balanced_accuracy(tally, "end_to_end"), _one_of_many
    ),
    "log_loss": Figure(
        "log-loss", lambda tally: cls.mean_over_answered(tally, "log_loss"), most=np.inf
    ),
}
"""What is taken at each level."""

MAIN = "balanced_accuracy"
"""The figure half-lives are of unless told otherwise: its chance level hangs on no shares."""
