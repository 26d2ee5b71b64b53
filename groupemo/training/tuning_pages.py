"""What a study has found: the trials, what mattered, the best recipe, pictures.

::

    trials.csv    a row a trial
    best.json     the recipe of the best trial, as `groupemo train --recipe` takes it
    tuning.md     the best trials and what mattered
    history.png, learning.png, importances.png, parameters.png
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from groupemo.errors import ModelError
from groupemo.files import write_atomically
from groupemo.markdown import table
from groupemo.plots._axes import png
from groupemo.training.recipe import Recipe
from groupemo.training.run import Run
from groupemo.training.study import run_folder
from groupemo.training.tuning_plots import (
    plot_history,
    plot_importances,
    plot_learning,
    plot_parameters,
)

__all__ = ["Tuning"]

ENOUGH = 50
"""Complete trials of which the best tenth are five: Optuna's advice for importances."""

LEAST = 4
"""Complete trials without which no importances are given and nothing is drawn."""

SHOWN = 10
"""Trials in the table of the best."""

STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}

PICTURES = {
    "history": "Trials in their order",
    "learning": "Trials, epoch by epoch",
    "importances": "What mattered",
    "parameters": "Loss against each parameter",
}
"""What is drawn, and what it is called where it cannot be seen."""


@dataclass(frozen=True, eq=False)
class Tuning:
    """What a study has found so far.

    Parameters
    ----------
    folder : Path
    study : optuna.Study
    trials : list of optuna.trial.FrozenTrial
        Those that ended, by number: complete, pruned (ended early) or failed.
    """

    folder: Path
    study: optuna.Study
    trials: list[FrozenTrial]

    @classmethod
    def of(cls, study: optuna.Study, folder: Path) -> Self:
        """Return what a study has found; running trials are left out."""
        return cls(folder, study, [one for one in study.trials if one.state.is_finished()])

    @property
    def complete(self) -> list[FrozenTrial]:
        """Complete trials, the least validation loss first."""
        return sorted(self._in(TrialState.COMPLETE), key=lambda trial: trial.values[0])

    @property
    def best(self) -> FrozenTrial | None:
        """The complete trial with the least validation loss; None if none is complete."""
        return next(iter(self.complete), None)

    @property
    def failures(self) -> dict[int, str]:
        """Number of each failed trial -> why."""
        return {one.number: one.user_attrs["reason"] for one in self._in(TrialState.FAIL)}

    @property
    def importances(self) -> dict[str, float]:
        """Parameter -> its part in whether a trial is among the best tenth; they sum to 1.

        PED-ANOVA (Watanabe et al., IJCAI 2023) over complete trials; the greatest first.
        Empty where fewer than four trials are complete.
        """
        if len(self.complete) < LEAST:
            return {}
        return dict(optuna.importance.get_param_importances(self.study))

    def recipe(self, trial: FrozenTrial) -> Recipe:
        """Return the recipe that a trial was trained with."""
        path = run_folder(self.folder, trial.number) / "recipe.json"
        try:
            return Recipe.from_json(path.read_text(encoding="utf-8"), source=str(path))
        except OSError as error:
            raise ModelError(f"{path}: cannot be read: {error.strerror}") from error

    def table(self) -> pd.DataFrame:
        """Return a row a trial: number, state, valid_loss, epochs, seconds, parameters, reason.

        `valid_loss` is the least of a complete trial, the last of a pruned one; `epochs`
        and `seconds` are what was trained.
        """
        return pd.DataFrame(
            [
                {
                    "number": trial.number,
                    "state": STATES[trial.state],
                    "valid_loss": math.nan if trial.value is None else trial.value,
                    "epochs": len(trial.intermediate_values),
                    "seconds": self._seconds(trial),
                    **trial.params,
                    "reason": trial.user_attrs.get("reason", ""),
                }
                for trial in self.trials
            ]
        )

    def summary(self) -> str:
        """Return "12 trials: 9 complete, 2 pruned, 1 failed"."""
        counts = {name: len(self._in(state)) for state, name in STATES.items()}
        told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        return f"{len(self.trials)} trial{'s' * (len(self.trials) != 1)}: {told}"

    def best_table(self) -> tuple[list[str], list[list[str]]]:
        """Return header and rows of the table of the best trials, figures to the right: `>`."""
        shown = self.complete[:SHOWN]
        names = list(dict.fromkeys(name for trial in shown for name in trial.params))
        rows = [
            [
                str(trial.number),
                f"{trial.values[0]:.4f}",
                str(len(trial.intermediate_values)),
                f"{self._seconds(trial) / 60:.1f}",
                *(_in_digits(trial.params[name]) for name in names),
            ]
            for trial in shown
        ]
        return [
            "Trial>",
            "Validation loss>",
            "Epochs>",
            "Minutes>",
            *(f"{n}>" for n in names),
        ], rows

    def note(self) -> str:
        """Say how far the best trial and the importances are to be trusted."""
        n = len(self.complete)
        told = (
            f"The best of {n} is chosen on the faces it was validated on, so its loss is an"
            " optimistic figure: take others to report on."
        )
        if n < LEAST:
            return f"{told} Too few trials are complete to say what mattered."
        guess = "" if n >= ENOUGH else f"; with fewer than {ENOUGH}, take it for a guess"
        return (
            f"{told} Importance: a parameter's part in whether a trial is among the best tenth"
            f" (PED-ANOVA), from {n} complete trials{guess}."
        )

    def save(self) -> Path:
        """Write tables, the best recipe and pictures; return the page, `tuning.md`.

        Raises
        ------
        OutputError
            If one cannot be written.
        """
        write_atomically(self.folder / "trials.csv", self.table().to_csv(index=False).encode())
        if self.best:
            text = self.recipe(self.best).to_json()
            write_atomically(self.folder / "best.json", text.encode())
        if len(self.complete) >= LEAST:
            for name, figure in self._figures().items():
                write_atomically(self.folder / f"{name}.png", png(figure))
        page = "\n".join(self._page())
        return write_atomically(self.folder / "tuning.md", page.encode())

    def _in(self, state: TrialState) -> list[FrozenTrial]:
        return [trial for trial in self.trials if trial.state == state]

    def _seconds(self, trial: FrozenTrial) -> float:
        try:
            history = Run.open(run_folder(self.folder, trial.number)).history
        except ModelError:
            return 0.0  # failed before its first epoch
        return round(sum(row["seconds"] for row in history), 3)

    def _figures(self) -> dict[str, Any]:
        importances = self.importances
        figures = (
            plot_history(self.trials).figure,
            plot_learning(self.trials).figure,
            plot_importances(importances, len(self.complete)).figure,
            plot_parameters(self.trials, list(importances)),
        )
        return dict(zip(PICTURES, figures, strict=True))

    def _page(self) -> Iterator[str]:
        yield f"# Tuning\n\n{self.summary()}.\n"
        if self.best:
            yield "## Best trials\n"
            yield f"{table(*self.best_table())}\n\n{self.note()}\n"
        if self.importances:
            yield "## What mattered\n"
            parts = [[name, f"{part:.2f}"] for name, part in self.importances.items()]
            yield f"{table(['Parameter', 'Importance>'], parts)}\n"
            for name, title in PICTURES.items():
                yield f"![{title}]({name}.png)\n"
        if self.failures:
            yield "## Failed\n"
            for number, reason in self.failures.items():
                yield f"- Trial {number}: {' '.join(reason.split())}"


def _in_digits(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
