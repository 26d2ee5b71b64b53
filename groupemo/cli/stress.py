"""The command that makes faces harder to read: `stress`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import groupemo.cli._options as opt
from groupemo.cli._console import (
    counted,
    figure,
    marked,
    note_stand_ins,
    plain,
    print_json,
    print_note,
    print_table,
)
from groupemo.images import MAX_PIXELS
from groupemo.plugins import DEFAULT_BACKEND

if TYPE_CHECKING:
    from groupemo.robustness import Stress

__all__ = ["stress"]


def stress(
    labels: Annotated[
        Path, typer.Argument(metavar="LABELS", help="Hand labels.", show_default=False)
    ],
    photos: Annotated[
        list[str],
        typer.Option(
            metavar="PHOTOS",
            help="The labelled photos: a file, folder or glob. May be repeated.",
            show_default=False,
        ),
    ],
    backend: opt.Backends = [DEFAULT_BACKEND],  # noqa: B006 - Typer copies it
    kind: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND",
            help="What is disturbed: size, blur, jpeg, brightness, contrast, noise, shift, scale or"
            " rotation; with levels of your own, size=12,24,48. May be repeated; all if not"
            " given.",
            show_default=False,
        ),
    ] = None,
    out: opt.Out = Path("reports/stress"),
    seed: Annotated[
        int, typer.Option(metavar="N", help="Of what is random, such as the side of a shift.")
    ] = 0,
    workers: opt.Workers = None,
    max_pixels: opt.MaxPixels = MAX_PIXELS,
    as_json: opt.Json = False,
) -> None:
    """Say how accuracy falls as labelled faces get harder to read.

    Each backend is given the labelled boxes, undisturbed and disturbed level by
    level. Prints the level at which half of the balanced accuracy above chance is
    lost, and writes all curves (stress.md, stress.png, stress.csv) to the folder.
    """
    from groupemo.robustness import stress as run

    found = run(
        labels,
        photos,
        backends=backend,
        kinds=_kinds(kind) if kind else None,
        workers=workers,
        max_pixels=max_pixels,
        seed=seed,
    )
    page = found.save(out)
    if as_json:
        print_json({
            "curves": found.table().to_dict("records"),
            "half_lives": found.half_lives().to_dict("records"),
            "report": page,
        })  # fmt: skip
    else:
        _print(found)
        typer.echo(plain(f"report: {page}"))


def _kinds(words: Sequence[str]) -> Mapping[str, Sequence[float] | None]:
    """Return the levels asked for of each kind, None for its own."""
    kinds: dict[str, Sequence[float] | None] = {}
    for word in words:
        kind, equals, levels = word.partition("=")
        if kind in kinds:
            raise typer.BadParameter(f"{kind} is given twice", param_hint="--kind")
        try:
            kinds[kind] = [float(level) for level in levels.split(",")] if equals else None
        except ValueError:
            raise typer.BadParameter(
                f"{word!r}: expected KIND, or KIND=LEVEL,LEVEL such as size=12,24,48",
                param_hint="--kind",
            ) from None
    return kinds


def _print(found: Stress) -> None:
    from groupemo.robustness.pages import half_lives

    backends = [marked(backend) for backend in found.answers]
    rest = {
        name: [found.undisturbed(backend, name) for backend in found.answers]
        for name in ("accuracy", "balanced_accuracy")
    }
    print_table(
        "Undisturbed",
        ("Backend", "Faces>", "Accuracy>", "Balanced accuracy>"),
        [
            (backend, len(found.labels), *(_cell(rest[name][at]) for name in rest))
            for at, backend in enumerate(backends)
        ],
    )
    print_table(
        "Half-lives: the level at which half of the balanced accuracy above chance is lost",
        ("Disturbance", *(f"{backend}>" for backend in backends)),
        [(name, *words) for name, words in half_lives(found).items()],
    )
    print_note(
        f"{counted(len(found.photos), 'photo')}, labelled boxes. [low, high]: 95 % interval over"
        " photos. < and >: beyond the harshest level taken."
    )
    note_stand_ins(found.answers)


def _cell(told: Mapping[str, float]) -> object:
    return figure(told["value"], told["low"], told["high"])
