"""`Scores`: one detector x backend on labelled photos, as counts, figures and rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from groupemo.analysis import Analysis
from groupemo.boxes import xyxy_to_xywh
from groupemo.emotions import align_probs
from groupemo.errors import LabelError
from groupemo.labels import LabelledFaces, Labels, label_word
from groupemo.metrics import classification as cls
from groupemo.metrics import detection as det
from groupemo.metrics.tally import IGNORED, NONE, Outcome, Tally, tally
from groupemo.metrics.uncertainty import DRAWS, bootstrap, draw_weights, interval

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["HEADLINE", "Judged", "Scores", "judge_run"]

Statistic = Callable[[Tally], Any]


def _macro_f1(over: cls.Denominator) -> Statistic:
    return lambda counts: cls.macro(cls.f1(counts, over), cls.support(counts, over))


HEADLINE: Mapping[str, Statistic] = {
    "detection_precision": det.detection_precision,
    "detection_recall": det.detection_recall,
    "detection_f1": det.detection_f1,
    "matched_accuracy": lambda counts: cls.accuracy(counts, "matched"),
    "matched_balanced_accuracy": lambda counts: cls.balanced_accuracy(counts, "matched"),
    "matched_macro_f1": _macro_f1("matched"),
    "matched_cross_entropy": cls.cross_entropy,
    "end_to_end_accuracy": lambda counts: cls.accuracy(counts, "end_to_end"),
    "end_to_end_macro_f1": _macro_f1("end_to_end"),
}
"""The figures every table has, each a function of a Tally; the name says the denominator."""


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

    @property
    def pair(self) -> tuple[str, str]:
        """The detector's and the backend's label."""
        return self.detector, self.backend

    @cached_property
    def tally(self) -> Tally:
        """The sum over photos: every figure of `overall` is a function of it."""
        return sum((photo.tally for photo in self.photos), Tally.zero(len(self.classes)))

    def stacked(self, names: Iterable[str] | None = None) -> Tally:
        """Return one tally a photo on a leading axis; of the photos named, in that order."""
        tallies = {photo.analysis.photo: photo.tally for photo in self.photos}
        chosen = tallies.values() if names is None else [tallies[name] for name in names]
        k = len(self.classes)
        return Tally.stack(list(chosen)) if chosen else Tally(np.zeros((0, k + 2, k + 2)))

    def analyses(self) -> Iterator[Analysis]:
        """Yield every photo's analysis, those of unread photos last."""
        yield from (photo.analysis for photo in self.photos)
        yield from self.unread

    @property
    def failures(self) -> tuple[Analysis, ...]:
        """Analyses that ended in a failure of any kind."""
        return (*self.unread, *(p.analysis for p in self.photos if p.analysis.failure))

    def overall(self) -> dict[str, float]:
        """Return every headline figure and the counts it stands on.

        `matched_*` judge the classifier alone, on faces that were found and
        answered; `end_to_end_*` the whole way; `detection_*` the detector. Cross-entropy
        is in nats. `detection_ap50` is COCO's average precision at an IoU of 0.5,
        whatever `min_iou`, over the detections kept: a detector's `min_score` cuts
        its curve off. An undefined figure is NaN.
        """
        total = self.tally
        counts = {
            "photos": len(self.photos),
            "unread": len(self.unread),
            "labelled": int(det.found(total) + det.missed(total)),
            "detected": int(total.counts[..., :-1].sum() + total.ignored),
            "found": int(det.found(total)),
            "missed": int(det.missed(total)),
            "phantom": int(det.phantom(total)),
            "ignored": int(total.ignored),
            "matched": int(cls.support(total, "matched").sum()),
            "abstained": int(total.counts[:-1, -2].sum()),
            "wrong_emotion": int(
                cls.support(total, "matched").sum() - np.trace(cls.confusion(total, "matched"))
            ),
            "clipped": int(total.clipped),
        }
        figures = {name: float(statistic(total)) for name, statistic in HEADLINE.items()}
        support = cls.support(total, "end_to_end")
        figures["end_to_end_weighted_f1"] = float(
            cls.weighted(cls.f1(total, "end_to_end"), support)
        )
        return {**counts, **figures, "detection_ap50": self.average_precision()}

    def average_precision(self, *, min_iou: float = 0.5) -> float:
        """Return the detector's average precision; see `metrics.detection.average_precision`."""
        return det.average_precision(
            (
                (
                    photo.labelled.boxes,
                    photo.labelled.labels,
                    photo.labelled.complete,
                    photo.analysis.faces.boxes,
                    photo.analysis.faces.scores,
                )
                for photo in self.photos
            ),
            min_iou=min_iou,
        )

    def intervals(self, *, draws: int = DRAWS, seed: int = 0) -> dict[str, tuple[float, float]]:
        """Return 95 % intervals of the headline figures over photos.

        NaN for fewer than two photos; see `groupemo.metrics.uncertainty` for how
        they are made, and what they do not know.
        """
        weights = draw_weights(len(self.photos), draws=draws, seed=seed)
        drawn = bootstrap(self.stacked(), weights)
        return {name: interval(statistic(drawn)) for name, statistic in HEADLINE.items()}

    def per_class(self) -> pd.DataFrame:
        """Return the figures of each class, matched and end to end, and what they stand on.

        Columns `matched_` and `end_to_end_` precision (of the `answered`), recall (of the
        `support`, the labelled faces), f1, support, answered.
        """
        import pandas as pd

        columns: dict[str, Any] = {"class": self.classes}
        for over in ("matched", "end_to_end"):
            for figure in (cls.precision, cls.recall, cls.f1, cls.support, cls.answered):
                columns[f"{over}_{figure.__name__}"] = figure(self.tally, over)
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
        """
        import pandas as pd

        rows = [row for photo in self.photos for row in _face_rows(photo, self.classes)]
        return pd.DataFrame(rows, columns=_FACE_COLUMNS)

    def errors(self) -> pd.DataFrame:
        """Return the rows of `faces` that are wrong: wrong emotion, phantom, missed, abstained."""
        faces = self.faces()
        return faces[faces["outcome"].isin(["wrong emotion", "phantom", "missed", "abstained"])]


_PHOTO_COLUMNS = [
    "photo", "labelled", "found", "missed", "phantom", "matched", "correct", "seconds", "failure",
]  # fmt: skip

_FACE_COLUMNS = [
    "photo", "outcome", "x", "y", "w", "h", "score", "iou", "labelled", "answered",
    "prob_answered", "prob_labelled",
]  # fmt: skip


def _face_rows(photo: Judged, classes: tuple[str, ...]) -> Iterable[dict[str, Any]]:
    outcome, faces = photo.outcome, photo.analysis.faces
    name = photo.analysis.photo
    for row, box in enumerate(xyxy_to_xywh(faces.boxes).tolist()):
        found, answer = int(outcome.detected[row]), int(outcome.predicted[row])
        label = int(photo.labelled.labels[found]) if found >= 0 else None
        yield {
            "photo": name,
            "outcome": _outcome_word(found, label, answer),
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
        yield {"photo": name, "outcome": "missed", **dict(zip("xywh", box, strict=True)),
               "labelled": word}  # fmt: skip


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
    return Scores(
        detector=detector,
        backend=backend,
        classes=labels.classes,
        min_iou=min_iou,
        photos=tuple(_judge(labels, one, min_iou) for one in analyses if one not in unread),
        unread=tuple(unread),
    )


def _judge(labels: Labels, analysis: Analysis, min_iou: float) -> Judged:
    name = analysis.photo
    expected = labels.sha256.get(name)
    if expected and expected != analysis.sha256:
        raise LabelError(
            f"{name}: the labels are of a file with SHA-256 {expected[:12]}..., the photo has"
            f" {analysis.sha256[:12]}...: another picture, or the same one saved again"
        )
    labelled = labels[name].check_inside(analysis.width, analysis.height, name)
    probs = align_probs(analysis.probs, analysis.classes, labels.classes)
    counts, outcome = tally(
        labelled.boxes,
        labelled.labels,
        labelled.complete,
        analysis.faces.boxes,
        probs,
        min_iou=min_iou,
    )
    return Judged(labelled, analysis, probs, counts, outcome)
