"""Faces from photos: a folder a class, or labelled boxes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from groupemo.crops import Image, crop, has_pixels
from groupemo.emotions import EMOTIONS
from groupemo.errors import LabelError, OptionError, PhotoError
from groupemo.faces import Faces
from groupemo.images import Photo, digest, find_photos
from groupemo.label_csv import load_labels
from groupemo.labels import IGNORE, LabelledFaces
from groupemo.training.sources._record import Answer, Record, SourceFace, one_vote

__all__ = ["read_folder", "read_labelled"]

TERMS = "not stated"


def read_folder(path: Path, record: Record) -> Iterator[SourceFace]:
    """Yield the photos in folders named by emotions, each as one face."""
    photos = find_photos(path)
    answers = {word: _folder_vote(path, word) for word in dict.fromkeys(map(_folder, photos))}
    for photo, image, sha256 in _opened(path, photos, record):
        answer = answers[_folder(photo)]
        if isinstance(answer, str):
            record.leave_out(answer)
        else:
            yield SourceFace(image, answer.votes, sha256)


def read_labelled(
    path: Path,
    record: Record,
    *,
    photos: str | Path | None = None,
    margin: float = 0.0,
    square: bool = True,
) -> Iterator[SourceFace]:
    """Yield labelled boxes, cut as backends cut detected ones."""
    if photos is None:
        raise OptionError(f"{path}: say in which folder its photos are, with photos= (--photos)")
    record.options.update(margin=margin, square=square)
    record.add_source(path, TERMS)
    labels = load_labels(path, contempt="drop")
    found = {photo.name: photo for photo in find_photos(photos)}
    if not found.keys() & labels.keys():
        raise LabelError(f"{path}: none of its photos is in {photos}: do the names agree?")
    for name in labels:
        if name not in found:
            record.fail(name, f"{name}: not in {photos}")
    wanted = [found[name] for name in labels if name in found]
    for photo, image, sha256 in _opened(Path(photos), wanted, record):
        faces = labels[photo.name].check_inside(image.shape[1], image.shape[0], photo.name)
        rows = _usable(faces, image, record)
        crops = crop(image, Faces(faces.boxes[rows]), margin=margin, square=square)
        for picture, votes in zip(crops, _votes(faces)[rows], strict=True):
            yield SourceFace(picture, votes, sha256)


def _opened(
    path: Path, photos: Iterable[Photo], record: Record
) -> Iterator[tuple[Photo, Image, str]]:
    """Yield photos that can be read, with pixels and checksum; note the others, and the folder.

    The folder's checksum is that of a list of its photos' checksums and names, as
    `sha256sum` writes it.
    """
    listing = hashlib.sha256()
    for photo in photos:
        try:
            data = photo.load()
            image = photo.decode(data)
        except PhotoError as error:
            record.fail(photo.name, str(error))
            continue
        sha256 = digest(data)
        listing.update(f"{sha256}  {photo.name}\n".encode())
        yield photo, image, sha256
    record.add_source(path, TERMS, listing.hexdigest())


def _folder(photo: Photo) -> str:
    return photo.name.rpartition("/")[0].partition("/")[0]


def _folder_vote(path: Path, word: str) -> Answer:
    try:
        return one_vote(word)
    except LabelError as error:
        where = f"{path / word}: a folder of photos" if word else f"{path}: photos lie in no folder"
        raise LabelError(
            f"{where} named by their emotion: {error}; give the folder whose folders are emotions"
        ) from error


def _usable(faces: LabelledFaces, image: Image, record: Record) -> NDArray[np.bool_]:
    """Return which faces have an emotion and pixels, shape (m,); count the others."""
    reasons = {
        "ignored": faces.labels == IGNORE,
        "unsure": (faces.labels < 0) & (faces.labels != IGNORE),
        "no whole pixel": (faces.labels >= 0) & ~has_pixels(image, faces.boxes),
    }
    for reason, rows in reasons.items():
        record.leave_out(reason, int(rows.sum()))
    return np.asarray(~np.any(list(reasons.values()), axis=0))


def _votes(faces: LabelledFaces) -> NDArray[np.float32]:
    """Return each face's votes, or one for its label where nobody voted, shape (m, 7)."""
    own = np.eye(len(EMOTIONS))[faces.labels]
    if faces.votes is None:
        return own.astype(np.float32)
    return np.where(faces.votes.any(axis=1, keepdims=True), faces.votes, own).astype(np.float32)
