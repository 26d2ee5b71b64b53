"""Label Studio: the JSON export (not JSON-MIN) of rectangle labels, in percent.

Skipped and missing annotations are no labels; an empty one is a photo without a face.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from groupemo.errors import LabelError
from groupemo.label_formats.common import Found, Rows, Source, Word, corners, number, read_label
from groupemo.label_formats.json_items import get, items, read_json


def read(source: Source) -> Found:
    """Return the faces of each annotated task in an export."""
    found: Found = {}
    for at, task in items({"tasks": read_json(source.path)}, "tasks", str(source.path)):
        given = _given(source, task, at)
        if not given:
            continue
        where, answer = given
        name = _upload_name(get(get(task, "data", dict, at), "image", str, f"{at}, data"))
        if name in found:
            raise LabelError(f"{at}: a second task for the photo {name!r}")
        found[name] = Rows(annotator=_annotator(answer.get("completed_by")))
        for place, result in items(answer, "result", where):
            if result.get("type") == "rectanglelabels":
                found[name].add(*_rectangle(result, place, source.word))
    return found


def _given(source: Source, task: Any, at: str) -> tuple[str, dict[str, Any]] | None:
    """Return the one annotation of a task that counts, and its place."""
    answers = [item for item in items(task, "annotations", at) if not item[1].get("was_cancelled")]
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


def _rectangle(result: Mapping[str, Any], where: str, word: Word) -> tuple[list[float], int]:
    value = get(result, "value", dict, where)
    if number(value.get("rotation", 0), where):
        raise LabelError(f"{where}: the box is rotated: only upright boxes can be used")
    width, height = (
        number(result.get(key), f"{where}, {key}") for key in ("original_width", "original_height")
    )
    words = get(value, "rectanglelabels", list, where)
    if len(words) != 1 or not isinstance(words[0], str):
        raise LabelError(f"{where}: the words are {words!r:.60}: expected one")
    x, y, w, h = (number(value.get(key), where) / 100 for key in ("x", "y", "width", "height"))
    box = corners([x * width, y * height, w * width, h * height], where)
    return box, read_label(words[0], where, word)
