"""`Scores`: one detector x backend on labelled photos, as counts, figures and rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from groupemo.analysis import Analysis
from groupemo.boxes import xyxy_to_xywh
from groupemo.detections import Detections
from groupemo.emotions import align_probs
from groupemo.errors import LabelError, OptionError
from groupemo.figures import FIGURES, MAIN, Counted, Estimate, Figure, Weighed
from groupemo.labels import LabelledFaces, Labels, label_word
from groupemo.metrics import anatomy
from groupemo.metrics import classification as cls
from groupemo.metrics import detection as det
from groupemo.metrics.answers import Answers
from groupemo.metrics.group import Groups, groups
from groupemo.metrics.tally import IGNORED, NONE, Outcome, Tally, answers, count, judge
from groupemo.metrics.uncertainty import DRAWS, Weights, interval, weightings

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Judged", "Scores", "judge_run"]


@dataclass(frozen=True, eq=False)
class Judged:
    """One photo: what was labelled, what was answered, and what became of each.

    Parameters
    ----------
    labelled : LabelledFaces
        Boxes cut to the photo.
    analysis : Analysis
    probs : np.ndarray, shape=(n, k)
        The analysis' rows in the order of the labels' classes.
    tally : Tally
    outcome : Outcome
    """

    labelled: LabelledFaces
    analysis: Analysis
    probs: NDArray[np.float64]
    tally: Tally
    outcome: Outcome


@dataclass(frozen=True, eq=False)
class Scores:
    """One detector x backend on labelled photos.

    Parameters
    ----------
    detector, backend : str
        Labels of the plugins.
    classes : tuple of str
    min_iou : float
        Least IoU for a detection to have found a labelled face.
    photos : tuple of Judged
        In the order of the labels.
    unread : tuple of Analysis
        Photos that could not be read: left out of every figure, shown in every report.
    """

    detector: str
    backend: str
    classes: tuple[str, ...]
    min_iou: float
    photos: tuple[Judged, ...]
    unread: tuple[Analysis, ...] = ()
    _estimates: dict[tuple[int, int], dict[str, Estimate]] = field(
        default_factory=dict, repr=False, init=False
    )

    @property
    def pair(self) -> tuple[str, str]:
        """The detector's and the backend's label."""
        return self.detector, self.backend

    @cached_property
    def tally(self) -> Tally:
        """The sum over photos: every figure of `overall` is a function of it."""
        return sum((photo.tally for photo in self.photos), Tally.zero(len(self.classes)))

    @cached_property
    def stacked(self) -> Tally:
        """One tally a photo on a leading axis."""
        k = len(self.classes)
        empty = Tally(np.zeros((0, k + 2, k + 2), dtype=np.int64))
        return Tally.stack([photo.tally for photo in self.photos]) if self.photos else empty

    @cached_property
    def answers(self) -> Answers:
        """The found and answered faces of a known class, photo by photo."""
        each = [answers(one.labelled.labels, one.probs, one.outcome) for one in self.photos]
        return Answers(
            np.repeat(np.arange(len(each)), np.array([len(one) for one in each], dtype=np.int64)),
            len(each),
            np.concatenate([np.zeros(0, np.int64), *(one.labels for one in each)]),
            np.concatenate([np.zeros((0, len(self.classes))), *(one.probs for one in each)]),
        )

    @cached_property
    def detections(self) -> Detections:
        """The detector's side of the run."""
        return Detections.shared(
            (
                one.labelled.boxes,
                one.labelled.labels,
                one.labelled.complete,
                one.analysis.faces.boxes,
                one.analysis.faces.scores,
            )
            for one in self.photos
        )

    @cached_property
    def groups(self) -> Groups:
        """How many faces of each class every photo holds, labelled and answered."""
        return groups(
            [one.labelled.labels for one in self.photos],
            [one.probs[one.outcome.detected != IGNORED] for one in self.photos],
            len(self.classes),
        )

    @cached_property
    def bins(self) -> tuple[anatomy.Anatomy, ...]:
        """The bin of every labelled face and every detection, photo by photo."""
        return tuple(
            anatomy.anatomy(
                one.labelled.boxes,
                one.labelled.labels,
                one.analysis.faces.boxes,
                one.outcome,
                min_iou=self.min_iou,
            )
            for one in self.photos
        )

    def only(self, names: Iterable[str]) -> Scores:
        """Return the scores on the photos named, in that order."""
        known = {photo.analysis.photo: photo for photo in self.photos}
        return replace(self, photos=tuple(known[name] for name in names), unread=())

    def analyses(self) -> Iterator[Analysis]:
        """Yield every photo's analysis, those of unread photos last."""
        yield from (photo.analysis for photo in self.photos)
        yield from self.unread

    @property
    def failures(self) -> tuple[Analysis, ...]:
        """Analyses that ended in a failure of any kind."""
        return (*self.unread, *(p.analysis for p in self.photos if p.analysis.failure))

    def overall(self) -> dict[str, float]:
        """Return every figure and the counts they stand on.

        `matched_*` judge the classifier alone, on faces that were found and
        answered; `end_to_end_*` the whole way; `detection_*` the detector. Log-loss
        is in nats. `detection_ap50` is COCO's average precision at an IoU of 0.5,
        whatever `min_iou`, over the detections kept: a detector's `min_score` cuts
        its curve off. An undefined figure is NaN.
        """
        total = self.tally
        counts = {
            "photos": len(self.photos),
            "unread": len(self.unread),
            "labelled": int(det.found(total) + det.missed(total)),
            "detected": int(total.counts[..., :-1].sum() + total["ignored"]),
            "found": int(det.found(total)),
            "missed": int(det.missed(total)),
            "phantom": int(det.phantom(total)),
            "ignored": int(total["ignored"]),
            "matched": int(cls.support(total, "matched").sum()),
            "abstained": int(total.counts[:-1, -2].sum()),
            "wrong_emotion": int(
                cls.support(total, "matched").sum() - np.trace(cls.confusion(total, "matched"))
            ),
            "clipped": int(total["clipped"]),
        }
        figures = self.figures(np.ones((1, len(self.photos))))
        return {**counts, **{name: float(drawn[0]) for name, drawn in figures.items()}}

    def figures(self, weights: Weights) -> dict[str, NDArray[np.float64]]:
        """Return every figure of `groupemo.figures.FIGURES` for each way to weigh the photos.

        Parameters
        ----------
        weights : np.ndarray, shape=(draws, n)
            What each photo weighs, in the order of `photos`.

        Returns
        -------
        dict of str to np.ndarray, shape=(draws,)
        """
        run = Weighed(self, weights)
        return {name: figure.of(run) for name, figure in FIGURES.items()}

    def estimates(self, *, draws: int = DRAWS, seed: int = 0) -> dict[str, Estimate]:
        """Return every figure with its 95 % interval over photos, and what it stands on.

        NaN bounds for fewer than two photos, and where all draws are alike; see
        `groupemo.metrics.uncertainty` for how they are made, and what they do not know.
        """
        key = (draws, seed)
        if key not in self._estimates:
            self._estimates[key] = self._estimate(draws, seed)
        return self._estimates[key]

    def _estimate(self, draws: int, seed: int) -> dict[str, Estimate]:
        points, drawn, jackknife = map(self.figures, weightings(len(self.photos), draws, seed))
        return {
            name: figure.estimate(
                points[name], drawn[name], jackknife[name], int(figure.count(self))
            )
            for name, figure in FIGURES.items()
        }

    def per_class(self, *, draws: int = DRAWS, seed: int = 0) -> pd.DataFrame:
        """Return the figures of each class, matched and end to end, and what they stand on.

        Columns `matched_` and `end_to_end_` precision (of the `answered`), recall (of the
        `support`, the labelled faces) and f1, each followed by `_low` and `_high`, its
        95 % interval over photos; support, answered.
        """
        import pandas as pd

        ways = [Weighed(self, each).tally for each in weightings(len(self.photos), draws, seed)]
        columns: dict[str, Any] = {"class": self.classes}
        for over in ("matched", "end_to_end"):
            for figure in (cls.precision, cls.recall, cls.f1):
                name = f"{over}_{figure.__name__}"
                (points,), drawn, jackknife = (figure(way, over) for way in ways)
                columns[name] = points
                columns[f"{name}_low"], columns[f"{name}_high"] = zip(
                    *(
                        interval(
                            drawn[:, c],
                            point=float(points[c]),
                            jackknife=jackknife[:, c],
                            least=0,
                            most=1,
                        )
                        for c in range(len(self.classes))
                    ),
                    strict=True,
                )
            for number in (cls.support, cls.answered):
                columns[f"{over}_{number.__name__}"] = number(self.tally, over)
        return pd.DataFrame(columns).set_index("class")

    def per_photo(self) -> pd.DataFrame:
        """Return counts and seconds of each photo, those that could not be read included."""
        import pandas as pd

        rows: list[dict[str, Any]] = [
            {
                "photo": one.analysis.photo,
                "labelled": int(det.found(one.tally) + det.missed(one.tally)),
                "found": int(det.found(one.tally)),
                "missed": int(det.missed(one.tally)),
                "phantom": int(det.phantom(one.tally)),
                "matched": int(cls.support(one.tally, "matched").sum()),
                "correct": int(np.trace(cls.confusion(one.tally, "matched"))),
                "seconds": sum(one.analysis.seconds.values()),
                "failure": _reason(one.analysis),
            }
            for one in self.photos
        ]
        rows += [{"photo": one.photo, "failure": _reason(one)}
                 for one in self.unread]  # fmt: skip
        return pd.DataFrame(rows, columns=_PHOTO_COLUMNS).set_index("photo")

    def confusion(self) -> pd.DataFrame:
        """Return the whole table of counts: rows the truth, columns the answer."""
        import pandas as pd

        return pd.DataFrame(
            self.tally.counts,
            index=pd.Index([*self.classes, "unsure", "no labelled face"], name="labelled"),
            columns=pd.Index([*self.classes, "abstained", "missed"], name="answered"),
        )

    def faces(self) -> pd.DataFrame:
        """Return one row for each detection and each missed face, with what became of it.

        `outcome` is one of correct, wrong emotion, abstained, unsure (found, but
        its expression is not known), phantom, ignored, missed. Boxes are x, y,
        w, h in pixels: the detection's, or the labelled one where it was missed.
        `bin` is that of the error anatomy.
        """
        import pandas as pd

        rows = [
            row
            for photo, bins in zip(self.photos, self.bins, strict=True)
            for row in _face_rows(photo, bins, self.classes)
        ]
        return pd.DataFrame(rows, columns=_FACE_COLUMNS)

    def anatomy(self, figure: str = MAIN, *, draws: int = DRAWS, seed: int = 0) -> pd.DataFrame:
        """Return how many faces are in each bin, and what mending it would gain.

        Every labelled face and every detection is in one bin; see
        `groupemo.metrics.anatomy`. Bins are mended one at a time: gains do not add up.

        Parameters
        ----------
        figure : str
            A figure of the counts: of `groupemo.figures.FIGURES` those over
            "end_to_end", and detection precision, recall and F1.
        draws, seed : int
            Of the bootstrap over photos.

        Returns
        -------
        pd.DataFrame
            A row a bin: labelled (faces), detected, gain (above 0 is better; NaN
            where it cannot be mended), and low and high, its 95 % interval.

        Raises
        ------
        OptionError
            If the figure is not one of the counts.
        """
        import pandas as pd

        chosen = _countable(figure)
        run = anatomy.cases(
            ((one.labelled.labels, one.outcome, each)
             for one, each in zip(self.photos, self.bins, strict=True)),
            len(self.classes),
        )  # fmt: skip
        sign = 1 if chosen.higher_is_better else -1
        points, drawn, jackknife = (
            anatomy.gains(self.stacked, run, lambda tally: sign * chosen.of(Counted(tally)), each)
            for each in weightings(len(self.photos), draws, seed)
        )
        rows = []
        for name, (labelled, detected) in zip(
            anatomy.BINS, anatomy.bin_counts(self.bins).sum(axis=0), strict=True
        ):
            gain = float(points[name][0])
            low, high = interval(
                drawn[name], point=gain, jackknife=jackknife[name], difference=True
            )
            rows.append((labelled, detected, gain, low, high))
        columns = ["labelled", "detected", "gain", "low", "high"]
        return pd.DataFrame(rows, pd.Index(anatomy.BINS, name="bin"), columns)

    def errors(self) -> pd.DataFrame:
        """Return the rows of `faces` that are wrong: wrong emotion, phantom, missed, abstained."""
        faces = self.faces()
        return faces[faces["outcome"].isin(["wrong emotion", "phantom", "missed", "abstained"])]


_PHOTO_COLUMNS = [
    "photo", "labelled", "found", "missed", "phantom", "matched", "correct", "seconds", "failure",
]  # fmt: skip

_FACE_COLUMNS = [
    "photo", "outcome", "bin", "x", "y", "w", "h", "score", "iou", "labelled", "answered",
    "prob_answered", "prob_labelled",
]  # fmt: skip


def _countable(name: str) -> Figure:
    known = [
        each.name for each in FIGURES.values()
        if each.over == "end_to_end" or each.name in _COUNTED_DETECTION
    ]  # fmt: skip
    if name not in known:
        raise OptionError(f"figure is {name!r}: expected one of {', '.join(known)}")
    return FIGURES[name]


_COUNTED_DETECTION = ("detection_precision", "detection_recall", "detection_f1")


def _face_rows(
    photo: Judged, bins: anatomy.Anatomy, classes: tuple[str, ...]
) -> Iterable[dict[str, Any]]:
    outcome, faces = photo.outcome, photo.analysis.faces
    name = photo.analysis.photo
    for row, box in enumerate(xyxy_to_xywh(faces.boxes).tolist()):
        found, answer = int(outcome.detected[row]), int(outcome.predicted[row])
        label = int(photo.labelled.labels[found]) if found >= 0 else None
        yield {
            "photo": name,
            "outcome": _outcome_word(found, label, answer),
            "bin": anatomy.BINS[bins.detected[row]],
            **dict(zip("xywh", box, strict=True)),
            "score": float(faces.scores[row]),
            "iou": float(outcome.iou[row]),
            "labelled": None if label is None else label_word(label),
            "answered": None if answer == NONE else classes[answer],
            "prob_answered": float("nan") if answer == NONE else float(photo.probs[row, answer]),
            "prob_labelled": (
                float("nan") if label is None or label < 0 else float(photo.probs[row, label])
            ),
        }
    for row in np.flatnonzero(outcome.labelled == NONE).tolist():
        box = xyxy_to_xywh(photo.labelled.boxes[row])[0].tolist()
        word = label_word(int(photo.labelled.labels[row]))
        yield {
            "photo": name,
            "outcome": "missed",
            "bin": anatomy.BINS[bins.labelled[row]],
            **dict(zip("xywh", box, strict=True)),
            "labelled": word,
        }


def _reason(analysis: Analysis) -> str | None:
    return analysis.failure.reason if analysis.failure else None


def _outcome_word(found: int, label: int | None, answer: int) -> str:
    if found == IGNORED:
        return "ignored"
    if label is None:
        return "phantom"
    if answer == NONE:
        return "abstained"
    if label < 0:
        return "unsure"
    return "correct" if label == answer else "wrong emotion"


def judge_run(
    labels: Labels, run: Mapping[str, Analysis], names: Sequence[str], min_iou: float
) -> Scores:
    """Judge one run's analyses of the photos named against their labels.

    Raises
    ------
    LabelError
        If labels are of another file of that name, or a box lies outside its photo.
    """
    analyses = [run[name] for name in names]
    unread = [one for one in analyses if one.failure and one.failure.stage == "read"]
    detector, backend = analyses[0].pair
    judged = [_judge(labels, one, min_iou) for one in analyses if one not in unread]
    tallies = count((faces.labels, probs, outcome, faces.votes)
                    for faces, _, probs, outcome in judged)  # fmt: skip
    return Scores(
        detector=detector,
        backend=backend,
        classes=labels.classes,
        min_iou=min_iou,
        photos=tuple(
            Judged(labelled, analysis, probs, counted, outcome)
            for (labelled, analysis, probs, outcome), counted in zip(judged, tallies, strict=True)
        ),
        unread=tuple(unread),
    )


def _judge(
    labels: Labels, analysis: Analysis, min_iou: float
) -> tuple[LabelledFaces, Analysis, NDArray[np.float64], Outcome]:
    name = analysis.photo
    expected = labels.sha256.get(name)
    if expected and expected != analysis.sha256:
        raise LabelError(
            f"{name}: the labels are of a file with SHA-256 {expected[:12]}..., the photo has"
            f" {analysis.sha256[:12]}...: another picture, or the same one saved again"
        )
    labelled = labels[name].check_inside(analysis.width, analysis.height, name)
    probs = align_probs(analysis.probs, analysis.classes, labels.classes)
    outcome = judge(
        labelled.boxes,
        labelled.labels,
        labelled.complete,
        analysis.faces.boxes,
        probs,
        min_iou=min_iou,
    )
    return labelled, analysis, probs, outcome
