"""The command that fits a calibration on a saved evaluation: `calibrate`."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

import groupemo.cli._options as opt
from groupemo.cli._console import (
    NONE,
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
    from groupemo.metrics.answers import Answers
    from groupemo.metrics.uncertainty import Weights
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
    file that any run of the backend can carry: `--backend groupemo:calibration=FILE`.
    Prints log-loss and expected calibration error before and after: on the photos
    fitted, which flatters, and with each photo as fitted on others (five folds).
    Says whether the latter is better beyond chance.
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
    from groupemo.metrics.scaling import cross_fit

    answers, classes = answers_of(scores)
    on_others = cross_fit(answers, calibration.method)
    return {
        "detector": scores.detector,
        "backend": scores.backend,
        "method": calibration.method,
        "photos": len(calibration.fitted_on.photos),
        "faces": len(answers),
        "scale": dict(zip(classes, calibration.scale.tolist(), strict=True)),
        "bias": dict(zip(classes, calibration.bias.tolist(), strict=True)),
        "before": _judged(answers),
        "after": _judged(replace(answers, probs=calibration(answers.probs))),
        "after_cross_fitted": _judged(replace(answers, probs=on_others)),
        "change": _change(answers, replace(answers, probs=on_others)),
    }


def _judged(answers: Answers) -> dict[str, float]:
    """Return log-loss and ECE, each with its interval over photos."""
    from groupemo.metrics.calibration import expected_calibration_error
    from groupemo.metrics.uncertainty import estimate

    ece = partial(expected_calibration_error, answers)
    return {
        **_named("log_loss", estimate(partial(_log_loss, answers), answers.n, least=0)),
        **_named("ece", estimate(ece, answers.n, least=0, most=1)),
    }


def _change(before: Answers, after: Answers) -> dict[str, float]:
    """Return what the log-loss changes by on the same photos, with its interval.

    What was fitted is not fitted anew in each draw: the interval is of these fits.
    """
    from groupemo.metrics.uncertainty import estimate

    def change(weights: Weights) -> Weights:
        return _log_loss(after, weights) - _log_loss(before, weights)

    return _named("log_loss", estimate(change, before.n, difference=True))


def _log_loss(answers: Answers, weights: Weights) -> Weights:
    from groupemo.metrics.probabilistic import log_loss
    from groupemo.metrics.tally import ratio

    losses = log_loss(answers.probs, answers.labels)
    sums = answers.per_photo(np.stack([losses, np.ones(len(losses))], axis=1))
    total, faces = (weights @ sums).T
    return ratio(total, faces)


def _named(name: str, values: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))


def _print(told: dict[str, Any], backend: str, out: Path) -> None:
    print_table(
        f"Calibration of {backend} on {told['detector']}'s faces",
        ("Probabilities", "Log-loss>", "ECE>"),
        [
            (title, *(figure(*_bounds(told[name], of)) for of in ("log_loss", "ece")))
            for name, title in TITLES.items()
        ],
    )
    print_note(
        f"{counted(told['faces'], 'face')} in {counted(told['photos'], 'photo')}. Log-loss in nats;"
        " ECE: expected calibration error, 15 bins. Lower is better. [low, high]: 95 % interval"
        " over photos."
    )
    print_note(_sentence(*_bounds(told["change"], "log_loss")))
    if told["method"] == "temperature":
        temperature = 1 / next(iter(told["scale"].values()))
        print_note(f"temperature {temperature:.3f}: above 1 makes answers less sure")
    typer.echo(plain(f"calibration: {out}"))


def _bounds(told: dict[str, float], name: str) -> tuple[float, float, float]:
    return told[name], told[f"{name}_low"], told[f"{name}_high"]


def _sentence(change: float, low: float, high: float) -> str:
    """Say whether calibrating helps on photos it was not fitted on."""
    if math.isnan(change):
        return f"{NONE}: one photo has all the faces, so there are no other photos to fit on"
    verdict = "no telling whether it helps"
    if high < 0 or low > 0:
        verdict = f"{'better' if high < 0 else 'worse'} beyond chance"
    within = "no interval" if math.isnan(low) else f"95 % interval {low:+.2f} to {high:+.2f}"
    return f"{verdict}: on other photos the log-loss changes by {change:+.2f} nats ({within})"
