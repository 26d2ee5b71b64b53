"""What an object shows of itself in a notebook."""

from __future__ import annotations

from groupemo.analysis import Analysis
from groupemo.evaluation import Evaluation

__all__ = ["analysis_html", "evaluation_html"]


def analysis_html(analysis: Analysis) -> str:
    """Return the photo with its faces, and a table of probabilities."""
    raise NotImplementedError


def evaluation_html(evaluation: Evaluation) -> str:
    """Return the grid's table."""
    raise NotImplementedError
