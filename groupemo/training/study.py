"""A study: what is to be tried, and what was, kept in SQLite so that a killed one goes on.

The folder of a study holds `study.db` and, for trial 7, `trials/0007/`: a run as
`groupemo.training.run` describes it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import optuna
import sqlalchemy
from optuna.trial import TrialState

from groupemo.errors import ModelError, OptionError
from groupemo.training.data import Data, Faces
from groupemo.training.faces_file import FacesFile
from groupemo.training.recipe import Recipe
from groupemo.training.run import new_net
from groupemo.training.search_space import as_distributions, own_values

__all__ = ["ENDED", "Plan", "begin_study", "draw_trial", "open_study", "run_folder"]

NAME = "groupemo"
ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)

PATIENCE = 60.0
"""Seconds to wait for another process that writes to the study."""

UNJUDGED_TRIALS = 5
"""Complete trials before any is pruned."""

UNJUDGED_PART = 1 / 3
"""Of a recipe's epochs, in which no trial is pruned: learning rates are still high."""


@dataclass(frozen=True)
class Plan:
    """What decides how a study goes on.

    Parameters
    ----------
    faces, valid : Path
        Files of faces; None for a part of `faces`.
    checksums : mapping
        Of these files, and of the recipe's teachers and start.
    recipe : Recipe
        What all trials share.
    space : mapping
        What they differ in; see `groupemo.training.search_space`.
    seed : int
        Of what is tried.
    prune : bool
        Whether trials that promise little are ended early.
    """

    faces: Path
    valid: Path | None
    checksums: Mapping[str, Any]
    recipe: Recipe
    space: Mapping[str, Any]
    seed: int
    prune: bool

    @classmethod
    def make(
        cls,
        faces: Faces,
        valid: Faces | None,
        *,
        recipe: Recipe,
        space: Mapping[str, Any],
        seed: int,
        prune: bool,
    ) -> Self:
        """Return the plan, once it is known that the faces and the space fit the recipe.

        Raises
        ------
        LabelError, ModelError, OptionError
            If they do not, or cannot be read.
        """
        distributions = as_distributions(space, recipe)
        with ExitStack() as stack:
            data = Data.open(stack, faces, valid, recipe, memory=1)
            about = data.identity(recipe)
            _build_each(recipe, distributions, data.learned.file)
        return cls(
            Path(about["faces"]["path"]),
            None if valid is None else Path(about["valid"]["path"]),
            {
                "faces": about["faces"]["sha256"],
                "valid": about["valid"]["sha256"],
                "teachers": about["teachers"],
                **({"start": about["start"]["sha256"]} if recipe.start else {}),
            },
            recipe,
            dict(space),
            seed,
            prune,
        )

    def told(self) -> dict[str, Any]:
        """Return, as JSON would, what may not change while a study goes on."""
        fixed = {**asdict(self), "faces": self.checksums}
        names = ("faces", "recipe", "space", "seed", "prune")
        told: dict[str, Any] = json.loads(json.dumps({name: fixed[name] for name in names}))
        return told


def open_study(folder: Path, plan: Plan) -> optuna.Study:
    """Return the study in a folder, a new one if there is none.

    Raises
    ------
    ModelError
        If `study.db` is something else.
    """
    path = folder / "study.db"
    connect = partial(sqlite3.connect, path, timeout=PATIENCE)  # a URL would not take every name
    pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
    if plan.prune:
        pruner = optuna.pruners.MedianPruner(
            n_startup_trials=UNJUDGED_TRIALS,
            n_warmup_steps=1 + int(plan.recipe.epochs * UNJUDGED_PART),
        )
    try:
        storage = optuna.storages.RDBStorage(
            "sqlite://", {"creator": connect, "poolclass": sqlalchemy.NullPool}
        )
        return optuna.create_study(
            storage=storage, study_name=NAME, pruner=pruner, load_if_exists=True
        )
    except (sqlalchemy.exc.DatabaseError, RuntimeError) as error:
        reason = str(error).split("\n")[0]
        raise ModelError(f"{path}: not a study that can be read here: {reason}") from error


def begin_study(folder: Path, plan: Plan) -> optuna.Study:
    """Return the folder's study, a new one or one to go on with.

    Raises
    ------
    OptionError
        If the folder holds a study with another plan.
    ModelError
        If its file cannot be read.
    """
    study = open_study(folder, plan)
    here, there = plan.told(), study.user_attrs.get("plan")
    if there is None:
        study.set_user_attr("plan", here)
    elif here != there:
        raise OptionError(
            f"{folder}: holds a study that was begun differently: {_differences(here, there)}."
            " Choose another folder, or go on with what that one was begun with"
        )
    return study


def draw_trial(study: optuna.Study, plan: Plan) -> int:
    """Add a running trial with its parameters, all at once; return its number.

    The first has the recipe's own values, if all are in the space. What the others
    have is a function of the plan and the trials before alone: each is drawn by a
    sampler of its own (tree-structured Parzen estimators: Bergstra et al., NeurIPS
    2011) from a copy of the study, so that nothing that is half drawn is ever saved.
    """
    before = study.trials
    space = as_distributions(plan.space, plan.recipe)
    params = None if before else own_values(space, plan.recipe)
    if params is None:
        [seed] = np.random.SeedSequence([plan.seed, len(before)]).generate_state(1)
        copy = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=int(seed)))
        copy.add_trials(before)
        params = copy.ask(space).params
    study.add_trial(
        optuna.trial.create_trial(state=TrialState.RUNNING, params=params, distributions=space)
    )
    return len(before)


def run_folder(folder: Path, number: int) -> Path:
    """Return the folder of a trial's run."""
    return folder / "trials" / f"{number:04d}"


def _build_each(recipe: Recipe, space: Mapping[str, Any], faces: FacesFile) -> None:
    """Build a net of every architecture in the space, and raise where one cannot be."""
    some = {name: getattr(one, "choices", None) or [one.low] for name, one in space.items()}
    first = {name: values[0] for name, values in some.items()}
    for architecture in some.get("architecture", [recipe.architecture]):
        tried = recipe.changed({**first, "architecture": architecture})
        new_net(tried, side=faces.side, channels=faces.channels, mean=faces.mean, std=faces.std)


def _differences(here: Mapping[str, Any], there: Mapping[str, Any]) -> str:
    """Return "lr is 0.01, there 0.002; seed is 1, there 0"."""
    recipes = (Recipe().changed(plan["recipe"]) for plan in (here, there))
    told = next(recipes).differences(next(recipes))
    told += [
        f"{name} is {here[name]!r}, there {there[name]!r}"
        for name in ("faces", "space", "seed", "prune")
        if here[name] != there[name]
    ]
    return "; ".join(told)
