"""Every figure groupemo gives, as a function of how much each photo weighs.

With all photos weighing 1 it is the figure itself; with random weights it is a
draw of the bootstrap; with one photo weighing nothing a value of the jackknife.
Two runs weighed alike give a paired difference. So a figure is written once, and
its interval, its comparison and its gate come of themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from groupemo.metrics import calibration as cal
from groupemo.metrics import classification as cls
from groupemo.metrics import detection as det
from groupemo.metrics import group, joint
from groupemo.metrics.tally import Tally
from groupemo.metrics.uncertainty import Weights, interval, weigh

if TYPE_CHECKING:
    from groupemo.scores import Scores

__all__ = ["FIGURES", "HEADLINE", "MAIN", "Counted", "Estimate", "Figure", "Weighed"]

Floats = NDArray[np.float64]
Over = Literal["detection", "matched", "end_to_end", "group"]


@dataclass(frozen=True, eq=False)
class Weighed:
    """A run with its photos weighed, once a draw.

    Parameters
    ----------
    scores : Scores
    weights : np.ndarray, shape=(draws, n)
        What each of the run's photos weighs in each draw.
    """

    scores: Scores
    weights: Weights

    @cached_property
    def tally(self) -> Tally:
        """The weighted counts, one table a draw."""
        return weigh(self.scores.stacked, self.weights)


@dataclass(frozen=True, eq=False)
class Counted:
    """Counts alone, as of a run with its errors mended: for figures that ask for no more.

    Parameters
    ----------
    tally : Tally
    """

    tally: Tally


@dataclass(frozen=True)
class Figure:
    """One figure: what it is called, what it is taken over, and how it is made.

    Parameters
    ----------
    name : str
        As in tables: `end_to_end_macro_f1`.
    title : str
        As in a report: "macro-F1".
    over : str
        The denominator: "detection", "matched", "end_to_end", or "group" (photos).
    of : callable
        `Weighed`, or `Counted` where counts suffice -> shape (draws,); NaN where undefined.
    count : callable
        `Scores` -> how many faces (`unit`) the figure stands on.
    undefined : str
        Why it is NaN where it is.
    higher_is_better : bool
    unit : str
        What `count` counts.
    least, most : float
        Its bounds.
    """

    name: str
    title: str
    over: Over
    of: Callable[[Any], Floats]
    count: Callable[[Scores], Any]
    undefined: str
    higher_is_better: bool = True
    unit: str = "faces"
    least: float = 0.0
    most: float = 1.0

    def estimate(self, points: Floats, drawn: Floats, jackknife: Floats, n: int) -> Estimate:
        """Return the figure with its interval, given it for all `weightings`."""
        value = float(points[0])
        low, high = interval(
            drawn, point=value, jackknife=jackknife, least=self.least, most=self.most
        )
        return Estimate(self, value, low, high, n)

    @property
    def full_title(self) -> str:
        """The title with its denominator: "end-to-end macro-F1"."""
        return f"{self.over.replace('_', '-')} {self.title}"


@dataclass(frozen=True)
class Estimate:
    """A figure of one run with its interval; NaN where undefined.

    Parameters
    ----------
    figure : Figure
    value, low, high : float
    n : int
        How many faces, detections or photos (`figure.unit`) it stands on.
    """

    figure: Figure
    value: float
    low: float
    high: float
    n: int


def _of_tally(statistic: Callable[..., Any], *args: Any) -> Callable[[Weighed], Floats]:
    return lambda run: np.asarray(statistic(run.tally, *args), dtype=np.float64)


def _averaged(
    average: Callable[[Floats, Any], Floats],
    each: Callable[[Tally, cls.Denominator], Floats],
    over: cls.Denominator,
) -> Callable[[Weighed], Floats]:
    return lambda run: average(each(run.tally, over), cls.support(run.tally, over))


def _of_answers(statistic: Callable[..., Floats], **options: Any) -> Callable[[Weighed], Floats]:
    return lambda run: statistic(run.scores.answers, run.weights, **options)


def _of_groups(statistic: Callable[..., Floats], *args: Any) -> Callable[[Weighed], Floats]:
    return lambda run: statistic(run.scores.groups, run.weights, *args)


def _of_ranking(name: str) -> Callable[[Weighed], Floats]:
    return lambda run: run.scores.detections.figures(run.weights)[name]


def _judged(scores: Scores) -> Any:
    return det.found(scores.tally) + det.phantom(scores.tally)


def _labelled(scores: Scores) -> Any:
    return det.found(scores.tally) + det.missed(scores.tally)


def _known(over: cls.Denominator) -> Callable[[Scores], Any]:
    return lambda scores: cls.support(scores.tally, over).sum(axis=-1)


def _voted(scores: Scores) -> Any:
    return scores.tally["voted"]


def _faces_of(size: str) -> Callable[[Scores], Any]:
    return lambda scores: scores.detections.by_size[size].faces.sum()


def _photos(scores: Scores) -> Any:
    return len(scores.photos)


def _compared(scores: Scores) -> Any:
    return scores.groups.compared.sum()


NO_FACE = "no face is labelled"
NO_PHOTO = "no photo could be read"
NOTHING = "no face is labelled and none was found"
NO_DETECTION = "nothing was found that could be judged"
NO_ANSWER = "no face with a known expression was found and answered"
NO_KNOWN = "no labelled face has a known expression"
ONE_CLASS = "all labels, or all answers, are of one class"
NO_GROUP = "no photo has a labelled and an answered face"
ALIKE = "fewer than two photos differ in their labelled, or their answered, mean valence"
NO_VOTES = "no found and answered face has votes"


def _detection() -> Iterable[Figure]:
    def figure(name: str, title: str, of: Any, count: Any, undefined: str, **more: Any) -> Figure:
        return Figure(f"detection_{name}", title, "detection", of, count, undefined, **more)

    yield figure("precision", "precision", _of_tally(det.detection_precision), _judged,
                 NO_DETECTION, unit="detections")  # fmt: skip
    yield figure("recall", "recall", _of_tally(det.detection_recall), _labelled, NO_FACE)
    yield figure("f1", "F1", _of_tally(det.detection_f1), _labelled, NO_FACE)
    for name, title in (("ap50", "AP50"), ("ap", "AP50:95"), ("olrp", "optimal LRP error")):
        yield figure(name, title, _of_ranking(name), _labelled, NO_FACE,
                     higher_is_better=name != "olrp")  # fmt: skip
    for size in det.COCO_AREAS:
        yield figure(f"ap50_{size}", f"AP50, {size} faces", _of_ranking(f"ap50_{size}"),
                     _faces_of(size), f"no {size} face is labelled")  # fmt: skip
    yield figure("lrp", "LRP error", lambda run: det.lrp(
                 run.tally, min_iou=run.scores.min_iou), _labelled, NOTHING,
                 higher_is_better=False)  # fmt: skip
    yield figure("phantoms_per_photo", "phantoms a photo", lambda run: det.phantoms_per_photo(
                 run.tally, run.weights.sum(axis=1)), _photos, NO_PHOTO, unit="photos",
                 higher_is_better=False, most=np.inf)  # fmt: skip


def _averages(over: cls.Denominator) -> Iterable[tuple[str, str, Callable[[Weighed], Floats]]]:
    """Yield averages over classes; macro recall is the balanced accuracy, weighted the accuracy."""
    yield "macro_precision", "macro precision", _averaged(cls.macro, cls.precision, over)
    yield "macro_f1", "macro-F1", _averaged(cls.macro, cls.f1, over)
    yield "weighted_precision", "weighted precision", _averaged(cls.weighted, cls.precision, over)
    yield "weighted_f1", "weighted F1", _averaged(cls.weighted, cls.f1, over)


def _matched() -> Iterable[Figure]:
    count = _known("matched")

    def figure(name: str, title: str, of: Any, undefined: str = NO_ANSWER, **more: Any) -> Figure:
        return Figure(f"matched_{name}", title, "matched", of, more.pop("count", count),
                      undefined, **more)  # fmt: skip

    yield figure("accuracy", "accuracy", _of_tally(cls.accuracy, "matched"))
    yield figure("balanced_accuracy", "balanced accuracy (UAR)",
                 _of_tally(cls.balanced_accuracy, "matched"))  # fmt: skip
    for name, title, of in _averages("matched"):
        yield figure(name, title, of)
    yield figure("mcc", "Matthews correlation", _of_tally(cls.matthews), ONE_CLASS, least=-1.0)
    yield figure("kappa", "Cohen's kappa", _of_tally(cls.cohen_kappa), ONE_CLASS, least=-1.0)
    yield figure("top2", "top-2 accuracy", _of_tally(cls.mean_over_answered, "top2"))
    for name, title, most in (("log_loss", "log-loss", np.inf), ("brier", "Brier score", 2.0)):
        yield figure(name, title, _of_tally(cls.mean_over_answered, name),
                     higher_is_better=False, most=most)  # fmt: skip
    for name, title, statistic, options in (
        ("ece", "calibration error (ECE)", cal.expected_calibration_error, {}),
        ("adaptive_ece", "adaptive ECE", cal.expected_calibration_error, {"adaptive": True}),
        ("classwise_ece", "classwise ECE", cal.classwise_calibration_error, {}),
        ("aurc", "area under risk-coverage", cal.aurc, {}),
    ):
        yield figure(name, title, _of_answers(statistic, **options), higher_is_better=False)
    for name, title, most in (
        ("soft_cross_entropy", "cross-entropy with votes", np.inf),
        ("kl", "divergence from votes (KL)", np.inf),
        ("js", "divergence from votes (JS)", np.log(2)),
    ):
        yield figure(name, title, _of_tally(cls.mean_over_voted, name), NO_VOTES,
                     count=_voted, higher_is_better=False, most=most)  # fmt: skip


def _end_to_end() -> Iterable[Figure]:
    over: cls.Denominator = "end_to_end"
    for name, title, of in (
        ("accuracy", "accuracy", _of_tally(cls.accuracy, over)),
        ("balanced_accuracy", "balanced accuracy (UAR)", _of_tally(cls.balanced_accuracy, over)),
        *_averages(over),
        ("micro_precision", "micro precision", _of_tally(cls.micro_precision, over)),
        ("micro_f1", "micro-F1", _of_tally(cls.micro_f1, over)),
    ):
        yield Figure(f"end_to_end_{name}", title, over, of, _known(over), NO_KNOWN)
    yield Figure("end_to_end_pq", "panoptic quality", over, _of_tally(joint.panoptic_quality),
                 _known(over), NO_KNOWN)  # fmt: skip


def _group() -> Iterable[Figure]:
    def figure(name: str, title: str, of: Any, undefined: str = NO_GROUP, **more: Any) -> Figure:
        return Figure(f"group_{name}", title, "group", of, _compared, undefined, unit="photos",
                      **more)  # fmt: skip

    yield figure("valence_accuracy", "valence accuracy", _of_groups(group.valence_accuracy))
    yield figure("valence_pearson", "valence correlation (Pearson)",
                 _of_groups(group.valence_pearson), ALIKE, least=-1.0)  # fmt: skip
    yield figure("valence_spearman", "valence correlation (Spearman)",
                 _of_groups(group.valence_spearman), ALIKE, least=-1.0)  # fmt: skip
    yield figure("js", "distribution distance (JS)", _of_groups(group.jensen_shannon),
                 higher_is_better=False, most=np.log(2))  # fmt: skip
    yield figure("tv", "distribution distance (TV)", _of_groups(group.total_variation),
                 higher_is_better=False)  # fmt: skip
    yield figure("diversity_error", "diversity error", _of_groups(group.diversity_error),
                 higher_is_better=False)  # fmt: skip


FIGURES: Mapping[str, Figure] = {
    figure.name: figure for figure in (*_detection(), *_matched(), *_end_to_end(), *_group())
}
"""Every figure by name; the name says the denominator."""

MAIN = "end_to_end_macro_f1"
"""The figure runs are compared, planned and mended by unless another is named."""

HEADLINE = (
    "detection_precision",
    "detection_recall",
    "detection_f1",
    "detection_ap50",
    "matched_accuracy",
    "matched_balanced_accuracy",
    "matched_macro_f1",
    "matched_log_loss",
    "end_to_end_accuracy",
    "end_to_end_macro_f1",
)
"""The figures every table has."""
