"""What every native detector shares: the check of the image, views of it, tidy `Faces` out.

An adapter says how its model finds faces in one piece of an image (`_find`);
everything around that (non-finite rows, thresholds, merging, clipping, order)
happens here, once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from groupemo import boxes as _boxes
from groupemo.errors import OptionError, PhotoError
from groupemo.faces import Faces

__all__ = [
    "Found",
    "NativeDetector",
    "View",
    "Whole",
    "blob",
    "checked",
    "joined",
    "nms",
    "padded",
    "resized",
    "shrunk",
]

Image: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[Any]


class Found(NamedTuple):
    """What a model says, before anything is left out: boxes may be empty, outside or not finite."""

    boxes: Floats
    """Shape (n, 4), `[x1, y1, x2, y2]` pixels of the piece that was searched."""
    scores: Floats
    """Shape (n,), higher is surer."""
    landmarks: Floats | None = None
    """Shape (n, 5, 2), in the order `Faces` states, or None."""

    @classmethod
    def nothing(cls, landmarks: bool = False) -> Found:
        """Return no faces."""
        return cls(np.empty((0, 4)), np.empty(0), np.empty((0, 5, 2)) if landmarks else None)

    def pick(self, rows: Floats) -> Found:
        """Return the faces a mask or an integer array picks."""
        points = None if self.landmarks is None else self.landmarks[rows]
        return Found(self.boxes[rows], self.scores[rows], points)

    def moved(self, factor: Floats, offset: Floats) -> Found:
        """Return the faces with each (x, y) become `(x, y) * factor + offset`."""
        boxes = self.boxes * np.tile(factor, 2) + np.tile(offset, 2)
        points = None if self.landmarks is None else self.landmarks * factor + offset
        return Found(boxes, self.scores, points)


class View(NamedTuple):
    """A piece of an image as a detector is shown it."""

    pixels: Image
    factor: Floats = np.ones(2)
    """Image pixels per view pixel, along x and y."""
    offset: Floats = np.zeros(2)
    """Where the view's corner lies in the image, (x, y)."""
    whole: Floats = np.array([-np.inf, -np.inf, np.inf, np.inf])
    """The part of the view whose faces count: a box that crosses it was cut by the view's edge."""

    def to_image(self, found: Found) -> Found:
        """Return what was found in this view, in pixels of the image."""
        low, high = self.whole[:2], self.whole[2:]
        inside = np.all((found.boxes[:, :2] >= low) & (found.boxes[:, 2:] <= high), axis=1)
        return found.pick(inside).moved(self.factor, self.offset)


class NativeDetector(ABC):
    """A detector of groupemo's own: options, then calls that do not depend on earlier calls.

    Faces come back by score, highest first; equal scores from top to bottom,
    then from left to right. Boxes are clipped to the image.

    Parameters
    ----------
    min_score : float
        The least score kept; each adapter says what its score means.
    min_size : float
        The shortest box side kept, in pixels of the image.
    overlap : float, optional
        Of two boxes whose IoU is larger, the one with the lower score is left
        out. None where the model's own library has done so.
    """

    models: Mapping[str, str]
    """SHA-256 of each model file loaded, by file name."""

    def __init__(self, min_score: float, min_size: float, overlap: float | None) -> None:
        self._min_score = min_score
        self._min_size = checked("min_size", min_size, 0)
        self._overlap = None if overlap is None else checked("overlap", overlap, 0, 1)

    def __call__(self, image: Image, /) -> Faces:
        """Return the faces in `image`, shape (h, w, 3), RGB uint8.

        Raises
        ------
        PhotoError
            If the image has another shape or type.
        """
        pixels = _checked_image(image)
        views = self._views(pixels)
        found = joined(
            [
                view.to_image(_finite(there))
                for view, there in zip(
                    views, self._find_each([view.pixels for view in views]), strict=True
                )
            ]
        )
        return self._tidy(found, pixels.shape[1], pixels.shape[0])

    def _views(self, image: Image) -> list[View]:
        """Return the pieces of `image` to search."""
        return [View(image)]

    def _find_each(self, images: Sequence[Image]) -> list[Found]:
        """Search each piece; a model that takes batches does it in fewer runs."""
        return [self._find(image) for image in images]

    @abstractmethod
    def _find(self, image: Image) -> Found:
        """Search one piece."""

    def _tidy(self, found: Found, width: int, height: int) -> Faces:
        found = found.pick((found.scores >= self._min_score) & _boxes.nonempty(found.boxes))
        if self._overlap is not None:
            found = found.pick(nms(found.boxes, found.scores, self._overlap))
        faces = Faces(*found).clipped(width, height)
        x1, y1 = faces.boxes[:, 0], faces.boxes[:, 1]
        ordered = faces[np.lexsort([x1, y1, -faces.scores])]
        return ordered[(ordered.boxes[:, 2:] - ordered.boxes[:, :2]).min(axis=1) >= self._min_size]


class Whole(NativeDetector):
    """A detector that takes an image of any size, shrunk where it is larger than `max_side`.

    Parameters
    ----------
    max_side : int, optional
        A longer image is shrunk to this length of its longer side before it is
        searched. None: never.
    """

    def __init__(
        self, min_score: float, min_size: float, overlap: float | None, max_side: int | None
    ) -> None:
        super().__init__(min_score, min_size, overlap)
        self._max_side = None if max_side is None else int(checked("max_side", max_side, 32))

    @property
    def enough_side(self) -> int | None:
        """The longer side of a photo beyond which more pixels show it nothing; None: no such."""
        return None if self._min_size else self._max_side  # the least size is in the photo's pixels

    def _views(self, image: Image) -> list[View]:
        return [shrunk(image, self._max_side)]


def shrunk(image: Image, side: int | None) -> View:
    """Return `image` with its longer side at most `side` pixels."""
    height, width = image.shape[:2]
    if side is None or max(height, width) <= side:
        return View(image)
    ratio = side / max(height, width)
    size = max(1, round(width * ratio)), max(1, round(height * ratio))
    return View(resized(image, *size, cv2.INTER_AREA), np.array([width, height]) / size)


def resized(image: Image, width: int, height: int, how: int) -> Image:
    """Return `image` scaled to `width` x `height` by one of OpenCV's interpolations."""
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.uint8)


def blob(
    images: Sequence[Image],
    scale: float,
    mean: tuple[float, float, float] = (0, 0, 0),
    *,
    size: tuple[int, int] = (0, 0),
    bgr: bool = False,
) -> Floats:
    """Return `(images - mean) * scale` as a net's input, shape (n, 3, h, w), float32.

    `mean` is in the order of the net's channels; `size` is (width, height).
    """
    return np.asarray(cv2.dnn.blobFromImages(images, scale, size, mean, swapRB=bgr))


def padded(image: Image, step: int) -> Image:
    """Return `image` with black at the right and the bottom up to multiples of `step`."""
    bottom, right = (-side % step for side in image.shape[:2])
    if not bottom and not right:
        return image
    return np.asarray(cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_CONSTANT), np.uint8)


def nms(boxes: Floats, scores: Floats, overlap: float) -> NDArray[np.int64]:
    """Return the rows that stay when, of two boxes with IoU > `overlap`, the surer one does.

    Parameters
    ----------
    boxes : np.ndarray, shape=(n, 4)
        `[x1, y1, x2, y2]`, finite.
    scores : np.ndarray, shape=(n,)
        Finite.

    Returns
    -------
    np.ndarray, shape=(kept,)
        Row numbers, highest score first.
    """
    if not len(boxes):
        return np.empty(0, np.int64)
    order = np.argsort(-scores, kind="stable")
    ranks = np.arange(len(order), 0, -1, dtype=np.float32)  # NMSBoxes takes positive scores only
    xywh = _boxes.xyxy_to_xywh(boxes[order]).astype(np.float64)
    kept = cv2.dnn.NMSBoxes(xywh, ranks, 0, overlap)  # type: ignore[arg-type]
    return np.asarray(order[np.asarray(kept, np.int64).ravel()])


def checked(name: str, value: Any, low: float, high: float = np.inf) -> float:
    """Return the option's value if it is a number from `low` to `high`.

    Raises
    ------
    OptionError
        Otherwise; names option, value and choices.
    """
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if number and np.isfinite(value) and low <= value <= high:
        return float(value)
    wanted = f"of at least {low:g}" if high == np.inf else f"from {low:g} to {high:g}"
    raise OptionError(f"{name} is {value!r}: expected a number {wanted}")


def _checked_image(image: object) -> Image:
    """Return the image as one block of memory, whatever view of an array it came as."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        got = getattr(image, "dtype", type(image).__name__)
        raise PhotoError(f"an image to search is {got}: expected a uint8 array (h, w, 3), RGB")
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise PhotoError(
            f"an image to search has shape {image.shape}: expected (h, w, 3), RGB, not empty"
        )
    return np.ascontiguousarray(image)


def _finite(found: Found) -> Found:
    values = [found.boxes, found.scores[:, None]]
    if found.landmarks is not None:
        values.append(found.landmarks.reshape(len(found.boxes), 10))
    return found.pick(np.isfinite(np.concatenate(values, axis=1)).all(axis=1))


def joined(parts: Sequence[Found]) -> Found:
    """Return what was found in several pieces, or on several grids, together."""
    boxes, scores, landmarks = zip(*parts, strict=True)
    points = None if landmarks[0] is None else np.concatenate(landmarks)
    return Found(np.concatenate(boxes), np.concatenate(scores), points)
