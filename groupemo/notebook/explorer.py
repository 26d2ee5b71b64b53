"""What other thresholds would have given: a slider over saved analyses. No model runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from groupemo.analysis import Analysis
from groupemo.evaluation import Evaluation
from groupemo.notebook.photos import widgets
from groupemo.notebook.pictures import photo_html
from groupemo.report.inline import evaluation_html

__all__ = ["Explorer", "explore", "narrowed"]


def narrowed(
    evaluation: Evaluation,
    *,
    min_score: float = 0.0,
    min_confidence: float = 0.0,
    min_iou: float | None = None,
) -> Evaluation:
    """Return the evaluation that higher thresholds would have given. No model runs.

    Parameters
    ----------
    evaluation : Evaluation
    min_score : float
        Least score of a detection; those below are as if they had never been found.
    min_confidence : float
        Least probability of the likeliest expression; below it the backend abstains.
    min_iou : float, optional
        Least IoU for a detection to have found a labelled face; by default as it was.
    """
    analyses = (
        _narrowed(one, min_score, min_confidence)
        for scores in evaluation.scores
        for one in scores.analyses()
    )
    again = Evaluation.of(
        evaluation.labels,
        analyses,
        min_iou=evaluation.min_iou if min_iou is None else min_iou,
        manifest=evaluation.manifest,
        photos=evaluation.photos.values(),
    )
    return replace(again, left_out=evaluation.left_out)


def _narrowed(one: Analysis, min_score: float, min_confidence: float) -> Analysis:
    kept = one.faces.scores >= min_score
    probs = one.probs[kept]
    sure = probs.max(axis=1, initial=0) >= min_confidence  # False for rows of NaN
    return replace(one, faces=one.faces[kept], probs=np.where(sure[:, None], probs, np.nan))


def explore(evaluation: Evaluation) -> Explorer:
    """Show sliders that redraw the table and a photo from the saved analyses.

    Parameters
    ----------
    evaluation : Evaluation
        Detectors run with low thresholds leave the sliders most to do.

    Raises
    ------
    MissingExtra
        If ipywidgets is not installed.
    """
    return Explorer(evaluation)


class Explorer:
    """Sliders for the detector's score, the backend's confidence and the IoU; `explore` makes one.

    Parameters
    ----------
    evaluation : Evaluation
    """

    def __init__(self, evaluation: Evaluation) -> None:
        self._whole = evaluation
        self.evaluation = evaluation
        """The evaluation at the sliders' thresholds."""
        make = widgets()
        most = _highest(evaluation)
        self.score = make.FloatSlider(0.0, min=0, max=most, step=most / 100,
                                      description="least score of a face")  # fmt: skip
        self.confidence = make.FloatSlider(0.0, min=0, max=0.99, step=0.01,
                                           description="least confidence")  # fmt: skip
        self.iou = make.FloatSlider(evaluation.min_iou, min=0.05, max=0.95, step=0.05,
                                    description="least IoU")  # fmt: skip
        labels = evaluation.labels
        fullest = max(labels, key=lambda name: len(labels[name]))
        self.photo = make.Dropdown(options=[*labels], value=fullest, description="photo")
        self.run = make.Dropdown(
            options=[(" x ".join(scores.pair), scores.pair) for scores in evaluation.scores],
            description="drawn",
        )
        self.shown = make.HTML()
        controls = [self.score, self.confidence, self.iou, self.run, self.photo]
        for control in controls:
            control.style.description_width = "11em"
            control.layout.width = "30em"
            control.observe(self._redraw, "value")
        self.widget = make.VBox([*controls, self.shown])
        self._redraw()

    def _redraw(self, change: object = None) -> None:
        self.evaluation = narrowed(
            self._whole,
            min_score=self.score.value,
            min_confidence=self.confidence.value,
            min_iou=self.iou.value,
        )
        picture = photo_html(self.evaluation, [self.run.value], self.photo.value)
        self.shown.value = evaluation_html(self.evaluation) + picture

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """Return the widget, and what it shows for where there is no kernel."""
        shown = {"text/html": self.shown.value, "text/plain": "<sliders: run the cell>"}
        return {**self.widget._repr_mimebundle_(**kwargs), **shown}


def _highest(evaluation: Evaluation) -> float:
    """Return a score that few detections exceed, for detectors whose scores know no bound."""
    scores: Iterable[float] = np.concatenate(
        [[1.0], *(one.faces.scores for run in evaluation.scores for one in run.analyses())]
    )
    return float(np.ceil(np.quantile(np.asarray(scores), 0.95)))
