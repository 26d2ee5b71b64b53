"""Where the errors come from: every face in one bin, and what mending a bin would gain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from groupemo.metrics.anatomy import BINS
from groupemo.report.axes import Axis, axis
from groupemo.report.grid import Grid, Run
from groupemo.standing import Gain

__all__ = ["Ablation", "Anatomy", "Part", "RunAnatomy", "anatomy", "run_anatomy"]


@dataclass(frozen=True)
class Part:
    """How many faces and detections are in one bin, and their share of all judged."""

    name: str
    count: int
    share: float

    @property
    def code(self) -> str:
        """The bin's name as in style sheets."""
        return self.name.replace(" ", "-")


@dataclass(frozen=True)
class RunAnatomy:
    """One run's errors; gains of candidates only."""

    run: Run
    parts: Sequence[Part]
    gains: Sequence[Gain]


@dataclass(frozen=True)
class Ablation:
    """Whose one run's loss is: the figure as found, and what each part costs."""

    run: Run
    value: float
    losses: Sequence[Gain]


@dataclass(frozen=True)
class Anatomy:
    """All runs' errors; gains share an axis, and so do ablations."""

    runs: Sequence[RunAnatomy]
    names: Sequence[str]
    axis: Axis
    ablations: Sequence[Ablation]


def anatomy(grid: Grid) -> Anatomy | None:
    """Return every run's errors; None where nothing was judged."""
    each = [run_anatomy(run, mend=run in grid.candidates) for run in grid.runs]
    if not any(part.count for one in each for part in one.parts):
        return None
    filled = {part.name for one in each for part in one.parts if part.count}
    names = [name for name in BINS if name in filled]
    gains = [gain for one in each for gain in one.gains]
    ends = [end for gain in gains for end in (gain.low, gain.value, gain.high)]
    return Anatomy(each, names, axis(ends), list(_ablations(grid)))


def _ablations(grid: Grid) -> Iterator[Ablation]:
    """Yield whose the loss is for each run whose backend was given the labelled boxes, too."""
    given = {run.backend for run in grid.runs if run.part == "reference"}
    for run in grid.runs:
        if run.part == "candidate" and run.backend in given:
            first, *steps = grid.evaluation.ablation(*run.scores.pair).to_dict("records")
            losses = [Gain(one["of"], 0, one["gain"], one["low"], one["high"]) for one in steps]
            yield Ablation(run, first["value"], losses)


def run_anatomy(run: Run, *, mend: bool = True) -> RunAnatomy:
    """Return one run's errors; without gains unless `mend`."""
    total = sum(run.bins.values()) or 1
    parts = [Part(name, count, count / total) for name, count in run.bins.items()]
    return RunAnatomy(run, parts, run.gains if mend else [])
