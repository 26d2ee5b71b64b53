"""Faces on their photo."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from groupemo.drawing import UNANSWERED, captions, ink_on
from groupemo.emotions import EMOTIONS
from groupemo.faces import Faces
from groupemo.plots._axes import new_axes, plain

__all__ = ["draw_faces"]


def draw_faces(
    image: NDArray[np.uint8],
    faces: Faces,
    probs: ArrayLike | None = None,
    classes: Sequence[str] = EMOTIONS,
    ax: Axes | None = None,
) -> Axes:
    """Show an image with its faces boxed, and the answer for each where `probs` are given.

    Parameters
    ----------
    image : np.ndarray, shape=(h, w, 3)
        RGB uint8.
    faces : Faces
    probs : array_like, shape=(n, k), optional
        A NaN row means no answer.
    classes : sequence of str, length k
    ax : Axes, optional
    """
    height, width = image.shape[:2]
    axes = new_axes(ax, (8, 8 * height / width))
    axes.imshow(image)
    axes.set_axis_off()
    n = len(faces)
    words, hues = ([""] * n, [UNANSWERED] * n) if probs is None else captions(probs, classes)
    for (x1, y1, x2, y2), word, hue in zip(faces.boxes.tolist(), words, hues, strict=True):
        for color, line in (("black", 3), (hue, 1.5)):
            axes.add_patch(
                Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=color, linewidth=line)
            )
        if word:
            patch = {"facecolor": hue, "edgecolor": "none", "pad": 1}
            ink = ink_on(hue)
            axes.text(
                x1, y1, plain(word), fontsize=8, va="bottom", color=ink, bbox=patch, clip_on=True
            )
    return axes
