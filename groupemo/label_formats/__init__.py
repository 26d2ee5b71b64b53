"""Labels in other tools' files: COCO, YOLO, Label Studio and Pascal VOC in, the first two out.

Class words are read as in `groupemo.labels`: any known spelling of an emotion,
`unsure`, `ignore`. Boxes and labels are carried over; annotators are where the
format has them. What each format means by a box and by a photo without a face
stands in its own module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from groupemo.errors import LabelError, OptionError
from groupemo.label_formats import coco, label_studio, voc, yolo
from groupemo.label_formats.common import Found, Source
from groupemo.labels import Labels, parse_label

__all__ = ["export_labels", "import_labels"]

_READERS: Mapping[str, Callable[[Source], Found]] = {
    "coco": coco.read,
    "yolo": yolo.read,
    "labelstudio": label_studio.read,
    "voc": voc.read,
}
_WRITERS: Mapping[str, Callable[[Labels, Path, Any], Path]] = {
    "coco": coco.write,
    "yolo": yolo.write,
}


def import_labels(
    path: str | Path,
    *,
    format: str,
    photos: Any = None,
    contempt: str = "refuse",
    annotator: str | None = None,
) -> Labels:
    """Read labels that another tool wrote.

    Parameters
    ----------
    path : str or Path
        A file (``coco``, ``labelstudio``, ``voc``) or a folder (``yolo``, ``voc``).
    format : {"coco", "yolo", "labelstudio", "voc"}
        What it is: see the module named for it.
    photos : folder or list of photos, optional
        The photos that were labelled, as `find_photos` takes them: needed for ``yolo``.
    contempt : str
        What becomes of contempt: see `parse_label`.
    annotator : str, optional
        Keep only what this annotator wrote (``labelstudio``).

    Raises
    ------
    LabelError
        If something is missing or cannot be understood; names file and place.
    OptionError
        If the format is unknown, or needs photos and has none.
    PhotoError
        If a photo cannot be read.
    """
    if format not in _READERS:
        raise OptionError(f"format={format!r}: expected one of {', '.join(_READERS)}")
    parse_label("ignore", contempt=contempt)  # refuses a rule that means nothing
    source = Source(
        Path(path), lambda word: parse_label(word, contempt=contempt), photos, annotator
    )
    found = _READERS[format](source)
    try:
        return Labels({name: faces.build() for name, faces in found.items()})
    except LabelError as error:
        raise LabelError(f"{path}: {error}") from None


def export_labels(labels: Labels, path: str | Path, *, format: str, photos: Any = None) -> Path:
    """Write labels for another tool: one face a box, boxes and labels only.

    Votes, annotators and checksums stay behind: `save_labels` keeps them. The file or
    folder appears whole or not at all.

    Parameters
    ----------
    labels : Labels
        What to write.
    path : str or Path
        A file for ``coco``, a new or empty folder for ``yolo``.
    format : {"coco", "yolo"}
        What to write: see the module named for it.
    photos : folder or list of photos, optional
        The photos, as `find_photos` takes them: needed for ``yolo``; gives ``coco``
        their sizes. Boxes are cut to the photo.

    Raises
    ------
    LabelError
        If a box lies wholly outside its photo, or a labelled photo is not among `photos`.
    OptionError
        If the format is unknown, or needs photos and has none.
    OutputError
        If it cannot be written, or the folder is not empty.
    """
    if format not in _WRITERS:
        raise OptionError(f"format={format!r}: expected one of {', '.join(_WRITERS)}")
    return _WRITERS[format](labels, Path(path), photos)
