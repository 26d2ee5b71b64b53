"""The command that fits a calibration on a saved evaluation: `calibrate`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

import groupemo.cli._options as opt
from groupemo.cli._console import (
    counted,
    figure,
    marked,
    plain,
    print_json,
    print_note,
    print_table,
)
from groupemo.cli._runs import BackendLabel, DetectorLabel, choose_run

if TYPE_CHECKING:
    from groupemo.calibration import Calibration
    from groupemo.scores import Scores

__all__ = ["calibrate"]

TITLES = {
    "before": "as answered",
    "after": "calibrated, on the photos fitted",
    "after_cross_fitted": "calibrated, as fitted on other photos",
}


def calibrate(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="What evaluate wrote (--out).", show_default=False),
    ],
    detector: DetectorLabel = None,
    backend: BackendLabel = None,
    method: Annotated[
        str,
        typer.Option(metavar="NAME", help="temperature (one number) or vector (two a class)."),
    ] = "temperature",
    out: Annotated[Path, typer.Option(metavar="FILE", help="The file for the calibration.")] = Path(
        "calibration.json"
    ),
    as_json: opt.Json = False,
) -> None:
    """Make a backend's probabilities true: fit them to hand labels, without running a model.

    Fits on the saved evaluation's found and answered faces, and writes a small
    file that any run of the backend can carry: `--backend fer:calibration=FILE`.
    Prints log-loss and expected calibration error before and after: on the photos
    fitted, which flatters, and with each photo as fitted on others (five folds).
    """
    from groupemo.calibration import fit_calibration

    scores = choose_run(folder, detector, backend)
    calibration = fit_calibration(scores, method=method)  # type: ignore[arg-type]
    calibration.save(out)
    told = _figures(scores, calibration)
    if as_json:
        print_json({"calibration": out, **told})
    else:
        _print(told, marked(scores.backend), out)


def _figures(scores: Scores, calibration: Calibration) -> dict[str, Any]:
    from groupemo.calibration import answers_of
    from groupemo.metrics.calibration import expected_calibration_error
    from groupemo.metrics.probabilistic import log_loss
    from groupemo.metrics.scaling import cross_fit

    answers, classes = answers_of(scores)
    once = np.ones((1, answers.n))
    told: dict[str, Any] = {
        "detector": scores.detector,
        "backend": scores.backend,
        "method": calibration.method,
        "photos": len(calibration.fitted_on.photos),
        "faces": len(answers),
        "scale": dict(zip(classes, calibration.scale.tolist(), strict=True)),
        "bias": dict(zip(classes, calibration.bias.tolist(), strict=True)),
    }
    for name, probs in (
        ("before", answers.probs),
        ("after", calibration(answers.probs)),
        ("after_cross_fitted", cross_fit(answers, calibration.method)),
    ):
        judged = replace(answers, probs=probs)
        told[name] = {
            "log_loss": float(log_loss(probs, answers.labels).mean()),
            "ece": float(expected_calibration_error(judged, once)[0]),
        }
    return told


def _print(told: dict[str, Any], backend: str, out: Path) -> None:
    print_table(
        f"Calibration of {backend} on {told['detector']}'s faces",
        ("Probabilities", "Log-loss>", "ECE>"),
        [
            (title, figure(told[name]["log_loss"]), figure(told[name]["ece"]))
            for name, title in TITLES.items()
        ],
    )
    print_note(
        f"{counted(told['faces'], 'face')} in {counted(told['photos'], 'photo')}. Log-loss in nats;"
        " ECE: expected calibration error, 15 bins. Lower is better."
    )
    if told["method"] == "temperature":
        temperature = 1 / next(iter(told["scale"].values()))
        print_note(f"temperature {temperature:.3f}: above 1 makes answers less sure")
    typer.echo(plain(f"calibration: {out}"))
