"""JSON read with the place of every fault."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from groupemo.errors import LabelError
from groupemo.label_csv import read_text


def read_json(path: Path) -> Any:
    """Return what a JSON file holds: text in it can be written, too."""
    try:
        found = json.loads(read_text(path))
        json.dumps(found, ensure_ascii=False).encode()  # refuses half a character
        return found
    except (ValueError, RecursionError) as error:
        raise LabelError(f"{path}: not JSON: {error}") from None


def get(item: Any, key: str, kind: type, where: str) -> Any:
    """Return `item[key]`, which must be there and be of that kind."""
    value = item.get(key) if isinstance(item, Mapping) else None
    if not isinstance(value, kind):
        found = f"{key!r} is {value!r:.60}" if value is not None else f"no {key!r}"
        raise LabelError(f"{where}: {found}")
    return value


def items(item: Any, key: str, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the objects of a list with the place each stands at."""
    for row, member in enumerate(get(item, key, list, where)):
        at = f"{where}, {key}[{row}]"
        if not isinstance(member, dict):
            raise LabelError(f"{at}: {member!r:.60}: expected an object")
        yield at, member
