"""The command that trains an emotion net: `train`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import groupemo.cli._options as opt
from groupemo.cli._console import (
    counted,
    plain,
    print_json,
    print_note,
    print_table,
    resumable,
)

if TYPE_CHECKING:
    from groupemo.training.recipe import Recipe
    from groupemo.training.run import Run

__all__ = ["train"]

Faces = Annotated[
    Path,
    typer.Argument(
        metavar="FACES", help="Faces to learn from: what prepare wrote.", show_default=False
    ),
]
Valid = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Faces to choose the best epoch on; those that are in FACES, too, or whose photo is,"
        " are left out. If not given, a tenth of FACES is kept for it.",
        show_default=False,
    ),
]
RecipeFile = Annotated[
    Path | None,
    typer.Option(
        "--recipe",
        metavar="FILE",
        help="A recipe.json, as in a run's folder; other options win over it.",
        show_default=False,
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Any field of the recipe: --set mixup=0.2 --set augmentation.rotation=20. May be"
        " repeated.",
        show_default=False,
    ),
]


def train(
    faces: Faces,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The run's folder.", show_default=False)],
    valid: Valid = None,
    recipe: RecipeFile = None,
    architecture: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="groupemo, fer2013-cnn, mini-xception or deepface; groupemo if not given.",
            show_default=False,
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="How often each face is seen; 40 if not given.", show_default=False
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(metavar="N", help="Faces a step; 128 if not given.", show_default=False),
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(
            metavar="X", help="The greatest learning rate; 0.002 if not given.", show_default=False
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Stop after so many epochs without a better one; never if not given.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", help="Of what is random; 0 if not given.", show_default=False),
    ] = None,
    settings: Settings = None,
    as_json: opt.Json = False,
) -> None:
    """Train an emotion net on faces with votes; the same command again goes on.

    Each epoch is saved, and a training that was stopped, even killed, ends with the
    same net as one that was not. The folder holds the recipe, the history and its
    picture, and the averaged net of the best epoch, as net.onnx with its temperature
    fitted, a model card and a data sheet. --backend onnx:model=DIR/net.onnx takes it.
    Needs: pip install 'groupemo[train]'.
    """
    from groupemo.models.pytorch import needs_train_extra

    named = {
        "architecture": architecture,
        "epochs": epochs,
        "batch": batch,
        "lr": lr,
        "patience": patience,
        "seed": seed,
    }
    with needs_train_extra():
        from groupemo.training.card import write_cards
        from groupemo.training.loop import train as run_training
        from groupemo.training.run_export import export_run

    chosen = read_recipe(recipe, named, settings)
    with resumable(out / "last.pt"):
        run = run_training(faces, valid=valid, recipe=chosen, out=out, progress=None)
        cards = write_cards(run, export_run(run))
    if as_json:
        print_json({
            "run": run.folder, "best_epoch": run.best_epoch, "best": run.best, "data": run.data,
            "history": run.history,
        })  # fmt: skip
    else:
        _print(run)
        for path in (run.folder / "net.onnx", *cards):
            typer.echo(plain(path))


def read_recipe(
    file: Path | None, named: Mapping[str, object], settings: list[str] | None
) -> Recipe:
    """Return the recipe in a file, changed by options of their own name, then by FIELD=VALUE."""
    from groupemo.errors import OptionError
    from groupemo.training.recipe import Recipe

    recipe = Recipe()
    if file is not None:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise OptionError(f"{file}: cannot be read: {error}") from error
        recipe = Recipe.from_json(text, source=str(file))
    values: dict[str, object] = {name: value for name, value in named.items() if value is not None}
    for setting in settings or ():
        name, equals, value = setting.partition("=")
        if not equals:
            raise typer.BadParameter(f"{setting!r}: expected FIELD=VALUE", param_hint="--set")
        values[name.strip()] = value.strip()
    return recipe.changed(values)


def _print(run: Run) -> None:
    best = run.best
    print_table(
        f"Best epoch of {run.folder}",
        ("Epoch>", "Cross-entropy>", "Accuracy>", "Balanced accuracy>", "ECE>"),
        [
            (
                f"{run.best_epoch} of {len(run.history)}",
                *(f"{best[f'valid_{name}']:.3f}" for name in ("loss", "accuracy", "uar", "ece")),
            )
        ],
    )
    valid = run.data["valid"]["faces"]
    print_note(
        f"Validated on {counted(valid, 'face')}, {run.data['left_out']} left out as leaked."
        " Cross-entropy against votes in nats; the rest on faces with a majority."
        " ECE: expected calibration error, 15 bins."
    )
