"""The command that opens the labelling tool: `label`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

import groupemo.cli._options as opt
from groupemo.plugins import DEFAULT_DETECTOR

__all__ = ["label"]


def label(
    photos: opt.Photos,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The label file; labels.csv in the folder if not given. Its journal stands beside"
            " it.",
            show_default=False,
        ),
    ] = None,
    annotator: Annotated[
        str,
        typer.Option(
            "--annotator",
            "-a",
            metavar="NAME",
            help="Your name or initials; the page asks if not given.",
            show_default=False,
        ),
    ] = "",
    detector: opt.DetectorSpec = DEFAULT_DETECTOR,
    backend: Annotated[
        list[str] | None,
        typer.Option(
            "--backend",
            "-b",
            metavar="SPEC",
            help="A backend for --order active, whose guess the page offers to show. May be"
            " repeated.",
            show_default=False,
        ),
    ] = None,
    order: Annotated[
        str,
        typer.Option(
            metavar="HOW",
            help="Photos by name, in a shuffle, or, active, first those that backends are unsure"
            " of or disagree about.",
        ),
    ] = "name",
    seed: Annotated[
        int, typer.Option(metavar="N", help="Of the shuffle, and of what is shown again.")
    ] = 0,
    repeat: Annotated[
        float,
        typer.Option(
            metavar="X",
            min=0,
            max=1,
            help="Share of finished photos to label again, without their labels, to see how far"
            " one agrees with oneself.",
        ),
    ] = 0.0,
    take_in: Annotated[
        Path | None,
        typer.Option(
            "--import", metavar="FILE", help="Labels to take in first.", show_default=False
        ),
    ] = None,
    format: Annotated[
        str,
        typer.Option(metavar="NAME", help="Of --import: csv, coco, yolo, labelstudio or voc."),
    ] = "csv",
    contempt: Annotated[
        str,
        typer.Option(
            metavar="RULE",
            help="Of --import, what becomes of contempt: refuse, drop, or an expression.",
        ),
    ] = "refuse",
    port: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="The page's port; if not given, the same each time for the same labels.",
            show_default=False,
        ),
    ] = None,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the page's address, and do not open it.")
    ] = False,
) -> None:
    """Label faces by hand, on a page that this machine alone can open.

    A detector proposes boxes; you mend them, and give each face the expression you
    perceive, by one key. No guess of a model is shown unless you ask for it. What the
    page says is saved is on the disk: stop when you like, the same command goes on.
    Several people may label the same photos, each blind to the others.
    """
    from groupemo.labeller.serving import from_here
    from groupemo.labeller.serving import label as run

    written = run(
        photos[0] if len(photos) == 1 else photos,
        labels=labels,
        annotator=annotator,
        detector=detector,
        backends=backend or (),
        order=order,
        seed=seed,
        repeat=repeat,
        take_in=take_in,
        format=format,
        contempt=contempt,
        port=port,
        open_browser=not no_browser,
        notebook=False,
    )
    if isinstance(written, Path) and written.is_file():
        print("next:", shlex.join(["groupemo", "evaluate", *photos, str(from_here(written))]))
