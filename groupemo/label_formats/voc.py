"""Pascal VOC: a folder of XML files, or one.

`xmin, ymin, xmax, ymax` are taken as edges in pixels, origin 0, as they stand.
A file without objects is a photo without a face.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from groupemo.errors import LabelError
from groupemo.label_csv import read_text
from groupemo.label_formats.common import Found, Rows, Source, Word, number, read_label


def read(source: Source) -> Found:
    """Return the faces of each photo in a VOC file or folder."""
    files = sorted(source.path.rglob("*.xml")) if source.path.is_dir() else [source.path]
    if not files:
        raise LabelError(f"{source.path}: no .xml files in the folder")
    found: Found = {}
    for file in files:
        root = _read_xml(file)
        name = _child(root, "filename", str(file)).strip()
        if not name or name in found:
            raise LabelError(f"{file}: the filename {name!r} is empty or in another file, too")
        found[name] = Rows()
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


def _voc_object(item: ElementTree.Element, where: str, word: Word) -> tuple[list[float], int]:
    edges = [_child(item, f"bndbox/{edge}", where) for edge in ("xmin", "ymin", "xmax", "ymax")]
    x1, y1, x2, y2 = (number(edge, where) for edge in edges)
    if x2 <= x1 or y2 <= y1:
        raise LabelError(f"{where}: {', '.join(edges)} is no box: expected xmax and ymax above")
    return [x1, y1, x2, y2], read_label(_child(item, "name", where), where, word)
