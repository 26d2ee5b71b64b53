"""Write docs/reference/figures.md from `groupemo.figures`: `python docs/make_figures.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from groupemo.figures import FIGURES, HEADLINE, MAIN, Figure
from groupemo.markdown import table

PAGE = Path(__file__).parent / "reference" / "figures.md"

INTRODUCTION = f"""\
# Figures

<!-- Made by docs/make_figures.py from groupemo.figures. -->

Every figure of an evaluation, by the name it has in tables, on the command line and in
Python. The first word says what it is taken over
([which, and why](../explanation/denominators.md)); formulas are in
[metrics](../explanation/metrics.md). All have a 95 % interval over photos.

Figures in **bold** are in every table; runs are compared by `{MAIN}` unless another
is named. A figure is undefined, and shown as a dash, where the last column says so.
"""

OVER = {
    "detection": ("Detection", "Faces found, whatever their expression."),
    "matched": ("Matched", "The classifier alone, on faces that were found and answered."),
    "end_to_end": (
        "End-to-end",
        "The whole way: a missed or abstained face costs recall, a phantom precision.",
    ),
    "group": ("Group", "What is said of a photo's faces together, over photos."),
}


def page() -> str:
    """Return the whole page."""
    return "\n".join([INTRODUCTION, *sections()])


def sections() -> Iterator[str]:
    """Yield a section for each denominator."""
    for over, (title, meaning) in OVER.items():
        chosen = [figure for figure in FIGURES.values() if figure.over == over]
        rows = [row(figure) for figure in chosen]
        head = ("name", "figure", "range", "better", "stands on", "undefined where")
        yield f"## {title}\n\n{meaning}\n\n" + table(head, rows) + "\n"


def row(figure: Figure) -> list[str]:
    """Return a figure's cells."""
    name = f"`{figure.name}`"
    bounds = f"{bound(figure.least)} to {bound(figure.most)}"
    better = "higher" if figure.higher_is_better else "lower"
    bold = f"**{name}**" if figure.name in HEADLINE else name
    return [bold, figure.title, bounds, better, figure.unit, figure.undefined]


def bound(value: float) -> str:
    """Return a bound in few characters."""
    return "∞" if np.isinf(value) else f"{value:.3g}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
