"""Photos and faces as the page shows them: encoded anew, without metadata, made once.

Conventions
-----------
A picture is a JPEG. Boxes are `[x1, y1, x2, y2]` in pixels of the upright photo at
its full size, half-open.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from groupemo import boxes as _boxes
from groupemo.crops import cut, has_pixels, resize
from groupemo.errors import OptionError, PhotoError
from groupemo.images import MAX_PIXELS, Photo
from groupemo.labeller.album import load_same

__all__ = ["ROOM", "Pictures", "Shelf"]

ROOM = 300_000_000
"""Bytes kept: five photos of 20 megapixels, decoded, and pictures of them."""

QUALITY = 90
"""Of the JPEGs, of 100: no blocks about eyes and mouths."""

AT_ONCE = 2
"""Photos decoded at one time: a large one takes hundreds of megabytes meanwhile."""

AHEAD = 3
"""Photos that wait to be decoded before anybody asks for their faces."""

T = TypeVar("T")


class Pictures:
    """Pictures of photos, and of the faces in them; any number of threads may ask.

    Who asks for a photo will ask for its faces: it is decoded in the background.

    Parameters
    ----------
    photos : Mapping of str to Photo
        By id, which is how the SHA-256 of the file begins.
    max_pixels : int
        Larger photos are refused before they are decoded.
    room : int
        Bytes of decoded photos and pictures to keep.
    """

    def __init__(
        self, photos: Mapping[str, Photo], *, max_pixels: int = MAX_PIXELS, room: int = ROOM
    ) -> None:
        self._photos = photos
        self._max_pixels = max_pixels
        self._shelf = Shelf(room)
        self._decoders = threading.BoundedSemaphore(AT_ONCE)
        self._background = ThreadPoolExecutor(1, thread_name_prefix="pictures")
        self._waiting: list[Future[None]] = []

    def photo(self, photo: str, side: int) -> bytes:
        """Return a photo, made smaller where its longer side is over `side` pixels.

        Raises
        ------
        KeyError
            If there is no photo of that id.
        PhotoError
            If its file cannot be read, is too large, or is no longer what it was.
        """
        picture = self._shelf.get((photo, side), lambda: self._picture(photo, side))
        self._decode_soon(photo)
        return picture

    def face(self, photo: str, box: Sequence[float], side: int) -> bytes:
        """Return a face with half a box around it on each side, as far as the photo reaches.

        It is cut from the photo at its full size; its longer side becomes `side` pixels.

        Raises
        ------
        OptionError
            If the box holds no pixel of the photo.
        KeyError, PhotoError
            As `photo`.
        """
        image = self._full(photo)
        height, width = image.shape[:2]
        window = _boxes.clip(_boxes.scale([box], 2), width, height)
        if not has_pixels(image, window)[0]:
            raise OptionError(f"box {list(box)} holds no pixel of a photo of {width} x {height}")
        return _encode(_scaled(cut(image, window[0]), side))

    def _picture(self, photo: str, side: int) -> bytes:
        image = self._shelf.find(photo)
        if image is None:
            image = self._decode(photo, side)
        return _encode(_scaled(image, min(side, max(image.shape[:2]))))

    def _decode_soon(self, photo: str) -> None:
        if photo in self._shelf:
            return
        self._waiting.append(self._background.submit(self._prepare, photo))
        while len(self._waiting) > AHEAD:
            self._waiting.pop(0).cancel()

    def _prepare(self, photo: str) -> None:
        with suppress(PhotoError):  # said to whoever asks
            self._full(photo)

    def _full(self, photo: str) -> NDArray[np.uint8]:
        return self._shelf.get(photo, lambda: self._decode(photo))

    def _decode(self, photo: str, side: int | None = None) -> NDArray[np.uint8]:
        found = self._photos[photo]
        with self._decoders:
            data = load_same(found, photo)
            return found.decode(data, max_pixels=self._max_pixels, side=side)


class Shelf:
    """Keeps what was used last; each thing is made once, however many threads ask for it.

    Parameters
    ----------
    room : int
        Bytes. What was not used for longest goes first; the last thing made stays in any case.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, Future[Any]] = OrderedDict()
        self._used = 0

    def __contains__(self, key: Hashable) -> bool:
        """Return whether a thing is there, or is being made."""
        return key in self._kept

    def find(self, key: Hashable) -> Any:
        """Return what goes by `key` if it is there, else None."""
        kept = self._kept.get(key)
        return kept.result() if kept is not None and kept.done() else None

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what goes by `key`, made now where it is not there; a failure is not kept."""
        with self._lock:
            kept = self._kept.get(key)
            future = self._kept[key] = Future() if kept is None else kept
            self._kept.move_to_end(key)
        if kept is None:
            self._make(key, future, make)
        result: T = future.result()
        return result

    def _make(self, key: Hashable, future: Future[Any], make: Callable[[], Any]) -> None:
        try:
            thing = make()
        except BaseException as error:
            with self._lock:
                del self._kept[key]
            future.set_exception(error)
            return
        with self._lock:
            future.set_result(thing)
            self._used += _size(thing)
            self._make_room()

    def _make_room(self) -> None:
        if self._used > self._room:
            *oldest, _ = [key for key, kept in self._kept.items() if kept.done()]
            for key in oldest:
                self._used -= _size(self._kept.pop(key).result())
                if self._used <= self._room:
                    break


def _size(thing: bytes | NDArray[np.uint8]) -> int:
    return thing.nbytes if isinstance(thing, np.ndarray) else len(thing)


def _scaled(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Return the image, its longer side `side` pixels long."""
    height, width = image.shape[:2]
    factor = side / max(height, width)
    return resize(image, (max(1, round(height * factor)), max(1, round(width * factor))))


def _encode(image: NDArray[np.uint8]) -> bytes:
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
