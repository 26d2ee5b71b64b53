"""RFB-640: the larger of the Ultra-Light-Fast face detectors, 1.6 MB, under ONNX Runtime."""

from __future__ import annotations

from groupemo.detectors._base import Found, Image, blob, checked
from groupemo.detectors._tiling import FixedSize
from groupemo.models import store
from groupemo.models.session import open_session, run

__all__ = ["RFB"]

_SIZE = (640, 480)
"""Width and height the model sees; a photo is stretched to it, as in its training."""


class RFB(FixedSize):
    """Faces by `version-RFB-640.onnx` (MIT), a small single-shot detector.

    Parameters
    ----------
    min_score : float
        The score is the model's probability of a face, 0..1.
    min_size : float
        The shortest box side kept, in pixels.
    overlap : float
        Of two boxes whose IoU is larger, the surer one is kept.
    tile : int, optional
        Search larger photos in tiles of this size too, for small faces.

    Raises
    ------
    OptionError, ModelError
        If an option means nothing, or the model file cannot be had or read.
    """

    def __init__(
        self,
        *,
        min_score: float = 0.6,
        min_size: float = 0,
        overlap: float = 0.3,
        tile: int | None = None,
    ) -> None:
        score = checked("min_score", min_score, 0, 1)
        super().__init__(score, min_size, overlap, tile)
        file = store.fetch("ssd-rfb-640")
        self.models = {file.path.name: file.sha256}
        self._session = open_session(file.path)

    def _find(self, image: Image) -> Found:
        height, width = image.shape[:2]
        scores, boxes = run(
            self._session, blob([image], 1 / 128, (127, 127, 127), size=_SIZE)
        )  # (1, n, 2) and (1, n, 4) in 0..1
        sure = scores[0, :, 1] >= self._min_score
        return Found(boxes[0, sure] * [width, height, width, height], scores[0, sure, 1])
