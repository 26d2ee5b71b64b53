"""The fer package's own detector: OpenCV's cascade, or MTCNN through facenet-pytorch."""

from __future__ import annotations

import cv2
import numpy as np

from groupemo.boxes import xywh_to_xyxy
from groupemo.detectors._base import Found, Image, NativeDetector, checked
from groupemo.errors import OptionError
from groupemo.packages import FACENET_PYTORCH, FER, left_alone

__all__ = ["FerDetector"]


class FerDetector(NativeDetector):
    """Faces by `FER.find_faces`, with the backend `fer-package` all of that package's way.

    It tells no scores: each face has 1.0.

    Parameters
    ----------
    mtcnn : bool
        Whether it searches with MTCNN, which it shows pictures with red and
        blue exchanged, or with OpenCV's cascade. The other options but
        `min_size` are the cascade's.
    scale_factor : float
        The step between the sizes searched, above 1.
    min_neighbors : int
        How many windows must agree on a face.
    min_face_size : int
        The smallest face searched, in pixels.
    min_size : float
        The shortest box side kept, in pixels.

    Raises
    ------
    OptionError
        If an option means nothing.
    MissingExtra
        If fer, TensorFlow or, for `mtcnn`, facenet-pytorch is not installed.
    """

    package = FER

    def __init__(
        self,
        *,
        mtcnn: bool = False,
        scale_factor: float = 1.1,
        min_neighbors: int = 5,
        min_face_size: int = 50,
        min_size: float = 0,
    ) -> None:
        super().__init__(0, min_size, None)
        if not isinstance(mtcnn, bool):
            raise OptionError(f"mtcnn is {mtcnn!r}: expected True or False")
        if mtcnn:
            FACENET_PYTORCH.load()
        fer = FER.load()
        with left_alone():
            self._fer = fer.FER(
                mtcnn=mtcnn,
                scale_factor=checked("scale_factor", scale_factor, 1.001),
                min_neighbors=int(checked("min_neighbors", min_neighbors, 0)),
                min_face_size=int(checked("min_face_size", min_face_size, 1)),
            )
        self.models: dict[str, str] = {}

    def _find(self, image: Image) -> Found:
        with left_alone():
            found = self._fer.find_faces(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        boxes = np.array(found, float).reshape(-1, 4)
        return Found(xywh_to_xyxy(boxes), np.ones(len(boxes)))
