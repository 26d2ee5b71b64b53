"""What makes faces harder to read: a picture or its box, disturbed to a level.

Conventions
-----------
A disturbance is a pure function `(image, faces, level, rng) -> (image, faces)`. It
works on a `window`: one face with as much of its surroundings as a backend may cut,
so that a large photo with many faces is never disturbed as a whole. Lengths are
fractions of the box's side, the geometric mean of its width and height, or pixels
where that is said. At a kind's neutral level both are returned as they are.

What is random, such as the direction of a shift, is drawn from `rng` before the
level is looked at: with equal generators, levels differ in nothing but the level.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from groupemo import boxes as _boxes
from groupemo.crops import Image, cut, resize, whole
from groupemo.errors import OptionError
from groupemo.faces import Faces

__all__ = [
    "DISTURBANCES",
    "Disturbance",
    "blur",
    "box_scale",
    "box_shift",
    "brightness",
    "contrast",
    "face_side",
    "jpeg",
    "noise",
    "rotation",
    "size",
    "window",
]

Disturb = Callable[[Image, Faces, float, Generator], tuple[Image, Faces]]

REACH = 3.0
"""Side of a window in longer sides of the face's box."""

LEAST_REACH = 32
"""Pixels around a face at least, for backends whose margin is in pixels."""

_BROADEST = 4.0
"""Pixels of a blur beyond which a smaller picture is blurred instead: it is as smooth."""


@dataclass(frozen=True)
class Disturbance:
    """One kind of disturbance: what is done, and how far.

    Parameters
    ----------
    title : str
        With its unit, for an axis.
    apply : callable
        `(image, faces, level, rng) -> (image, faces)`.
    levels : tuple of float
        Those taken unless told otherwise, rising.
    least, most : float
        Bounds of a level.
    neutral : float, optional
        The level that changes nothing; None where it is each face's own.
    ratio : bool
        Whether levels compare by their ratio, so that an axis is logarithmic.
    """

    title: str
    apply: Disturb
    levels: tuple[float, ...]
    least: float
    most: float
    neutral: float | None = 0.0
    ratio: bool = False

    def checked(self, kind: str, levels: Sequence[float] | None = None) -> tuple[float, ...]:
        """Return levels in rising order, each once; the kind's own where none are given.

        Raises
        ------
        OptionError
            If there is none, or one is out of bounds.
        """
        if levels is None:
            return self.levels
        bad = [level for level in levels if not self.least <= level <= self.most]
        if bad or not len(levels):
            told = f"level {bad[0]:g}" if bad else "no level"
            raise OptionError(
                f"{kind}: {told}: expected {self.title}, {self.least:g} to {self.most:g}"
            )
        return tuple(sorted(set(map(float, levels))))


def window(image: Image, box: ArrayLike) -> tuple[Image, Faces]:
    """Return a face's surroundings, and the face in their pixels.

    They reach `REACH` times the box's longer side (`LEAST_REACH` pixels around it at
    least), and end where the photo ends.
    """
    [[x1, y1, x2, y2]] = np.asarray(box, dtype=np.float64).reshape(1, 4)
    side = max(x2 - x1, y2 - y1)
    reach = max(REACH * side / 2, side / 2 + LEAST_REACH)
    centre = np.array([x1 + x2, y1 + y2]) / 2
    left, top, right, bottom = whole([*(centre - reach), *(centre + reach)])[0]
    left, top = (max(int(at) // 2 * 2, 0) for at in (left, top))  # even: halves round alike
    height, width = image.shape[:2]
    inside = [left, top, min(right, width), min(bottom, height)]
    return cut(image, inside), Faces(np.array([[x1, y1, x2, y2]]) - [left, top, left, top])


def face_side(boxes: ArrayLike) -> NDArray[np.float64]:
    """Return the side of each box, shape (n,): the geometric mean of width and height."""
    return np.sqrt(_boxes.area(boxes))


def size(image: Image, faces: Faces, level: float, rng: Generator) -> tuple[Image, Faces]:
    """Resize the picture until the face's side is `level` pixels.

    Averaging where it shrinks; bilinear where it grows, which adds no detail.
    """
    factor = level / _side(faces)
    height, width = (max(1, round(length * factor)) for length in image.shape[:2])
    ratio = np.array([width / image.shape[1], height / image.shape[0]])
    return resize(image, (height, width)), Faces(faces.boxes * np.tile(ratio, 2))


def blur(image: Image, faces: Faces, level: float, rng: Generator) -> tuple[Image, Faces]:
    """Blur with a Gaussian whose standard deviation is `level` sides."""
    sigma = level * _side(faces)
    if not sigma:
        return image, faces
    step = max(1.0, sigma / _BROADEST)
    height, width = image.shape[:2]
    small = resize(image, (max(1, round(height / step)), max(1, round(width / step))))
    smooth = cv2.GaussianBlur(small, (0, 0), sigma / step, borderType=cv2.BORDER_REPLICATE)
    return resize(np.asarray(smooth, np.uint8), (height, width)), faces


def jpeg(image: Image, faces: Faces, level: float, rng: Generator) -> tuple[Image, Faces]:
    """Save as JPEG of quality `level` and read it again; at 100 it is left as it is."""
    if level >= 100:
        return image, faces
    quality = [cv2.IMWRITE_JPEG_QUALITY, round(level)]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality)
    again = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    return np.asarray(cv2.cvtColor(again, cv2.COLOR_BGR2RGB), np.uint8), faces


def brightness(image: Image, faces: Faces, level: float, rng: Generator) -> tuple[Image, Faces]:
    """Multiply pixel values by `level`; what passes 255 is white."""
    return _mapped(image, level * np.arange(256.0)), faces


def contrast(image: Image, faces: Faces, level: float, rng: Generator) -> tuple[Image, Faces]:
    """Multiply by `level` how far pixel values are from the face's mean."""
    face = cut(image, faces.boxes[0])
    mean = (face if face.size else image).mean()  # a box may be less than a pixel wide
    return _mapped(image, mean + level * (np.arange(256.0) - mean)), faces


def noise(image: Image, faces: Faces, level: float, rng: Generator) -> tuple[Image, Faces]:
    """Add Gaussian noise of standard deviation `level`, in gray levels, to each value."""
    grain = rng.standard_normal(image.shape, dtype=np.float32)
    if not level:
        return image, faces
    grain *= level
    grain += image
    return np.clip(np.rint(grain, out=grain), 0, 255, out=grain).astype(np.uint8), faces


def box_shift(image: Image, faces: Faces, level: float, rng: Generator) -> tuple[Image, Faces]:
    """Move the box by `level` sides in a random direction; it ends where the photo ends."""
    angle = rng.uniform(0, 2 * math.pi)
    step = level * _side(faces) * np.array([math.cos(angle), math.sin(angle)])
    return image, _inside(image, faces.boxes + np.tile(step, 2))


def box_scale(image: Image, faces: Faces, level: float, rng: Generator) -> tuple[Image, Faces]:
    """Make the box `level` times as wide and high about its centre, up to the photo's edge."""
    if level == 1:
        return image, faces
    return image, _inside(image, _boxes.scale(faces.boxes, level))


def rotation(image: Image, faces: Faces, level: float, rng: Generator) -> tuple[Image, Faces]:
    """Turn the picture about the box's centre by `level` degrees, to a random side.

    What lies beyond the edge repeats the pixels at it; the box stays upright.
    """
    side = rng.choice([-1, 1])
    if not level:
        return image, faces
    [[x1, y1, x2, y2]] = faces.boxes.astype(float)
    centre = ((x1 + x2 - 1) / 2, (y1 + y2 - 1) / 2)
    turn = cv2.getRotationMatrix2D(centre, float(side * level), 1.0)
    height, width = image.shape[:2]
    turned = cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(turned, np.uint8), faces


def _side(faces: Faces) -> float:
    return float(face_side(faces.boxes)[0])


def _mapped(image: Image, values: NDArray[np.float64]) -> Image:
    """Return the image with each of the 256 pixel values replaced."""
    table = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return np.asarray(table[image])


def _inside(image: Image, boxes: NDArray[np.floating]) -> Faces:
    """Return the faces within the image: a detector's boxes do not leave it."""
    height, width = image.shape[:2]
    return Faces(_boxes.clip(boxes, width, height))


DISTURBANCES: Mapping[str, Disturbance] = MappingProxyType(
    {
        "size": Disturbance(
            "side of the face, pixels", size, (12, 16, 24, 32, 48, 64, 96, 128, 224),
            4, 512, None, ratio=True,
        ),
        "blur": Disturbance(
            "blur, sigma in sides of the face", blur,
            (0, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12, 0.16), 0, 1,
        ),
        "jpeg": Disturbance(
            "JPEG quality (100: not saved again)", jpeg, (5, 10, 20, 30, 50, 75, 100),
            1, 100, 100.0, ratio=True,
        ),
        "brightness": Disturbance(
            "brightness, factor", brightness, (0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.4, 1.8, 2.2, 2.6),
            0, 10, 1.0,
        ),
        "contrast": Disturbance(
            "contrast, factor", contrast, (0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.5, 2, 2.5), 0, 10, 1.0
        ),
        "noise": Disturbance(
            "noise, standard deviation in gray levels", noise, (0, 5, 10, 20, 30, 45, 60), 0, 255
        ),
        "shift": Disturbance(
            "shift of the box, sides", box_shift, (0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4), 0, 0.45
        ),
        "scale": Disturbance(
            "scale of the box, factor", box_scale,
            (0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.15, 1.3, 1.5, 1.75), 0.2, 2.5, 1.0,
        ),
        "rotation": Disturbance(
            "rotation, degrees to either side", rotation, (0, 10, 20, 30, 45, 60, 90), 0, 180
        ),
    }
)  # fmt: skip
"""Every kind by name."""
