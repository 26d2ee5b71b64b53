"""One process at a time in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from groupemo.errors import OptionError, OutputError
from groupemo.files import remove_leftovers

__all__ = ["locked"]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a folder for this process; its end, however it comes, gives it free.

    What a process that was killed left half-written in it is removed.

    Raises
    ------
    OptionError
        If another process, or thread, has it.
    OutputError
        If the folder cannot be made or written.
    """
    lock = FileLock(folder / ".lock", blocking=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise OptionError(
            f"{folder}: is in use by another process: wait for it, or choose another folder"
        ) from error
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror or error}") from error
    try:
        remove_leftovers(folder)
        yield
    finally:
        lock.release()
