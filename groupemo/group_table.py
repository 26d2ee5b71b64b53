"""From faces to the group: one row a photo, of what its faces come to together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from groupemo.analysis import Analysis
from groupemo.emotions import EMOTIONS, align_probs
from groupemo.errors import AnalysisError
from groupemo.labels import Labels
from groupemo.metrics.group import VALENCE, evenness, groups, mean_valence, valence_class

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["group_table"]

WORDS = {-1.0: "negative", 0.0: "neutral", 1.0: "positive"}


def group_table(
    source: Labels | Analysis | Iterable[Analysis],
    *,
    soft: bool = False,
    valence: Sequence[float] = VALENCE,
) -> pd.DataFrame:
    """Return what the faces of each photo come to together.

    Parameters
    ----------
    source : Labels, Analysis or iterable of Analysis
        What people labelled, or what one detector and one backend answered. Faces without
        an expression (unsure, ignored, abstained) are left out.
    soft : bool
        Of analyses: sum the probabilities, in place of counting the likeliest expression.
    valence : sequence of float, length 7
        Of each expression, in the order of `groupemo.EMOTIONS`, -1 to 1.

    Returns
    -------
    pd.DataFrame
        A row a photo: `faces`; a column for each expression, how many faces have it;
        `valence`, the mean over faces, -1 to 1; `group`, the third of that range it is in;
        `spread`, the standard deviation of valence between the faces, 0 to 1; `diversity`,
        the evenness of the expressions, 0 to 1. What is undefined is NaN; see
        `groupemo.metrics.group`.

    Raises
    ------
    AnalysisError
        If there are two analyses of one photo.

    Examples
    --------
    >>> from groupemo import LabelledFaces, Labels
    >>> boxes = [[0, 0, 9, 9], [10, 0, 19, 9]]
    >>> torn, calm = LabelledFaces(boxes, [3, 0]), LabelledFaces(boxes, [6, 6])
    >>> table = group_table(Labels({"torn.jpg": torn, "calm.jpg": calm}))
    >>> table[["valence", "spread"]].to_dict("index")
    {'torn.jpg': {'valence': 0.0, 'spread': 1.0}, 'calm.jpg': {'valence': 0.0, 'spread': 0.0}}
    """
    import pandas as pd

    photos = _labelled(source) if isinstance(source, Labels) else _answered(source)
    rows = list(photos.values())
    counts = groups([np.empty(0)] * len(rows), rows, len(EMOTIONS), soft=soft).answered
    mean = mean_valence(counts, valence)
    squares = mean_valence(counts, np.square(valence).tolist())
    columns = {
        "faces": counts.sum(axis=1).round().astype(int),
        **dict(zip(EMOTIONS, counts.T if soft else counts.T.astype(int), strict=True)),
        "valence": mean,
        "group": [WORDS.get(one) for one in valence_class(mean).tolist()],
        "spread": np.sqrt(np.maximum(squares - mean**2, 0)),
        "diversity": evenness(counts),
    }
    return pd.DataFrame(columns, index=pd.Index(list(photos), name="photo"))


def _labelled(labels: Labels) -> Mapping[str, ArrayLike]:
    """Return the faces of each photo that have an expression, as rows of one 1."""
    one_hot = np.eye(len(EMOTIONS))
    return {name: one_hot[faces.labels[faces.labels >= 0]] for name, faces in labels.items()}


def _answered(source: Analysis | Iterable[Analysis]) -> Mapping[str, ArrayLike]:
    found: dict[str, ArrayLike] = {}
    for one in [source] if isinstance(source, Analysis) else source:
        if one.photo in found:
            raise AnalysisError(
                f"{one.photo}: analyzed twice: give the analyses of one detector and one backend"
            )
        found[one.photo] = align_probs(one.probs, one.classes)
    return found
