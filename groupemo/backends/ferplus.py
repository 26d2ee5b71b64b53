"""The net that was published with the votes of FER+."""

from __future__ import annotations

from groupemo.backends.onnx import Onnx
from groupemo.models import store

__all__ = ["FerPlus"]

CLASSES = ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt")
"""The order of the ONNX Model Zoo's `emotion_ferplus/README.md`."""


class FerPlus(Onnx):
    """The ONNX Model Zoo's emotion-ferplus-8: a VGG net of 13 layers (Barsoum et al. 2016).

    It learned from FER2013's Training part what shares of ten people saw each
    expression in its faces. What is cut out, black beyond the image's edge, is made gray
    and resized to 64 x 64; pixels go in as they are, 0..255.

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
        If the weights cannot be had.
    """

    def __init__(self, *, margin: float = 0.0, square: bool = False) -> None:
        super().__init__(
            model=store.fetch("ferplus").path,
            classes=CLASSES,
            color="gray",
            size=64,
            range=(0, 255),
            output="logits",
            margin=margin,
            square=square,
        )
