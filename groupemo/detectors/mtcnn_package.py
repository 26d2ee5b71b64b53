"""The mtcnn package: the cascade of 2016 under TensorFlow; groupemo's own `mtcnn` needs none."""

from __future__ import annotations

import numpy as np

from groupemo.detectors._base import Found, Image, NativeDetector, checked
from groupemo.detectors._package import carried
from groupemo.packages import MTCNN

__all__ = ["MTCNNPackage"]

_POINTS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
"""The package's words, which are the viewer's, in the order of `Faces`."""


class MTCNNPackage(NativeDetector):
    """Faces and landmarks by `mtcnn.MTCNN().detect_faces`, in whole pixels.

    Parameters
    ----------
    min_score : float
        The score is the third network's probability of a face, 0..1 (`threshold_onet`).
    min_face : float
        The smallest face searched, in pixels (`min_face_size`).
    min_size : float
        The shortest box side kept, in pixels.

    Raises
    ------
    OptionError, MissingExtra
        If an option means nothing, or the package or TensorFlow is not installed.
    """

    package = MTCNN

    def __init__(self, *, min_score: float = 0.8, min_face: float = 20, min_size: float = 0):
        super().__init__(checked("min_score", min_score, 0, 1), min_size, None)
        self._options = {
            "threshold_onet": self._min_score,
            "min_face_size": checked("min_face", min_face, 12),
            "box_format": "xyxy",
        }
        mtcnn = MTCNN.load()
        self._detect = mtcnn.MTCNN().detect_faces
        self.models = carried(mtcnn, "assets/weights/*.lz4")

    def _find(self, image: Image) -> Found:
        rows = self._detect(image, **self._options)
        boxes = np.array([row["box"] for row in rows], float).reshape(-1, 4)
        scores = np.array([row["confidence"] for row in rows], float)
        points = [[row["keypoints"][name] for name in _POINTS] for row in rows]
        return Found(boxes, scores, np.array(points, float).reshape(-1, 5, 2))
