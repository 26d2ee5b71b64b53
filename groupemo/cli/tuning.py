"""The command that tries recipes: `tune`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import groupemo.cli._options as opt
from groupemo.cli._console import (
    complain,
    plain,
    print_json,
    print_note,
    print_table,
    resumable,
)
from groupemo.cli.training import Faces, RecipeFile, Settings, Valid, read_recipe

if TYPE_CHECKING:
    from groupemo.training.tuning import Tuning

__all__ = ["tune"]


def tune(
    faces: Faces,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="The study's folder.", show_default=False)
    ],
    valid: Valid = None,
    trials: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, help="How many recipes to try in all; ask for more later."
        ),
    ] = 30,
    recipe: RecipeFile = None,
    settings: Settings = None,
    space: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help='What to try, as JSON: {"lr": [0.0005, 0.01, "log"], "mixup": [0, 0.4],'
            ' "architecture": ["groupemo", "mini-xception"]}. If not given, ranges around the'
            " recipe: of its learning rate, regularization, balance and augmentation.",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(metavar="N", min=1, help="Trials at a time; they share the threads.")
    ] = 1,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of what is tried.")] = 0,
    no_prune: Annotated[
        bool, typer.Option("--no-prune", help="Train every trial to its end.")
    ] = False,
    as_json: opt.Json = False,
) -> None:
    """Try recipes, and keep the one with the least validation loss.

    The recipe itself is tried first. A trial that does worse than half of the
    others at the same epoch is ended early. The same command again goes on, even
    after a kill. The folder holds all trials, what mattered, pictures, and
    best.json for train --recipe. Needs: pip install 'groupemo[train]'.
    """
    from groupemo.models.pytorch import needs_train_extra

    with needs_train_extra():
        from groupemo.training.tuning import tune as run_tuning

    chosen = read_recipe(recipe, {}, settings)
    with resumable(out / "study.db"):
        found = run_tuning(
            faces,
            valid=valid,
            trials=trials,
            out=out,
            recipe=chosen,
            space=space,
            workers=workers,
            seed=seed,
            prune=not no_prune,
            progress=None,
        )
    if as_json:
        best = found.complete[0]
        print_json({
            "study": found.folder, "best": best.number, "recipe": found.folder / "best.json",
            "trials": found.table().to_dict("records"), "importances": found.importances,
        })  # fmt: skip
    else:
        _print(found)


def _print(found: Tuning) -> None:
    print_table(f"Best of {found.summary()}", *found.best_table())
    if found.importances:
        rows = [(name, f"{part:.2f}") for name, part in found.importances.items()]
        print_table("What mattered", ("Parameter", "Importance>"), rows)
    print_note(found.note())
    for number, reason in found.failures.items():
        complain(f"trial {number} failed: {reason}")
    typer.echo(plain(f"best recipe: {found.folder / 'best.json'}"))
    typer.echo(plain(f"report: {found.folder / 'tuning.md'}"))
