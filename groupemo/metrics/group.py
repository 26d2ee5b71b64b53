"""What is said of a group: its distribution of perceived expressions, its valence, its diversity.

Conventions
-----------
`n` photos, `k` classes in the order of `groupemo.emotions.EMOTIONS`. Figures take
`Groups` and the weights of photos, shape (draws, n), and return shape (draws,). Each
photo counts the same, however many faces it has. A photo without a labelled or
without an answered face cannot be compared: it is left out of every figure
(`Groups.compared` has the rest), and what compares it is NaN.

Valence
-------
Group-level affect is commonly judged in three classes: positive, neutral, negative
(Dhall et al., "From individual to group-level emotion recognition: EmotiW 5.0", 2017,
whose photos these three words label). Here they come from the faces: a photo's
valence is the mean over its faces of `VALENCE`, from -1 to 1, and its class the third
of that range it falls in, so that no class is favoured: above 1/3 positive, below
-1/3 negative, else neutral. Of three faces, one smile beside two neutral ones is
neutral, two are positive.

Surprise has no agreed valence: it is neither pleasant nor unpleasant until its cause
is known (Ekman, Emotions Revealed, 2003), and near the middle of that axis among
words of affect (Russell, "A circumplex model of affect", 1980). It counts as 0 unless
`valence` says otherwise; NaN leaves such faces out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groupemo.errors import ContractError
from groupemo.metrics import probabilistic as prob
from groupemo.metrics.tally import ratio
from groupemo.metrics.uncertainty import Weights

__all__ = [
    "VALENCE",
    "Groups",
    "diversity",
    "diversity_error",
    "evenness",
    "groups",
    "jensen_shannon",
    "mean_valence",
    "rows",
    "total_variation",
    "valence_accuracy",
    "valence_class",
    "valence_pearson",
    "valence_spearman",
]

VALENCE: tuple[float, ...] = (-1, -1, -1, 1, -1, 0, 0)
"""Of angry, disgust, fear, happy, sad, surprise, neutral."""

Floats = NDArray[np.float64]
Side = Literal["labelled", "answered"]


@dataclass(frozen=True, eq=False)
class Groups:
    """How many faces of each class every photo holds.

    Parameters
    ----------
    labelled : np.ndarray, shape=(n, k)
        Labelled faces of each class.
    answered : np.ndarray, shape=(n, k)
        Answers of each class, or probabilities summed over the answered faces.

    Raises
    ------
    ContractError
        If the shapes disagree.
    """

    labelled: Floats
    answered: Floats

    def __post_init__(self) -> None:
        if self.labelled.ndim != 2 or self.labelled.shape != self.answered.shape:
            raise ContractError(
                f"groups: labelled {self.labelled.shape} and answered {self.answered.shape}:"
                " expected (n, k) both"
            )

    @property
    def compared(self) -> NDArray[np.bool_]:
        """Which photos have a labelled and an answered face, shape (n,)."""
        return np.asarray((self.labelled.sum(axis=1) > 0) & (self.answered.sum(axis=1) > 0))


def groups(
    labels: Sequence[ArrayLike], probs: Sequence[ArrayLike], k: int, *, soft: bool = False
) -> Groups:
    """Put the faces of each photo together.

    Parameters
    ----------
    labels : sequence of array_like, shape=(m,)
        Of each photo; what is no class (below 0) is left out.
    probs : sequence of array_like, shape=(f, k)
        Of each photo; a row with a NaN, abstained, is left out.
    k : int
    soft : bool
        Sum the probabilities, in place of counting the likeliest class (the first of
        equals). Mind that unsure answers then make every group look diverse.
    """
    return Groups(
        _stack([_counted(np.asarray(each, dtype=np.int64), k) for each in labels], k),
        _stack([_answered(np.asarray(each, dtype=np.float64), k, soft) for each in probs], k),
    )


def mean_valence(counts: Floats, valence: Sequence[float] = VALENCE) -> Floats:
    """Return each photo's mean valence, -1 to 1, shape (n,); NaN without a face that has one.

    Parameters
    ----------
    counts : np.ndarray, shape=(n, k)
    valence : sequence of float, length k
        Of each class, -1 to 1; NaN leaves its faces out.
    """
    each = np.asarray(valence, dtype=np.float64)
    known = np.isfinite(each)
    return ratio(counts[:, known] @ each[known], counts[:, known].sum(axis=1))


def valence_class(mean: Floats) -> Floats:
    """Return 1 above 1/3, -1 below -1/3, else 0; NaN stays."""
    return np.where(np.abs(mean) <= 1 / 3, 0, np.sign(mean))


def valence_accuracy(given: Groups, weights: Weights, valence: Sequence[float] = VALENCE) -> Floats:
    """Return the share of photos whose class of valence is answered right."""
    labelled, answered = map(valence_class, _valences(given, valence))
    defined = np.isfinite(labelled + answered)
    return _mean(np.where(defined, labelled == answered, np.nan), weights)


def valence_pearson(given: Groups, weights: Weights, valence: Sequence[float] = VALENCE) -> Floats:
    """Return Pearson's correlation of labelled and answered mean valence, -1 to 1.

    Weighted; NaN where either is the same in all photos.
    """
    labelled, answered, weights = _defined(given, weights, valence)
    return _pearson(labelled[None], answered[None], weights)


def valence_spearman(given: Groups, weights: Weights, valence: Sequence[float] = VALENCE) -> Floats:
    """Return Spearman's correlation of labelled and answered mean valence, -1 to 1.

    Pearson's of the weighted ranks: a photo's rank is the weight of all below it and
    half the weight of its equals, itself among them. With weights of 1 these are the
    usual mid-ranks, with whole weights those of the photos repeated.
    """
    labelled, answered, weights = _defined(given, weights, valence)
    return _pearson(_ranks(labelled, weights), _ranks(answered, weights), weights)


def jensen_shannon(given: Groups, weights: Weights) -> Floats:
    """Return the mean Jensen-Shannon divergence of the photos' distributions, 0 to ln 2.

    See `groupemo.metrics.probabilistic.jensen_shannon`; lower is better.
    """
    return _mean(prob.jensen_shannon(given.answered, given.labelled), weights)


def total_variation(given: Groups, weights: Weights) -> Floats:
    """Return the mean total variation of the photos' distributions, 0 to 1.

    Half the sum of |p - q|: the share of faces that would have to change their class;
    lower is better.
    """
    return _mean(_total_variation(given), weights)


def evenness(counts: Floats) -> Floats:
    """Return the entropy of each row's shares over ln k, 0 (one class) to 1 (all alike).

    Pielou's index (Journal of Theoretical Biology 13, 1966) over all k classes. NaN
    for an empty row, and with a single class.
    """
    most = np.full(len(counts), np.log(counts.shape[1]))
    return ratio(prob.entropy(counts), most)


def diversity(given: Groups, weights: Weights, side: Side) -> Floats:
    """Return the mean `evenness` within a photo, over the photos that can be compared.

    Parameters
    ----------
    given : Groups
    weights : np.ndarray, shape=(draws, n)
    side : {"labelled", "answered"}
    """
    wanted = evenness(given.labelled if side == "labelled" else given.answered)
    return _mean(np.where(given.compared, wanted, np.nan), weights)


def diversity_error(given: Groups, weights: Weights) -> Floats:
    """Return the mean absolute difference of answered and labelled evenness; lower is better."""
    return _mean(np.abs(evenness(given.answered) - evenness(given.labelled)), weights)


def rows(given: Groups, valence: Sequence[float] = VALENCE) -> dict[str, Floats]:
    """Return what the figures are made of, one row a photo: columns of shape (n,)."""
    labelled, answered = _valences(given, valence)
    return {
        "labelled_faces": given.labelled.sum(axis=1),
        "answered_faces": given.answered.sum(axis=1),
        "labelled_valence": labelled,
        "answered_valence": answered,
        "labelled_valence_class": valence_class(labelled),
        "answered_valence_class": valence_class(answered),
        "jensen_shannon": prob.jensen_shannon(given.answered, given.labelled),
        "total_variation": _total_variation(given),
        "labelled_diversity": evenness(given.labelled),
        "answered_diversity": evenness(given.answered),
    }


def _counted(classes: NDArray[np.int64], k: int) -> Floats:
    return np.bincount(classes[classes >= 0], minlength=k).astype(np.float64)


def _answered(probs: Floats, k: int, soft: bool) -> Floats:
    given = probs.reshape(-1, k)
    given = given[~np.isnan(given).any(axis=1)]
    return given.sum(axis=0) if soft else _counted(given.argmax(axis=1), k)


def _stack(counts: Sequence[Floats], k: int) -> Floats:
    return np.array(counts, dtype=np.float64).reshape(-1, k)


def _shares(counts: Floats) -> Floats:
    return ratio(counts, np.broadcast_to(counts.sum(axis=1, keepdims=True), counts.shape))


def _total_variation(given: Groups) -> Floats:
    return np.asarray(np.abs(_shares(given.labelled) - _shares(given.answered)).sum(axis=1) / 2)


def _valences(given: Groups, valence: Sequence[float]) -> tuple[Floats, Floats]:
    return mean_valence(given.labelled, valence), mean_valence(given.answered, valence)


def _mean(values: Floats, weights: Weights) -> Floats:
    """Return the weighted mean of the photos where it is defined."""
    defined = np.isfinite(values)
    shown = weights[:, defined]
    return ratio(shown @ values[defined], shown.sum(axis=1))


def _defined(
    given: Groups, weights: Weights, valence: Sequence[float]
) -> tuple[Floats, Floats, Weights]:
    labelled, answered = _valences(given, valence)
    both = np.isfinite(labelled + answered)
    return labelled[both], answered[both], weights[:, both]


def _ranks(values: Floats, weights: Weights) -> Floats:
    """Return the weighted mid-rank of each value in each draw, shape (draws, n)."""
    distinct, place = np.unique(values, return_inverse=True)
    at = np.zeros((len(weights), len(distinct)))
    np.add.at(at.T, place, weights.T)
    return np.asarray((np.cumsum(at, axis=1) - at / 2)[:, place])


def _pearson(x: Floats, y: Floats, weights: Weights) -> Floats:
    """Return the weighted correlation of each draw, of values (draws or 1, n)."""
    from_x, from_y = (_from_mean(np.broadcast_to(each, weights.shape), weights) for each in (x, y))
    weighed_x, weighed_y = weights * from_x, weights * from_y
    spread = np.sqrt(_dot(weighed_x, from_x) * _dot(weighed_y, from_y))
    varied = _varied(x, weights) & _varied(y, weights)
    return ratio(_dot(weighed_x, from_y), np.where(varied, spread, 0))


def _from_mean(values: Floats, weights: Weights) -> Floats:
    return values - ratio(_dot(weights, values), weights.sum(axis=1))[:, None]


def _dot(a: Floats, b: Floats) -> Floats:
    """Return the inner product of each draw's rows."""
    return np.asarray(np.einsum("dn,dn->d", a, b))


def _varied(values: Floats, weights: Weights) -> NDArray[np.bool_]:
    """Return in which draws the photos that weigh something differ: rounding hides it."""
    least = np.where(weights > 0, values, np.inf).min(axis=1, initial=np.inf)
    most = np.where(weights > 0, values, -np.inf).max(axis=1, initial=-np.inf)
    return np.asarray(most > least)
