"""Photos and crops made of the labelled faces, to be timed on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from board.judging import photos_of, published_boxes
from groupemo.images import read_photo
from groupemo.labels import UNSURE

FACES = (1, 2, 5, 10, 20, 30)
"""Faces of a photo, where it is asked how cost grows; they fit in GRID."""

GRID, CELL, COPIES = (6, 5), 176, 4
"""Cells of a composed photo across and down, pixels of a cell's side, photos with as many faces."""

AROUND = 1.6
"""Side of what is cut for a composed photo, by the face's."""

OF_A_PHOTO = 4
"""Most faces that are taken of one photo."""


def links(photos: Sequence[Path], count: int, folder: Path) -> list[Path]:
    """Return so many photos: the same again under other names."""
    named = [folder / f"{number:05}.jpg" for number in range(count)]
    for number, link in enumerate(named):
        link.symlink_to(photos[number % len(photos)].absolute())
    return named


def compose(pictures: Sequence[np.ndarray], folder: Path) -> dict[int, list[Path]]:
    """Write photos with 1 to 30 of the faces in cells of a gray picture; number -> its photos."""
    across, down = GRID
    random = np.random.default_rng(0)
    composed: dict[int, list[Path]] = {}
    for count in FACES:
        for copy in range(COPIES):
            picture = np.full((down * CELL, across * CELL, 3), 128, np.uint8)
            places = random.permutation(across * down)[:count]
            for place, face in zip(places, random.permutation(len(pictures))[:count], strict=True):
                top, left = divmod(int(place), across)
                picture[top * CELL :, left * CELL :][:CELL, :CELL] = pictures[face]
            path = folder / f"{count}-{copy}.jpg"
            cv2.imwrite(str(path), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
            composed.setdefault(count, []).append(path)
    return composed


def faces(data: Path, count: int, side: int, wider: float = 1.0) -> list[np.ndarray]:
    """Return the largest labelled faces as square RGB pictures, at most `OF_A_PHOTO` of each."""
    labels = published_boxes(data)
    found = []
    for path in photos_of(data):
        labelled = labels[path.name]
        boxes = labelled.boxes[labelled.labels == UNSURE]
        image = read_photo(path)
        for box in sorted(boxes, key=lambda box: -(box[3] - box[1]))[:OF_A_PHOTO]:
            found.append((float(box[3] - box[1]), _cut(image, box, side, wider)))
    found.sort(key=lambda pair: -pair[0])
    return [picture for _, picture in found[:count]]


def _cut(image: np.ndarray, box: np.ndarray, side: int, wider: float) -> np.ndarray:
    """Return the square around a box, so many times as wide, at another size."""
    middle, half = (box[:2] + box[2:]) / 2, wider * (box[2:] - box[:2]).max() / 2
    scale = side / (2 * half)
    move = side / 2 - scale * middle
    matrix = np.array([[scale, 0, move[0]], [0, scale, move[1]]], np.float64)
    return cv2.warpAffine(image, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
