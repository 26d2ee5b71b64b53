"""Data sets of faces as people have them, read as streams of `FaceBatch`.

============================  ====================================================
what `path` is                what a face is
============================  ====================================================
CSV with `emotion`, `pixels`  a row: FER2013 as it was published, FER+ votes beside
CSV with `cell`               a cell of the sheet of faces beside it
CSV with `image`, `x` ...     a labelled box: groupemo's own label file, and photos
folder                        a photo in a subfolder that is named by its emotion
============================  ====================================================

Terms: FER2013 is the data of a competition (Goodfellow et al., "Challenges in
representation learning", 2013), published without a licence text; the FER+ votes
(Barsoum et al., "Training deep networks for facial expression recognition with
crowd-sourced label distribution", 2016) are under the MIT licence. Of any other
data the terms are the user's to say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from groupemo._version import __version__
from groupemo.crops import Image, checked_size, resize
from groupemo.crops import gray as to_gray
from groupemo.emotions import EMOTIONS
from groupemo.errors import LabelError, OptionError
from groupemo.labels import REQUIRED
from groupemo.training.faces_file import FaceBatch
from groupemo.training.sources._record import Record, SourceFace
from groupemo.training.sources._table import columns_of
from groupemo.training.sources.fer2013 import read_fer2013, read_sheet
from groupemo.training.sources.photos import read_folder, read_labelled

__all__ = ["FER2013_KINDS", "read_source"]

BATCH = 256

LARGEST = 1024
"""Pixels of a side: a batch is in memory as a whole."""

FER2013_KINDS = ("a FER2013 CSV", "the CSV of a sheet")
"""What the provenance calls sources whose faces are FER2013's."""


class _Kind(NamedTuple):
    """One kind of source: what it is called, how it is known, who reads it, what may be said."""

    name: str
    columns: frozenset[str]
    read: Callable[..., Iterator[SourceFace]]
    options: frozenset[str]


FOLDER = _Kind("a folder of classes", frozenset(), read_folder, frozenset())
TABLES = (
    _Kind(
        FER2013_KINDS[0],
        frozenset({"emotion", "pixels"}),
        read_fer2013,
        frozenset({"votes", "split"}),
    ),
    _Kind(
        FER2013_KINDS[1],
        frozenset({"cell"}),
        read_sheet,
        frozenset({"labels", "keep_leaked"}),
    ),
    _Kind(
        "a label CSV",
        frozenset(REQUIRED),
        read_labelled,
        frozenset({"photos", "margin", "square"}),
    ),
)


def read_source(
    path: str | Path,
    *,
    side: int = 48,
    gray: bool = True,
    terms: str | None = None,
    split: str | None = None,
    votes: str | Path | None = None,
    labels: str | None = None,
    keep_leaked: bool | None = None,
    photos: str | Path | None = None,
    margin: float | None = None,
    square: bool | None = None,
) -> tuple[Iterator[FaceBatch], dict[str, Any]]:
    """Return a source's faces as they are read, and its provenance.

    Parameters
    ----------
    path : path
        See the module's table.
    side : int
        Height and width of a face in pixels; other pictures are resized as backends do.
    gray : bool
        Gray faces, else RGB; gray sources give RGB of three equal channels.
    terms : str, optional
        Under what terms the data may be used, for the provenance.
    split : {"training", "publictest", "privatetest", "all"}, optional
        FER2013 CSV: which part, by its column Usage. Training if not given.
    votes : path, optional
        FER2013 CSV: the FER+ file, `fer2013new.csv`, its rows in the same order.
        Without it each face has one vote, FER2013's own label.
    labels : {"votes", "fer2013"}, optional
        Sheet: FER+ votes, if not given, or FER2013's own label as one vote.
    keep_leaked : bool, optional
        Sheet: keep faces whose column `in_train` is 1; they are left out if not given.
    photos : path, optional
        Label CSV: the folder of the photos; needed.
    margin, square : float, bool, optional
        Label CSV: how boxes are cut, as in `groupemo.crop`; 0 and True if not given.

    Returns
    -------
    batches : iterator of FaceBatch
    provenance : dict
        Sources with checksums and terms, options, version of groupemo; then the
        counts `faces`, `classes` (by their labels) and `left_out` (by reason)
        and `failures`, photos that could not be read. Complete when the batches
        are at their end.

    Raises
    ------
    LabelError
        If there is no such source, or, while it is read, where it is wrong: names
        file, line and value.
    PhotoError
        If there is no photo at all, or a sheet's picture cannot be read.
    OptionError
        If an option means nothing, or nothing to this kind of source.

    Notes
    -----
    Votes for contempt, unknown and not a face have no class: where they are half
    of a face's votes or more and no class leads, the face is left out and counted.
    Elsewhere the most of them is the face's rival, and no label stands against it.
    """
    source = Path(path)
    kind = _kind_of(source)
    wanted = {
        name: value
        for name, value in {
            "split": split, "votes": votes, "labels": labels, "keep_leaked": keep_leaked,
            "photos": photos, "margin": margin, "square": square,
        }.items()
        if value is not None
    }  # fmt: skip
    foreign = sorted(wanted.keys() - kind.options)
    if foreign:
        raise OptionError(f"{source} is {kind.name}: {foreign[0]} means nothing for it")
    height, _ = checked_size(side)
    if height > LARGEST:
        raise OptionError(f"side is {side}: expected {LARGEST} pixels at most")
    record = Record({"side": side, "color": "gray" if gray else "rgb"}, terms)
    provenance = {
        "groupemo": __version__,
        "kind": kind.name,
        "sources": record.sources,
        "options": record.options,
        "faces": 0,
        "classes": {},
        "left_out": record.left_out,
        "failures": record.failures,
    }
    faces = kind.read(source, record, **wanted)
    return _batches(source, faces, side, gray, provenance), provenance


def _kind_of(path: Path) -> _Kind:
    if path.is_dir():
        return FOLDER
    columns = columns_of(path)
    kind = next((kind for kind in TABLES if kind.columns <= set(columns)), None)
    if kind is None:
        known = "; ".join(f"{each.name} has {', '.join(sorted(each.columns))}" for each in TABLES)
        raise LabelError(
            f"{path}: faces cannot be read from columns {', '.join(columns[:12])}: {known}"
        )
    return kind


def _batches(
    path: Path, faces: Iterator[SourceFace], side: int, gray: bool, provenance: dict[str, Any]
) -> Iterator[FaceBatch]:
    shaped = (face._replace(picture=_shaped(face.picture, side, gray)) for face in faces)
    words = np.array([*EMOTIONS, "no majority"])  # the last one where there is no label: -1
    classes = Counter(dict.fromkeys(words.tolist(), 0))
    while some := list(islice(shaped, BATCH)):
        batch = FaceBatch(*map(np.array, zip(*some, strict=True)))
        classes.update(words[batch.labels].tolist())
        provenance["faces"] += len(batch)
        provenance["classes"] = dict(classes)
        yield batch
    if not provenance["faces"]:
        raise LabelError(f"{path}: no face to learn from: {_why_none(provenance)}")


def _why_none(provenance: Mapping[str, Any]) -> str:
    reasons = [f"{reason} {count}" for reason, count in provenance["left_out"].items()]
    reasons += [failure["reason"] for failure in provenance["failures"][:3]]
    return "; ".join(reasons) or "nothing was there"


def _shaped(picture: Image, side: int, gray: bool) -> Image:
    """Return a picture at the size and of the colour wanted, as a backend would see it."""
    resized = resize(picture, (side, side))
    if gray:
        return to_gray(resized)
    return resized if resized.ndim == 3 else np.stack([resized] * 3, axis=-1)
