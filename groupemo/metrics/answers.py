"""The faces a classifier is judged on, as rows: for figures that need more than counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groupemo.errors import ContractError

__all__ = ["Answers", "sums_per_photo"]


def sums_per_photo(photo: NDArray[np.int64], n: int, values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the sums over each photo's faces, shape (n, ...), of values (f, ...).

    Parameters
    ----------
    photo : np.ndarray, shape=(f,)
        The row of each face's photo, 0..n-1.
    n : int
        Photos; one without a face has 0.
    values : np.ndarray, shape=(f, ...)
    """
    sums = np.zeros((n, *values.shape[1:]))
    np.add.at(sums, photo, values)
    return sums


@dataclass(frozen=True, eq=False)
class Answers:
    """Faces that were found and answered and whose label is a class, of all photos of a run.

    Parameters
    ----------
    photo : np.ndarray, shape=(f,)
        The row of each face's photo, 0..n-1.
    n : int
        How many photos there are, those without such a face included.
    labels : np.ndarray, shape=(f,)
        Classes 0..k-1.
    probs : np.ndarray, shape=(f, k)
        Rows that sum to 1.

    Raises
    ------
    ContractError
        If the rows do not line up.
    """

    photo: NDArray[np.int64]
    n: int
    labels: NDArray[np.int64]
    probs: NDArray[np.float64]

    def __post_init__(self) -> None:
        f = len(self.probs)
        if self.probs.ndim != 2 or self.labels.shape != (f,) or self.photo.shape != (f,):
            raise ContractError(
                f"answers: photo {self.photo.shape}, labels {self.labels.shape} and probs"
                f" {self.probs.shape} do not line up: expected (f,), (f,), (f, k)"
            )

    def __len__(self) -> int:
        return len(self.probs)

    @property
    def confidence(self) -> NDArray[np.float64]:
        """The probability of each answer, shape (f,)."""
        return np.asarray(self.probs.max(axis=1, initial=0.0))

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whose answer, the first of equals, is its label; shape (f,)."""
        answer = self.probs.argmax(axis=1) if len(self) else self.labels
        return np.asarray(answer == self.labels)

    def per_photo(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Return `sums_per_photo` of values (f, ...), shape (n, ...)."""
        return sums_per_photo(self.photo, self.n, values)
