"""What a report says, as plain values: the page and the Markdown show the same ones."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from groupemo._version import __version__
from groupemo.evaluation import Evaluation
from groupemo.labels import IGNORE, UNSURE
from groupemo.metrics import classification as cls
from groupemo.metrics.tally import ratio
from groupemo.plugins import STAND_IN as STAND_IN_LABEL
from groupemo.plugins import is_stand_in
from groupemo.report.gallery import Group, galleries, records
from groupemo.scores import Scores

__all__ = ["STAND_IN", "Content", "Figure", "Pair", "describe", "number", "summarize"]

STAND_IN = "stand-in weights: not the published model's accuracy"
"""The note wherever a figure of a backend without its published weights is shown."""

FEW_PHOTOS, FEW_FACES = 10, 10
LEFT_OUT = "left out"


def number(value: float, places: int = 2) -> str:
    """Return a number as text, a dash where it is not defined."""
    if math.isnan(value):
        return "\N{EN DASH}"
    return f"{value:.{places}f}".replace("-", "\N{MINUS SIGN}")


@dataclass(frozen=True)
class Figure:
    """One figure of one pair: its value, its 95 % interval, and what it stands on."""

    name: str
    value: float
    low: float = math.nan
    high: float = math.nan
    of: str = ""

    @property
    def span(self) -> str:
        """The interval in words; nothing where there is none."""
        known = not (math.isnan(self.low) or math.isnan(self.high))
        return f"{number(self.low)} to {number(self.high)}" if known else ""


@dataclass(frozen=True)
class Cell:
    """One cell of a confusion matrix: the count, its share of the row, whether it is right."""

    count: int
    share: float
    right: bool


@dataclass(frozen=True)
class Pair:
    """Everything said of one detector x backend."""

    detector: str
    backend: str
    figures: Mapping[str, Figure]
    columns: Sequence[str]
    confusion: Sequence[tuple[str, Sequence[Cell], int]]
    per_class: Sequence[Mapping[str, Any]]
    counts: Mapping[str, int]
    gallery: Sequence[Group] = ()

    @property
    def name(self) -> str:
        """Both labels in one."""
        return f"{self.detector} x {self.backend}"

    @property
    def stand_in(self) -> bool:
        """Whether the backend runs on weights that are not the published ones."""
        return is_stand_in(self.backend)


@dataclass(frozen=True)
class Content:
    """Everything a report says."""

    title: str
    made: str
    version: str
    photos: int
    min_iou: float
    labelled: Mapping[str, int]
    annotators: Sequence[str]
    answer: Sequence[str]
    pairs: Sequence[Pair]
    failures: Sequence[tuple[str, str, Sequence[str]]]
    left_out: Sequence[str]
    manifest: Sequence[tuple[str, str]]
    command: str
    show_faces: bool

    @property
    def faces(self) -> int:
        """How many faces are labelled; regions to leave out are none."""
        return sum(n for word, n in self.labelled.items() if word != LEFT_OUT)

    @property
    def stand_in(self) -> bool:
        """Whether any pair runs on stand-in weights."""
        return any(pair.stand_in for pair in self.pairs)

    @property
    def defined(self) -> bool:
        """Whether any end-to-end figure exists."""
        return any(not math.isnan(p.figures["end_to_end_macro_f1"].value) for p in self.pairs)


def describe(
    evaluation: Evaluation, *, show_faces: bool = False, title: str | None = None
) -> Content:
    """Return what a report on an evaluation says, its pictures included."""
    pairs = summarize(evaluation, galleries(evaluation, show_faces=show_faces))
    return Content(
        title=title or "How right the perceived expressions are",
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=__version__,
        photos=len(evaluation.labels),
        min_iou=evaluation.min_iou,
        labelled=_labelled(evaluation),
        annotators=evaluation.labels.annotators,
        answer=_answer(evaluation, pairs),
        pairs=pairs,
        failures=_failures(evaluation),
        left_out=evaluation.left_out,
        manifest=list(_flat(evaluation.manifest)),
        command=_command(evaluation),
        show_faces=show_faces,
    )


def summarize(
    evaluation: Evaluation, pictures: Mapping[tuple[str, str], Sequence[Group]] | None = None
) -> list[Pair]:
    """Return the pairs, best end-to-end macro-F1 first; without pictures unless given."""
    table = evaluation.table()
    pairs = [
        _pair(scores, row, (pictures or {}).get(scores.pair, ()))
        for scores, row in zip(evaluation.scores, records(table), strict=True)
    ]
    return sorted(pairs, key=_rank)


def _rank(pair: Pair) -> float:
    value = pair.figures["end_to_end_macro_f1"].value
    return math.inf if math.isnan(value) else -value


def _pair(scores: Scores, row: Mapping[str, Any], gallery: Sequence[Group]) -> Pair:
    return Pair(
        detector=scores.detector,
        backend=scores.backend,
        figures=_figures(scores, row),
        columns=[*scores.classes, "abstained", "missed"],
        confusion=_confusion(scores),
        per_class=records(scores.per_class().reset_index()),
        counts={name: int(row[name]) for name in ("ignored", "abstained", "clipped", "detected")},
        gallery=gallery,
    )


def _figures(scores: Scores, row: Mapping[str, Any]) -> dict[str, Figure]:
    """Return the figures shown, each with the counts it is made of."""
    known = int(cls.support(scores.tally, "end_to_end").sum())
    matched, right = int(row["matched"]), int(row["matched"] - row["wrong_emotion"])
    clipped = f", {row['clipped']} clipped" if row["clipped"] else ""
    judged = f"{row['found']} of {row['found'] + row['phantom']} detections"
    standing = {
        "detection_recall": f"{row['found']} of {row['labelled']} faces",
        "detection_precision": judged,
        "detection_ap50": f"{row['labelled']} faces",
        "matched_accuracy": f"{right} of {matched} faces",
        "matched_macro_f1": f"{matched} faces, {_present(scores, 'matched')}",
        "matched_log_loss": f"{matched} faces{clipped}",
        "end_to_end_accuracy": f"{right} of {known} faces",
        "end_to_end_macro_f1": f"{known} faces, {_present(scores, 'end_to_end')}",
        "seconds_per_photo": f"{row['photos']} photos",
    }
    return {
        name: Figure(
            name,
            float(row[name]),
            float(row.get(f"{name}_low", math.nan)),
            float(row.get(f"{name}_high", math.nan)),
            of,
        )
        for name, of in standing.items()
    }


def _present(scores: Scores, over: cls.Denominator) -> str:
    present = int((cls.support(scores.tally, over) > 0).sum())
    return f"{present} of {len(scores.classes)} classes"


def _confusion(scores: Scores) -> list[tuple[str, list[Cell], int]]:
    frame = scores.confusion()
    counts = frame.to_numpy()
    sums = counts.sum(axis=1, keepdims=True)
    shares = ratio(counts, np.broadcast_to(sums, counts.shape))
    k = len(scores.classes)
    return [
        (
            str(name),
            [Cell(int(n), float(shares[i, j]), i == j < k) for j, n in enumerate(counts[i])],
            int(sums[i, 0]),
        )
        for i, name in enumerate(frame.index)
    ]


def _labelled(evaluation: Evaluation) -> dict[str, int]:
    """Return how many faces are labelled with each word, words nobody used left out."""
    values = [faces.labels for faces in evaluation.labels.values()]
    labels = np.concatenate([*values, np.empty(0, np.int64)])
    words = dict(enumerate(evaluation.labels.classes)) | {UNSURE: "unsure", IGNORE: LEFT_OUT}
    counts = {word: int((labels == label).sum()) for label, word in words.items()}
    return {word: n for word, n in counts.items() if n}


def _answer(evaluation: Evaluation, pairs: Sequence[Pair]) -> list[str]:
    best, figures = pairs[0], pairs[0].figures
    headline, judged = figures["end_to_end_macro_f1"], len(evaluation[_key(best)].photos)
    if math.isnan(headline.value):
        return [
            "No labelled face here has a known expression that could be judged, so how right"
            " the answers are cannot be said."
        ]
    lead = "came closest to the hand labels" if len(pairs) > 1 else "was compared with hand labels"
    sentences = [
        f"{best.name} {lead}: end-to-end macro-F1 {number(headline.value)}{_interval(headline)}.",
        f"It found {figures['detection_recall'].of.removesuffix(' faces')} labelled faces; where"
        " it found a face and answered, it gave the labelled expression on"
        f" {figures['matched_accuracy'].of}.",
    ]
    sentences += _runner_up(evaluation, pairs)
    sentences += _rare_classes(best)
    if best.stand_in:
        sentences.append(f"Mind the {STAND_IN}.")
    if judged == 1:
        sentences.append("One photo says nothing about others: there are no intervals.")
    elif judged < FEW_PHOTOS:
        sentences.append(f"With so few photos ({judged}), the intervals themselves are rough.")
    return sentences


def _runner_up(evaluation: Evaluation, pairs: Sequence[Pair]) -> list[str]:
    if len(pairs) < 2 or math.isnan(pairs[1].figures["end_to_end_macro_f1"].value):
        return []
    rows = records(evaluation.compare(_key(pairs[0]), _key(pairs[1])).reset_index())
    row = next(row for row in rows if row["figure"] == "end_to_end_macro_f1")
    gap = Figure(row["figure"], row["difference"], row["low"], row["high"])
    next_best = f"Next is {pairs[1].name}, {number(gap.value)} lower{_interval(gap)}"
    if not gap.span:
        return [f"{next_best}."]
    verdict = (
        "more than the choice of photos would explain"
        if gap.low > 0
        else "no more than the choice of photos could explain"
    )
    return [f"{next_best}: {verdict}."]


def _rare_classes(pair: Pair) -> list[str]:
    rare = [
        f"{row['class']} ({row['end_to_end_support']})"
        for row in pair.per_class
        if 0 < row["end_to_end_support"] < FEW_FACES
    ]
    if not rare:
        return []
    few = f"Few faces stand for {', '.join(rare)}"
    return [f"{few}: the macro-F1 hangs on them, and is less sure than it looks."]


def _interval(figure: Figure) -> str:
    return f" (95 % interval {figure.span})" if figure.span else ""


def _key(pair: Pair) -> tuple[str, str]:
    return pair.detector, pair.backend


def _failures(evaluation: Evaluation) -> list[tuple[str, str, list[str]]]:
    """Return photo, what went wrong, and the pairs it went wrong for."""
    found: dict[tuple[str, str], list[str]] = {}
    for scores in evaluation.scores:
        for one in scores.failures:
            if one.failure:
                told = f"{one.failure.stage}: {one.failure.reason}"
                found.setdefault((one.photo, told), []).append(" x ".join(scores.pair))
    return [(photo, told, pairs) for (photo, told), pairs in found.items()]


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key} / ")
        elif not (above.startswith("plugins") and key in ("label", "groupemo")):  # said already
            yield f"{above}{key}", str(value)


def _command(evaluation: Evaluation) -> str:
    """Return how to run it again: as the run said, or as a call."""
    if "command" in evaluation.manifest:
        return str(evaluation.manifest["command"])
    specs = [
        list(dict.fromkeys(pair[side].removesuffix(STAND_IN_LABEL) for pair in _pairs(evaluation)))
        for side in (0, 1)
    ]
    return (
        "groupemo.evaluate(\n"
        '    "PHOTOS", "labels.csv",\n'
        f"    detectors={specs[0]},\n"
        f"    backends={specs[1]},\n"
        f"    min_iou={evaluation.min_iou},\n"
        ")"
    )


def _pairs(evaluation: Evaluation) -> list[tuple[str, str]]:
    return [scores.pair for scores in evaluation.scores]
