"""Model card and data sheet of a trained net, every figure computed from its files.

The model card follows Mitchell et al., "Model Cards for Model Reporting" (FAT* 2019),
the data sheet Gebru et al., "Datasheets for Datasets" (Communications of the ACM 64,
2021). What the figures stand on:

- *labelled* faces are those with one most frequent vote: it is their label. Cross-entropy
  against votes is taken over all validated faces.
- Intervals are those of `groupemo.metrics.uncertainty`, over photos; where each face is
  a photo of its own, as in FER2013, over faces.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from groupemo._version import __version__
from groupemo.emotions import EMOTIONS
from groupemo.files import write_atomically
from groupemo.metrics import agreement, calibration, classification
from groupemo.metrics.answers import Answers
from groupemo.metrics.probabilistic import entropy, soft_cross_entropy
from groupemo.metrics.scaling import cross_fit
from groupemo.metrics.tally import SUMS, Tally, ratio
from groupemo.metrics.uncertainty import DRAWS, Weights, interval, weigh, weightings
from groupemo.training.architectures import ARCHITECTURES
from groupemo.training.feed import Feed, majority
from groupemo.training.onnx_export import Exported, answer, validated
from groupemo.training.recipe import Recipe
from groupemo.training.run import Run

if TYPE_CHECKING:
    import jinja2

__all__ = ["TARGET", "ClassFigures", "Figure", "Judged", "Threshold", "judge", "write_cards"]

TARGET = 0.95
"""The accuracy of the answered faces that the suggested threshold is chosen for."""

FEW = 500
"""A class with fewer labelled faces to learn from is named as rare."""

CELLS = 2**25
"""Most draws x photos: 256 MiB; beyond 16,000 photos there are fewer draws."""

DASH = "\N{EN DASH}"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """A figure, its 95 % interval (NaN where there is none), and the faces it stands on."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class ClassFigures:
    """How right the answers are for one class: labelled and answered faces, and figures."""

    name: str
    labelled: int
    answered: int
    recall: Figure
    precision: Figure
    f1: Figure


@dataclass(frozen=True)
class Threshold:
    """The lowest confidence, in hundredths, from which answers reach a wanted accuracy.

    Parameters
    ----------
    confidence : float
    coverage : float
        Share of the labelled faces that are answered.
    accuracy : Figure
        Of those.
    """

    confidence: float
    coverage: float
    accuracy: Figure


@dataclass(frozen=True, eq=False)
class Judged:
    """How right a net is on faces with votes.

    Parameters
    ----------
    faces, labelled, photos : int
        All of them, those with one most frequent vote, and what they came from.
    figures : dict of str to Figure
        "accuracy", "balanced_accuracy", "macro_f1", "cross_entropy", "ece"; with the
        temperature taken out again "cross_entropy_before" and "ece_before"; with one
        fitted on other photos, in five folds, "ece_cross_fitted".
    classes : tuple of ClassFigures
    confusion : np.ndarray, shape=(7, 7)
        Rows the label, columns the answer.
    threshold : Threshold or None
        None where no confidence reaches `TARGET`.
    commonest : (str, float)
        The most frequent label, and the accuracy of always answering it.
    doubt : float
        Mean entropy of the votes, nats: the least cross-entropy possible.
    human : dict of str to float
        Of one random voter judged by the others: see `groupemo.metrics.agreement`. Empty
        where votes are not counts of two voters or more.
    """

    faces: int
    labelled: int
    photos: int
    figures: Mapping[str, Figure]
    classes: tuple[ClassFigures, ...]
    confusion: NDArray[np.int64]
    threshold: Threshold | None
    commonest: tuple[str, float]
    doubt: float
    human: Mapping[str, float]


def judge(
    probs: Floats, votes: NDArray[Any], photos: NDArray[Any], *, temperature: float = 1.0
) -> Judged:
    """Return how right probabilities are against votes.

    Parameters
    ----------
    probs : np.ndarray, shape=(n, 7)
        In the order of `EMOTIONS`.
    votes : np.ndarray, shape=(n, 7)
        Counts or shares, each row more than 0.
    photos : np.ndarray, shape=(n,)
        Which photo each face came from; any numbers.
    temperature : float
        That the logits of `probs` were divided by.
    """
    votes = votes.astype(np.float64)
    labels = majority(votes)
    known = labels >= 0
    names, photo = np.unique(photos, return_inverse=True)
    n, labelled = len(names), int(known.sum())
    answers = Answers(photo[known], n, labels[known], probs[known])
    hotter = probs**temperature  # temperature off: ln p = z / T + a constant
    plain = hotter / hotter.sum(axis=1, keepdims=True)
    before = Answers(photo[known], n, labels[known], plain[known])
    others = Answers(photo[known], n, labels[known], cross_fit(before, "temperature"))
    tallies = _Tallies(_tally_each(probs, votes, labels, photo, n), n)
    cooler = _Tallies(_tally_each(plain, votes, labels, photo, n), n)
    tally = tallies.whole
    support = classification.support(tally, "matched")
    figures = {
        "accuracy": tallies.figure(_matched(classification.accuracy), labelled),
        "balanced_accuracy": tallies.figure(_matched(classification.balanced_accuracy), labelled),
        "macro_f1": tallies.figure(_macro_f1, labelled),
        "cross_entropy": tallies.figure(_cross_entropy, len(votes), most=math.inf),
        "cross_entropy_before": cooler.figure(_cross_entropy, len(votes), most=math.inf),
        "ece": _estimate(partial(calibration.expected_calibration_error, answers), n, labelled),
        "ece_before": _estimate(
            partial(calibration.expected_calibration_error, before), n, labelled
        ),
        "ece_cross_fitted": _estimate(
            partial(calibration.expected_calibration_error, others), n, labelled
        ),
    }
    commonest = int(support.argmax())
    return Judged(
        faces=len(votes),
        labelled=labelled,
        photos=n,
        figures=figures,
        classes=tuple(_class_figures(tallies, at) for at in range(len(EMOTIONS))),
        confusion=classification.confusion(tally, "matched").astype(np.int64),
        threshold=_threshold(answers),
        commonest=(EMOTIONS[commonest], float(ratio(support[commonest], labelled))),
        doubt=float(entropy(votes).mean()),
        human=_human(agreement.Ballots(photo, n, votes)),
    )


class _Tallies:
    """One tally a photo, weighed once for the figures, their draws and their jackknife."""

    def __init__(self, stacked: Tally, n: int) -> None:
        self._weighed = [weigh(stacked, weights) for weights in weightings(n, _draws(n))]
        points = self._weighed[0]
        self.whole = Tally(points.counts[0], points.sums[0])

    def figure(self, of: Callable[[Tally], Floats], n: int, *, most: float = 1.0) -> Figure:
        """Return a figure of a tally, bounded by 0 and `most`."""
        return _figure(*(np.asarray(of(each)) for each in self._weighed), n=n, most=most)


def _figure(points: Floats, drawn: Floats, jackknife: Floats, *, n: int, most: float) -> Figure:
    value = float(points[0])
    return Figure(
        value, *interval(drawn, point=value, jackknife=jackknife, least=0.0, most=most), n
    )


def _estimate(of: Callable[[Weights], Floats], photos: int, n: int) -> Figure:
    return _figure(*map(of, weightings(photos, _draws(photos))), n=n, most=1.0)


def _draws(n: int) -> int:
    return max(min(DRAWS, CELLS // max(n, 1)), 200)


def _tally_each(
    probs: Floats, votes: Floats, labels: NDArray[np.int64], photo: NDArray[np.int64], n: int
) -> Tally:
    """Return a tally a photo: a face without a label is unsure, and counts for votes alone."""
    k = votes.shape[1]
    counts = np.zeros((n, k + 2, k + 2), np.int64)
    np.add.at(counts, (photo, np.where(labels < 0, k, labels), probs.argmax(axis=1)), 1)
    sums = np.zeros((n, len(SUMS)))
    np.add.at(sums[:, SUMS.index("voted")], photo, 1.0)
    np.add.at(sums[:, SUMS.index("soft_cross_entropy")], photo, soft_cross_entropy(probs, votes))
    return Tally(counts, sums)


def _matched(of: Callable[..., Floats]) -> Callable[[Tally], Floats]:
    return lambda tally: of(tally, "matched")


def _macro_f1(tally: Tally) -> Floats:
    return classification.macro(
        classification.f1(tally, "matched"), classification.support(tally, "matched")
    )


def _cross_entropy(tally: Tally) -> Floats:
    return classification.mean_over_voted(tally, "soft_cross_entropy")


def _class_figures(tallies: _Tallies, at: int) -> ClassFigures:
    labelled = int(classification.support(tallies.whole, "matched")[at])
    answered = int(classification.answered(tallies.whole, "matched")[at])

    def figure(of: Callable[..., Floats], n: int) -> Figure:
        return tallies.figure(lambda tally: of(tally, "matched")[..., at], n)

    return ClassFigures(
        name=EMOTIONS[at],
        labelled=labelled,
        answered=answered,
        recall=figure(classification.recall, labelled),
        precision=figure(classification.precision, answered),
        f1=figure(classification.f1, labelled),
    )


def _threshold(answers: Answers) -> Threshold | None:
    curve = calibration.risk_coverage(answers)
    steps = np.arange(100) / 100
    last = np.searchsorted(-curve.threshold, -steps, side="right") - 1  # the least that is enough
    reached = (
        (last >= 0) & (curve.risk[last] <= 1 - TARGET) if len(answers) else np.zeros(100, bool)
    )
    if not reached.any():
        return None
    confidence = float(steps[reached.argmax()])
    sure = answers.confidence >= confidence
    sums = answers.per_photo(np.stack([sure & answers.right, sure], axis=1))

    def accuracy(weights: Weights) -> Floats:
        return ratio(*(weights @ sums).T)

    return Threshold(
        confidence, float(sure.mean()), _estimate(accuracy, answers.n, int(sure.sum()))
    )


def _human(cast: agreement.Ballots) -> dict[str, float]:
    if not len(cast.compared.votes):
        return {}
    each = agreement.human_tally(cast)
    told = agreement.ceilings(Tally(each.counts.sum(axis=0), each.sums.sum(axis=0)))
    names = ("matched_accuracy", "matched_balanced_accuracy", "matched_macro_f1")
    return {name.removeprefix("matched_"): float(told[name]) for name in names}


@dataclass(frozen=True)
class FacesFacts:
    """What is to be said of faces a net learned from, or was validated on.

    Parameters
    ----------
    name, sha256 : str
        Of the file.
    faces, photos : int
        Used of it.
    side, channels : int
    mean, std : float
        Of pixel / 255.
    labelled : dict of str to int
        Faces with this class as their one most frequent vote.
    tied : int
        Faces without such a vote.
    shares : dict of str to float
        Of all votes, each face weighing the same.
    voters : float
        Mean sum of a face's votes.
    provenance : mapping
        As `groupemo.training.sources.read_source` gives it.
    """

    name: str
    sha256: str
    faces: int
    photos: int
    side: int
    channels: int
    mean: float
    std: float
    labelled: Mapping[str, int]
    tied: int
    shares: Mapping[str, float]
    voters: float
    provenance: Mapping[str, Any]

    @classmethod
    def of(cls, feed: Feed) -> FacesFacts:
        """Return the facts of the faces of a feed."""
        file, votes = feed.file, feed.votes.astype(np.float64)
        labels = majority(feed.votes)
        counts = np.bincount(labels[labels >= 0], minlength=len(EMOTIONS))
        shares = (votes / votes.sum(axis=1, keepdims=True)).mean(axis=0)
        return cls(
            name=file.path.name,
            sha256=file.sha256,
            faces=len(feed),
            photos=len(np.unique(file.photos[feed.rows])),
            side=file.side,
            channels=file.channels,
            mean=file.mean,
            std=file.std,
            labelled=dict(zip(EMOTIONS, counts.tolist(), strict=True)),
            tied=int((labels < 0).sum()),
            shares=dict(zip(EMOTIONS, shares.tolist(), strict=True)),
            voters=float(votes.sum(axis=1).mean()),
            provenance=file.provenance,
        )

    @property
    def rare(self) -> dict[str, int]:
        """Classes with fewer than `FEW` labelled faces."""
        return {name: n for name, n in self.labelled.items() if n < FEW}

    @property
    def is_fer2013(self) -> bool:
        """Whether a source is FER2013."""
        return any("FER2013" in each["terms"] for each in self.provenance.get("sources", ()))


def write_cards(
    run: Run, files: Sequence[Exported], *, licence: str = "not stated"
) -> tuple[Path, Path]:
    """Write card.md and datasheet.md to the folder of a training.

    Parameters
    ----------
    run : Run
        Its files of faces have to be where they were.
    files : sequence of Exported
        What `export_run` returned; the figures are those of the first.
    licence : str
        The terms of the net.

    Returns
    -------
    card, datasheet : Path

    Raises
    ------
    LabelError, OptionError
        If the faces are not there, or are others by now.
    ModelError, OutputError
        If the exported file cannot be run, or nothing can be written.
    """
    net = files[0]
    with ExitStack() as stack:
        data = validated(stack, run)
        valid = data.validated
        faces = np.concatenate([*valid.in_order()])
        photos = valid.file.photos[valid.rows]
        judged = judge(answer(net.path, faces), valid.votes, photos, temperature=net.temperature)
        about: dict[str, Any] = {
            "name": run.folder.resolve().name,
            "version": __version__,
            "licence": licence,
            "run": run,
            "net": net,
            "files": files,
            "parameters": sum(each.numel() for each in run.load_net().parameters()),
            "architecture": ARCHITECTURES[run.recipe.architecture],
            "recipe": _chosen(run.recipe),
            "judged": judged,
            "learned": FacesFacts.of(data.learned),
            "valid": FacesFacts.of(valid),
            "split": data.learned.file is valid.file,
        }
    written = [
        write_atomically(run.folder / name, _templates().get_template(name).render(about).encode())
        for name in ("card.md", "datasheet.md")
    ]
    return written[0], written[1]


def _chosen(recipe: Recipe) -> dict[str, Any]:
    """Return the fields of a recipe that have a value, augmentation's after the others."""
    own = {name: value for name, value in asdict(recipe).items() if value not in (None, ())}
    inner: dict[str, Any] = own.pop("augmentation")
    return own | {f"augmentation.{name}": value for name, value in inner.items()}


@cache
def _templates() -> jinja2.Environment:
    import jinja2

    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("groupemo.training"),
        autoescape=False,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "n": lambda number: f"{number:,}",
        "num": _number,
        "percent": lambda share: DASH if math.isnan(share) else f"{100 * share:.1f} %",
        "span": lambda one: DASH if math.isnan(one.low) else f"{one.low:.3f} to {one.high:.3f}",
        "md": _markdown,
    }
    templates.globals |= {"CLASSES": EMOTIONS, "TARGET": TARGET, "FEW": FEW, "NAN": math.nan}
    return templates


def _number(value: float, places: int = 3) -> str:
    return DASH if math.isnan(value) else f"{value:.{places}f}"


def _markdown(text: object) -> str:
    """Return text that Markdown shows as it is, in one line."""
    line = " ".join(str(text).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]|#!~])", r"\\\1", line)
