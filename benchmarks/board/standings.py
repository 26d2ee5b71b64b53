"""Figures with intervals, from what was measured.

Conventions
-----------
A `Span` is a figure with its 95 % interval (`groupemo.metrics.uncertainty`). What is counted on
photos has it over photos; what is timed has it over rounds, and a ratio of two contenders weighs
both alike in each round, which they ran one after the other: it is a paired one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groupemo.metrics.uncertainty import estimate

Results = Mapping[str, Any]
Weights = NDArray[np.float64]


@dataclass(frozen=True)
class Span:
    """A figure, and the bounds of its interval; NaN where there is none."""

    value: float
    low: float = math.nan
    high: float = math.nan

    def shown(self, digits: int = 2) -> str:
        """Return "2.10 [1.90, 2.31]"."""
        if math.isnan(self.value):
            return "-"
        value, low, high = (rounded(each, digits) for each in (self.value, self.low, self.high))
        return value if math.isnan(self.low) else f"{value} [{low}, {high}]"


def rounded(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if abs(value) < 100 or not digits else f"{value:.0f}"


def ratio(over: ArrayLike, under: ArrayLike, most: float = math.inf) -> Span:
    """Return a sum by a sum; each photo or round has one place in both."""
    top, bottom = np.asarray(over, dtype=np.float64), np.asarray(under, dtype=np.float64)
    return _span(lambda weights: _divided(weights @ top, weights @ bottom), len(top), most)


def times_as_fast(
    done: ArrayLike, seconds: ArrayLike, other_done: ArrayLike, other_seconds: ArrayLike
) -> Span:
    """Return how many times as much is done a second as another does, round by round."""
    a, b, c, d = (
        np.asarray(each, np.float64) for each in (done, seconds, other_done, other_seconds)
    )

    def of(weights: Weights) -> Weights:
        return _divided(weights @ a * (weights @ d), weights @ b * (weights @ c))

    return _span(of, len(a), math.inf)


def _span(of: Any, n: int, most: float) -> Span:
    return Span(*estimate(of, n, least=0.0, most=most))


def _divided(over: Weights, under: Weights) -> Weights:
    with np.errstate(invalid="ignore", divide="ignore"):
        return over / under


@dataclass(frozen=True)
class Standing:
    """One contender on group photos.

    Parameters
    ----------
    name, title : str
    ours, preset : bool
    twin : str
        groupemo's contender with the same detector and net.
    recall, precision : Span
        Of faces, at an IoU of 0.5.
    right : Span
        Of the faces labelled with an expression, the share found with that answer.
    found, correct : Span
        Faces found and answered, and faces found with the labelled expression, a second.
    milliseconds : float
        Wall time a photo.
    processes : int
    megabytes : float
        Peak memory of all its processes.
    times : Span
        How many times as many faces the first contender finds a second.
    """

    name: str
    title: str
    ours: bool
    preset: bool
    twin: str
    recall: Span
    precision: Span
    right: Span
    found: Span
    correct: Span
    milliseconds: float
    processes: int
    megabytes: float
    times: Span


def standings(speed: Results) -> list[Standing]:
    """Return how contenders stand, in their order."""
    told = speed["contenders"]
    return [_standing(name, told[name], _first(told)) for name in told if told[name]["laps"]]


def _first(told: Results) -> Results:
    return next(iter(told.values()))


def _standing(name: str, mine: Results, first: Results) -> Standing:
    photos = list(mine["counts"].values())
    counts = {key: np.array([photo[key] for photo in photos]) for key in photos[0]}
    seconds = [lap["seconds"] for lap in mine["laps"]]
    return Standing(
        name=name,
        title=mine["title"],
        ours=mine["ours"],
        preset=mine["preset"],
        twin=mine["twin"],
        recall=ratio(counts["found"], counts["labelled"], 1),
        precision=ratio(counts["found"], counts["found"] + counts["phantom"], 1),
        right=ratio(counts["correct"], counts["known"], 1),
        found=ratio(lap_sums(mine, "found"), seconds),
        correct=ratio(lap_sums(mine, "correct"), seconds),
        milliseconds=1000 * sum(seconds) / sum(len(lap["photos"]) for lap in mine["laps"]),
        processes=mine["processes"],
        megabytes=mine["megabytes"],
        times=faster(first, mine),
    )


def lap_sums(mine: Results, key: str) -> list[int]:
    """Return the sum of a count over the photos of each round."""
    return [sum(mine["counts"][photo][key] for photo in lap["photos"]) for lap in mine["laps"]]


def faster(one: Results, other: Results, key: str = "found") -> Span:
    """Return how many times as many faces a contender finds a second as another."""
    return times_as_fast(
        lap_sums(one, key), [lap["seconds"] for lap in one["laps"]],
        lap_sums(other, key), [lap["seconds"] for lap in other["laps"]],
    )  # fmt: skip


def quicker(seconds: Sequence[float], other: Sequence[float]) -> Span:
    """Return how many times as fast something is as another that did the same, round by round."""
    same = np.ones(len(seconds))
    return times_as_fast(same, seconds, same, other)


@dataclass(frozen=True)
class Goal:
    """What was to be reached, and what was.

    Parameters
    ----------
    what, wanted, seen : str
    met : bool or None
        None where it was not measured.
    """

    what: str
    wanted: str
    seen: str
    met: bool | None

    @property
    def word(self) -> str:
        """The verdict."""
        return "not measured" if self.met is None else "yes" if self.met else "no"


AT_LEAST = {"deepface": 12.0, "fer": 6.0, "fer mtcnn": 10.0}
"""Peer -> how many times its found faces a second."""

STRONGEST = ("deepface yunet 0.7", "deepface yunet 0.7 unaligned")
"""The peers that found most faces a second when the aim was set, and their better setting."""


def goals(results: Results) -> list[Goal]:
    """Return all aims, in the order of the parts that measure them."""
    return [
        *_speed_goals(results.get("speed")),
        *_classifier_goals(results.get("classifier", {}).get("seconds", {})),
        *_cold_goals(results.get("cold", {}).get("seconds", {})),
        _size_goal(results.get("naive")),
        _share_goal(results.get("share")),
    ]


def _speed_goals(speed: Results | None) -> list[Goal]:
    told = speed["contenders"] if speed else {}
    each = {one.name: one for one in standings(speed)} if speed else {}
    wanted = {**AT_LEAST, **dict.fromkeys(STRONGEST, 2.0)}
    rows = [
        _at_least(f"faces found a second{whose}, against {name}", least,
                  faster(told[ours], told[name]) if {ours, name} <= each.keys() else None)
        for name, least in wanted.items()
        for ours, whose in (("groupemo", ""), ("groupemo fast", ", preset fast"))
    ]  # fmt: skip
    if not each:
        return rows
    first, *_ = each.values()
    peers = [one for one in each.values() if not one.ours]
    curve = [one for one in each.values() if one.preset]
    below = [
        one.name
        for one in peers
        if first.recall.value <= one.recall.value or first.precision.value <= one.precision.value
    ]
    above = [one.name for one in peers if not any(beats(ours, one) for ours in curve)]
    return [
        *rows,
        Goal("recall and precision, against each peer's", "both higher", _but(below), not below),
        Goal("a preset with more recall and more correct faces a second", "for each peer",
             _but(above), not above),
    ]  # fmt: skip


def beats(ours: Standing, peer: Standing) -> bool:
    """Tell whether a contender is above and to the right of another in the picture."""
    return (
        ours.recall.value >= peer.recall.value and ours.correct.value >= peer.correct.value
    )  # fmt: skip


def _classifier_goals(seconds: Mapping[str, Sequence[float]]) -> list[Goal]:
    pairs = (
        ("the fer net, batched, against FER's loop over faces, Keras", 20.0,
         "groupemo: fer, batch", "fer, keras loop"),
        ("the fer net, batched, against FER's loop over faces, TensorFlow Lite (its default)", 20.0,
         "groupemo: fer, batch", "fer, loop"),
        ("the deepface net, batched, against DeepFace's loop over faces", 3.0,
         "groupemo: deepface, batch", "deepface, loop"),
    )  # fmt: skip
    return [
        _at_least(what, least, quicker(seconds[ours], seconds[theirs])
                  if ours in seconds and theirs in seconds else None)
        for what, least, ours, theirs in pairs
    ]  # fmt: skip


def _cold_goals(seconds: Mapping[str, Sequence[float]]) -> list[Goal]:
    rows = []
    for name in ("deepface", "deepface yunet 0.7 unaligned"):
        what = f"cold process to first result, by {name}'s"
        if "groupemo" in seconds and name in seconds:
            seen = quicker(seconds[name], seconds["groupemo"])
            rows.append(Goal(what, "under 0.80", seen.shown(), seen.value < 0.8))
        else:
            rows.append(Goal(what, "under 0.80", "-", None))
    return rows


def _size_goal(naive: Results | None) -> Goal:
    what, wanted = "base install by `pip install deepface fer ultralytics`, MB", "at most 0.10"
    if naive is None:
        return Goal(what, wanted, "-", None)
    share = naive["groupemo"]["megabytes"] / naive["naive"]["megabytes"]
    return Goal(what, wanted, f"{share:.2f}", share <= 0.1)


def _share_goal(share: Results | None) -> Goal:
    what, wanted = "one worker's wall time in decoding, OpenCV and ONNX Runtime", "at least 90 %"
    if share is None:
        return Goal(what, wanted, "-", None)
    return Goal(what, wanted, f"{share['share']:.0%}", share["share"] >= 0.9)


def _at_least(what: str, least: float, seen: Span | None) -> Goal:
    wanted = f"at least {least:g} times"
    if seen is None:
        return Goal(what, wanted, "-", None)
    return Goal(what, wanted, seen.shown(1), seen.value >= least)


def _but(names: Sequence[str]) -> str:
    return f"not for {', '.join(names)}" if names else "for all"
