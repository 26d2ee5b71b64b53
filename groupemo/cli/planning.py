"""The command that says how many photos to label: `plan`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

import groupemo.cli._options as opt
from groupemo.cli._console import print_json, print_note, print_table
from groupemo.cli._runs import BackendLabel, DetectorLabel, choose_run

__all__ = ["plan"]


def plan(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIR",
            help="What evaluate wrote (--out), to plan from.",
            show_default=False,
        ),
    ] = None,
    detector: DetectorLabel = None,
    backend: BackendLabel = None,
    figure: Annotated[
        str, typer.Option(metavar="NAME", help="The figure to be sure of, from DIR.")
    ] = "end_to_end_macro_f1",
    width: Annotated[
        float, typer.Option(metavar="X", help="Width of the 95 % interval, bound to bound.")
    ] = 0.1,
    expect: Annotated[
        float | None,
        typer.Option(
            metavar="P", help="Without DIR: the share of faces expected right.", show_default=False
        ),
    ] = None,
    faces: Annotated[float, typer.Option(metavar="N", help="Without DIR: faces a photo.")] = 8.0,
    icc: Annotated[
        float,
        typer.Option(metavar="R", help="Without DIR: correlation of the faces of a photo, 0 to 1."),
    ] = 0.1,
    as_json: opt.Json = False,
) -> None:
    """Say how many photos to label for an interval of a wanted width.

    From a finished evaluation, for any of its figures; or, with --expect, from
    assumptions about a share such as recall or accuracy.
    """
    from groupemo import planning

    if folder is not None and expect is None:
        run = choose_run(folder, detector, backend)
        planned = planning.plan(run, figure=figure, width=width)
    elif expect is not None and folder is None:
        planned = planning.plan_ahead(expect, faces=faces, icc=icc, width=width)
    else:
        raise typer.BadParameter("give either DIR or --expect")
    if as_json:
        print_json({**asdict(planned), "sentence": planned.sentence})
    else:
        print_table(
            planned.title,
            ("Labelled photos>", f"Width of the {100 * planned.level:g} % interval>"),
            [(photos, planning.in_digits(wide)) for photos, wide in planned.curve],
        )
        print_note(planned.sentence)
