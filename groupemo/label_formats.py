"""Labels in other tools' files: COCO, YOLO, Label Studio and Pascal VOC in, the first two out.

Conventions
-----------
Class words are read as in `groupemo.labels`: any known spelling of an emotion,
`unsure`, `ignore`. Boxes and labels are carried over; annotators are where the
format has them. What each format means by a box and by a photo without a face:

- ``coco``: one JSON file; `bbox` is x, y, w, h in pixels. `iscrowd` 1 is ignored.
  An image without annotations holds no face.
- ``yolo``: a folder with a `.txt` file a photo, `class cx cy w h` in fractions of the
  photo a line, and `classes.txt`, a word a line. An empty file is a photo without a
  face; a photo without a file is not labelled. Needs the photos for their sizes.
- ``labelstudio``: the JSON export (not JSON-MIN) of rectangle labels, in percent.
  Skipped and missing annotations are no labels; an empty one is a photo without a face.
- ``voc``: a folder of XML files, or one. `xmin, ymin, xmax, ymax` are taken as edges
  in pixels, origin 0, as they stand. A file without objects is a photo without a face.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from groupemo.emotions import EMOTIONS
from groupemo.errors import LabelError, OptionError, OutputError
from groupemo.files import write_atomically
from groupemo.images import find_photos, read_photo
from groupemo.labels import (
    IGNORE,
    UNSURE,
    LabelledFaces,
    Labels,
    label_word,
    parse_label,
    read_text,
    row_numbers,
)

__all__ = ["export_labels", "import_labels"]

_CODES = (*range(len(EMOTIONS)), UNSURE, IGNORE)
_Word = Callable[[str], int]


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
        What it is: see the module's conventions.
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
    source = _Source(
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
        What to write: see the module's conventions.
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


@dataclass(frozen=True)
class _Source:
    """What an import is told."""

    path: Path
    word: _Word
    photos: Any
    annotator: str | None


@dataclass
class _Rows:
    """The faces of one photo as they are gathered."""

    boxes: list[Sequence[float]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    annotator: str = ""

    def add(self, box: Sequence[float], label: int) -> None:
        self.boxes.append(box)
        self.labels.append(label)

    def build(self) -> LabelledFaces:
        return LabelledFaces(self.boxes, self.labels, annotators=[self.annotator] * len(self.boxes))


_Found = dict[str, _Rows]


def _label(word: str, where: str, parse: _Word) -> int:
    try:
        return parse(word)
    except LabelError as error:
        raise LabelError(f"{where}: {error}") from None


def _corners(xywh: Sequence[Any], where: str) -> list[float]:
    """Return `[x1, y1, x2, y2]` of a box given by its corner and size."""
    numbers = [_number(value, where) for value in xywh]
    if len(numbers) != 4 or min(numbers[2:]) <= 0:
        raise LabelError(
            f"{where}: {list(xywh)} is no box: expected x, y, w, h with w and h above 0"
        )
    x, y, w, h = numbers
    return [x, y, x + w, y + h]


def _number(value: Any, where: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise LabelError(f"{where}: {value!r} is not a finite number")
    return number


def _sizes(photos: Any) -> dict[str, tuple[int, int]]:
    """Return width and height of each photo by name."""
    shapes = {photo.name: read_photo(photo).shape for photo in find_photos(photos)}
    return {name: (shape[1], shape[0]) for name, shape in shapes.items()}


def _photos_needed(photos: Any) -> dict[str, tuple[int, int]]:
    if photos is None:
        raise OptionError("format='yolo' holds fractions of a photo: say photos=FOLDER")
    return _sizes(photos)


# --- JSON ----------------------------------------------------------------------------------


def _read_json(path: Path) -> Any:
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise LabelError(f"{path}: not JSON: {error}") from None


def _get(item: Any, key: str, kind: type, where: str) -> Any:
    """Return `item[key]`, which must be there and be of that kind."""
    value = item.get(key) if isinstance(item, Mapping) else None
    if not isinstance(value, kind):
        found = f"{key!r} is {value!r:.60}" if value is not None else f"no {key!r}"
        raise LabelError(f"{where}: {found}")
    return value


def _items(item: Any, key: str, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the objects of a list with the place each stands at."""
    for row, member in enumerate(_get(item, key, list, where)):
        at = f"{where}, {key}[{row}]"
        if not isinstance(member, dict):
            raise LabelError(f"{at}: {member!r:.60}: expected an object")
        yield at, member


def _read_coco(source: _Source) -> _Found:
    where, data = str(source.path), _read_json(source.path)
    words = {
        _get(item, "id", int, at): (at, _get(item, "name", str, at))
        for at, item in _items(data, "categories", where)
    }
    names = {
        _get(item, "id", int, at): _get(item, "file_name", str, at)
        for at, item in _items(data, "images", where)
    }
    found = {name: _Rows() for name in names.values()}
    for at, item in _items(data, "annotations", where):
        image, category = (_get(item, key, int, at) for key in ("image_id", "category_id"))
        if image not in names or category not in words:
            raise LabelError(f"{at}: no image {image} or no category {category} in the file")
        label = IGNORE if item.get("iscrowd") == 1 else _label(*words[category][::-1], source.word)
        found[names[image]].add(_corners(_get(item, "bbox", list, at), at), label)
    return found


def _write_coco(labels: Labels, path: Path, photos: Any) -> Path:
    sizes = None if photos is None else _sizes(photos)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image, name in enumerate(labels, start=1):
        faces = labels[name] if sizes is None else _inside(labels, name, sizes)
        size = {} if sizes is None else dict(zip(("width", "height"), sizes[name], strict=True))
        images.append({"id": image, "file_name": name, **size})
        for box, label in zip(faces.boxes, faces.labels, strict=True):
            item = {"id": len(annotations) + 1, "image_id": image, **_coco_face(box, int(label))}
            annotations.append(item)
    categories = [{"id": row, "name": label_word(code)} for row, code in enumerate(_CODES, start=1)]
    data = {"images": images, "annotations": annotations, "categories": categories}
    return write_atomically(path, json.dumps(data, indent=1, ensure_ascii=False).encode())


def _coco_face(box: NDArray[np.float32], label: int) -> dict[str, Any]:
    bbox = [float(number) for number in row_numbers(box)]
    return {
        "category_id": _CODES.index(label) + 1,
        "bbox": bbox,
        "area": bbox[2] * bbox[3],
        "iscrowd": int(label == IGNORE),
    }


def _read_labelstudio(source: _Source) -> _Found:
    found: _Found = {}
    for at, task in _items({"tasks": _read_json(source.path)}, "tasks", str(source.path)):
        given = _given(source, task, at)
        if not given:
            continue
        where, answer = given
        name = _upload_name(_get(_get(task, "data", dict, at), "image", str, f"{at}, data"))
        if name in found:
            raise LabelError(f"{at}: a second task for the photo {name!r}")
        found[name] = _Rows(annotator=_annotator(answer.get("completed_by")))
        for place, result in _items(answer, "result", where):
            if result.get("type") == "rectanglelabels":
                found[name].add(*_rectangle(result, place, source.word))
    return found


def _given(source: _Source, task: Any, at: str) -> tuple[str, dict[str, Any]] | None:
    """Return the one annotation of a task that counts, and its place."""
    answers = [item for item in _items(task, "annotations", at) if not item[1].get("was_cancelled")]
    names = [_annotator(item.get("completed_by")) for _, item in answers]
    if source.annotator is not None:
        answers = [a for a, name in zip(answers, names, strict=True) if name == source.annotator]
    if len(answers) > 1:
        raise LabelError(
            f"{at}: {len(answers)} annotations, by {', '.join(names)}: choose one with annotator="
        )
    return answers[0] if answers else None


def _annotator(completed_by: Any) -> str:
    """Return the annotator's address or number, whichever the export has."""
    who = (
        completed_by.get("email") or completed_by.get("id")
        if isinstance(completed_by, dict)
        else completed_by
    )
    return "" if who is None else str(who)


def _upload_name(image: str) -> str:
    """Return the photo's own name: without server folders and the prefix of an upload.

    >>> _upload_name("/data/upload/1/0a1b2c3d-party.jpg")
    'party.jpg'
    """
    parts = urlsplit(image)
    local = parse_qs(parts.query).get("d")
    name = PurePosixPath(local[0] if local else unquote(parts.path)).name
    return name if local else re.sub("^[0-9a-f]{8}-", "", name)


def _rectangle(result: Mapping[str, Any], where: str, word: _Word) -> tuple[list[float], int]:
    value = _get(result, "value", dict, where)
    if _number(value.get("rotation", 0), where):
        raise LabelError(f"{where}: the box is rotated: only upright boxes can be used")
    width, height = (
        _number(result.get(key), f"{where}, {key}") for key in ("original_width", "original_height")
    )
    words = _get(value, "rectanglelabels", list, where)
    if len(words) != 1 or not isinstance(words[0], str):
        raise LabelError(f"{where}: the words are {words!r:.60}: expected one")
    x, y, w, h = (_number(value.get(key), where) / 100 for key in ("x", "y", "width", "height"))
    box = _corners([x * width, y * height, w * width, h * height], where)
    return box, _label(words[0], where, word)


# --- YOLO ----------------------------------------------------------------------------------


def _read_yolo(source: _Source) -> _Found:
    sizes, folder = _photos_needed(source.photos), source.path
    words = [
        _label(word, f"{folder / 'classes.txt'}, line {line}", source.word)
        for line, word in enumerate(read_text(folder / "classes.txt").splitlines(), start=1)
    ]
    stems = _by_stem(sizes)
    found: _Found = {}
    for file in sorted(folder.rglob("*.txt")):
        stem = file.relative_to(folder).with_suffix("").as_posix()
        if stem == "classes":
            continue
        if stem not in stems:
            raise LabelError(f"{file}: there is no photo named {stem} among {len(sizes)}")
        found[stems[stem]] = _yolo_rows(file, words, *sizes[stems[stem]])
    return found


def _by_stem(names: Mapping[str, Any]) -> dict[str, str]:
    """Return photo names by name without ending, which is all that YOLO keeps."""
    stems: dict[str, str] = {}
    for name in names:
        stem = PurePosixPath(name).with_suffix("").as_posix()
        if stem in stems:
            raise LabelError(f"{stems[stem]} and {name} would share the YOLO file {stem}.txt")
        stems[stem] = name
    return stems


def _yolo_rows(file: Path, words: Sequence[int], width: int, height: int) -> _Rows:
    rows = _Rows()
    text = read_text(file) if file.stat().st_size else ""
    for line, cells in enumerate(map(str.split, text.splitlines()), start=1):
        where = f"{file}, line {line}"
        if len(cells) != 5:
            raise LabelError(f"{where}: {len(cells)} numbers, expected class, cx, cy, w, h")
        if not cells[0].isdecimal() or int(cells[0]) >= len(words):
            raise LabelError(f"{where}: class {cells[0]!r}, but classes.txt has {len(words)} words")
        cx, cy, w, h = (_number(cell, where) for cell in cells[1:])
        if not all(0 <= value <= 1 for value in (cx, cy, w, h)):
            raise LabelError(f"{where}: {' '.join(cells[1:])}: expected fractions from 0 to 1")
        corner = [(cx - w / 2) * width, (cy - h / 2) * height, w * width, h * height]
        rows.add(_corners(corner, where), words[int(cells[0])])
    return rows


def _write_yolo(labels: Labels, path: Path, photos: Any) -> Path:
    sizes = _photos_needed(photos)
    files = {
        f"{stem}.txt": _yolo_text(_inside(labels, name, sizes), *sizes[name])
        for stem, name in _by_stem(labels).items()
    }
    files["classes.txt"] = "".join(f"{label_word(code)}\n" for code in _CODES)
    return _write_folder(path, files)


def _yolo_text(faces: LabelledFaces, width: int, height: int) -> str:
    lines = []
    for (x1, y1, x2, y2), label in zip(faces.boxes.tolist(), faces.labels, strict=True):
        numbers = (
            (x1 + x2) / 2 / width,
            (y1 + y2) / 2 / height,
            (x2 - x1) / width,
            (y2 - y1) / height,
        )
        lines.append(f"{_CODES.index(int(label))} {' '.join(f'{n:.8f}' for n in numbers)}\n")
    return "".join(lines)


def _inside(labels: Labels, name: str, sizes: Mapping[str, tuple[int, int]]) -> LabelledFaces:
    if name not in sizes:
        raise LabelError(f"{name}: labelled, but not among the {len(sizes)} photos")
    return labels[name].check_inside(*sizes[name], name)


def _write_folder(path: Path, files: Mapping[str, str]) -> Path:
    """Write a folder of text files whole or not at all."""
    try:
        if path.exists() and any(path.iterdir()):
            raise OutputError(f"{path}: not empty: name a new folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as part:
            folder = Path(part) / "labels"
            for name, text in files.items():
                write_atomically(folder / name, text.encode())
            shutil.rmtree(path, ignore_errors=True)
            folder.rename(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
    return path


# --- Pascal VOC ----------------------------------------------------------------------------


def _read_voc(source: _Source) -> _Found:
    files = sorted(source.path.rglob("*.xml")) if source.path.is_dir() else [source.path]
    if not files:
        raise LabelError(f"{source.path}: no .xml files in the folder")
    found: _Found = {}
    for file in files:
        root = _read_xml(file)
        name = _child(root, "filename", str(file)).strip()
        if not name or name in found:
            raise LabelError(f"{file}: the filename {name!r} is empty or in another file, too")
        found[name] = _Rows()
        for row, item in enumerate(root.iter("object")):
            found[name].add(*_voc_object(item, f"{file}, object {row + 1}", source.word))
    return found


def _read_xml(file: Path) -> ElementTree.Element:
    """Parse XML that declares no entities: those can read files or fill the memory."""
    text = read_text(file)
    if "<!DOCTYPE" in text:
        raise LabelError(f"{file}: has a document type declaration, which is refused: remove it")
    try:
        return ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise LabelError(f"{file}: not XML: {error}") from None


def _child(item: ElementTree.Element, path: str, where: str) -> str:
    text = item.findtext(path)
    if text is None:
        raise LabelError(f"{where}: no <{path.replace('/', '><')}>")
    return text


def _voc_object(item: ElementTree.Element, where: str, word: _Word) -> tuple[list[float], int]:
    edges = [_child(item, f"bndbox/{edge}", where) for edge in ("xmin", "ymin", "xmax", "ymax")]
    x1, y1, x2, y2 = (_number(edge, where) for edge in edges)
    if x2 <= x1 or y2 <= y1:
        raise LabelError(f"{where}: {', '.join(edges)} is no box: expected xmax and ymax above")
    return [x1, y1, x2, y2], _label(_child(item, "name", where), where, word)


_READERS: Mapping[str, Callable[[_Source], _Found]] = {
    "coco": _read_coco,
    "yolo": _read_yolo,
    "labelstudio": _read_labelstudio,
    "voc": _read_voc,
}
_WRITERS: Mapping[str, Callable[[Labels, Path, Any], Path]] = {
    "coco": _write_coco,
    "yolo": _write_yolo,
}
