"""The arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "Backends",
    "Detectors",
    "Json",
    "MaxPixels",
    "Out",
    "Pdf",
    "Photos",
    "ShowFaces",
    "Workers",
]


def _known_detectors() -> tuple[str, ...]:
    from groupemo.plugins import DETECTORS

    return DETECTORS.names()


def _known_backends() -> tuple[str, ...]:
    from groupemo.plugins import BACKENDS

    return BACKENDS.names()


def _complete_detector(incomplete: str) -> list[str]:
    return [name for name in _known_detectors() if name.startswith(incomplete)]


def _complete_backend(incomplete: str) -> list[str]:
    return [name for name in _known_backends() if name.startswith(incomplete)]


Photos = Annotated[
    list[str],
    typer.Argument(metavar="PHOTOS", help="Files, folders or globs.", show_default=False),
]
DetectorSpec = Annotated[
    str,
    typer.Option(
        "--detector",
        "-d",
        metavar="SPEC",
        help="A detector: NAME or NAME:key=value,key=value.",
        autocompletion=_complete_detector,
    ),
]
Detectors = Annotated[
    list[str],
    typer.Option(
        "--detector",
        "-d",
        metavar="SPEC",
        help="A detector: NAME or NAME:key=value,key=value. May be repeated.",
        autocompletion=_complete_detector,
    ),
]
Backends = Annotated[
    list[str],
    typer.Option(
        "--backend",
        "-b",
        metavar="SPEC",
        help="An emotion backend, written like a detector. May be repeated.",
        autocompletion=_complete_backend,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(metavar="N", help="Threads; one for each core if not given.", show_default=False),
]
MaxPixels = Annotated[
    int, typer.Option(metavar="N", min=1, help="Larger photos are refused before they are decoded.")
]
Out = Annotated[Path, typer.Option(metavar="DIR", help="The folder for the results.")]
ShowFaces = Annotated[
    bool, typer.Option("--show-faces", help="Do not blur the faces in the report.")
]
Pdf = Annotated[
    bool,
    typer.Option("--pdf", help="Write report.pdf, too; if not given, an earlier one is removed."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
