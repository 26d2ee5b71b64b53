"""The picture: recall against correct faces a second, a curve through groupemo's presets."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter

from board.standings import Standing
from groupemo.plots._axes import BLUE, GRAY, GRID, ORANGE, QUIET, VERMILLION

SIZE = (8.0, 5.0)
"""Inches; 100 dots each."""

PAPER, INK = "#ffffff", "#15181d"
DARK = {PAPER: "#191d23", INK: "#e8eaee", QUIET: "#a4acb8", GRID: "#2d333c", BLUE: "#4ba3dd",
        VERMILLION: "#ec7a2b", GRAY: "#7f8895"}  # fmt: skip
"""What a dark page has in place of each colour."""

LAST = 0.8
"""Share of the axes' width beyond which names stand at the left of their points."""

PEERS = {"deepface": (VERMILLION, "s"), "fer": (ORANGE, "^")}
"""First word of a peer's name -> its colour and marker."""


def draw(each: Sequence[Standing], dark: bool = False) -> Figure:
    """Return the picture of groupemo's presets and all peers, but for who got nothing right.

    Parameters
    ----------
    each : sequence of Standing
    dark : bool
        For a dark page.
    """
    colors = DARK if dark else {}

    def color(name: str) -> str:
        return colors.get(name, name)

    with mpl.rc_context({"figure.constrained_layout.use": True, "svg.fonttype": "none"}):
        figure = Figure(figsize=SIZE, dpi=100, facecolor=color(PAPER))
        axes = figure.add_subplot(facecolor=color(PAPER))
        shown = [one for one in each if one.correct.value > 0]
        curve = sorted((one for one in shown if one.preset), key=lambda one: one.correct.value)
        peers = [one for one in shown if not one.ours]
        axes.plot([one.correct.value for one in curve], [one.recall.value for one in curve],
                  color=color(BLUE), linewidth=2, zorder=2)  # fmt: skip
        for one in curve:
            _point(axes, one, color(BLUE), "o")
        for one in peers:
            name, marker = PEERS[one.name.partition(" ")[0]]
            _point(axes, one, color(name), marker)
        if curve or peers:
            _scale(axes, [*curve, *peers], color)
            _label(axes, [*curve, *peers], color(INK))
        return figure


def _point(axes: Axes, one: Standing, color: str, marker: str) -> None:
    x, y = one.correct, one.recall
    axes.errorbar(
        x.value, y.value, xerr=_arms(x.value, x.low, x.high), yerr=_arms(y.value, y.low, y.high),
        color=color, marker=marker, markersize=8, elinewidth=1.2, capsize=2.5, linestyle="none",
        zorder=3,
    )  # fmt: skip


def _arms(value: float, low: float, high: float) -> list[list[float]] | None:
    if math.isnan(low):
        return None
    return [[max(value - low, 0)], [max(high - value, 0)]]


def _scale(axes: Axes, each: Sequence[Standing], color) -> None:
    rates = [one.correct.value for one in each]
    axes.set_xscale("log")
    axes.set_xlim(min(rates) / 1.8, max(rates) * 2.6)
    axes.set_ylim(0, 1)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("faces found with the labelled expression, a second (right is better)",
                    color=color(INK), fontsize=11)  # fmt: skip
    axes.set_ylabel("labelled faces found (up is better)", color=color(INK), fontsize=11)
    axes.tick_params(which="both", colors=color(QUIET), labelsize=10)
    axes.grid(color=color(GRID), which="major")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(color(GRAY))


def _label(axes: Axes, each: Sequence[Standing], ink: str) -> None:
    """Name each point above or below it, whichever has the more room."""
    places = [_place(axes, one) for one in each]
    for one, (x, y) in zip(each, places, strict=True):
        above = sum(1 for a, b in places if abs(a - x) < 0.22 and 0 < b - y < 0.12)
        below = sum(1 for a, b in places if abs(a - x) < 0.22 and 0 < y - b < 0.12)
        up, left = below >= above, x > LAST
        axes.annotate(
            one.name, (one.correct.value, one.recall.value),
            xytext=(-6 if left else 6, 6 if up else -6), textcoords="offset points",
            ha="right" if left else "left", va="bottom" if up else "top", color=ink, fontsize=10,
            fontweight="bold" if one.ours else "normal", zorder=4,
        )  # fmt: skip


def _place(axes: Axes, one: Standing) -> tuple[float, float]:
    """Return where a point is, in shares of the axes."""
    at = axes.transData.transform((one.correct.value, one.recall.value))
    x, y = axes.transAxes.inverted().transform(at)
    return float(x), float(y)


def as_bytes(figure: Figure, kind: str) -> bytes:
    """Return a figure as a file of a kind: "png" or "svg"."""
    buffer = io.BytesIO()
    told = {"Date": None} if kind == "svg" else None
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "leaderboard"}):
        figure.savefig(buffer, format=kind, metadata=told, facecolor=figure.get_facecolor())
    return buffer.getvalue()
