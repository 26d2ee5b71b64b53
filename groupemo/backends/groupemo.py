"""groupemo's own emotion net, which comes with the package."""

from __future__ import annotations

from groupemo.backends.onnx import Onnx
from groupemo.emotions import EMOTIONS
from groupemo.models import store

__all__ = ["Groupemo"]

MARGIN, SQUARE = 0.05, False
"""How the box is cut unless told otherwise: chosen with benchmarks/framing.py."""


class Groupemo(Onnx):
    """groupemo's own emotion net.

    A residual net on 48 x 48 gray pixels (`groupemo.training.architectures`). It
    learned from the faces of FER2013's Training part (Goodfellow et al. 2013) what
    shares of ten people saw each expression in them: the votes of FER+ (Barsoum et
    al. 2016). What is cut out, black beyond the image's edge, is made gray,
    resized to 48 x 48 and scaled to 0..1. A temperature, fitted to PublicTest,
    FER2013's validation part, is inside the file.

    FER2013 is competition data without a licence text, the votes are under the MIT
    licence; the net itself is under groupemo's. Figures, terms and limits stand in
    card.md and datasheet.md beside the file (`groupemo models path groupemo`).

    It knows seven expressions, no contempt and no "none of these", and few faces of
    disgust and fear. FER2013's faces are gray, near the camera and came from a web
    search: on other photos both its answers and how sure it is of them have to be
    measured (`groupemo.evaluate`, `groupemo.fit_calibration`).

    Parameters
    ----------
    margin : float
        Added to the box on each side, as a fraction of its width and height.
    square : bool
        Grow the shorter side until the box is square.

    Raises
    ------
    OptionError
        If the margin means nothing.
    ModelError
        If the package's file is damaged.
    """

    def __init__(self, *, margin: float = MARGIN, square: bool = SQUARE) -> None:
        super().__init__(
            model=store.fetch("groupemo").path,
            classes=EMOTIONS,
            color="gray",
            margin=margin,
            square=square,
        )
        # In a net of whole numbers, sums of another order may round another way: an answer
        # must not hang on the faces beside it. One at a time is hardly slower.
        self.batch = 1
        self.face_side = max(self.shape)  # a face of twice as many is as good as a larger one
