"""Whose the loss is: the crop's, the detector's or the classifier's.

One thing after the other is put right, and the figure is taken again:

==============  ==================================================  ==================
step            what is put right                                   whose the gain is
==============  ==================================================  ==================
as found        nothing                                             -
labelled crops  the faces it found are read in their labelled box   the crop's
labelled boxes  every labelled face is found, and nothing else      the detector's
all right       every answer is its label                           the classifier's
==============  ==================================================  ==================

So the gains sum to what the figure lacks of its best value. They are those of this
order: a face that is not found cannot be read wrongly, so part of what a detector
loses would have been lost by the classifier. A gain may be below 0, where a detector's
boxes suit a classifier better than the labelled ones: labelled faces have no landmarks,
so a backend that levels the eyes cannot do so with them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from groupemo.analysis import Analysis
from groupemo.emotions import EMOTIONS
from groupemo.errors import OptionError
from groupemo.faces import Faces
from groupemo.figures import FIGURES, MAIN, Figure, Weighed
from groupemo.labels import Labels
from groupemo.metrics.uncertainty import DRAWS, interval, weightings
from groupemo.scores import Judged, Scores, judge_run

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["STEPS", "ablation"]

STEPS = {
    "as found": "",
    "labelled crops": "crop",
    "labelled boxes": "detector",
    "all right": "classifier",
}
"""Each step, and whose the gain is."""


def ablation(
    labels: Labels,
    found: Scores,
    labelled: Scores,
    figure: str = MAIN,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> pd.DataFrame:
    """Return what a run's figure becomes as one thing after the other is put right.

    Parameters
    ----------
    labels : Labels
        What both runs were judged by.
    found : Scores
        The run in question.
    labelled : Scores
        The same backend on the labelled faces (the detector "labelled").
    figure : str
        One of `groupemo.figures.FIGURES` over "end_to_end" or "group": the others
        leave out what one of the three loses.
    draws, seed : int
        Of the bootstrap over photos; the same photos weigh the same in all steps.

    Returns
    -------
    pd.DataFrame
        A row for each of `STEPS`: `of` (whose the gain is), value, gain over the step
        before (above 0 is better), and low and high, its 95 % interval over photos.

    Raises
    ------
    OptionError
        If there is no such figure.
    """
    import pandas as pd

    chosen = _checked(figure)
    chain = _chain(labels, found, labelled)
    n = len(chain[0].photos)
    values, drawn, jackknife = (
        np.stack([chosen.of(Weighed(step, weights)) for step in chain])
        for weights in weightings(n, draws, seed)
    )
    gains, drawn_gains, jackknife_gains = (
        np.diff(each, axis=0, prepend=each[:1]) * (1 if chosen.higher_is_better else -1)
        for each in (values, drawn, jackknife)
    )
    rows = [
        (whose, value, gain, *interval(draw, point=gain, jackknife=left_out, difference=True))
        for whose, value, gain, draw, left_out in zip(
            STEPS.values(), values[:, 0], gains[:, 0], drawn_gains, jackknife_gains, strict=True
        )
    ]
    index = pd.Index(STEPS, name="step")
    return pd.DataFrame(rows, index, columns=["of", "value", "gain", "low", "high"])


def _checked(figure: str) -> Figure:
    whole = [name for name, each in FIGURES.items() if each.over in ("end_to_end", "group")]
    if figure not in whole:
        raise OptionError(f"figure is {figure!r}: expected one of {', '.join(whole)}")
    return FIGURES[figure]


def _chain(labels: Labels, found: Scores, labelled: Scores) -> list[Scores]:
    """Return the run in each of `STEPS`, on the photos that both could read."""
    both = {one.analysis.photo for one in labelled.photos}
    names = [one.analysis.photo for one in found.photos if one.analysis.photo in both]
    first, second = found.only(names), labelled.only(names)

    def judged(analyses: Iterable[Analysis]) -> Scores:
        run = {one.photo: one for one in analyses}
        return judge_run(labels, run, names, found.min_iou) if names else first

    recropped = map(_recropped, first.photos, second.photos)
    return [first, judged(recropped), second, judged(map(_all_right, second.photos))]


def _recropped(one: Judged, other: Judged) -> Analysis:
    """Give the faces one run found the answers that the other gave to the same faces."""
    answers = np.append(other.probs, np.full((1, len(EMOTIONS)), np.nan), axis=0)  # last: NONE
    finders = np.flatnonzero(one.outcome.detected >= 0)
    probs = one.probs.copy()
    probs[finders] = answers[other.outcome.labelled[one.outcome.detected[finders]]]
    return replace(one.analysis, probs=probs, classes=EMOTIONS)


def _all_right(one: Judged) -> Analysis:
    """Answer every face as it is labelled; abstain where its expression is not known."""
    faces, labels = Faces(one.labelled.boxes), one.labelled.labels
    probs = np.where((labels >= 0)[:, None], np.eye(len(EMOTIONS))[labels], np.nan)
    return replace(one.analysis, faces=faces, probs=probs, classes=EMOTIONS)
