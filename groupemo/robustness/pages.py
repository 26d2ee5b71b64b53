"""The curves as files: tables, a picture, and a page of Markdown."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from groupemo.environment import versions
from groupemo.files import write_atomically
from groupemo.markdown import table
from groupemo.plots import plot_robustness
from groupemo.plots._axes import png
from groupemo.robustness.disturbances import DISTURBANCES
from groupemo.robustness.figures import FIGURES, MAIN

if TYPE_CHECKING:
    from groupemo.robustness.curves import Stress

__all__ = ["half_lives", "markdown", "write"]

Floats = NDArray[np.float64]


def write(found: Stress, folder: str | Path) -> Path:
    """Write tables, manifest, picture and page, each file whole; return the page."""
    target = Path(folder)
    write_atomically(target / "stress.csv", found.table().to_csv(index=False).encode())
    write_atomically(target / "half_lives.csv", found.half_lives().to_csv(index=False).encode())
    manifest = {
        "faces": len(found.labels),
        "photos": len(found.photos),
        "draws": found.draws,
        "seed": found.seed,
        "backends": found.provenance,
        "versions": versions(),
    }
    write_atomically(target / "manifest.json", json.dumps(manifest, indent=2).encode())
    write_atomically(target / "stress.png", png(plot_robustness(found).figure))
    text = f"{markdown(found)}\n![Accuracy against each disturbance](stress.png)\n"
    return write_atomically(target / "stress.md", text.encode())


def markdown(found: Stress) -> str:
    """Return the figures in words: undisturbed, half-lives, and accuracy at each level."""
    return "\n".join(_lines(found))


def half_lives(found: Stress) -> dict[str, list[str]]:
    """Return each half-life in words: kind and side -> one a backend, with its interval."""
    words: dict[str, list[str]] = {}
    for row in found.half_lives().to_dict("records"):
        name = f"{DISTURBANCES[row['kind']].title}, {row['side']}"
        words.setdefault(name, []).append(_half(row))
    return words


def _lines(found: Stress) -> Iterator[str]:
    small, middle, large = np.quantile(found.sides, [0.1, 0.5, 0.9])
    yield "# Robustness\n"
    yield (
        f"{len(found.labels)} labelled faces in {len(found.photos)} photos; side {small:.0f} to"
        f" {large:.0f} pixels (10th to 90th percentile), median {middle:.0f}. The boxes are the"
        " labelled ones. A face that a backend abstains from is one it got wrong; log-loss, in"
        " nats, is over the answered faces. [low, high]: 95 % interval over photos.\n"
    )
    yield "## Undisturbed\n"
    yield table(
        ["backend", *(f"{figure.title}>" for figure in FIGURES.values()), "answered>"],
        [
            [
                backend,
                *(_cell(found.undisturbed(backend, name)) for name in FIGURES),
                f"{(~np.isnan(answers[0]).any(axis=1)).sum()} of {len(found.labels)}",
            ]
            for backend, answers in found.answers.items()
        ],
    )
    yield "\n## Half-lives\n"
    yield (
        f"The level at which half of the {FIGURES[MAIN].title} above chance"
        f" ({found.chance(MAIN):.2f}) is lost. < and >: beyond the harshest level taken.\n"
    )
    halves = half_lives(found)
    backends = [f"{backend}>" for backend in found.answers]
    yield table(["disturbance", *backends], [[name, *words] for name, words in halves.items()])
    for kind in found.kinds:
        yield f"\n## Accuracy against {DISTURBANCES[kind].title}\n"
        curves = [found.curve(backend, kind, "accuracy") for backend in found.answers]
        yield table(
            ["level", *backends],
            [
                [f"{level:g}", *(_cell(_told(curve, at)) for curve in curves)]
                for at, level in enumerate(curves[0][0])
            ],
        )
    yield ""


def _told(curve: tuple[Floats, ...], at: int) -> Mapping[str, float]:
    return dict(zip(("value", "low", "high"), (float(each[at]) for each in curve[1:]), strict=True))


def _cell(told: Mapping[str, float]) -> str:
    if math.isnan(told["low"]):
        return f"{told['value']:.2f}"
    return f"{told['value']:.2f} [{told['low']:.2f}, {told['high']:.2f}]"


def _half(row: Mapping[Any, Any]) -> str:
    """Return a half-life with its interval, in words a table holds."""
    value, low, high = (_level(row[name], row["harshest"]) for name in ("level", "low", "high"))
    if not value:
        return str(row["outcome"])
    return value if not low or (low == high == value) else f"{value} [{low}, {high}]"


def _level(level: float, harshest: float) -> str:
    if math.isnan(level):
        return ""
    if math.isinf(level):
        return f"{'<' if level < 0 else '>'} {harshest:g}"
    return f"{level:.2g}" if abs(level) < 10 else f"{level:.0f}"
