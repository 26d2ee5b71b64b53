"""What an object shows of itself in a notebook."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groupemo.analysis import Analysis, read_again
from groupemo.drawing import (
    COLORS,
    UNANSWERED,
    blur_faces,
    captions,
    data_uri,
    draw_analysis,
)
from groupemo.errors import PhotoError
from groupemo.evaluation import Evaluation
from groupemo.report.grid import Grid
from groupemo.report.page import render
from groupemo.report.sections.table import table

__all__ = ["DISPLAY", "Shown", "analysis_html", "evaluation_html", "show_faces"]

MAX_SIDE = 900
"""Pixels of the longer side of a photo in a notebook."""

THUMB = 32
"""Pixels of the longer side of a face in the table."""


@dataclass
class Display:
    """How objects show themselves.

    Parameters
    ----------
    faces : bool
        Show faces as they are.
    """

    faces: bool = False


DISPLAY = Display()
"""What `show_faces` sets, for this process."""


def show_faces(on: bool = True) -> None:
    """Show faces as they are from here on in this notebook, or, with False, blurred again.

    They are blurred unless this is called: a notebook keeps its pictures, and is passed on.
    """
    DISPLAY.faces = on


@dataclass(frozen=True)
class Shown:
    """Something to look at in a notebook: the value of a cell.

    Parameters
    ----------
    html : str
    summary : str
        What is said of it where HTML is not shown.
    """

    html: str
    summary: str

    def __repr__(self) -> str:
        return f"<{self.summary}>"

    def _repr_html_(self) -> str:
        return self.html


def analysis_html(analysis: Analysis) -> str:
    """Return the photo with its faces drawn, and a table of probabilities, a row a face.

    The photo is left out, with the reason, where it is out of reach. The faces that were
    found are blurred unless `show_faces` was called.
    """
    texts, hues = captions(analysis.probs, analysis.classes)
    source, faces, reason = "", [""] * len(analysis), ""
    try:
        image = read_again(analysis)
        image = image if DISPLAY.faces else blur_faces(image, analysis.faces.boxes)
        source = data_uri(draw_analysis(image, analysis), MAX_SIDE, quality=75)
        faces = [data_uri(face, 2 * THUMB) for face in _cut(image, analysis)]
    except PhotoError as error:
        reason = str(error)
    rows = [
        {"face": face, "text": text, "color": hue, "probs": _probs(row)}
        for face, text, hue, row in zip(faces, texts, hues, analysis.probs, strict=True)
    ]
    return render(
        "analysis.html",
        analysis=analysis,
        rows=rows,
        source=source,
        reason=reason,
        side=THUMB,
        blurred=not DISPLAY.faces,
        colors=COLORS,
        other=UNANSWERED,
    )


def evaluation_html(evaluation: Evaluation) -> str:
    """Return the grid's table: the main figures with intervals and denominators."""
    grid = Grid(evaluation)
    return render("evaluation.html", evaluation=evaluation, grid=grid, table=table(grid))


def _cut(image: NDArray[np.uint8], analysis: Analysis) -> Iterator[NDArray[np.uint8]]:
    """Yield the whole pixels of each face."""
    for x1, y1, x2, y2 in analysis.faces.boxes.tolist():
        yield image[int(y1) : math.ceil(y2), int(x1) : math.ceil(x2)]


def _probs(row: NDArray[np.float64]) -> list[float]:
    return [] if np.isnan(row).any() else list(row.tolist())
