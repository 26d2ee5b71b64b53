"""The journal: one SQLite file to which actions are appended, the only truth there is.

An action is on the disk before anybody is told that it is saved: the database is in WAL
mode, and each commit waits for the disk (`synchronous=FULL`). Rows are never changed or
deleted; triggers see to that. Several processes may have a journal open: who writes
holds SQLite's write lock from the look at what others have written to the commit.

Beside the actions stand what is known of the photos, what the detector proposed (the first
proposal of a photo stands for good, for actions name its faces), what backends guessed,
and the checksums of the label files written or read.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groupemo.emotions import EMOTIONS
from groupemo.errors import LabelError, OutputError
from groupemo.labeller.actions import Action, parse, to_json

__all__ = ["Entry", "Guesses", "Journal", "PhotoRow", "Proposals"]

APPLICATION, VERSION = 0x67656D6F, 1
"""What marks a SQLite file as ours ("gemo"), and the tables it has."""

WAIT = 30.0
"""Seconds to wait for another process that writes."""

_TABLES = {
    "actions": "seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    " annotator TEXT NOT NULL, again INTEGER NOT NULL, photo TEXT NOT NULL, client TEXT NOT NULL,"
    " at TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL",
    "photos": "row INTEGER PRIMARY KEY, id TEXT NOT NULL, name TEXT NOT NULL,"
    " sha256 TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL, size INTEGER,"
    " modified INTEGER",
    "proposals": "row INTEGER PRIMARY KEY, photo TEXT NOT NULL UNIQUE, detector TEXT NOT NULL,"
    " faces TEXT NOT NULL",
    "guesses": "row INTEGER PRIMARY KEY, photo TEXT NOT NULL, backend TEXT NOT NULL,"
    " provenance TEXT NOT NULL, probs TEXT NOT NULL, UNIQUE (photo, provenance)",
    "files": "row INTEGER PRIMARY KEY, sha256 TEXT NOT NULL, at TEXT NOT NULL",
}
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


@dataclass(frozen=True)
class Entry:
    """One action as it stands in the journal.

    Parameters
    ----------
    seq : int
        1, 2, 3 ... in the order of writing; 0 while it is not written.
    id : str
        The action's own; no two entries share one.
    annotator, client : str
        Who, and in which tab.
    again : int
        0 for the first pass, 1 for the repeat.
    photo : str
        The photo's id; empty where the action is about none.
    at : str
        UTC, ISO 8601, to the millisecond.
    action : Action
    """

    seq: int
    id: str
    annotator: str
    again: int
    photo: str
    client: str
    at: str
    action: Action

    @property
    def time(self) -> float:
        """Seconds since 1970."""
        return datetime.fromisoformat(self.at).timestamp()


@dataclass(frozen=True)
class PhotoRow:
    """What is known of a photo's file: 0 x 0 pixels where it cannot be, or was not, opened.

    `size` (bytes) and `modified` (nanoseconds) are the file's when it was read; None where there
    is no file.
    """

    id: str
    name: str
    sha256: str
    width: int
    height: int
    size: int | None = None
    modified: int | None = None


@dataclass(frozen=True)
class Proposals:
    """The faces a detector found in a photo: rows `x1, y1, x2, y2, score`."""

    photo: str
    detector: Mapping[str, Any]
    faces: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, eq=False)
class Guesses:
    """What a backend made of a photo's proposals: shape (n, 7), a NaN row where it abstained."""

    photo: str
    backend: str
    provenance: str
    probs: NDArray[np.float64]


class Journal:
    """A journal that is open; any thread may use it.

    Parameters
    ----------
    path : path
        Made where it is not there.

    Raises
    ------
    LabelError
        If the file is damaged, another program's, or of a later groupemo.
    OutputError
        If it cannot be opened for writing.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock = threading.RLock()
        with self._understood(": put the labels elsewhere (--labels FILE)"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(
                self.path, timeout=WAIT, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare()
                self._opened = self._files_there()
            except BaseException:
                self._database.close()
                raise

    def _prepare(self) -> None:
        run = self._database.execute
        if run("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise self._damaged("its check fails")
        self._is_new()  # before anything is written, for it may be another program's
        run("PRAGMA journal_mode=WAL")
        run("PRAGMA synchronous=FULL")
        with self.transaction():
            self._made = self._is_new()
            if self._made:
                self._make_tables()

    def _is_new(self) -> bool:
        """Say whether the file is empty; refuse what is no journal of ours."""
        run = self._database.execute
        [application], [version] = (
            run(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")
        )
        if (application, version) == (APPLICATION, VERSION):
            return False
        if application == APPLICATION:
            raise LabelError(
                f"{self.path}: a journal of version {version}, of a later groupemo: update groupemo"
            )
        if application or run("SELECT 1 FROM sqlite_master").fetchone():
            raise LabelError(f"{self.path}: another program's database, no journal of labels")
        return True

    def _make_tables(self) -> None:
        run = self._database.execute
        for table, columns in _TABLES.items():
            run(f"CREATE TABLE {table} ({columns})")
            for verb in ("UPDATE", "DELETE"):
                run(
                    f"CREATE TRIGGER {table}_{verb} BEFORE {verb} ON {table} BEGIN"
                    " SELECT RAISE(ABORT, 'the journal is only appended to'); END"
                )
        run(f"PRAGMA application_id={APPLICATION}")
        run(f"PRAGMA user_version={VERSION}")

    def discard(self) -> None:
        """Close the file; delete it if it was made here, holds no action, and is nobody else's."""
        with self._lock:
            if self._made and not self._rows("SELECT 1 FROM actions LIMIT 1") and self._is_alone():
                self._database.close()
                self.path.unlink(missing_ok=True)
            self._database.close()

    def _is_alone(self) -> bool:
        """Say whether no other process has the file open, for only then it can leave WAL mode."""
        try:
            self._database.execute("PRAGMA busy_timeout=0")
            [mode] = self._database.execute("PRAGMA journal_mode=DELETE").fetchone()
        except sqlite3.OperationalError:
            return False
        return bool(mode == "delete")

    def close(self) -> None:
        """Close the file; whatever was said to be saved is."""
        with self._lock:
            self._database.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the write lock; what the block appends is on the disk once it has ended well.

        Raises
        ------
        OutputError
            If it cannot be saved, for a full disk, say; then nothing of it is.
        """
        with self._lock, self._understood():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def _files_there(self) -> list[tuple[int, int] | None]:
        """Return what tells the journal's files from others that have their names later."""
        place = os.path.realpath(self.path)
        return [_identity(place + ending) for ending in ("", "-wal", "-shm")]

    def append(self, entry: Entry) -> int:
        """Append an action, in a transaction; return its number.

        Raises
        ------
        OutputError
            If the journal was deleted, moved or replaced since it was opened. SQLite looks at that
            itself, but not in WAL mode: it would go on writing where nobody finds it again.
        """
        if self._files_there() != self._opened:
            raise OutputError(
                f"{self.path}: nothing more can be saved here, for the journal, or its -wal or -shm"
                " file, was deleted, moved or replaced: put it back, or stop and start again; the"
                " labels so far are in the CSV file"
            )
        body = _json(to_json(entry.action))
        kind = type(entry.action).__name__.lower()
        place = (entry.id, entry.annotator, entry.again, entry.photo, entry.client, entry.at)
        cursor = self._database.execute(
            "INSERT INTO actions (id, annotator, again, photo, client, at, kind, body)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*place, kind, body),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def entries(self, since: int = 0) -> list[Entry]:
        """Return the actions after number `since`, in order."""
        rows = self._rows(
            "SELECT seq, id, annotator, again, photo, client, at, kind, body FROM actions"
            " WHERE seq > ? ORDER BY seq",
            since,
        )
        try:
            return [_entry(*row) for row in rows]
        except (LabelError, ValueError) as error:
            raise self._damaged(str(error)) from error

    def entry(self, action: str) -> Entry | None:
        """Return the entry of an action's id."""
        rows = self._rows("SELECT seq FROM actions WHERE id = ?", action)
        return self.entries(rows[0][0] - 1)[0] if rows else None

    def add_photos(self, rows: Sequence[PhotoRow]) -> None:
        """Keep what is known of photos; the last row of an id is the one that counts."""
        with self.transaction():
            self._database.executemany(
                "INSERT INTO photos (id, name, sha256, width, height, size, modified)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(r.id, r.name, r.sha256, r.width, r.height, r.size, r.modified) for r in rows],
            )

    def photos(self) -> list[PhotoRow]:
        """Return what was ever known of photos, the latest last."""
        rows = self._rows(
            "SELECT id, name, sha256, width, height, size, modified FROM photos ORDER BY row"
        )
        return [PhotoRow(*row) for row in rows]

    def add_proposals(self, proposals: Proposals) -> Proposals:
        """Keep a photo's proposals, unless it has some; return those it has."""
        with self.transaction():
            self._database.execute(
                "INSERT OR IGNORE INTO proposals (photo, detector, faces) VALUES (?, ?, ?)",
                (proposals.photo, _json(dict(proposals.detector)), _json(proposals.faces)),
            )
        return self.proposals_of(proposals.photo) or proposals

    def proposals_of(self, photo: str) -> Proposals | None:
        """Return a photo's proposals; None where the detector has not been there yet."""
        rows = self._rows("SELECT photo, detector, faces FROM proposals WHERE photo = ?", photo)
        return _proposals(*rows[0]) if rows else None

    def proposals(self, since: int = 0) -> tuple[int, list[Proposals]]:
        """Return the proposals after row `since`, and the last row."""
        rows = self._rows(
            "SELECT row, photo, detector, faces FROM proposals WHERE row > ? ORDER BY row", since
        )
        return rows[-1][0] if rows else since, [_proposals(*row[1:]) for row in rows]

    def add_guesses(self, guesses: Guesses) -> None:
        """Keep a backend's guesses of a photo."""
        probs = [[None if np.isnan(p) else p for p in row] for row in guesses.probs.tolist()]
        with self.transaction():
            self._database.execute(
                "INSERT OR IGNORE INTO guesses (photo, backend, provenance, probs)"
                " VALUES (?, ?, ?, ?)",
                (guesses.photo, guesses.backend, guesses.provenance, _json(probs)),
            )

    def guesses(self, photo: str | None = None) -> list[Guesses]:
        """Return the guesses of one photo, or of all."""
        rows = self._rows(
            "SELECT photo, backend, provenance, probs FROM guesses WHERE photo = ?1 OR ?1 IS NULL"
            " ORDER BY row",
            photo,
        )
        return [_guesses(*row) for row in rows]

    def add_file(self, sha256: str) -> None:
        """Keep the checksum of a label file that was written from here, or read."""
        with self.transaction():
            self._database.execute("INSERT INTO files (sha256, at) VALUES (?, ?)", (sha256, now()))

    def files(self) -> int:
        """Return how many label files were written from here, or read."""
        count: int = self._rows("SELECT count(*) FROM files")[0][0]
        return count

    def knows_file(self, sha256: str) -> bool:
        """Say whether a label file of this checksum was written from here, or read."""
        return bool(self._rows("SELECT 1 FROM files WHERE sha256 = ?", sha256))

    def _rows(self, query: str, *values: Any) -> list[Any]:
        with self._lock, self._understood():
            return self._database.execute(query, values).fetchall()

    @contextmanager
    def _understood(self, remedy: str = "") -> Iterator[None]:
        """Turn what SQLite and the disk raise into errors that name the file and the remedy."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            if (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _DAMAGED:
                raise self._damaged(str(error)) from error
            raise OutputError(f"{self.path}: cannot be written: {error}{remedy}") from error
        except OSError as error:
            reason = f"{error.strerror}{remedy}"
            raise OutputError(f"{self.path}: cannot be written: {reason}") from error

    def _damaged(self, reason: str) -> LabelError:
        return LabelError(
            f"{self.path}: damaged, or no journal of labels ({reason}): move it away with the"
            " files -wal and -shm beside it, and start again: the labels written to the CSV file"
            " are read back from there"
        )


def _identity(path: str) -> tuple[int, int] | None:
    try:
        about = os.stat(path)
    except FileNotFoundError:
        return None
    return about.st_dev, about.st_ino


def _entry(
    seq: int,
    id: str,
    annotator: str,
    again: int,
    photo: str,
    client: str,
    at: str,
    kind: str,
    body: str,
) -> Entry:
    action = parse(kind, json.loads(body))
    return Entry(seq, id, annotator, again, photo, client, at, action)


def _guesses(photo: str, backend: str, provenance: str, probs: str) -> Guesses:
    rows = np.array(json.loads(probs), dtype=np.float64).reshape(-1, len(EMOTIONS))
    return Guesses(photo, backend, provenance, rows)


def _proposals(photo: str, detector: str, faces: str) -> Proposals:
    return Proposals(photo, json.loads(detector), tuple(map(tuple, json.loads(faces))))


def now() -> str:
    """Return the time as the journal has it: UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
