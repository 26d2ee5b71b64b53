"""Writing files so that nothing is ever half-written."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from groupemo.errors import OutputError

__all__ = ["remove_leftovers", "replacing", "write_atomically"]


def write_atomically(path: str | Path, data: bytes) -> Path:
    """Write `data` under a temporary name beside `path`, then rename; return `path`.

    Raises
    ------
    OutputError
        If the folder cannot be made or written, or the disk is full; what stood
        at `path` before is still there.
    """
    with replacing(path) as temporary, open(temporary, "xb") as file:
        file.write(data)
    return Path(path)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary name beside `path` to write to; rename it once the block has ended well.

    Raises
    ------
    OutputError
        As `write_atomically`.
    """
    target = Path(path)
    try:
        if target.exists() and not target.is_file():
            what = "a directory" if target.is_dir() else "no file"
            raise OutputError(f"{target}: cannot be written: Is {what}")
        # a name that fits where the longest one does
        temporary = target.with_name(f".{uuid.uuid4().hex[:16]}")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written: {error.strerror or error}") from error


def remove_leftovers(folder: Path) -> None:
    """Remove what writers that were killed left in a folder; nobody may be writing there now."""
    for path in folder.iterdir():
        if re.fullmatch(r"\.[0-9a-f]{16}", path.name) and path.is_file():
            path.unlink(missing_ok=True)
