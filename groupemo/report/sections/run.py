"""The run: how to do it again, and what is known of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from groupemo.evaluation import Evaluation
from groupemo.report.grid import Grid
from groupemo.report.words import STAND_IN_LABEL

SAID = {("plugins", "label"), ("plugins", "groupemo"), ("", "command")}
"""Entries of the manifest that are shown elsewhere."""

__all__ = ["Manifest", "failures", "manifest"]


@dataclass(frozen=True)
class Manifest:
    """How to run it again, and the manifest's entries, flat."""

    command: str
    manifest: Sequence[tuple[str, str]]


def manifest(grid: Grid) -> Manifest:
    """Return what is known of the run."""
    return Manifest(_command(grid.evaluation), list(_flat(grid.evaluation.manifest)))


def failures(evaluation: Evaluation) -> list[tuple[str, str, list[str]]]:
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
        elif (above[:7], key) not in SAID:
            yield f"{above}{key}", str(value)


def _command(evaluation: Evaluation) -> str:
    """Return how to run it again: as the run said, or as a call."""
    if "command" in evaluation.manifest:
        return str(evaluation.manifest["command"])
    pairs = [scores.pair for scores in evaluation.scores]
    specs = [
        list(dict.fromkeys(pair[side].removesuffix(STAND_IN_LABEL) for pair in pairs))
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
