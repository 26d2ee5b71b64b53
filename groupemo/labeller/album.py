"""The album: the photos there are to label, known by their content and not by their names.

Conventions
-----------
A photo's id is how the SHA-256 of its file begins, 16 hex digits; of a file that cannot
be read, that of its name. A renamed photo keeps its labels; a changed one is another photo.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groupemo.errors import PhotoError
from groupemo.images import Photo, digest, find_photos
from groupemo.labeller.journal import Journal, PhotoRow

__all__ = ["Album", "id_of", "load_same", "open_album", "photos_inside"]

READERS = 4
"""Photos read at one time while the album is opened."""


@dataclass(frozen=True)
class Album:
    """The photos there are, in the order of their names.

    Parameters
    ----------
    rows : mapping of str to PhotoRow
        By id; 0 x 0 pixels where a photo cannot be shown.
    photos : mapping of str to Photo
        By id.
    errors : mapping of str to str
        Why a photo cannot be shown.
    notes : tuple of str
        What the annotators should know: photos left out.
    """

    rows: Mapping[str, PhotoRow]
    photos: Mapping[str, Photo]
    errors: Mapping[str, str]
    notes: tuple[str, ...]


def id_of(sha256: str, name: str) -> str:
    """Return a photo's id by its checksum, or by its name where there is none."""
    return (sha256 or hashlib.sha256(name.encode()).hexdigest())[:16]


def load_same(photo: Photo, name: str) -> bytes | NDArray[np.uint8]:
    """Return what a photo's `load` gives, if it still is the one that has the id `name`.

    Raises
    ------
    PhotoError
        If its file cannot be read, or is no longer what it was.
    """
    data = photo.load()
    if not digest(data).startswith(name):
        raise PhotoError(
            f"{photo.place}: the file has changed since it was opened for labelling: start again,"
            " so that labels stay with the picture they were given to"
        )
    return data


def photos_inside(photos: Any) -> tuple[list[Photo], list[Photo]]:
    """Return the photos to label, and those that links in a folder lead to, outside of it.

    Their paths are from the root, so that a notebook may change its folder.

    Parameters
    ----------
    photos : folder, glob, path or list of these
        See `find_photos`.

    Raises
    ------
    PhotoError
        If there is none.
    """
    found = [
        replace(photo, source=photo.path.absolute()) if photo.path else photo
        for photo in find_photos(photos)
    ]
    if not isinstance(photos, str | Path) or not os.path.isdir(os.path.expanduser(photos)):
        return found, []
    folder = Path(photos).expanduser().resolve()
    outside = [p for p in found if p.path and not p.path.resolve().is_relative_to(folder)]
    if len(outside) == len(found):
        raise PhotoError(f"{photos}: all photos in it are links that lead out of it")
    return [photo for photo in found if photo not in outside], outside


def open_album(inside: Sequence[Photo], outside: Sequence[Photo], journal: Journal) -> Album:
    """Look through photos, and keep in the journal what is new about them.

    A file that has the name, size and time of change it had before is not read again.

    Parameters
    ----------
    inside, outside : sequence of Photo
        See `photos_inside`.
    journal : Journal
    """
    before = [row for row in journal.photos() if row.width]
    known = {(row.name, row.size, row.modified): row for row in before}
    with ThreadPoolExecutor(READERS) as pool:
        looked = list(pool.map(lambda photo: _look(photo, known), inside))
    rows: dict[str, PhotoRow] = {}
    notes = [f"{photo.name} is a link that leads out of the folder: left out" for photo in outside]
    for row, _ in looked:
        if row.id in rows:
            notes.append(f"{row.name} is the same picture as {rows[row.id].name}: shown once")
        else:
            rows[row.id] = row
    fresh = [row for row in rows.values() if row.width and row not in set(before)]
    if fresh:
        journal.add_photos(fresh)
    by_name = {photo.name: photo for photo in inside}
    return Album(
        rows,
        {photo: by_name[row.name] for photo, row in rows.items()},
        {row.id: error for row, error in looked if error and rows[row.id] is row},
        tuple(notes),
    )


def _look(
    photo: Photo, known: Mapping[tuple[str, int | None, int | None], PhotoRow]
) -> tuple[PhotoRow, str]:
    """Return what is to be known of a photo, and why it cannot be shown."""
    row = PhotoRow(id_of("", photo.name), photo.name, "", 0, 0)
    try:
        if photo.path:
            about = os.stat(photo.path)
            row = replace(row, size=about.st_size, modified=about.st_mtime_ns)
            if (before := known.get((row.name, row.size, row.modified))) is not None:
                return before, ""
        data = photo.load()
        sha256 = digest(data)
        row = replace(row, id=id_of(sha256, row.name), sha256=sha256)
        width, height = photo.size(data)
    except PhotoError as error:
        return row, str(error)
    except OSError as error:
        return row, f"{photo.place}: cannot be read: {error.strerror}"
    return replace(row, width=width, height=height), ""
