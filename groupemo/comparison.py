"""Which of two runs is better: paired differences on the photos both have.

Both runs are weighed alike in every draw, so what is hard about a photo cancels;
see `groupemo.metrics.uncertainty` and `groupemo.metrics.paired`. The runs may be
of one evaluation, or of two: before and after a model was changed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from groupemo.detectors.labelled import LABELLED
from groupemo.difference import DECIMALS, Difference
from groupemo.errors import AnalysisError, LabelError, OptionError
from groupemo.figures import FIGURES, MAIN, Figure, Weighed
from groupemo.labels import LabelledFaces
from groupemo.metrics.paired import holm, mcnemar, p_value
from groupemo.metrics.tally import NONE
from groupemo.metrics.uncertainty import DRAWS, Weights, interval, weightings
from groupemo.scores import Judged, Scores

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ALPHA",
    "WATCHED",
    "Comparison",
    "Comparisons",
    "compare",
    "compare_all",
    "joined",
]

WATCHED = ("detection_recall", "matched_log_loss", MAIN)
"""What a gate watches unless told otherwise: the detector, the classifier, the whole way."""

ALPHA = 0.05
"""A comparison survives correction with a p-value below this."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Run `a` against run `b` on the same photos.

    Parameters
    ----------
    a, b : str
        What the sentences call them.
    photos : tuple of str
        Those both were judged on.
    left_out : tuple of str
        Those only one has, or only one could read.
    differences : Mapping of str to Difference
        By the name of the figure.
    faces : int
        Labelled faces of a known class.
    only_a, only_b : int
        How many of them only one of the runs found and answered right.
    """

    a: str
    b: str
    photos: tuple[str, ...]
    left_out: tuple[str, ...]
    differences: Mapping[str, Difference]
    faces: int
    only_a: int
    only_b: int

    @property
    def mcnemar(self) -> float:
        """McNemar's p-value on the same faces, which it takes for independent."""
        return mcnemar(self.only_a, self.only_b)

    def frame(self) -> pd.DataFrame:
        """Return a row a figure: a, b, difference (a - b), low, high (95 %), p."""
        import pandas as pd

        rows = [
            (name, one.a, one.b, one.difference, one.low, one.high, one.p)
            for name, one in self.differences.items()
        ]
        columns = ["figure", "a", "b", "difference", "low", "high", "p"]
        return pd.DataFrame(rows, columns=columns).set_index("figure")

    def sentence(self, figure: str = MAIN) -> str:
        """Say which run is better by a figure, by how much, and how surely."""
        return self.differences[_named(figure, self.differences).name].sentence(self.a, self.b)


@dataclass(frozen=True, eq=False)
class Comparisons:
    """All pairs of several runs by one figure, corrected for how many there are.

    Parameters
    ----------
    figure : Figure
    pairs : tuple of (pair, pair)
        Detector and backend of a, and of b. By a detection figure it is detectors
        that are compared, and each backend is the first with that detector.
    differences : tuple of Difference
        In the same order.
    photos : tuple of str
        Those all runs were judged on.
    """

    figure: Figure
    pairs: tuple[tuple[tuple[str, str], tuple[str, str]], ...]
    differences: tuple[Difference, ...]
    photos: tuple[str, ...]

    @cached_property
    def corrected(self) -> NDArray[np.float64]:
        """The p-values after Holm's correction; NaN where undefined, and between equal runs.

        Runs that are equal in every draw could not have been found to differ, so they do
        not count among the tests (Tarone, "A Modified Bonferroni Method for Discrete
        Data", Biometrics 46, 1990).
        """
        return holm([math.nan if one.equal else one.p for one in self.differences])

    @property
    def survive(self) -> NDArray[np.bool_]:
        """Which comparisons hold together at `ALPHA`."""
        return np.asarray(self.corrected < ALPHA)

    def frame(self) -> pd.DataFrame:
        """Return a row a comparison: who, a, b, difference, low, high, p, p_holm, survives."""
        import pandas as pd

        rows = [
            (*a, *b, one.a, one.b, one.difference, one.low, one.high, one.p)
            for (a, b), one in zip(self.pairs, self.differences, strict=True)
        ]
        columns = [
            "detector_a", "backend_a", "detector_b", "backend_b",
            "a", "b", "difference", "low", "high", "p",
        ]  # fmt: skip
        frame = pd.DataFrame(rows, columns=columns)
        return frame.assign(p_holm=self.corrected, survives=self.survive)

    def sentence(self) -> str:
        """Say how many comparisons survive."""
        tested = int(np.isfinite(self.corrected).sum())
        equal = sum(one.equal for one in self.differences)
        untested = len(self.pairs) - tested - equal
        what = " between detectors" if _of_detectors(self.figure) else ""
        told = (
            f"{self.survive.sum()} of {tested} comparisons of {self.figure.full_title}{what}"
            f" survive Holm's correction at {f'{ALPHA:g}'.lstrip('0')}"
        )
        told += f"; {equal} {'is' if equal == 1 else 'are'} between equal runs" if equal else ""
        return told + (f"; {untested} cannot be tested" if untested else "")


def compare(
    a: Scores,
    b: Scores,
    *,
    figures: Iterable[str] = FIGURES,
    names: tuple[str, str] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Comparison:
    """Compare two runs on the photos both could read.

    Parameters
    ----------
    a, b : Scores
        Judged against the same labels with the same `min_iou`; of one
        evaluation or of two.
    figures : iterable of str
        Names in `groupemo.figures.FIGURES`; all of them unless told otherwise.
    names : tuple of str, optional
        What sentences call the runs; by default what differs in their labels.
    draws, seed : int
        Of the bootstrap.

    Raises
    ------
    AnalysisError
        If they share no photo, or saw different files under one name.
    LabelError
        If a photo's labels are not the same for both.
    OptionError
        If a figure is unknown, or `min_iou` or the classes differ.
    """
    chosen = [_named(name, FIGURES) for name in figures]
    runs, shared, left_out = _on_shared_photos([a, b])
    _check_comparable(*runs)
    weights = weightings(len(shared), draws, seed)
    drawn = [_drawn(run, chosen, weights) for run in runs]
    right_a, right_b = (np.concatenate([_right(one) for one in run.photos]) for run in runs)
    return Comparison(
        *(names or _names(a, b)),
        photos=shared,
        left_out=left_out,
        differences={
            figure.name: _difference(figure, drawn[0][figure.name], drawn[1][figure.name])
            for figure in chosen
        },
        faces=len(right_a),
        only_a=int((right_a & ~right_b).sum()),
        only_b=int((right_b & ~right_a).sum()),
    )


def compare_all(
    scores: Sequence[Scores], figure: str = MAIN, *, draws: int = DRAWS, seed: int = 0
) -> Comparisons:
    """Compare every run of an evaluation with every other by one figure.

    Runs on the labelled boxes are references and left out. Each run is weighed once,
    however many comparisons it is in. A detection figure is the same for all backends
    of a detector: each detector is compared once, by its first run.

    Parameters
    ----------
    scores : sequence of Scores
        Of one evaluation.
    figure : str
    draws, seed : int
        Of the bootstrap. More comparisons take no more draws: p-values do not end at
        1 / draws; see `metrics.paired.p_value`.

    Raises
    ------
    AnalysisError
        If the runs share no photo.
    OptionError
        If the figure is unknown.
    """
    chosen = _named(figure, FIGURES)
    competing = _competing(scores, chosen)
    pairs = list(combinations(range(len(competing)), 2))
    if not pairs:
        return Comparisons(chosen, (), (), ())
    runs, shared, _ = _on_shared_photos(competing)
    weights = weightings(len(shared), draws, seed)
    drawn = [_drawn(run, [chosen], weights)[figure] for run in runs]
    return Comparisons(
        chosen,
        tuple((runs[a].pair, runs[b].pair) for a, b in pairs),
        tuple(_difference(chosen, drawn[a], drawn[b]) for a, b in pairs),
        shared,
    )


def joined(
    before: Sequence[Scores],
    after: Sequence[Scores],
    *,
    a: str | None = None,
    b: str | None = None,
) -> list[tuple[Scores, Scores]]:
    """Return which run is to be compared with which, of two evaluations.

    Runs of the same detector and backend belong together; where each side has
    one run, those do, whatever they are called.

    Parameters
    ----------
    before, after : sequence of Scores
    a, b : str, optional
        Take one run of a side alone, named as in tables: "yunet x groupemo".

    Raises
    ------
    AnalysisError
        If no run belongs to another.
    OptionError
        If no run is so named; lists those there are.
    """
    old, new = _picked(before, a), _picked(after, b)
    if len(old) == len(new) == 1:
        return [(old[0], new[0])]
    partners = {one.pair: one for one in new}
    pairs = [(one, partners[one.pair]) for one in old if one.pair in partners]
    if not pairs:
        raise AnalysisError(
            f"no run of the first ({_listed(old)}) has a namesake in the second ({_listed(new)}):"
            " choose one of each with --a and --b"
        )
    return pairs


def _of_detectors(figure: Figure) -> bool:
    return figure.over == "detection"


def _named(figure: str, known: Mapping[str, object]) -> Figure:
    if figure not in known:
        raise OptionError(f"no figure {figure!r}; known: {', '.join(known)}")
    return FIGURES[figure]


def _names(a: Scores, b: Scores) -> tuple[str, str]:
    if a.pair == b.pair:
        return "a", "b"
    if a.detector == b.detector:
        return a.backend, b.backend
    if a.backend == b.backend:
        return a.detector, b.detector
    return _name(a), _name(b)


def _name(scores: Scores) -> str:
    return " x ".join(scores.pair)


def _listed(runs: Sequence[Scores]) -> str:
    return ", ".join(map(_name, runs))


def _picked(runs: Sequence[Scores], name: str | None) -> list[Scores]:
    picked = [one for one in runs if name in (None, _name(one))]
    if not picked:
        raise OptionError(f"no run {name!r}; known: {_listed(runs)}")
    return picked


def _on_shared_photos(
    runs: Sequence[Scores],
) -> tuple[list[Scores], tuple[str, ...], tuple[str, ...]]:
    """Return the runs on the photos all could read, those photos, and the others."""
    read = [[one.analysis.photo for one in run.photos] for run in runs]
    everywhere = set.intersection(*map(set, read))
    anywhere = {one.photo for run in runs for one in run.analyses()}
    if not everywhere:
        raise AnalysisError(
            f"{' and '.join(map(_name, runs))} have no photo in common: nothing to compare"
        )
    shared = tuple(name for name in read[0] if name in everywhere)
    return [run.only(shared) for run in runs], shared, tuple(sorted(anywhere - everywhere))


def _check_comparable(a: Scores, b: Scores) -> None:
    if a.classes != b.classes:
        raise OptionError(f"classes differ: {', '.join(a.classes)}; {', '.join(b.classes)}")
    if a.min_iou != b.min_iou:
        raise OptionError(
            f"judged at min_iou {a.min_iou:g} and {b.min_iou:g}: judge both at the same"
        )
    for one, other in zip(a.photos, b.photos, strict=True):
        name = one.analysis.photo
        if one.analysis.sha256 != other.analysis.sha256:
            raise AnalysisError(f"{name}: the runs saw different files of that name")
        if not _same_labels(one.labelled, other.labelled):
            raise LabelError(
                f"{name}: the runs were judged against different labels: judge both against the"
                " same (figures before and after relabelling cannot be compared)"
            )


def _same_labels(one: LabelledFaces, other: LabelledFaces) -> bool:
    return (
        one.complete == other.complete
        and np.array_equal(one.boxes, other.boxes)
        and np.array_equal(one.labels, other.labels)
        and (one.votes is None) == (other.votes is None)
        and (one.votes is None or np.array_equal(one.votes, other.votes))  # type: ignore[arg-type]
    )


def _competing(scores: Iterable[Scores], figure: Figure) -> list[Scores]:
    runs = [one for one in scores if one.detector != LABELLED]
    if not _of_detectors(figure):
        return runs
    first: dict[str, Scores] = {}
    for one in runs:
        first.setdefault(one.detector, one)
    return list(first.values())


_Drawn = tuple[NDArray[np.float64], ...]
"""A figure for each of `weightings`: as it is, in each draw, and with each photo left out."""


def _drawn(run: Scores, figures: Iterable[Figure], weights: Iterable[Weights]) -> dict[str, _Drawn]:
    weighed = [Weighed(run, each) for each in weights]
    return {figure.name: tuple(figure.of(each) for each in weighed) for figure in figures}


def _difference(figure: Figure, a: _Drawn, b: _Drawn) -> Difference:
    (point,), drawn, jackknife = (
        np.round(one - other, DECIMALS) for one, other in zip(a, b, strict=True)
    )
    low, high = interval(drawn, point=point, jackknife=jackknife, difference=True)
    p = p_value(drawn, point=point, jackknife=jackknife)
    return Difference(figure, float(a[0][0]), float(b[0][0]), low, high, p)


def _right(photo: Judged) -> NDArray[np.bool_]:
    """Say of each labelled face of a known class whether it was found and answered right."""
    labels, finders = photo.labelled.labels, photo.outcome.labelled
    known = labels >= 0
    answers = np.append(photo.outcome.predicted, NONE)  # where the finder is NONE: missed
    return np.asarray(answers[finders[known]] == labels[known])
