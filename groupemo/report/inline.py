"""What an object shows of itself in a notebook."""

from __future__ import annotations

import base64

import numpy as np

from groupemo.analysis import Analysis
from groupemo.drawing import captions, draw_analysis, encode_jpeg, read_again
from groupemo.errors import PhotoError
from groupemo.evaluation import Evaluation
from groupemo.report.content import summarize
from groupemo.report.page import render

__all__ = ["analysis_html", "evaluation_html"]

MAX_SIDE = 900
"""Pixels of the longer side of a photo in a notebook."""


def analysis_html(analysis: Analysis) -> str:
    """Return the photo with its faces drawn, and a table of probabilities, a row a face.

    The photo is left out, with the reason, where it is out of reach. Faces are
    not blurred: it is the reader's own notebook.
    """
    source, reason = _picture(analysis)
    texts, hues = captions(analysis.probs, analysis.classes)
    faces = [
        {"text": text, "color": hue, "probs": [] if np.isnan(row).any() else row.tolist()}
        for text, hue, row in zip(texts, hues, analysis.probs, strict=True)
    ]
    return render("analysis.html", analysis=analysis, faces=faces, source=source, reason=reason)


def evaluation_html(evaluation: Evaluation) -> str:
    """Return the grid's table: the main figures with intervals and denominators."""
    return render("evaluation.html", evaluation=evaluation, pairs=summarize(evaluation))


def _picture(analysis: Analysis) -> tuple[str, str]:
    """Return the photo as a data URI, or nothing and the reason."""
    try:
        image = draw_analysis(read_again(analysis), analysis)
    except PhotoError as error:
        return "", str(error)
    return "data:image/jpeg;base64," + base64.b64encode(encode_jpeg(image, MAX_SIDE)).decode(), ""
