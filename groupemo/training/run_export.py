"""The net of a training as ONNX, in its folder: temperature fitted, origin told."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray

from groupemo.errors import OptionError
from groupemo.metrics.answers import Answers
from groupemo.metrics.scaling import TEMPERATURES, fit_scaling
from groupemo.training.data import Data
from groupemo.training.locking import locked
from groupemo.training.onnx_export import PRECISIONS, Exported, Precision, export
from groupemo.training.run import Run
from groupemo.training.validation import predict

__all__ = ["export_run"]

CALIBRATION_FACES = 500
"""Faces that give the ranges of int8; more change little."""


def export_run(
    run: Run,
    *,
    precision: Precision = "float32",
    temperature: float | None = None,
    licence: str = "not stated",
) -> tuple[Exported, ...]:
    """Write the net of a training's best epoch to its folder.

    Parameters
    ----------
    run : Run
        Its files of faces have to be where they were.
    precision : {"float32", "float16", "int8"}
        Of `net.onnx`; for "int8" that is float32, and `net.int8.onnx` stands beside it,
        which is removed otherwise: one of an earlier export may be of another epoch.
    temperature : float, optional
        If not given, the one that makes the cross-entropy of the validated faces with a
        label least (`groupemo.metrics.scaling`); 1 where there is none, or none is
        best, as where all answers are right.
    licence : str
        The terms of the net, written into the file.

    Returns
    -------
    tuple of Exported
        One a file; compared, and judged against labels, on the validated faces.

    Raises
    ------
    LabelError, OptionError
        If the faces are not there, or are others by now, or another process is at
        work in the folder.
    ModelError, OutputError
        As `export`; or if no epoch is done.
    """
    if precision not in PRECISIONS:
        raise OptionError(f"precision is {precision!r}: expected one of {', '.join(PRECISIONS)}")
    with ExitStack() as stack:
        stack.enter_context(locked(run.folder))
        data = Data.of_run(stack, run)
        net, learned, valid = run.load_net(), data.learned, data.validated
        labels, made = valid.labels, learned.file.provenance.get("options", {})
        flip = run.recipe.flip_valid
        metadata = {
            "architecture": run.recipe.architecture,
            "seed": str(run.recipe.seed),
            "epoch": str(run.best_epoch),
            "training_faces_sha256": learned.file.sha256,
            "licence": licence,
        }
        if temperature is None:
            temperature = _fitted(predict(net, valid, flip=flip), labels)
            metadata["temperature_fitted_on_sha256"] = valid.file.sha256
        options = {
            "side": valid.file.side,
            "channels": valid.file.channels,
            "temperature": temperature,
            "flip": flip,
            "faces": np.concatenate([*valid.in_order()]),
            "labels": labels,
            "margin": made.get("margin", 0.0),
            "square": made.get("square", False),
            "metadata": metadata,
        }
        plain: Precision = "float32" if precision == "int8" else precision
        files = [export(net, run.folder / "net.onnx", precision=plain, **options)]
        path = run.folder / "net.int8.onnx"
        if precision == "int8":
            shuffled = np.random.default_rng(run.recipe.seed).permutation(learned.rows)
            sample = learned.file.read(np.sort(shuffled[:CALIBRATION_FACES]))
            files.append(export(net, path, precision="int8", calibration_faces=sample, **options))
        else:
            for stale in (path, path.with_suffix(".toml")):
                stale.unlink(missing_ok=True)
    return tuple(files)


def _fitted(probs: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Return the temperature that fits the labelled faces best, to four digits."""
    known = np.flatnonzero(labels >= 0)
    if not len(known):
        return 1.0
    answers = Answers(np.arange(len(known)), len(known), labels[known], probs[known])
    scale, _ = fit_scaling(answers, "temperature")
    best = float(f"{1 / scale[0]:.4g}")
    return 1.0 if np.isclose(best, TEMPERATURES).any() else best
