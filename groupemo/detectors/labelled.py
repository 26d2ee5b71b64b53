"""The faces labelled by hand, as a detector: what a backend makes of boxes that are right."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from groupemo.errors import OptionError
from groupemo.faces import Faces
from groupemo.images import digest
from groupemo.labels import IGNORE, Labels

__all__ = ["LABELLED", "LabelledBoxes"]

LABELLED = "labelled"
"""The name of this detector in a grid."""


class LabelledBoxes:
    """Each photo's labelled faces, as if they had been detected.

    Boxes are cut to the photo; scores are 1; there are no landmarks. Regions to
    leave out are no faces. A photo that is not labelled has no faces.

    `models` holds a digest of all boxes, so that a run goes on only where it was
    made with the same ones.

    Parameters
    ----------
    labels : Labels

    Raises
    ------
    OptionError
        If there are no labels: by name it can be had in `groupemo.evaluate` alone.
    """

    label = LABELLED

    def __init__(self, labels: Labels | None = None) -> None:
        if labels is None:
            raise OptionError(
                f"detector {LABELLED!r} gives the faces labelled by hand and needs the labels:"
                " use it in groupemo.evaluate (groupemo evaluate)"
            )
        self._faces = {name: each[each.labels != IGNORE] for name, each in labels.items()}
        boxes = {name: each.boxes.tolist() for name, each in self._faces.items()}
        self.models = {"labelled boxes": digest(json.dumps(boxes, sort_keys=True).encode())}

    def for_photo(self, name: str) -> Callable[[NDArray[np.uint8]], Faces]:
        """Return the detector for the photo of this name.

        It raises `LabelError` where a box lies outside the photo.
        """

        def find(image: NDArray[np.uint8]) -> Faces:
            height, width = image.shape[:2]
            return Faces(self._faces[name].check_inside(width, height, name).boxes)

        return find if name in self._faces else lambda image: Faces.empty()

    def __call__(self, image: NDArray[np.uint8]) -> Faces:
        """Refuse an image without a name: whose faces are meant is not known."""
        raise OptionError(
            f"detector {LABELLED!r} has to know the photo's name: use for_photo(name)(image)"
        )
