"""The runs that are checked: random ones, and real ones where there are photos."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

import groupemo
from crosschecks.judging import MISSED, NOBODY, UNSURE, K, Photo, Row, judge
from groupemo.analysis import Analysis
from groupemo.emotions import EMOTIONS
from groupemo.faces import Faces
from groupemo.figures import FIGURES, Weighed
from groupemo.labels import IGNORE, LabelledFaces, Labels
from groupemo.metrics.tally import Tally
from groupemo.metrics.uncertainty import weigh
from groupemo.scores import Scores

WIDTH, HEIGHT = 640, 480
CLIP = 1e-15
FORMULA = "direct computation from the formula"


@dataclass(frozen=True, eq=False)
class Case:
    """A judged run, and how many times each of its photos counts.

    groupemo gets the number of times as weights; everybody else gets each photo
    that many times.
    """

    scores: Scores
    times: np.ndarray

    @property
    def weights(self) -> np.ndarray:
        """What the photos weigh, shape (1, n)."""
        return self.times[None].astype(np.float64)

    @cached_property
    def weighed(self) -> Weighed:
        """The run, weighed: what a figure is a function of."""
        return Weighed(self.scores, self.weights)

    @cached_property
    def tally(self) -> Tally:
        """The weighed counts, with a leading axis of 1."""
        return weigh(self.scores.stacked, self.weights)

    @cached_property
    def photos(self) -> list[Photo]:
        """The photos, each as many times as it counts."""
        return [_plain(one) for one, times in self._counted() for _ in range(times)]

    @cached_property
    def rows(self) -> list[Row]:
        """Labelled faces and judged detections of `photos`."""
        each = [list(judge(0, _plain(one), self.scores.min_iou)) for one, _ in self._counted()]
        repeated = [rows for rows, times in zip(each, self.times, strict=True)
                    for _ in range(times)]  # fmt: skip
        return [row._replace(photo=number) for number, rows in enumerate(repeated) for row in rows]

    @property
    def matched(self) -> list[Row]:
        """Found and answered faces of a known class."""
        return [row for row in self.rows if max(row.truth, row.answer) < K and row.truth >= 0]

    @property
    def end_to_end(self) -> list[Row]:
        """Labelled faces of a known class, and phantoms."""
        return [row for row in self.rows if row.truth != UNSURE]

    @property
    def faces(self) -> list[Row]:
        """All labelled faces."""
        return [row for row in self.rows if row.truth != NOBODY]

    @property
    def found(self) -> list[Row]:
        """Labelled faces with a detection."""
        return [row for row in self.faces if row.answer != MISSED]

    @property
    def phantoms(self) -> list[Row]:
        """Judged detections without a face."""
        return [row for row in self.rows if row.truth == NOBODY]

    @property
    def voted(self) -> list[Row]:
        """Found and answered faces with votes."""
        return [row for row in self.found if row.answer < K and row.votes is not None]

    def _counted(self) -> Iterator[tuple[groupemo.scores.Judged, int]]:
        return zip(self.scores.photos, self.times.tolist(), strict=True)


def _plain(one: groupemo.scores.Judged) -> Photo:
    labelled = one.labelled
    votes = [None] * len(labelled) if labelled.votes is None else list(labelled.votes)
    return Photo(
        labelled.boxes.tolist(),
        labelled.labels.tolist(),
        [row if row is not None and row.sum() else None for row in votes],
        labelled.complete,
        one.analysis.faces.boxes.tolist(),
        one.analysis.faces.scores.tolist(),
        list(one.probs),
    )


@dataclass(frozen=True)
class Check:
    """One metric, by groupemo and by somebody else.

    Parameters
    ----------
    metric, implementation : str
        What is computed, and by whom besides groupemo.
    ours, theirs : callable
        `Case` -> numbers of equal shape, NaN where undefined.
    within : float
        The largest absolute difference that is allowed.
    note : str
        What explains a wider `within`, or a convention that was matched.
    repeats : bool
        Whether photos that count several times are asked of, too.
    covers : tuple of str
        The names in `groupemo.figures.FIGURES` it stands for.
    """

    metric: str
    implementation: str
    ours: Callable[[Case], ArrayLike]
    theirs: Callable[[Case], ArrayLike]
    within: float = 1e-9
    note: str = ""
    repeats: bool = True
    covers: tuple[str, ...] = ()

    def difference(self, case: Case) -> float:
        """Return the largest absolute difference.

        Infinite where one alone is undefined, NaN where both are throughout.
        """
        ours, theirs = (
            np.asarray(side(case), dtype=np.float64).ravel() for side in (self.ours, self.theirs)
        )
        if len(ours) != len(theirs) or (np.isnan(ours) != np.isnan(theirs)).any():
            return float("inf")
        defined = ~np.isnan(ours)
        return float(np.abs(ours - theirs)[defined].max()) if defined.any() else float("nan")


def figure(name: str, implementation: str, theirs: Callable[[Case], ArrayLike], **more) -> Check:
    """Check one of `groupemo.figures.FIGURES`."""
    title = FIGURES[name].full_title
    return Check(
        title, implementation, lambda case: FIGURES[name].of(case.weighed), theirs, covers=(name,),
        **more,
    )  # fmt: skip


def made(seed: int) -> Scores:
    """Return a random run: faces found, missed, doubled and misplaced, phantoms, regions, votes."""
    rng = np.random.default_rng(seed)
    photos = {f"photo{i}": _labelled(rng) for i in range(rng.integers(2, 9))}
    analyses = [_analysis(rng, name, faces) for name, faces in photos.items()]
    return groupemo.score(Labels(photos), analyses, min_iou=float(rng.choice([0.3, 0.5, 0.75])))


def _labelled(rng: np.random.Generator) -> LabelledFaces:
    m = int(rng.integers(0, 7))
    sides = rng.uniform(12, 150, (m, 2))
    corners = rng.uniform(0, [WIDTH, HEIGHT], (m, 2)) * (1 - sides / [WIDTH, HEIGHT])
    common = rng.choice(K, size=2, replace=False)
    labels = np.where(rng.random(m) < 0.5, rng.choice(common, m), rng.integers(0, K, m))
    labels = np.where(rng.random(m) < 0.1, UNSURE, labels)
    labels = np.where(rng.random(m) < 0.1, IGNORE, labels)
    votes = rng.multinomial(10, rng.dirichlet(np.full(K, 0.4), m)) * (rng.random((m, 1)) < 0.7)
    return LabelledFaces(
        np.concatenate([corners, corners + sides], axis=1),
        labels,
        votes if rng.random() < 0.7 else None,
        complete=bool(rng.random() < 0.8),
    )


def _analysis(rng: np.random.Generator, name: str, faces: LabelledFaces) -> Analysis:
    times = rng.choice([0, 1, 2], len(faces), p=[0.2, 0.65, 0.15])
    strays = rng.uniform(0, 400, (rng.integers(0, 3), 2))
    aim = np.concatenate(
        [faces.boxes.repeat(times, axis=0), np.hstack([strays, strays + rng.uniform(20, 80, 2)])]
    )
    labels = np.concatenate([faces.labels.repeat(times), np.full(len(strays), UNSURE)])
    sides = np.tile(aim[:, 2:] - aim[:, :2], 2)
    boxes = aim + sides * rng.normal(0, rng.choice([0.03, 0.15]), aim.shape)
    boxes = np.clip(boxes, 0, [WIDTH, HEIGHT, WIDTH, HEIGHT])
    wide = (boxes[:, 2:] - boxes[:, :2] > 1).all(axis=1)
    return Analysis(
        name, "", WIDTH, HEIGHT, Faces(boxes[wide], rng.random(wide.sum())),
        _probs(rng, labels[wide]), EMOTIONS, "made", "made",
    )  # fmt: skip


def _probs(rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:
    """Return answers that lean to the label; some hold one class impossible, some abstain."""
    f = len(labels)
    probs = rng.dirichlet(np.full(K, 0.5), f)
    lean = np.flatnonzero((labels >= 0) & (rng.random(f) < 0.6))
    probs[lean, labels[lean]] += 1
    never = np.flatnonzero(rng.random(f) < 0.2)
    probs[never, rng.integers(0, K, len(never))] = 0
    probs[rng.random(f) < 0.1] = np.nan
    return probs / probs.sum(axis=1, keepdims=True)


def as_it_is(scores: Scores) -> Case:
    return Case(scores, np.ones(len(scores.photos), dtype=np.int64))


def repeated(scores: Scores, seed: int) -> Case:
    """Return the run with its photos drawn with replacement, as a bootstrap does."""
    n = len(scores.photos)
    return Case(scores, np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n)))


def real(folder: Path, min_iou: float) -> Scores:
    """Return YuNet x FER on a folder of labelled photos."""
    run = groupemo.evaluate(
        folder / "photos",
        folder / "labels.csv",
        detectors=["yunet"],
        backends=["fer"],
        min_iou=min_iou,
        progress=False,
    )
    return run.scores[0]
