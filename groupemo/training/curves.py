"""Learning curves as pictures, in the style of `groupemo.plots`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from groupemo.files import write_atomically
from groupemo.plots._axes import BLUE, GRID, QUIET, VERMILLION, heading, new_axes, note, png
from groupemo.training.run import Row, Run

__all__ = ["plot_loss", "plot_right", "save_curves"]


def plot_loss(run: Run, ax: Axes | None = None) -> Axes:
    """Plot the loss in training and the cross-entropy in validation, epoch by epoch.

    Parameters
    ----------
    run : Run
    ax : Axes, optional
    """
    axes = new_axes(ax, (5.6, 3.6))
    _draw(axes, run.history, {"loss": "training", "valid_loss": "validation"})
    return _finish(axes, run, "Loss", "cross-entropy against votes, nats")


def plot_right(run: Run, ax: Axes | None = None) -> Axes:
    """Plot accuracy and balanced accuracy in validation, epoch by epoch.

    Parameters
    ----------
    run : Run
    ax : Axes, optional
    """
    axes = new_axes(ax, (5.6, 3.6))
    names = {"valid_accuracy": "accuracy", "valid_uar": "balanced accuracy"}
    _draw(axes, run.history, names)
    title = f"Right in validation, {run.data['valid']['faces']:,} faces"
    return _finish(axes, run, title, "share of those with a majority")


def save_curves(run: Run, path: str | Path) -> Path:
    """Write both plots as one PNG; return `path`.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    plot_loss(run, left)
    plot_right(run, right)
    return write_atomically(path, png(figure))


def _draw(axes: Axes, history: Sequence[Row], names: dict[str, str]) -> None:
    epochs = [row["epoch"] for row in history]
    styles = ((BLUE, "o-"), (VERMILLION, "s--"))
    for (column, name), (color, style) in zip(names.items(), styles, strict=True):
        values = [row[column] for row in history]
        axes.plot(epochs, values, style, color=color, markersize=3, label=name)


def _finish(axes: Axes, run: Run, title: str, ylabel: str) -> Axes:
    axes.set(xlabel="epoch", ylabel=ylabel)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(color=GRID)
    if run.history:
        axes.axvline(run.best_epoch, color=QUIET, linestyle=":", label="best epoch")
        heading(axes, title, legend=3)
    else:
        heading(axes, title)
        note(axes, "no epoch is done")
    return axes
