"""YOLO face models of the families 8, 11 and 12 as ONNX files, under ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from groupemo.detectors._base import Found, Image, View, blob, checked, resized
from groupemo.detectors._tiling import FixedSize
from groupemo.detectors._yolo import check_one_class, decoder
from groupemo.errors import ModelError, OptionError
from groupemo.models import store
from groupemo.models.resolver import sha256_of
from groupemo.models.session import open_session, run

__all__ = ["DEFAULTS", "Yolo", "letterbox"]

DEFAULTS = ("yolov8n-face", "yolov8-lite-t-face", "yolov8-lite-t")
"""The weights tried in this order where none are asked for."""

_STRIDE, _SIZE, _BATCH = 32, 640, 8
_GRAY = (114, 114, 114)


class Yolo(FixedSize):
    """Faces, and landmarks where the model gives them, by a YOLO face model.

    Parameters
    ----------
    model : str or Path, optional
        Your own `.onnx` file, or a name in the model store. None: the first of
        `DEFAULTS` that can be had; `models` says which one it was.
    size : int, optional
        The longer side the photo is scaled to, for a file that leaves its input
        size open (640 where left out); a multiple of 32.
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
        If an option means nothing, or the file cannot be had, or is not a YOLO
        model that knows faces alone.
    """

    def __init__(
        self,
        *,
        model: str | Path | None = None,
        size: int | None = None,
        min_score: float = 0.25,
        min_size: float = 0,
        overlap: float = 0.45,
        tile: int | None = None,
    ) -> None:
        score = checked("min_score", min_score, 0, 1)
        super().__init__(score, min_size, overlap, tile)
        path, sha256 = _default() if model is None else _file(model)
        self.models = {path.name: sha256}
        self._session = open_session(path)
        self._input = _read_input(self._session, size, str(path))
        check_one_class(self._session.get_modelmeta().custom_metadata_map.get("names"), str(path))
        self._decode = decoder([output.shape[1:] for output in self._probe(path)], str(path))

    def _probe(self, path: Path) -> list[NDArray[Any]]:
        """Run the file once on nothing: the shapes it declares may be names."""
        size = self._input.height or 2 * _STRIDE, self._input.width or 2 * _STRIDE
        try:
            return run(self._session, self._blob([np.zeros((*size, 3), np.uint8)], *size))
        except Exception as error:  # ONNX Runtime raises classes of its own without a common base
            raise ModelError(f"{path}: not a YOLO face model: {error}") from error

    def _find_each(self, images: Sequence[Image]) -> list[Found]:
        step = self._input.batch or _BATCH
        chunks = [images[start : start + step] for start in range(0, len(images), step)]
        return [found for chunk in chunks for found in self._find_batch(chunk)]

    def _find(self, image: Image) -> Found:
        return self._find_batch([image])[0]

    def _find_batch(self, images: Sequence[Image]) -> list[Found]:
        height, width = self._canvas(images)
        boxed = [letterbox(image, height, width) for image in images]
        outputs = run(self._session, self._blob([view.pixels for view in boxed], height, width))
        return [
            view.to_image(
                self._decode([out[i] for out in outputs], (height, width), self._min_score)
            )
            for i, view in enumerate(boxed)
        ]

    def _canvas(self, images: Sequence[Image]) -> tuple[int, int]:
        """Return the file's input size, or the smallest that holds the images scaled to `size`."""
        sides = np.array([image.shape[:2] for image in images])
        scaled = (sides * (self._input.size / sides.max(axis=1, keepdims=True))).max(axis=0)
        height, width = np.ceil(np.round(scaled) / _STRIDE).clip(1).astype(int) * _STRIDE
        return self._input.height or int(height), self._input.width or int(width)

    def _blob(self, images: Sequence[Image], height: int, width: int) -> NDArray[Any]:
        """Return the images / 255 as (batch, 3, height, width), in the file's own type."""
        inputs = blob(images, 1 / 255).astype(self._input.dtype, copy=False)
        missing = max(0, (self._input.batch or 0) - len(inputs))
        return np.pad(inputs, [(0, missing), (0, 0), (0, 0), (0, 0)]) if missing else inputs


class _Input(NamedTuple):
    """What a file takes; None where it leaves an axis open."""

    batch: int | None
    height: int | None
    width: int | None
    dtype: type[np.floating[Any]]
    size: int
    """The longer side for open axes."""


def letterbox(image: Image, height: int, width: int) -> View:
    """Return `image` scaled to fit `height` x `width`, its shape kept, centred on gray 114."""
    ratio = min(height / image.shape[0], width / image.shape[1])
    tall = min(height, max(1, round(image.shape[0] * ratio)))
    wide = min(width, max(1, round(image.shape[1] * ratio)))
    small = resized(image, wide, tall, cv2.INTER_LINEAR)
    top, left = (height - tall) // 2, (width - wide) // 2
    edges = top, height - tall - top, left, width - wide - left
    pixels = cv2.copyMakeBorder(small, *edges, cv2.BORDER_CONSTANT, value=_GRAY)
    factor = np.array([image.shape[1] / wide, image.shape[0] / tall])
    return View(np.asarray(pixels, np.uint8), factor, -np.array([left, top]) * factor)


def _read_input(session: Any, size: int | None, where: str) -> _Input:
    first, *more = session.get_inputs()
    if more or len(first.shape) != 4 or first.shape[1] != 3:
        raise ModelError(
            f"{where}: not a YOLO face model: its inputs are"
            f" {[put.shape for put in (first, *more)]}, expected one (n, 3, h, w)"
        )
    batch, _, height, width = (axis if isinstance(axis, int) else None for axis in first.shape)
    fixed = {height, width} - {None}
    if size is not None and fixed and size not in fixed:
        raise OptionError(f"size is {size}: the file {where} is fixed at {height} x {width}")
    longest = checked("size", _SIZE if size is None else size, _STRIDE)
    dtype = np.float16 if "float16" in first.type else np.float32
    return _Input(batch, height, width, dtype, int(longest))


@cache
def _default() -> tuple[Path, str]:
    """Return the first of the default weights that can be had: looked for once a process."""
    reasons = []
    for name in DEFAULTS:
        try:
            return _file(name)
        except ModelError as error:
            reasons.append(str(error))
    raise ModelError("no YOLO face model can be had: " + "; ".join(reasons))


def _file(model: str | Path) -> tuple[Path, str]:
    """Return path and SHA-256 of a user's own file, or of one of the store's."""
    path = Path(model)
    if path.suffix != ".onnx" and not path.exists():
        file = store.fetch(str(model))
        return file.path, file.sha256
    try:
        return path, sha256_of(path)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
