"""What was tried in tuning, as pictures in the style of `groupemo.plots`.

A trial that was ended early stands where its loss was last; a failed one nowhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

from groupemo.plots._axes import BLUE, GRAY, GRID, SMALL, VERMILLION, heading, name_rows, new_axes

__all__ = ["plot_history", "plot_importances", "plot_learning", "plot_parameters"]

LOSS = "validation loss, nats"

COLUMNS = 4
"""Panels beside each other at most."""

LOOKS: Mapping[str, Mapping[str, Any]] = {
    "ended early": {"color": GRAY, "marker": "x", "zorder": 2},
    "complete": {"color": BLUE, "marker": "o", "zorder": 3},
    "best": {"color": VERMILLION, "marker": "D", "zorder": 4},
}
"""How the three sorts of trials look: told apart without colour, too."""


def plot_history(trials: Sequence[FrozenTrial], ax: Axes | None = None) -> Axes:
    """Plot the loss of each trial in their order, and the least one so far."""
    axes = new_axes(ax, (7, 3.8))
    for sort, some in _sorted(trials).items():
        axes.plot([one.number for one in some], [_loss(one) for one in some], **_dots(sort))
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    least = np.minimum.accumulate([trial.values[0] for trial in complete])
    axes.step([one.number for one in complete], least, where="post", color=VERMILLION,
              linewidth=1, label="least so far")  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="trial", ylabel=LOSS)
    return _headed(axes, "Trials in their order")


def plot_learning(trials: Sequence[FrozenTrial], ax: Axes | None = None) -> Axes:
    """Plot the loss of each trial after each epoch."""
    axes = new_axes(ax, (7, 3.8))
    for sort, some in _sorted(trials).items():
        look = {**LOOKS[sort], "linewidth": 2 if sort == "best" else 0.9, "markersize": 3}
        for at, trial in enumerate(some):
            epochs, losses = zip(*sorted(trial.intermediate_values.items()), strict=True)
            axes.plot(epochs, losses, label="" if at else sort, **look)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="epoch", ylabel=LOSS)
    return _headed(axes, "Trials, epoch by epoch")


def plot_importances(importances: Mapping[str, float], n: int, ax: Axes | None = None) -> Axes:
    """Plot what each parameter's part was in `n` complete trials, the greatest first."""
    axes = new_axes(ax, (7, 0.9 + 0.32 * len(importances)))
    bars = axes.barh(range(len(importances)), list(importances.values()), color=BLUE, height=0.6)
    axes.bar_label(bars, fmt="%.2f", padding=3, fontsize=SMALL)
    axes.margins(x=0.1)
    name_rows(axes, list(importances))
    axes.set_xlabel("importance (they sum to 1)")
    heading(axes, f"What mattered, from {n} complete trials")
    return axes


def plot_parameters(trials: Sequence[FrozenTrial], names: Sequence[str]) -> Figure:
    """Plot the loss against each parameter, over all of what might be tried."""
    columns = min(COLUMNS, len(names))
    rows = math.ceil(len(names) / columns)
    figure = Figure(
        figsize=(max(2.6 * columns, 5), 2.3 * rows + 0.6), dpi=110, layout="constrained"
    )
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for panel, name in zip(panels, names, strict=False):
        _draw_parameter(panel, trials, name)
    for panel in panels[len(names) :]:
        panel.remove()
    for panel in panels[::columns]:
        panel.set_ylabel(LOSS, fontsize=SMALL)
    handles, sorts = panels[0].get_legend_handles_labels()
    figure.suptitle("Loss against each parameter", fontsize=10)
    figure.legend(handles, sorts, loc="outside lower center", ncols=3, frameon=False,
                  fontsize=SMALL)  # fmt: skip
    return figure


def _draw_parameter(panel: Axes, trials: Sequence[FrozenTrial], name: str) -> None:
    about = trials[0].distributions[name]
    choices = [*about.choices] if isinstance(about, CategoricalDistribution) else None
    for sort, some in _sorted(trials).items():
        values = [one.params[name] for one in some]
        at = values if choices is None else [choices.index(value) for value in values]
        panel.plot(at, [_loss(one) for one in some], **_dots(sort))
    if choices is not None:
        panel.set_xticks(range(len(choices)), [str(one) for one in choices])
        panel.set_xlim(-0.5, len(choices) - 0.5)
    elif about.log:  # type: ignore[attr-defined]
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=5))
        panel.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        panel.xaxis.set_minor_locator(NullLocator())
    else:
        panel.xaxis.set_major_locator(MaxNLocator(5))
    panel.set_xlabel(name, fontsize=SMALL)
    panel.tick_params(labelsize=SMALL - 1)
    panel.grid(color=GRID)
    panel.set_axisbelow(True)


def _sorted(trials: Sequence[FrozenTrial]) -> dict[str, list[FrozenTrial]]:
    """Return the trials with a loss by the sort of `LOOKS` they are."""
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    best = min(complete, key=lambda trial: trial.values[0])
    pruned = [one for one in trials if one.state == TrialState.PRUNED and one.intermediate_values]
    return {"ended early": pruned, "complete": complete, "best": [best]}


def _loss(trial: FrozenTrial) -> float:
    """Return the least loss of a complete trial, the last of another."""
    if trial.state == TrialState.COMPLETE:
        return float(trial.values[0])
    return trial.intermediate_values[max(trial.intermediate_values)]


def _dots(sort: str) -> dict[str, Any]:
    return {**LOOKS[sort], "linestyle": "none", "markersize": 5, "label": sort}


def _headed(axes: Axes, title: str) -> Axes:
    axes.grid(color=GRID)
    axes.set_axisbelow(True)
    heading(axes, title, legend=4)
    return axes
