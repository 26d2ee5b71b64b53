"""YOLO: a folder with a `.txt` file a photo and `classes.txt`, a word a line.

Each line is `class cx cy w h` in fractions of the photo. An empty file is a photo
without a face; a photo without a file is not labelled. Needs the photos for their sizes.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from groupemo.errors import LabelError, OptionError, OutputError
from groupemo.files import write_atomically
from groupemo.label_csv import read_text
from groupemo.label_formats.common import (
    Found,
    Rows,
    Source,
    corners,
    inside,
    number,
    read_label,
    sizes_of,
)
from groupemo.labels import CODES, LabelledFaces, Labels, label_word


def read(source: Source) -> Found:
    """Return the faces of each photo that has a file in a YOLO folder."""
    sizes, folder = _sizes_needed(source.photos), source.path
    words = [
        read_label(word, f"{folder / 'classes.txt'}, line {line}", source.word)
        for line, word in enumerate(read_text(folder / "classes.txt").splitlines(), start=1)
    ]
    stems = _by_stem(sizes)
    found: Found = {}
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


def _yolo_rows(file: Path, words: Sequence[int], width: int, height: int) -> Rows:
    rows = Rows()
    text = read_text(file) if file.stat().st_size else ""
    for line, cells in enumerate(map(str.split, text.splitlines()), start=1):
        where = f"{file}, line {line}"
        if len(cells) != 5:
            raise LabelError(f"{where}: {len(cells)} numbers, expected class, cx, cy, w, h")
        if not cells[0].isdecimal() or int(cells[0]) >= len(words):
            raise LabelError(f"{where}: class {cells[0]!r}, but classes.txt has {len(words)} words")
        cx, cy, w, h = (number(cell, where) for cell in cells[1:])
        if not all(0 <= value <= 1 for value in (cx, cy, w, h)):
            raise LabelError(f"{where}: {' '.join(cells[1:])}: expected fractions from 0 to 1")
        corner = [(cx - w / 2) * width, (cy - h / 2) * height, w * width, h * height]
        rows.add(corners(corner, where), words[int(cells[0])])
    return rows


def write(labels: Labels, path: Path, photos: Any) -> Path:
    """Write a YOLO folder, with boxes cut to the photos."""
    sizes = _sizes_needed(photos)
    files = {
        f"{stem}.txt": _yolo_text(inside(labels, name, sizes), *sizes[name])
        for stem, name in _by_stem(labels).items()
    }
    files["classes.txt"] = "".join(f"{label_word(code)}\n" for code in CODES)
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
        lines.append(f"{CODES.index(int(label))} {' '.join(f'{n:.8f}' for n in numbers)}\n")
    return "".join(lines)


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


def _sizes_needed(photos: Any) -> dict[str, tuple[int, int]]:
    if photos is None:
        raise OptionError("format='yolo' holds fractions of a photo: say photos=FOLDER")
    return sizes_of(photos)
