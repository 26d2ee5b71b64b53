"""The verbs that run models: detect, classify, analyze, analyze_all, analyze_grid.

Photos are dealt out in small chunks, and each worker thread takes a chunk
through all stages (`groupemo.engine`). The chunks in flight are bounded, so
memory depends on the number of workers and not on the number of photos. OpenCV,
ONNX Runtime and Pillow run outside Python's lock, one thread each: photos are
parallel, nets are not.
"""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from groupemo.analysis import Analysis, AnalysisWriter, iter_analyses
from groupemo.detectors.labelled import LABELLED, LabelledBoxes
from groupemo.emotions import align_probs
from groupemo.engine import Engine, Key, find, key_of
from groupemo.errors import OptionError, PhotoError
from groupemo.faces import Faces
from groupemo.images import MAX_PIXELS, Photo, find_photos, one_photo, read_photo
from groupemo.labels import Labels
from groupemo.plugins import (
    BACKENDS,
    DEFAULT_BACKEND,
    DEFAULT_DETECTOR,
    DETECTORS,
    Backend,
    Detector,
    checked_probs,
)

__all__ = ["analyze", "analyze_all", "analyze_grid", "classify", "detect"]

CHUNK = 8
"""Most photos a worker takes at a time."""

T = TypeVar("T")
U = TypeVar("U")


def detect(
    photo: Any,
    detector: str | Detector = DEFAULT_DETECTOR,
    *,
    max_pixels: int = MAX_PIXELS,
    **options: Any,
) -> Faces:
    """Find the faces in one photo.

    Parameters
    ----------
    photo : path, file-like object, bytes, np.ndarray
        See `read_photo`.
    detector : str or Detector
        A spec (`list_detectors` names them) or an object.
    max_pixels : int
        Larger photos are refused.
    **options
        The detector's own options.

    Returns
    -------
    Faces
        Possibly empty; those of `analyze`.

    Raises
    ------
    PhotoError, UnknownPlugin, OptionError, ModelError, ContractError
    """
    return find(one_photo(photo), DETECTORS.load(detector, **options), max_pixels)


def classify(
    photo: Any, faces: Faces, backend: str | Backend = DEFAULT_BACKEND, **options: Any
) -> NDArray[np.float64]:
    """Return the probabilities of the seven expressions for each face.

    Parameters
    ----------
    photo : path, file-like object, bytes, np.ndarray
        The photo the faces are in.
    faces : Faces
        Boxes in that photo's pixels.
    backend : str or Backend
        A spec (`list_backends` names them) or an object.
    **options
        The backend's own options.

    Returns
    -------
    np.ndarray, shape=(n, 7)
        Columns in the order of `EMOTIONS`; a NaN row where the backend abstained.
    """
    loaded = BACKENDS.load(backend, **options)
    image = read_photo(photo)
    with loaded.guard:
        probs = loaded.plugin.predict(loaded.plugin.prepare(image, faces))
    checked = checked_probs(probs, len(faces), loaded.plugin, loaded.label)
    return align_probs(checked, loaded.plugin.classes)


def analyze(
    photo: Any,
    *,
    detector: str | Detector = DEFAULT_DETECTOR,
    backend: str | Backend = DEFAULT_BACKEND,
    max_pixels: int = MAX_PIXELS,
) -> Analysis:
    """Find the faces in one photo and say what one backend makes of each.

    Parameters
    ----------
    photo : path, file-like object, bytes, np.ndarray
        One photo; see `read_photo`.
    detector, backend : str or object
        Specs or objects.
    max_pixels : int
        Larger photos are refused.

    Returns
    -------
    Analysis
        It shows itself in a notebook.

    Raises
    ------
    PhotoError
        If the photo cannot be read, or a plugin failed on it.
    """
    found = find_photos(photo)
    if len(found) != 1:
        raise PhotoError(f"{len(found)} photos given to analyze(): use analyze_all()")
    [analysis] = analyze_grid(
        found,
        detectors=[detector],
        backends=[backend],
        workers=1,
        progress=False,
        max_pixels=max_pixels,
    )
    if analysis.failure:
        raise PhotoError(analysis.failure.reason)
    return analysis


def analyze_all(
    photos: Any,
    *,
    detector: str | Detector = DEFAULT_DETECTOR,
    backend: str | Backend = DEFAULT_BACKEND,
    **options: Any,
) -> Iterator[Analysis]:
    """Analyze many photos with one detector and one backend, in order.

    Parameters are those of `analyze_grid`, with one plugin of each kind.
    """
    return analyze_grid(photos, detectors=[detector], backends=[backend], **options)


def analyze_grid(
    photos: Any,
    *,
    detectors: Sequence[str | Detector],
    backends: Sequence[str | Backend],
    workers: int | None = None,
    out: str | Path | None = None,
    progress: bool | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Iterator[Analysis]:
    """Analyze many photos with every detector and every backend.

    A photo is read once and each detector sees it once, whatever the number of
    backends. A photo that cannot be used becomes analyses with a `failure`.

    Parameters
    ----------
    photos : path, folder, glob, array, file-like object or a list of these
        See `find_photos`.
    detectors, backends : sequence of str or object
        Specs or objects. Objects are called by one thread at a time; of a spec
        each worker gets its own.
    workers : int, optional
        Threads; by default one for each core this process may use.
    out : path, optional
        JSON lines file that each analysis is appended to as it comes. What is
        in it already (same photo bytes, options and model checksums) is not
        done again and not yielded.
    progress : bool, optional
        Show a progress bar; by default only on a terminal or in a notebook.
    max_pixels : int
        Larger photos are refused.

    Yields
    ------
    Analysis
        Photo by photo in order; for each, detector by detector, backend by backend.

    Raises
    ------
    PhotoError
        If there are no photos at all.
    UnknownPlugin, OptionError, ModelError, MissingExtra
        Before the first photo, if a plugin cannot be had.
    """
    found = find_photos(photos)
    return stream(found, load_engines(detectors, backends, workers, max_pixels), out, progress)


def load_engines(
    detectors: Sequence[str | Detector],
    backends: Sequence[str | Backend],
    workers: int | None,
    max_pixels: int,
    labels: Labels | None = None,
) -> list[Engine]:
    """Return an engine a worker: an object is shared, with its lock; of a spec each has its own.

    Where there are `labels`, the detector "labelled" gives their faces.
    """
    if isinstance(detectors, str) or isinstance(backends, str):
        raise OptionError("detectors and backends are lists: write ['yunet'], not 'yunet'")
    given = [
        LabelledBoxes(labels) if labels is not None and each == LABELLED else each
        for each in detectors
    ]
    finders = [each if isinstance(each, str) else DETECTORS.load(each) for each in given]
    readers = [each if isinstance(each, str) else BACKENDS.load(each) for each in backends]
    return [Engine.load(finders, readers, max_pixels) for _ in range(_worker_count(workers))]


def stream(
    photos: list[Photo], engines: list[Engine], out: str | Path | None, progress: bool | None
) -> Iterator[Analysis]:
    """Yield what `analyze_grid` does, with engines that are loaded already."""
    idle: queue.SimpleQueue[Engine] = queue.SimpleQueue()
    for engine in engines:
        idle.put(engine)
    chunks = _chunks(photos, max(1, min(CHUNK, len(photos) // (4 * len(engines)))))
    with ExitStack() as stack:
        stack.enter_context(_one_opencv_thread)
        writer = stack.enter_context(AnalysisWriter(out)) if out is not None else None
        done = _done(out)

        def work(chunk: list[Photo]) -> list[list[Analysis]]:
            engine = idle.get()
            try:
                return engine.analyze(chunk, done)
            finally:
                idle.put(engine)

        results = stack.enter_context(closing(_map_bounded(work, chunks, len(engines))))
        for analyses in _counted(results, len(photos), progress):
            for analysis in analyses:
                if writer:
                    writer.append(analysis)
                yield analysis


def _counted(results: Iterable[T], total: int, progress: bool | None) -> Iterable[T]:
    """Return the results of photos, counted by a bar where one is wanted."""
    if progress is False:
        return results
    from tqdm.auto import tqdm

    return tqdm(results, total=total, unit="photo", disable=None if progress is None else False)


def _worker_count(workers: int | None) -> int:
    if workers is None:
        usable = getattr(os, "sched_getaffinity", None)
        return len(usable(0)) if usable else os.cpu_count() or 1
    if not isinstance(workers, int) or workers < 1:
        raise OptionError(f"workers is {workers!r}: expected a whole number, 1 or more")
    return workers


def _chunks(items: list[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _map_bounded(
    function: Callable[[T], list[U]], items: Iterator[T], workers: int
) -> Generator[U, None, None]:
    """Yield each result of `function` in order, with two calls in flight for each worker."""
    with ThreadPoolExecutor(workers, thread_name_prefix="groupemo") as pool:
        flying = deque(pool.submit(function, item) for item in islice(items, 2 * workers))
        try:
            while flying:
                results = flying.popleft().result()
                flying.extend(pool.submit(function, item) for item in islice(items, 1))
                yield from results
        finally:
            for future in flying:
                future.cancel()


def _done(out: str | Path | None) -> dict[Key, str]:
    """Return what a file of analyses holds: key -> the photo's SHA-256, failures left out.

    Only what `load_analyses` would return counts: of several lines about the same photo,
    detector and backend the last, be it of other options or another model file.
    """
    if out is None or not Path(out).exists():
        return {}
    latest = {
        (one.photo, *one.pair): (key_of(one), one.sha256 if one.failure is None else "")
        for one in iter_analyses(out)
    }
    return dict(latest.values())


class _OneOpenCVThread(AbstractContextManager[None]):
    """Holds OpenCV to one thread while any run is on; the last to end gives it its own back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._before = 0

    def __enter__(self) -> None:
        import cv2

        with self._lock:
            if not self._users:
                self._before = cv2.getNumThreads()
                cv2.setNumThreads(1)
            self._users += 1

    def __exit__(self, *error: object) -> None:
        import cv2

        with self._lock:
            self._users -= 1
            if not self._users:
                cv2.setNumThreads(self._before)


_one_opencv_thread = _OneOpenCVThread()
