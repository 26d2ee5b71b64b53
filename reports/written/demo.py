"""The evaluation that `make demo` has saved, as chapters ask for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from groupemo.errors import GroupemoError
from groupemo.evaluation import load_evaluation
from groupemo.figures import Estimate
from groupemo.markdown import table
from groupemo.report.words import known, number
from groupemo.samples import list_samples
from groupemo.standing import Run, Standing
from reports.written.tables import Missing

__all__ = ["Demo", "with_interval"]

SHOWABLE = ("MIT", "public domain (NASA)")
"""The licences of the photos that are shown: no other photo is passed on, blurred or not."""

CHOSEN = ("yunet", "haar")
"""The two detectors whose boxes are drawn on one photo."""


@dataclass(frozen=True, eq=False)
class Demo:
    """What the demo found.

    Parameters
    ----------
    standing : Standing
    """

    standing: Standing

    @classmethod
    def open(cls, folder: Path) -> Demo:
        """Read what was saved.

        Raises
        ------
        Missing
            If nothing was.
        """
        try:
            return cls(Standing(load_evaluation(folder)))
        except GroupemoError as error:
            raise Missing(f"{error}; `make demo` makes it") from error

    @property
    def photos(self) -> int:
        """How many photos were read."""
        return len(self.best.scores.photos)

    @property
    def labelled(self) -> int:
        """How many faces are labelled."""
        return int(self.best.scores.overall()["labelled"])

    @property
    def read(self) -> int:
        """How many of them have a known expression."""
        return self.best.scores.estimates()["end_to_end_accuracy"].n

    @cached_property
    def best(self) -> Run:
        """The first run on published weights."""
        return next(run for run in self.standing.candidates if not run.stand_in)

    @property
    def detectors(self) -> list[str]:
        """All detectors, but for the labelled boxes."""
        return list(dict.fromkeys(run.detector for run in self.runs if run.part != "reference"))

    @property
    def backends(self) -> list[str]:
        """All backends."""
        return list(dict.fromkeys(run.backend for run in self.runs))

    @property
    def runs(self) -> list[Run]:
        """All runs, as they stand."""
        return self.standing.runs

    def run(self, detector: str, backend: str) -> Run:
        """Return one run.

        Raises
        ------
        Missing
            If the demo has none of that name.
        """
        for run in self.runs:
            if (run.detector, run.backend) == (detector, backend):
                return run
        raise Missing(
            f"the demo has no {detector} x {backend}: {', '.join(r.name for r in self.runs)}"
        )

    def figure(self, detector: str, backend: str, name: str) -> str:
        """Return one figure of a run with its interval."""
        return with_interval(self.run(detector, backend).estimates[name])

    @cached_property
    def comparisons(self) -> str:
        """How many of the differences between runs are more than chance, in a sentence."""
        return self.standing.evaluation.comparisons().sentence().rstrip(".") + "."

    def detection_table(self) -> str:
        """Return a row a detector."""
        names = ("detection_recall", "detection_precision", "detection_ap50")
        firsts = {run.detector: run for run in reversed(self.runs) if run.part != "reference"}
        rows = sorted(firsts.values(), key=lambda run: -run.estimates["detection_f1"].value)
        return table(
            ["detector", "found>", "missed>", "phantoms>", "recall>", "precision>", "AP50>"],
            [
                [run.detector, *_counts(run, ("found", "missed", "phantom")), *_figures(run, names)]
                for run in rows
            ],
        )

    def pairs_table(self) -> str:
        """Return a row a run, best first."""
        names = ("matched_accuracy", "matched_macro_f1", "matched_log_loss",
                 "end_to_end_accuracy", "end_to_end_macro_f1")  # fmt: skip
        return table(
            ["detector", "backend", "read>", "matched accuracy>", "macro-F1>", "log-loss>",
             "end-to-end accuracy>", "macro-F1 >"],
            [
                [run.detector, run.backend, *_counts(run, ("matched",)), *_figures(run, names)]
                for run in self.runs
            ],
        )  # fmt: skip

    @cached_property
    def showable(self) -> list[str]:
        """The photos whose terms let them be shown."""
        free = {one.file for one in list_samples() if one.licence in SHOWABLE}
        return [name for name in self.standing.evaluation.labels if name in free]

    @cached_property
    def worked(self) -> str:
        """The photo on which most goes wrong for the second of `CHOSEN`."""
        runs = [self.run(name, self.best.backend) for name in CHOSEN]

        def faults(name: str) -> tuple[int, int]:
            one, other = (run.scores.only([name]).overall() for run in runs)
            wrong = int(other["missed"] + other["phantom"])
            return wrong - int(one["missed"] + one["phantom"]), int(one["labelled"])

        return max(self.showable, key=faults)


def with_interval(one: Estimate, places: int = 2) -> str:
    """Return a figure with its interval, as in the other tables."""
    shown = number(one.value, places)
    if not known(one.low + one.high):
        return shown
    return f"{shown} [{number(one.low, places)}, {number(one.high, places)}]"


def _counts(run: Run, names: Iterable[str]) -> list[str]:
    overall = run.scores.overall()
    return [f"{overall[name]:.0f}" for name in names]


def _figures(run: Run, names: Iterable[str]) -> list[str]:
    return [with_interval(run.estimates[name]) for name in names]
