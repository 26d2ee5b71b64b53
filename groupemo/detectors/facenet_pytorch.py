"""The facenet-pytorch package: the cascade of 2016 under PyTorch."""

from __future__ import annotations

from groupemo.detectors._base import Found, Image, NativeDetector, checked
from groupemo.detectors._package import carried
from groupemo.packages import FACENET_PYTORCH

__all__ = ["FacenetPyTorch"]


class FacenetPyTorch(NativeDetector):
    """Faces and landmarks by `facenet_pytorch.MTCNN().detect`.

    Parameters
    ----------
    min_score : float
        The score is the third network's probability of a face, 0..1 (the third of `thresholds`).
    min_face : float
        The smallest face searched, in pixels (`min_face_size`).
    min_size : float
        The shortest box side kept, in pixels.

    Raises
    ------
    OptionError, MissingExtra
        If an option means nothing, or the package is not installed.
    """

    package = FACENET_PYTORCH

    def __init__(self, *, min_score: float = 0.7, min_face: float = 20, min_size: float = 0):
        super().__init__(checked("min_score", min_score, 0, 1), min_size, None)
        self._min_face = checked("min_face", min_face, 12)
        facenet = FACENET_PYTORCH.load()
        thresholds = [0.6, 0.7, self._min_score]
        self._detect = facenet.MTCNN(min_face_size=self._min_face, thresholds=thresholds).detect
        self.models = carried(facenet, "data/?net.pt")

    def _find(self, image: Image) -> Found:
        if min(image.shape[:2]) < self._min_face:  # the package fails on no level of its pyramid
            return Found.nothing(landmarks=True)
        boxes, scores, points = self._detect(image, landmarks=True)
        if boxes is None:
            return Found.nothing(landmarks=True)
        return Found(boxes.astype(float), scores.astype(float), points.astype(float))
