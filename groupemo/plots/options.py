"""What two options of a detector do to a figure."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from groupemo.errors import OptionError
from groupemo.evaluation import Evaluation
from groupemo.figures import FIGURES
from groupemo.metrics import detection as det
from groupemo.plots._axes import SMALL, counted, heading, new_axes
from groupemo.scores import Scores

__all__ = ["plot_options"]

COUNTS = {
    "missed": (det.missed, "missed faces"),
    "phantom": (det.phantom, "phantoms: boxes without a face"),
}


def plot_options(
    evaluation: Evaluation, x: str, y: str, figure: str = "missed", ax: Axes | None = None
) -> Axes:
    """Plot one figure as a heat map over two options of a detector.

    Where several backends read the same faces, the first's run is taken. A cell that was not
    run is left empty.

    Parameters
    ----------
    evaluation : Evaluation
        Of detectors such as "haar:scale_factor=1.2,min_neighbors=3"; those without both
        options are left out.
    x, y : str
        The options.
    figure : str
        "missed" or "phantom", counts of all photos, or a name in `groupemo.figures.FIGURES`.
    ax : Axes, optional

    Raises
    ------
    OptionError
        If there is no such figure, or no detector has both options.
    """
    if figure not in COUNTS and figure not in FIGURES:
        raise OptionError(f"figure {figure!r}: expected one of {', '.join([*COUNTS, *FIGURES])}")
    cells: dict[tuple[float, float], float] = {}
    for scores in evaluation.scores:
        options = next(scores.analyses()).provenance["detector"].get("options", {})
        if x in options and y in options:
            cells.setdefault((options[x], options[y]), _value(scores, figure))
    if not cells:
        raise OptionError(f"no detector was run with both options, {x} and {y}")
    columns, rows = (sorted({cell[place] for cell in cells}) for place in (0, 1))
    values = np.array([[cells.get((c, r), np.nan) for c in columns] for r in rows])

    axes = new_axes(ax, (1.2 + 0.75 * len(columns), 1.4 + 0.5 * len(rows)))
    axes.imshow(values, cmap=_shades(figure), aspect="auto")
    axes.set_xticks(range(len(columns)), [f"{value:g}" for value in columns])
    axes.set_yticks(range(len(rows)), [f"{value:g}" for value in rows])
    axes.tick_params(length=0)
    axes.set(xlabel=x, ylabel=y)
    middle = (np.nanmin(values) + np.nanmax(values)) / 2
    dark = values < middle if _shades(figure).endswith("_r") else values > middle
    for (row, column), value in np.ndenumerate(values):
        if not np.isnan(value):
            text = f"{value:.0f}" if figure in COUNTS else f"{value:.2f}"
            ink = "white" if dark[row, column] else "black"
            axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=SMALL + 1)
    title = COUNTS[figure][1] if figure in COUNTS else FIGURES[figure].full_title
    heading(axes, f"{title}, {counted(len(evaluation.labels), 'photo')}")
    return axes


def _value(scores: Scores, figure: str) -> float:
    if figure in COUNTS:
        return float(COUNTS[figure][0](scores.tally))
    return scores.estimates()[figure].value


def _shades(figure: str) -> str:
    """Return the colour map in which dark is bad."""
    good = figure in FIGURES and FIGURES[figure].higher_is_better
    return "Blues_r" if good else "Blues"
