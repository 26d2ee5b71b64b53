"""Proposals: a detector, and backends where they are wanted, over the photos in the background.

One thread, one decoded photo at a time: memory does not hang on how many photos there
are. The photos that come after the one an annotator looks at are done first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from groupemo.boxes import clip
from groupemo.emotions import EMOTIONS
from groupemo.errors import GroupemoError
from groupemo.faces import Faces
from groupemo.images import Photo
from groupemo.labeller.actions import LEAST_SIDE
from groupemo.labeller.album import load_same
from groupemo.labeller.journal import Guesses, Journal, Proposals
from groupemo.pipeline import classify, detect
from groupemo.plugins import Backend, Detector, Loaded

__all__ = ["Proposer"]

_ANY = (Exception, SystemExit)
"""What a plugin may fail with: some libraries call `sys.exit` where they should raise."""


class Proposer:
    """A thread that looks at photos until all are done, or it is told to stop.

    Parameters
    ----------
    photos : mapping of str to Photo
        By id, in the order in which they are wanted.
    journal : Journal
        Keeps what is found; what it holds already is not done again.
    detector : Loaded
    backends : sequence of Loaded
    on_look : callable
        Is called in the thread when a photo is done: its id, and what failed or an empty text.
    finished : callable
        Is asked in the thread whether a photo is to have no proposals any more.
    """

    def __init__(
        self,
        photos: Mapping[str, Photo],
        journal: Journal,
        detector: Loaded[Detector],
        backends: Sequence[Loaded[Backend]],
        on_look: Callable[[str, str], object],
        finished: Callable[[str], bool] = lambda photo: False,
    ) -> None:
        self._photos = photos
        self._journal = journal
        self._detector = detector
        self._backends = backends
        self._on_look = on_look
        self._finished = finished
        proposed = {one.photo for one in journal.proposals()[1]}
        self._guessed = {(one.photo, one.provenance) for one in journal.guesses()}
        self._lock = threading.Lock()
        self._todo = [photo for photo in photos if photo not in proposed or self._unasked(photo)]
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proposals", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the photo that is being looked at."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def near(self, photo: str) -> None:
        """Go on with this photo, and those that come after it."""
        with self._lock:
            if photo in self._todo:
                at = self._todo.index(photo)
                self._todo = self._todo[at:] + self._todo[:at]

    def _run(self) -> None:
        while not self._stopped.is_set():
            with self._lock:
                if not self._todo:
                    return
                photo = self._todo.pop(0)
            failure = ""
            try:
                self._look(photo)
            except GroupemoError as error:
                failure = str(error)
            except _ANY as error:
                failure = f"{self._photos[photo].place}: {type(error).__name__}: {error}"
            self._on_look(photo, failure)

    def _unasked(self, photo: str) -> list[Loaded[Backend]]:
        """Return the backends that have not been asked about a photo."""
        return [each for each in self._backends if (photo, each.key) not in self._guessed]

    def _look(self, photo: str) -> None:
        image = self._photos[photo].decode(load_same(self._photos[photo], photo))
        found = self._journal.proposals_of(photo)
        if found is None and self._finished(photo):
            found = self._journal.add_proposals(Proposals(photo, {}, ()))
        if found is None:
            faces = detect(image, self._detector.plugin)
            height, width = image.shape[:2]
            rows = _rows(faces, width, height)
            found = self._journal.add_proposals(Proposals(photo, self._detector.provenance, rows))
        for backend in self._unasked(photo):
            probs = np.empty((0, len(EMOTIONS)))
            if found.faces:
                boxes = Faces(np.array(found.faces)[:, :4])
                probs = classify(image, boxes, backend.plugin)
            self._journal.add_guesses(Guesses(photo, backend.label, backend.key, probs))


def _rows(faces: Faces, width: int, height: int) -> tuple[tuple[float, ...], ...]:
    """Return boxes, to a tenth of a pixel, and scores, best first; what is too small is left out.

    Boxes that have become the same are one.
    """
    tenths = np.round(clip(faces.boxes, width, height).astype(np.float64), 1)
    order = np.argsort(-faces.scores, kind="stable")
    best: dict[tuple[float, ...], float] = {}
    for row in order.tolist():
        x1, y1, x2, y2 = tenths[row].tolist()
        if min(x2 - x1, y2 - y1) >= LEAST_SIDE:
            best.setdefault((x1, y1, x2, y2), round(float(faces.scores[row]), 4))
    return tuple((*box, score) for box, score in best.items())
