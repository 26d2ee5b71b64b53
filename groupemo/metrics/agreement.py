"""How far people agree on perceived expressions, and how well one of them predicts the others.

Conventions
-----------
`k` classes, `m` faces in `n` photos. Only classes are compared: who says *unsure*
or *ignore* names no class, and counts as not having labelled the face. A face
takes part with two answers or more. What was settled (see `groupemo.labels`) is no
answer: all figures are of what the annotators said themselves. Figures take the
weights of photos, shape (draws, n), and return shape (draws,); what is undefined is
NaN.

The human ceiling
-----------------
A random annotator of a face is judged as a model is: against the majority of the
*other* annotators. Summed over faces this is a `Tally`, so that accuracy, macro-F1
and all the rest of a person are the same functions as those of a model
(`human_tally`). Where the others tie, the face is *unsure* for this annotator, as
a tied face is for a model, and counts in no figure. It is what one more person would
score, no bound: a model is judged against the majority of all, which is surer by one
vote, and one that was trained on majorities may pass it.

For cross-entropy with votes the ceiling is a floor, the entropy of the votes: no
answer scores less (Gibbs' inequality), and the votes themselves, given as the
answer, score just that. A person's own cross-entropy is not defined: one word is
no distribution, and a figure for it would hang on how it is smoothed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groupemo.errors import ContractError
from groupemo.labels import NOT_SETTLED, LabelledFaces, Labels
from groupemo.metrics import classification as cls
from groupemo.metrics.answers import sums_per_photo
from groupemo.metrics.probabilistic import entropy
from groupemo.metrics.tally import SUMS, Tally, ratio
from groupemo.metrics.uncertainty import Weights

__all__ = [
    "NOT_LABELLED",
    "Agreement",
    "Ballots",
    "agreement",
    "ballots",
    "by_annotator",
    "ceilings",
    "confusion_between",
    "fleiss_kappa",
    "human_tally",
    "krippendorff_alpha",
    "majority",
]

NOT_LABELLED = -3
"""In `by_annotator`: this annotator did not label this face."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Ballots:
    """How many people chose each class for each face, of all photos.

    Parameters
    ----------
    photo : np.ndarray, shape=(m,)
        The row of each face's photo, 0..n-1.
    n : int
        How many photos there are, those without a face included.
    votes : np.ndarray, shape=(m, k)
        At least 0.

    Raises
    ------
    ContractError
        If the rows do not line up.
    """

    photo: NDArray[np.int64]
    n: int
    votes: Floats

    def __post_init__(self) -> None:
        if self.votes.ndim != 2 or self.photo.shape != (len(self.votes),):
            raise ContractError(
                f"ballots: photo {self.photo.shape} and votes {self.votes.shape} do not line up:"
                " expected (m,), (m, k)"
            )

    @property
    def compared(self) -> Ballots:
        """The faces with two votes or more; shares, which count nobody, are left out."""
        whole = (self.votes == np.floor(self.votes)).all(axis=1)
        rows = whole & (self.votes.sum(axis=1) >= 2)
        return Ballots(self.photo[rows], self.n, self.votes[rows])

    def per_photo(self, values: Floats) -> Floats:
        """Return `sums_per_photo` of values (m, ...), shape (n, ...)."""
        return sums_per_photo(self.photo, self.n, values)


@dataclass(frozen=True, eq=False)
class Agreement:
    """How far the annotators of a label set agree; NaN where undefined.

    Parameters
    ----------
    annotators : tuple of str, length a
    faces : int
        Faces with two answers or more: what `fleiss`, `alpha` and `entropy` stand on.
    shared : np.ndarray, shape=(a, a)
        Faces to which both annotators gave a class; on the diagonal, one's own.
    kappa : np.ndarray, shape=(a, a)
        Cohen's kappa of each pair, on those faces.
    fleiss, alpha : float
        `fleiss_kappa` and `krippendorff_alpha`.
    entropy : float
        Mean entropy of a face's votes in nats.
    settled : int
        Faces of which somebody who had seen the answers has settled the label.
    """

    annotators: tuple[str, ...]
    faces: int
    shared: NDArray[np.int64]
    kappa: Floats
    fleiss: float
    alpha: float
    entropy: float
    settled: int


def agreement(labels: Labels) -> Agreement:
    """Return how far the annotators agree, named ones in pairs, all votes together."""
    annotators, table = by_annotator(labels)
    cast = ballots(labels)
    faces, once = cast.compared, np.ones((1, cast.n))
    k, a = len(labels.classes), len(annotators)
    pairs = np.zeros((a, a, k + 2, k + 2), dtype=np.int64)
    for i in range(a):
        for j in range(a):
            pairs[i, j, :k, :k] = confusion_between(table[:, i], table[:, j], k)
    shared = Tally(pairs)
    doubts = entropy(faces.votes)
    return Agreement(
        annotators,
        len(doubts),
        pairs.sum(axis=(-2, -1)),
        cls.cohen_kappa(shared),
        float(fleiss_kappa(cast, once)[0]),
        float(krippendorff_alpha(cast, once)[0]),
        float(ratio(doubts.sum(), len(doubts))),
        sum(_settled(faces) for faces in labels.written.values()),
    )


def _settled(faces: LabelledFaces) -> int:
    return len(np.unique(faces.boxes[faces.settled != NOT_SETTLED], axis=0))


def by_annotator(labels: Labels) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return who labelled each face as what.

    Returns
    -------
    tuple of str, length a
        The annotators who are named, sorted.
    np.ndarray, shape=(m, a)
        One row a face, in the order of `ballots`: a class, `groupemo.labels.UNSURE`,
        `groupemo.labels.IGNORE` or `NOT_LABELLED`.
    """
    column = {who: at for at, who in enumerate(labels.annotators)}
    table = np.full((sum(map(len, labels.values())), len(column)), NOT_LABELLED, dtype=np.int64)
    start = 0
    for name, merged in labels.items():
        row = {box.tobytes(): start + at for at, box in enumerate(merged.boxes)}
        written = labels.written[name]
        rows = (written.boxes, written.annotators, written.labels, written.said)
        for box, who, label, said in zip(*rows, strict=True):
            if who and said:
                table[row[box.tobytes()], column[who]] = label
        start += len(merged)
    return tuple(column), table


def ballots(labels: Labels) -> Ballots:
    """Return the votes of all faces; a face that nobody voted on has a row of zeros.

    Named annotators and anonymous votes (`votes_*` columns) count alike, see
    `groupemo.labels.LabelledFaces.merged`. A face that one person labelled has
    nobody to agree with, whether that one answer stands as a vote or not.
    """
    faces = list(labels.values())
    k = len(labels.classes)
    votes = [np.zeros((len(one), k)) if one.votes is None else one.votes for one in faces]
    return Ballots(
        np.repeat(np.arange(len(faces)), [len(one) for one in faces]),
        len(faces),
        np.concatenate([np.zeros((0, k)), *votes]),
    )


def confusion_between(
    first: NDArray[np.int64], second: NDArray[np.int64], k: int
) -> NDArray[np.int64]:
    """Return how often two annotators chose each pair of classes, shape (k, k).

    Rows are the first's answers, columns the second's, each of shape (m,); faces
    to which either gave no class are left out.
    """
    both = (first >= 0) & (second >= 0)
    counts = np.zeros((k, k), dtype=np.int64)
    np.add.at(counts, (first[both], second[both]), 1)
    return counts


def fleiss_kappa(cast: Ballots, weights: Weights) -> Floats:
    """Return Fleiss' kappa of the votes, at most 1, shape (draws,).

    (a - e) / (1 - e). Of a face with T votes v, the share of its pairs of voters
    who agree is sum(v (v - 1)) / (T (T - 1)); a is its mean over faces; e is
    sum(p^2), with p the mean over faces of the shares v / T (Fleiss, Psychological
    Bulletin 76, 1971). T may differ between faces: each counts the same, with its
    own T (Gwet, Handbook of Inter-Rater Reliability, 2014; here p, too, is of the
    faces with two votes or more). NaN where all votes are of one class.
    """
    faces = cast.compared
    total = faces.votes.sum(axis=1, keepdims=True)
    alike = (faces.votes * (faces.votes - 1) / (total * (total - 1))).sum(axis=1)
    p = weights @ faces.per_photo(faces.votes / total)
    a, s, blind = weights @ faces.per_photo(alike), p.sum(axis=1), (p**2).sum(axis=1)
    return ratio(a * s - blind, s**2 - blind)


def krippendorff_alpha(cast: Ballots, weights: Weights) -> Floats:
    """Return Krippendorff's alpha for nominal data, at most 1, shape (draws,).

    1 - (N - 1) D / (N^2 - sum(N_c^2)), with N_c votes of class c, N in all, and D
    the sum over faces of (T^2 - sum(v^2)) / (T - 1): their pairs of voters who differ
    (Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011). Each vote counts
    the same, so a face with more votes counts more. NaN where all votes are of one class.
    """
    faces = cast.compared
    total = faces.votes.sum(axis=1)
    differ = (total**2 - (faces.votes**2).sum(axis=1)) / (total - 1)
    each = weights @ faces.per_photo(faces.votes)
    every = each.sum(axis=1)
    expected = every**2 - (each**2).sum(axis=1)
    return 1 - ratio((every - 1) * (weights @ faces.per_photo(differ)), expected)


def majority(votes: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the column with the most votes of each row, shape (m,); -1 where some have as many."""
    alone = (votes == votes.max(axis=1, keepdims=True)).sum(axis=1) == 1
    return np.where(alone, votes.argmax(axis=1), -1)


def human_tally(cast: Ballots) -> Tally:
    """Return what one random annotator of each face scores, one tally a photo, shape (n, ...).

    Of a face with T votes v, the annotator answers c with probability v_c / T, and
    the truth is the majority of the others, v less one vote for c; *unsure* where they
    tie. The expected table of counts is float64, and a face adds 1 to it. It stands on
    the faces with two votes or more.

    Of the sums, `soft_cross_entropy`, `kl` and `js` are those of the votes given as the
    answer: their entropy, 0 and 0. The others are NaN, as a word has neither
    probabilities nor a box: so is every figure made of them.
    """
    faces = cast.compared
    k = faces.votes.shape[1]
    counts = np.zeros((faces.n, k + 2, k + 2))
    total = faces.votes.sum(axis=1)
    for answer in range(k):
        others = faces.votes - np.eye(k)[answer]
        best = majority(others)
        truth = np.where(best < 0, k, best)
        np.add.at(counts[..., answer], (faces.photo, truth), faces.votes[:, answer] / total)
    sums = dict.fromkeys(SUMS, np.full(faces.n, np.nan))
    sums |= dict.fromkeys(("ignored", "kl", "js"), np.zeros(faces.n))
    sums["voted"] = faces.per_photo(np.ones(len(total)))
    sums["soft_cross_entropy"] = faces.per_photo(entropy(faces.votes))
    return Tally(counts, np.stack(list(sums.values()), axis=-1), np.nan)


def ceilings(human: Tally) -> Mapping[str, Floats]:
    """Return the figures of a person, by the names they have for a model; keeps leading axes.

    Parameters
    ----------
    human : Tally
        `human_tally`'s, summed or weighed. `matched_soft_cross_entropy` is a floor.
    """
    support = cls.support(human, "matched")
    f1 = cls.f1(human, "matched")
    return {
        "matched_accuracy": cls.accuracy(human, "matched"),
        "matched_balanced_accuracy": cls.balanced_accuracy(human, "matched"),
        "matched_macro_f1": cls.macro(f1, support),
        "matched_weighted_f1": cls.weighted(f1, support),
        "matched_mcc": cls.matthews(human),
        "matched_kappa": cls.cohen_kappa(human),
        "matched_soft_cross_entropy": cls.mean_over_voted(human, "soft_cross_entropy"),
    }
