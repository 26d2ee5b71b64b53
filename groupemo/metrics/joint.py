"""Finding and reading in one figure: panoptic quality on faces.

Panoptic quality (Kirillov et al., "Panoptic Segmentation", CVPR 2019) is end to end.
Of each class, a true positive is a found face whose answer is right; a false
negative any other labelled face (missed, abstained, taken for another class); a
false positive any other answer of the class (another class's face, or no face).
Then PQ is SQ x RQ: how well the boxes of true positives lie, and how many there are::

    SQ = sum of IoU over TP / TP      RQ = TP / (TP + FP / 2 + FN / 2)      PQ = SQ x RQ

How it differs from `panopticapi`
---------------------------------
- Boxes are compared, which may overlap, instead of segments, which may not.
- Faces and detections are paired whatever their classes, at the least IoU the
  tally was made with. `panopticapi` pairs segments of equal class with an IoU
  above 0.5. Where labelled boxes do not overlap each other, nor detections each
  other, both find the same true positives at that IoU.
- A phantom that abstained is of no class, and costs nothing here.
- A face whose expression is not known is void, for whoever finds it.
- The mean is over classes with labelled faces; a class that is only ever answered
  is left out. SQ of a class without true positives is NaN instead of 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from groupemo.metrics import classification as cls
from groupemo.metrics.tally import Tally, ratio

__all__ = ["panoptic_per_class", "panoptic_quality"]

Floats = NDArray[np.float64]


def panoptic_quality(tally: Tally) -> Floats:
    """Return the mean PQ of the classes with labelled faces, shape (...); NaN without any."""
    quality, _, _ = panoptic_per_class(tally)
    return cls.macro(quality, cls.support(tally, "end_to_end"))


def panoptic_per_class(tally: Tally) -> tuple[Floats, Floats, Floats]:
    """Return PQ, SQ and RQ of each class, each of shape (..., k).

    RQ is the end-to-end F1. PQ and RQ are NaN for a class that is neither labelled
    nor answered, SQ for one without a right answer.
    """
    halves = cls.support(tally, "end_to_end") + cls.answered(tally, "end_to_end")
    right = np.diagonal(cls.confusion(tally, "matched"), axis1=-2, axis2=-1)
    return (
        ratio(2 * tally.overlap, halves),
        ratio(tally.overlap, right),
        cls.f1(tally, "end_to_end"),
    )
