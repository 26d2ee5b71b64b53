"""Answering only the sure faces: coverage and risk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from groupemo.figures import Estimate
from groupemo.metrics import calibration as cal
from groupemo.report.axes import Axis, axis
from groupemo.report.grid import Grid, Run
from groupemo.report.sections.table import Notes

__all__ = ["Calibration", "Curve", "calibration"]

CURVES = 6
"""Curves drawn at once; more are not told apart."""

POINTS = 120
"""Points of a curve at most."""

FEWEST = 20
"""A curve starts with this many faces: of fewer, the risk is one face's."""

KEPT = (1.0, 0.8, 0.5)
"""Shares of the faces answered, in the table."""


@dataclass(frozen=True)
class Curve:
    """One run's coverage and risk, and its figures of calibration."""

    run: Run
    points: Sequence[tuple[float, float]]
    kept: Sequence[tuple[float, float]]
    figures: Sequence[Estimate]


@dataclass(frozen=True)
class Calibration:
    """The curves; `shown` of them are drawn.

    Parameters
    ----------
    curves : sequence of Curve
    shown : int
    kept : sequence of float
        Shares of the faces answered.
    axis : Axis
        Of the risk.
    notes : Notes
    """

    curves: Sequence[Curve]
    shown: int
    kept: Sequence[float]
    axis: Axis
    notes: Notes


FIGURES = ("matched_ece", "matched_adaptive_ece", "matched_classwise_ece", "matched_aurc")


def calibration(grid: Grid) -> Calibration | None:
    """Return the curves of all runs that answered; None where none did."""
    runs = [run for run in [*grid.candidates, *grid.floors, *grid.references]
            if len(run.scores.answers)]  # fmt: skip
    curves = [_curve(run) for run in runs]
    if not curves:
        return None
    shown = min(CURVES, max(1, sum(run in grid.candidates for run in runs)))
    risks = [risk for curve in curves[:shown] for _, risk in curve.points]
    notes = Notes.of(each for curve in curves for each in curve.figures)
    return Calibration(curves, shown, KEPT, axis(risks, ticks=4), notes)


def _curve(run: Run) -> Curve:
    found = cal.risk_coverage(run.scores.answers)
    last = len(found.coverage) - 1
    first = min(int(np.searchsorted(found.coverage, FEWEST / len(run.scores.answers))), last)
    chosen = np.unique(np.linspace(first, last, POINTS).round().astype(int))
    kept = []
    for share in KEPT:
        at = min(int(np.searchsorted(found.coverage, share - 1e-9)), last)
        kept.append((float(found.threshold[at]), float(found.risk[at])))
    points = list(zip(found.coverage[chosen].tolist(), found.risk[chosen].tolist(), strict=True))
    figures = [run.estimates[name] for name in FIGURES if name in run.estimates]
    return Curve(run, points, kept, figures)
