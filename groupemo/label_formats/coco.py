"""COCO: one JSON file; `bbox` is x, y, w, h in pixels.

`iscrowd` 1 is ignored. An image without annotations holds no face.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groupemo.errors import LabelError
from groupemo.files import write_atomically
from groupemo.label_formats.common import Found, Rows, Source, corners, inside, read_label, sizes_of
from groupemo.label_formats.json_items import get, items, read_json
from groupemo.labels import CODES, IGNORE, Labels, label_word, row_numbers


def read(source: Source) -> Found:
    """Return the faces of each image in a COCO file."""
    where, data = str(source.path), read_json(source.path)
    words = {
        get(item, "id", int, at): (at, get(item, "name", str, at))
        for at, item in items(data, "categories", where)
    }
    names = {
        get(item, "id", int, at): get(item, "file_name", str, at)
        for at, item in items(data, "images", where)
    }
    found = {name: Rows() for name in names.values()}
    for at, item in items(data, "annotations", where):
        image, category = (get(item, key, int, at) for key in ("image_id", "category_id"))
        if image not in names or category not in words:
            raise LabelError(f"{at}: no image {image} or no category {category} in the file")
        label = (
            IGNORE if item.get("iscrowd") == 1 else read_label(*words[category][::-1], source.word)
        )
        found[names[image]].add(corners(get(item, "bbox", list, at), at), label)
    return found


def write(labels: Labels, path: Path, photos: Any) -> Path:
    """Write a COCO file; with photos, it has their sizes and boxes are cut to them."""
    sizes = None if photos is None else sizes_of(photos)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image, name in enumerate(labels, start=1):
        faces = labels[name] if sizes is None else inside(labels, name, sizes)
        size = {} if sizes is None else dict(zip(("width", "height"), sizes[name], strict=True))
        images.append({"id": image, "file_name": name, **size})
        for box, label in zip(faces.boxes, faces.labels, strict=True):
            item = {"id": len(annotations) + 1, "image_id": image, **_coco_face(box, int(label))}
            annotations.append(item)
    categories = [{"id": row, "name": label_word(code)} for row, code in enumerate(CODES, start=1)]
    data = {"images": images, "annotations": annotations, "categories": categories}
    return write_atomically(path, json.dumps(data, indent=1, ensure_ascii=False).encode())


def _coco_face(box: NDArray[np.float32], label: int) -> dict[str, Any]:
    bbox = [float(number) for number in row_numbers(box)]
    return {
        "category_id": CODES.index(label) + 1,
        "bbox": bbox,
        "area": bbox[2] * bbox[3],
        "iscrowd": int(label == IGNORE),
    }
