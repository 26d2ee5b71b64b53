"""Choosing one run of a saved evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from groupemo.scores import Scores

__all__ = ["BackendLabel", "DetectorLabel", "choose_run"]

ONLY = "Whose answers; needed where DIR has several."
DetectorLabel = Annotated[
    str | None, typer.Option("--detector", "-d", metavar="LABEL", help=ONLY, show_default=False)
]
BackendLabel = Annotated[
    str | None, typer.Option("--backend", "-b", metavar="LABEL", help=ONLY, show_default=False)
]


def choose_run(folder: Path, detector: str | None, backend: str | None) -> Scores:
    """Return the one run of a saved evaluation that fits.

    Raises
    ------
    OptionError
        If none or several fit.
    """
    from groupemo.errors import OptionError
    from groupemo.evaluation import load_evaluation
    from groupemo.plugins import STAND_IN

    runs = load_evaluation(folder).scores
    fitting = [
        scores
        for scores in runs
        if detector in (None, scores.detector)
        and backend in (None, scores.backend, scores.backend.removesuffix(STAND_IN))
    ]
    if len(fitting) != 1:
        known = ", ".join(" x ".join(scores.pair) for scores in runs)
        raise OptionError(
            f"{len(fitting) or 'none'} of the runs fit: choose one with --detector and --backend;"
            f" there are {known}"
        )
    return fitting[0]
