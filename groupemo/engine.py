"""One worker's way through a chunk of photos: read, detect, prepare, predict.

A photo is decoded once, every detector looks at it once, every backend cuts its
inputs from it, and then the pixels are let go; the inputs of many faces and
photos wait until a batch is full and are predicted in one call. Whatever fails,
fails for its photo alone, and becomes a `Failure` that says where.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groupemo.analysis import Analysis, Failure
from groupemo.errors import ContractError, GroupemoError, OptionError, PhotoError
from groupemo.faces import Faces
from groupemo.images import Photo, digest, is_jpeg
from groupemo.plugins import (
    BACKENDS,
    DETECTORS,
    Backend,
    Detector,
    Loaded,
    PhotoDetector,
    checked_faces,
    checked_probs,
    provenance_key,
)

__all__ = ["BATCH_ROWS", "Engine", "Key", "find", "key_of"]

BATCH_ROWS = 64
"""Rows that wait for one `predict` call."""

_SHARP = 2
"""Pixels of a face in a photo decoded at part of its size, to one that its backend reads."""

_FACTORS = (2, 4, 8)
"""By how much a JPEG may be decoded smaller."""

_NEARLY = 0.98
"""Of the side that detectors see: half of a phone's 4,032 pixels will do for 2,048."""

_ANY = (Exception, SystemExit)
"""What a plugin may fail with: some libraries call `sys.exit` where they should raise."""

Key = tuple[str, str, str]
"""A photo's name and the provenance keys of a detector and a backend."""


def key_of(analysis: Analysis) -> Key:
    """Return what an analysis is of."""
    labels = {"detector": analysis.detector, "backend": analysis.backend}
    detector, backend = (
        provenance_key({"label": label, **analysis.provenance.get(kind, {})})
        for kind, label in labels.items()
    )
    return analysis.photo, detector, backend


@dataclass
class _Cell:
    """One photo x detector x backend on its way to an `Analysis`."""

    photo: Photo
    sha256: str
    size: tuple[int, int]
    faces: Faces
    detector: Loaded[Detector]
    backend: Loaded[Backend]
    seconds: dict[str, float]
    inputs: NDArray[Any] | None = None
    probs: NDArray[np.float64] | None = None
    failure: Failure | None = None

    def finish(self) -> Analysis:
        classes = tuple(self.backend.plugin.classes)
        if self.probs is None:
            self.probs = np.full((len(self.faces), len(classes)), np.nan)
        width, height = self.size
        return Analysis(
            photo=self.photo.name,
            sha256=self.sha256,
            width=width,
            height=height,
            faces=self.faces,
            probs=self.probs,
            classes=classes,
            detector=self.detector.label,
            backend=self.backend.label,
            provenance={
                "detector": self.detector.provenance,
                "backend": self.backend.provenance,
            },
            seconds={stage: round(value, 6) for stage, value in self.seconds.items()},
            failure=self.failure,
            path=None if self.photo.path is None else str(self.photo.path.absolute()),
        )


@dataclass
class _Pixels:
    """A photo, decoded once at each size that somebody looks at."""

    photo: Photo
    data: bytes | NDArray[np.uint8]
    max_pixels: int
    _images: dict[int | None, NDArray[np.uint8]] = field(default_factory=dict)

    @cached_property
    def size(self) -> tuple[int, int]:
        """Width and height of the photo."""
        if is_jpeg(self.data):
            return self.photo.size(self.data, max_pixels=self.max_pixels)
        height, width = self.whole.shape[:2]
        return width, height

    @property
    def whole(self) -> NDArray[np.uint8]:
        """All pixels."""
        return self._decoded(None)

    def seen_by(self, detector: Detector) -> _View:
        """Return what a detector is shown, whichever others look at the photo.

        Raises
        ------
        PhotoError
            If it cannot be read.
        """
        enough = getattr(detector, "enough_side", None)
        if not isinstance(enough, int) or not is_jpeg(self.data):
            return _View(self, self.whole)
        longer = max(self.size)
        sides = [longer // factor for factor in _FACTORS if longer / factor >= enough * _NEARLY]
        return _View(self, self._decoded(min(sides)) if sides else self.whole)

    def _decoded(self, side: int | None) -> NDArray[np.uint8]:
        if side not in self._images:
            self._images[side] = self.photo.decode(self.data, max_pixels=self.max_pixels, side=side)
        return self._images[side]


@dataclass(frozen=True)
class _View:
    """A photo as a detector sees it, and all of it where that is too coarse for a face."""

    pixels: _Pixels
    image: NDArray[np.uint8]

    @property
    def factor(self) -> int:
        """The photo's pixels to a pixel of the image: 1, 2, 4 or 8."""
        side: int = max(self.image.shape[:2])
        return round(max(self.pixels.size) / side)

    def faces(self, found: Faces) -> Faces:
        """Return what was found in the image in pixels of the photo."""
        if self.factor == 1:
            return found
        points = None if found.landmarks is None else found.landmarks * self.factor
        return Faces(found.boxes * self.factor, found.scores, points).clipped(*self.pixels.size)

    def shown(self, backend: Backend, found: Faces) -> tuple[NDArray[np.uint8], Faces]:
        """Return what a backend is shown: the image if each face has the pixels it reads, twice."""
        side = getattr(backend, "face_side", np.inf)
        sides = found.boxes[:, 2:] - found.boxes[:, :2]
        if self.factor == 1 or sides.min() >= _SHARP * side:
            return self.image, found
        return self.pixels.whole, self.faces(found)


@dataclass
class Engine:
    """One worker's plugins."""

    detectors: list[Loaded[Detector]]
    backends: list[Loaded[Backend]]
    max_pixels: int

    @classmethod
    def load(
        cls,
        detectors: Sequence[str | Loaded[Detector]],
        backends: Sequence[str | Loaded[Backend]],
        max_pixels: int,
    ) -> Engine:
        """Build the plugins named, take the loaded ones as they are."""
        engine = cls(
            [DETECTORS.load(each) if isinstance(each, str) else each for each in detectors],
            [BACKENDS.load(each) if isinstance(each, str) else each for each in backends],
            max_pixels,
        )
        for kind, plugins in (("detector", engine.detectors), ("backend", engine.backends)):
            labels = [loaded.label for loaded in plugins]
            if not labels or len(set(labels)) < len(labels):
                raise OptionError(f"expected one {kind} or more, each named once, got {labels}")
        return engine

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The provenance keys of each detector with each backend, in order."""
        return [(each.key, other.key) for each in self.detectors for other in self.backends]

    def analyze(self, photos: list[Photo], done: Mapping[Key, str]) -> list[list[Analysis]]:
        """Take photos through all stages; what `done` names is left out."""
        batches = {loaded.label: _Batch(loaded) for loaded in self.backends}
        rows = []
        for photo in photos:
            cells = self._cells(photo, done)
            for cell in cells:
                batches[cell.backend.label].add(cell)
            rows.append(cells)
        for batch in batches.values():
            batch.flush()
        return [[cell.finish() for cell in cells] for cells in rows]

    def _cells(self, photo: Photo, done: Mapping[Key, str]) -> list[_Cell]:
        """Read a photo, run the detectors it still needs, and cut each backend's inputs."""
        clock = _Clock()
        sha256, failure = "", None
        views: list[_View] = []
        try:
            data = photo.load()
            sha256 = digest(data)
            wanted = self._wanted(photo.name, sha256, done)
            pixels = _Pixels(photo, data, self.max_pixels)
            views = [pixels.seen_by(detector.plugin) for detector, _ in wanted]
        except PhotoError as error:
            wanted, failure = self._wanted(photo.name, sha256, {}), Failure("read", str(error))
        reading = clock.lap()
        cells = []
        for (detector, backends), view in zip_longest(wanted, views):
            seconds = {"read": reading}
            size, found, faces, problem = (0, 0), Faces.empty(), Faces.empty(), failure
            if view is not None:
                found, problem = _attempt_detect(detector, view.image, photo.name)
                size, faces = view.pixels.size, view.faces(found)
                seconds["detect"] = clock.lap()
            for backend in backends:
                cell = _Cell(
                    photo, sha256, size, faces, detector, backend, dict(seconds), failure=problem
                )
                if view is not None and len(faces):
                    cell.inputs = _attempt_prepare(cell, view, found)
                    cell.seconds["prepare"] = clock.lap()
                cells.append(cell)
        return cells

    def _wanted(
        self, name: str, sha256: str, done: Mapping[Key, str]
    ) -> list[tuple[Loaded[Detector], list[Loaded[Backend]]]]:
        grid = [
            (
                detector,
                [b for b in self.backends if done.get((name, detector.key, b.key)) != sha256],
            )
            for detector in self.detectors
        ]
        return [(detector, backends) for detector, backends in grid if backends]


@dataclass
class _Batch:
    """Cells of one backend whose inputs wait for a `predict` call."""

    backend: Loaded[Backend]
    cells: list[_Cell] = field(default_factory=list)
    rows: int = 0

    def add(self, cell: _Cell) -> None:
        if cell.inputs is None:
            return
        self.cells.append(cell)
        self.rows += len(cell.faces)
        if self.rows >= BATCH_ROWS:
            self.flush()

    def flush(self) -> None:
        """Predict all waiting rows in one call; if that fails, photo by photo to find the one."""
        cells, self.cells, self.rows = self.cells, [], 0
        try:
            self._predict(cells)
        except _ANY:
            for cell in cells:
                try:
                    self._predict([cell])
                except _ANY as error:
                    cell.failure = _failure("classify", cell.backend.label, cell.photo.name, error)
        for cell in cells:
            cell.inputs = None

    def _predict(self, cells: list[_Cell]) -> None:
        if not cells:
            return
        clock = _Clock()
        sizes = [len(cell.faces) for cell in cells]
        inputs = np.concatenate([cell.inputs for cell in cells if cell.inputs is not None])
        plugin = self.backend.plugin
        with self.backend.guard:
            predicted = plugin.predict(inputs)
        probs = checked_probs(predicted, sum(sizes), plugin, self.backend.label)
        each = clock.lap() / sum(sizes)
        ends = np.cumsum(sizes)
        for cell, part in zip(cells, np.split(probs, ends[:-1]), strict=True):
            cell.probs = part
            cell.seconds["predict"] = each * len(part)


def find(photo: Photo, detector: Loaded[Detector], max_pixels: int) -> Faces:
    """Return the faces that a detector finds in a photo, as an analysis has them.

    Raises
    ------
    PhotoError, ContractError
        If the photo cannot be read, or the detector gives what none may.
    """
    view = _Pixels(photo, photo.load(), max_pixels).seen_by(detector.plugin)
    return view.faces(_detect(detector, view.image, photo.name))


def _detect(detector: Loaded[Detector], image: NDArray[np.uint8], name: str) -> Faces:
    plugin = detector.plugin
    with detector.guard:
        look = plugin.for_photo(name) if isinstance(plugin, PhotoDetector) else plugin
        faces = look(image)
    return checked_faces(faces, image, detector.label)


def _attempt_detect(
    detector: Loaded[Detector], image: NDArray[np.uint8], name: str
) -> tuple[Faces, Failure | None]:
    try:
        return _detect(detector, image, name), None
    except _ANY as error:
        return Faces.empty(), _failure("detect", detector.label, name, error)


def _attempt_prepare(cell: _Cell, view: _View, found: Faces) -> NDArray[Any] | None:
    try:
        image, faces = view.shown(cell.backend.plugin, found)
        with cell.backend.guard:
            inputs = np.array(cell.backend.plugin.prepare(image, faces))  # kept: a copy
        if inputs.shape[:1] != (len(cell.faces),):
            raise ContractError(f"prepare() gave shape {inputs.shape} for {len(cell.faces)} faces")
    except _ANY as error:
        cell.failure = _failure("classify", cell.backend.label, cell.photo.name, error)
        return None
    return inputs


def _failure(stage: str, label: str, name: str, error: BaseException) -> Failure:
    """Name what failed on which photo; a foreign error is named by its class too."""
    told = str(error) if isinstance(error, GroupemoError) else f"{type(error).__name__}: {error}"
    return Failure(stage, f"{name}: {label} failed: {told}")


class _Clock:
    """Wall seconds from lap to lap."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def lap(self) -> float:
        now = time.perf_counter()
        passed, self._last = now - self._last, now
        return passed
