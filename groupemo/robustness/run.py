"""Ask backends about labelled faces, undisturbed and disturbed."""

from __future__ import annotations

import queue
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groupemo.crops import Image
from groupemo.detectors.labelled import LABELLED
from groupemo.emotions import EMOTIONS, align_probs
from groupemo.engine import BATCH_ROWS
from groupemo.errors import ContractError, GroupemoError, LabelError, OptionError
from groupemo.faces import Faces
from groupemo.images import MAX_PIXELS, Photo, digest, find_photos
from groupemo.label_csv import load_labels
from groupemo.labels import LabelledFaces, Labels
from groupemo.metrics.uncertainty import DRAWS, weightings
from groupemo.pipeline import load_engines
from groupemo.plugins import DEFAULT_BACKEND, Backend, Loaded, checked_probs
from groupemo.robustness.curves import Step, Stress
from groupemo.robustness.disturbances import DISTURBANCES, face_side, window

__all__ = ["stress"]

Floats = NDArray[np.float64]


def stress(
    labels: Labels | str | Path,
    photos: Any,
    *,
    backends: Sequence[str | Backend] = (DEFAULT_BACKEND,),
    kinds: Iterable[str] | Mapping[str, Sequence[float] | None] | None = None,
    workers: int | None = None,
    progress: bool | None = None,
    max_pixels: int = MAX_PIXELS,
    draws: int = DRAWS,
    seed: int = 0,
) -> Stress:
    """Ask backends about labelled faces that are made harder to read, step by step.

    Parameters
    ----------
    labels : Labels or path
        Faces whose expression is labelled as unsure or ignore are left out.
    photos : path, folder, glob, array, file-like object or a list of these
        Those of the labels; others among them are not looked at.
    backends : sequence of str or Backend
        Specs or objects.
    kinds : iterable of str, or mapping of str to sequence of float, optional
        Of `groupemo.robustness.DISTURBANCES`, all unless told otherwise; with levels
        where others are wanted than each kind's own.
    workers : int, optional
        Threads; by default one for each core.
    progress : bool, optional
        Show a progress bar; by default only on a terminal or in a notebook.
    max_pixels : int
        Larger photos are refused.
    draws, seed : int
        Of the bootstrap; the seed also of what is random in a disturbance, which is
        the same for every backend, level and order of photos.

    Returns
    -------
    Stress

    Raises
    ------
    LabelError
        If no labelled face has a known expression, a labelled photo is missing or
        another one, or a box lies outside its photo.
    PhotoError
        If a photo cannot be read.
    OptionError
        If a kind is unknown, or a level is out of bounds.
    UnknownPlugin, ModelError, MissingExtra, ContractError
        If a backend cannot be had, or fails.
    """
    steps = _steps(kinds)
    truth = labels if isinstance(labels, Labels) else load_labels(labels)
    known = {name: faces[faces.labels >= 0] for name, faces in truth.items()}
    known = {name: faces for name, faces in known.items() if len(faces)}
    if not known:
        raise LabelError("no labelled face has a known expression: there is nothing to compare")
    weightings(len(known), draws, seed)  # refuses what means nothing before the slow part
    found = _photos_of(known, photos)
    engines = load_engines([LABELLED], backends, workers, max_pixels, truth)
    reader = _Reader(steps, truth.sha256, known, seed, max_pixels)
    parts = list(_read_all(reader, found, [engine.backends for engine in engines], progress))
    faces = [known[photo.name] for photo in found]
    loaded = engines[0].backends
    answers = np.concatenate(parts, axis=2)
    return Stress(
        steps,
        {one.label: rows for one, rows in zip(loaded, answers, strict=True)},
        tuple(photo.name for photo in found),
        np.repeat(np.arange(len(found)), [len(each) for each in faces]),
        np.concatenate([each.labels for each in faces]),
        face_side(np.concatenate([each.boxes for each in faces])),
        {one.label: one.provenance for one in loaded},
        draws,
        seed,
    )


def _steps(
    kinds: Iterable[str] | Mapping[str, Sequence[float] | None] | None,
) -> tuple[Step, ...]:
    if isinstance(kinds, str):
        raise OptionError(f"kinds is a list: write [{kinds!r}], not {kinds!r}")
    chosen = DISTURBANCES if kinds is None else kinds
    asked = dict(kinds) if isinstance(kinds, Mapping) else dict.fromkeys(chosen)
    unknown = [kind for kind in asked if kind not in DISTURBANCES]
    if unknown or not asked:
        told = f"kind {unknown[0]!r}" if unknown else "no kind of disturbance"
        raise OptionError(f"{told}: expected one or more of {', '.join(DISTURBANCES)}")
    return tuple(
        Step(kind, level)
        for kind, levels in asked.items()
        for level in DISTURBANCES[kind].checked(kind, levels)
    )


def _photos_of(known: Mapping[str, LabelledFaces], photos: Any) -> list[Photo]:
    found = [photo for photo in find_photos(photos) if photo.name in known]
    missing = sorted(set(known) - {photo.name for photo in found})
    if missing:
        some = ", ".join(missing[:5]) + (" ..." if len(missing) > 5 else "")
        raise LabelError(
            f"{len(missing)} of {len(known)} labelled photos are not among the photos: {some}; give"
            " the folder they are in, or take their rows out of the labels"
        )
    return found


def _read_all(
    reader: _Reader, photos: list[Photo], teams: list[list[Loaded[Backend]]], progress: bool | None
) -> Iterator[Floats]:
    """Yield the answers of each photo in order; each thread has backends of its own."""
    from tqdm.auto import tqdm

    idle: queue.SimpleQueue[list[Loaded[Backend]]] = queue.SimpleQueue()
    for team in teams:
        idle.put(team)

    def work(photo: Photo) -> Floats:
        team = idle.get()
        try:
            return reader.read(photo, team)
        finally:
            idle.put(team)

    hidden = None if progress is None else not progress
    with (
        tqdm(total=len(photos), unit="photo", disable=hidden) as bar,
        ThreadPoolExecutor(len(teams), thread_name_prefix="groupemo") as pool,
        closing(pool.map(work, photos)) as parts,  # type: ignore[type-var]
    ):
        for part in parts:
            bar.update()
            yield part


@dataclass(frozen=True)
class _Reader:
    """Takes one photo's faces through all steps and all backends."""

    steps: tuple[Step, ...]
    sha256: Mapping[str, str]
    known: Mapping[str, LabelledFaces]
    seed: int
    max_pixels: int

    def read(self, photo: Photo, backends: Sequence[Loaded[Backend]]) -> Floats:
        """Return probabilities, shape (backends, 1 + steps, faces, 7)."""
        data = photo.load()
        if self.sha256.get(photo.name) not in (None, digest(data)):
            raise LabelError(f"{photo.place}: not the picture that was labelled: SHA-256 differs")
        image = photo.decode(data, max_pixels=self.max_pixels)
        height, width = image.shape[:2]
        boxes = self.known[photo.name].check_inside(width, height, photo.name).boxes
        shape = (1 + len(self.steps), len(boxes), len(EMOTIONS))
        batches = [_Batch(photo.name, loaded, np.full(shape, np.nan)) for loaded in backends]
        for face, box in enumerate(boxes):
            for row, picture, faces in self._disturbed(photo.name, face, *window(image, box)):
                for batch in batches:
                    batch.add((row, face), picture, faces)
        for batch in batches:
            batch.flush()
            for row, step in enumerate(self.steps, 1):
                if step.level == DISTURBANCES[step.kind].neutral:
                    batch.answers[row] = batch.answers[0]
        return np.stack([batch.answers for batch in batches])

    def _disturbed(
        self, name: str, number: int, image: Image, faces: Faces
    ) -> Iterator[tuple[int, Image, Faces]]:
        """Yield the row of answers, the picture and the face of every step that changes them."""
        yield 0, image, faces
        key = [self.seed, zlib.crc32(name.encode()), number]
        for row, (kind, level) in enumerate(self.steps, 1):
            about = DISTURBANCES[kind]
            if level != about.neutral:
                yield row, *about.apply(image, faces, level, np.random.default_rng(key))


@dataclass
class _Batch:
    """Rows of one photo and backend that wait for a `predict` call."""

    photo: str
    backend: Loaded[Backend]
    answers: Floats
    places: list[tuple[int, int]] = field(default_factory=list)
    inputs: list[NDArray[Any]] = field(default_factory=list)

    def add(self, place: tuple[int, int], image: Image, faces: Faces) -> None:
        row = self._ask(lambda: np.array(self.backend.plugin.prepare(image, faces)))
        if row.shape[:1] != (1,):
            raise ContractError(
                f"{self.backend.label}: prepare() gave shape {row.shape} for 1 face"
            )
        self.places.append(place)
        self.inputs.append(row)
        if len(self.inputs) >= BATCH_ROWS:
            self.flush()

    def flush(self) -> None:
        if not self.inputs:
            return
        plugin, inputs = self.backend.plugin, np.concatenate(self.inputs)
        probs = self._ask(lambda: np.asarray(plugin.predict(inputs)))
        checked = checked_probs(probs, len(inputs), plugin, self.backend.label)
        rows, faces = np.transpose(self.places)
        self.answers[rows, faces] = align_probs(checked, plugin.classes)
        self.places, self.inputs = [], []

    def _ask(self, question: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        try:
            with self.backend.guard:
                return question()
        except GroupemoError:
            raise
        except (Exception, SystemExit) as error:  # some libraries exit where they should raise
            raise ContractError(
                f"{self.photo}: {self.backend.label} failed: {type(error).__name__}: {error}"
            ) from error
