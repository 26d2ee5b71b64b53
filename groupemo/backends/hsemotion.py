"""The nets of HSEmotion, today EmotiEffLib, without the packages.

Source of every step and number: hsemotion-onnx 0.3.1, `hsemotion_onnx/facial_emotions.py`,
and emotiefflib 1.1.1, `emotiefflib/facial_analysis.py`, which agree. The packages are given
a face that somebody has cut out: how is the caller's choice, there as here.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from groupemo.backends.onnx import Onnx
from groupemo.crops import Image
from groupemo.errors import OptionError
from groupemo.models import store

__all__ = ["HSEmotion"]

CLASSES = ("angry", "contempt", "disgust", "fear", "happy", "neutral", "sad", "surprise")
SIDE = 224
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Red, green and blue of ImageNet, of values in 0..1."""

TUNED = ("vgaf", "afew")


class HSEmotion(Onnx):
    """An EfficientNet-B0 of eight expressions, trained on AffectNet (Savchenko 2022).

    What is cut out, black beyond the image's edge, is resized to 224 x 224 bilinearly,
    without averaging where it shrinks, as the package does.

    Parameters
    ----------
    tuned : {"vgaf", "afew"}
        The videos by which the best of several nets was chosen.
    margin : float
        Added to the box on each side, as a fraction of its width and height.
    square : bool
        Grow the shorter side until the box is square.

    Raises
    ------
    OptionError
        If an option means nothing.
    ModelError
        If the weights cannot be had.
    """

    def __init__(self, *, tuned: str = "vgaf", margin: float = 0.0, square: bool = False) -> None:
        if tuned not in TUNED:
            raise OptionError(f"tuned is {tuned!r}: expected one of {', '.join(TUNED)}")
        super().__init__(
            model=store.fetch(f"hsemotion-{tuned}").path,
            classes=CLASSES,
            size=SIDE,
            mean=MEAN,
            std=STD,
            output="logits",
            margin=margin,
            square=square,
        )

    def encode(self, picture: Image) -> NDArray[np.float32]:
        """Return a crop as 3 x 224 x 224 values, normalized as ImageNet's."""
        return super().encode(np.asarray(cv2.resize(picture, (SIDE, SIDE)), np.uint8))
