"""The records of a folder: its photos, its journal, what the journal says, and the label file.

Who uses them holds `Records.lock`; `answers`, `labels` and `export` take it themselves, and
hold it for a moment. A change is checked, written and taken into the ledger under SQLite's
write lock, after what other processes wrote.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from groupemo.errors import LabelError
from groupemo.labeller.actions import Action, Adjudicate, Adjudicator, Import, name_fault
from groupemo.labeller.album import open_album, photos_inside
from groupemo.labeller.consensus import Consensus, consensus
from groupemo.labeller.exchange import (
    Imported,
    LabelFile,
    PhotoAnswers,
    from_labels,
    read_file,
    to_labels,
)
from groupemo.labeller.journal import Entry, Journal, PhotoRow, now
from groupemo.labeller.state import Ledger, Sheet
from groupemo.labels import Labels

__all__ = ["DESK", "Records"]

Settling: TypeAlias = tuple[str, str, Adjudicate]
"""An adjudicator, a photo and a word."""

DESK = "desk"
"""The client of what happens without a page."""


@dataclass(frozen=True)
class _Said:
    """What everybody says of a photo, after so many changes to it."""

    photo: str
    changes: int
    sheets: Mapping[str, Sheet]
    settled: Sequence[tuple[str, Adjudicate]]
    former: int


class Records:
    """What is known of a folder of photos; opened, and kept, with a journal.

    Parameters
    ----------
    photos : folder, glob, path or list of these
        See `find_photos`.
    file : Path
        The label file; the journal stands beside it.

    Attributes
    ----------
    lock : RLock
    journal : Journal
    album : Album
    ledger : Ledger
        What the journal says, as of the last `catch_up`.
    """

    def __init__(self, photos: Any, file: Path) -> None:
        inside, outside = photos_inside(photos)
        self.lock = threading.RLock()
        self.journal = Journal(file.with_name(f"{file.name}.journal"))
        try:
            self.album = open_album(inside, outside, self.journal)
            self.ledger = Ledger()
            self._proposals = 0
            self._consensus: dict[str, tuple[int, Consensus | None]] = {}
            self._file = LabelFile(file, self.journal)
            self._writing = threading.Lock()
            self._exported = 0
            self.catch_up()
        except BaseException:
            self.journal.discard()
            raise

    def catch_up(self) -> None:
        """Take in what was written since, here or by other processes."""
        for entry in self.journal.entries(self.ledger.seq):
            self.ledger.take(entry)
        self._proposals, found = self.journal.proposals(self._proposals)
        for proposals in found:
            self.ledger.propose(proposals)

    def record(self, entry: Entry, check: Callable[[Entry], Entry]) -> Entry:
        """Write an entry once, and return it as it stands in the journal.

        Parameters
        ----------
        entry : Entry
        check : callable
            Is given the entry when nothing can come between any more; returns what to write, or
            raises. Is not asked where an entry of this id is there already.

        Raises
        ------
        LabelError
            If the id is that of another action.
        OutputError
            If it cannot be saved.
        """
        with self.journal.transaction():
            self.catch_up()
            known = self.journal.entry(entry.id)
            if known is None:
                checked = check(entry)
                written = replace(checked, seq=self.journal.append(checked))
        if known is None:
            self.ledger.take(written)
            return written
        if (known.annotator, type(known.action)) != (entry.annotator, type(entry.action)):
            raise LabelError(f"id: {entry.id} is that of another action")
        return known

    def add(self, said: Iterable[tuple[str, str, Action]], client: str) -> None:
        """Write actions, each with who did it and the photo it is about; all or none.

        Raises
        ------
        OutputError
            If they cannot be saved.
        """
        with self.journal.transaction():
            self.catch_up()
            entries = [
                Entry(0, uuid.uuid4().hex, who, 0, photo, client, now(), action)
                for who, photo, action in said
            ]
            written = [replace(entry, seq=self.journal.append(entry)) for entry in entries]
        for entry in written:
            self.ledger.take(entry)

    def consensus(self, photo: str) -> Consensus:
        """Return what the annotators say together of a photo."""
        return self._joined(self._said(photo))

    def answers(self) -> list[PhotoAnswers]:
        """Return all that was said, of photos that are no longer there too.

        The lock is held only while what everybody says is looked up.
        """
        with self.lock:
            self.catch_up()
            said = [(row, self._said(row.id)) for row in self._labelled_rows()]
        return [_answers(row, each.sheets, self._joined(each)) for row, each in said]

    def _said(self, photo: str) -> _Said:
        ledger = self.ledger
        sheets = {who: ledger.sheet(who, photo) for who in ledger.annotators(photo)}
        settled, former = ledger.adjudications(photo), ledger.former(photo)
        return _Said(photo, ledger.changes(photo), sheets, settled, former)

    def _joined(self, said: _Said) -> Consensus:
        changes, kept = self._consensus.get(said.photo, (-1, None))
        if kept is None or changes != said.changes:
            kept = consensus(said.sheets, said.settled, said.former)
            self._consensus[said.photo] = said.changes, kept
        return kept

    def _labelled_rows(self) -> list[PhotoRow]:
        """Return the photos of which anything was said; of each name the one that is there."""
        said = self.ledger.photos()
        rows = {row.id: row for row in self.journal.photos()} | dict(self.album.rows)
        before = {row.name: row for row in rows.values() if row.id in said}
        there = {row.name: row for row in self.album.rows.values()}
        return [row for row in {**before, **there}.values() if row.id in said]

    def outdated(self) -> int:
        """Return how many photos were labelled and have changed since."""
        return len(self.ledger.photos()) - len(self._labelled_rows())

    def labels(self, *, settled: bool = True) -> Labels:
        """Return what was said, as the label file has it; with `settled`, adjudicated."""
        return to_labels(self.answers(), settled=settled)

    def export(self) -> tuple[Path | None, Labels]:
        """Write the label file, where there is something to write; return it and what it holds.

        Where another process wrote it meanwhile, which may have known less or more, it is written
        again: what stands there in the end is never the older of the two.

        Raises
        ------
        LabelError
            If it was changed by hand.
        OutputError
            If it cannot be written.
        """
        while True:
            seq, files = self.ledger.seq, self.journal.files()
            labels = self.labels()
            with self._writing:
                if seq < self._exported:  # another thread has been faster, and knew more
                    return self._file.path, labels
                path = self._file.write(labels)
                self._exported = seq
            if path is None or self.journal.files() == files + 1:
                return path, labels

    def open_file(self, take_in: Path | None, format: str, *, contempt: str, nameless: str) -> None:
        """Take in a label file that was there before the journal, and another where it is asked.

        Parameters
        ----------
        take_in : Path, optional
            If it is the label file itself, what it does not mention any more is taken back.
        format, contempt
            See `read_file`.
        nameless : str
            Whose rows are that name nobody.

        Raises
        ------
        LabelError
            If the label file was changed by hand, or a file cannot be understood.
        """
        checksum, fresh = self._file.checksum(), not self.ledger.seq
        own = take_in is not None and take_in.resolve() == self._file.path.resolve()
        if not (fresh or own):
            self._file.check()
        batch = "" if fresh else uuid.uuid4().hex
        if fresh and checksum and not own:
            self.take_in(read_file(self._file.path), self._file.path.name, "", nameless=nameless)
        if take_in is not None:
            labels = read_file(
                take_in, format, photos=list(self.album.photos.values()), contempt=contempt
            )
            self.take_in(labels, take_in.name, batch, nameless=nameless, whole=own)
        if checksum and (fresh or own):
            self.journal.add_file(checksum)

    def take_in(
        self,
        labels: Labels,
        source: str,
        batch: str,
        *,
        nameless: str,
        client: str = DESK,
        only: str | None = None,
        whole: bool = False,
    ) -> dict[str, int]:
        """Write what labels say, where the journal says something else.

        Parameters
        ----------
        labels : Labels
        source, batch : str
            See `Import`.
        nameless : str
            Whose rows are that name nobody.
        client : str
        only : str, optional
            All but this annotator keep what they have said of a photo.
        whole : bool
            Whether what the labels do not mention is taken back.

        Returns
        -------
        dict
            `photos`, `faces`, and how many sheets were `kept` as they are.

        Raises
        ------
        LabelError
            If the labels do not fit the photos, a name is none that an annotator may have, or
            somebody would both label and adjudicate.
        """
        found, present = (
            from_labels(each, self.album.rows, source=source, batch=batch, nameless=whose)
            for each, whose in ((labels, nameless), (self.labels(), ""))
        )
        sheets = {k: sheet for k, sheet in found.sheets.items() if sheet != present.sheets.get(k)}
        settled = [each for each in found.settled if each not in present.settled]
        if whole:
            gone = sorted(present.sheets.keys() - found.sheets.keys())
            sheets |= dict.fromkeys(gone, Import((), False, source, batch))
            settled += _reopened(present.settled, found.settled)
        kept = {k for k in sheets if only not in (None, k[0]) and self.ledger.spoke(*k)}
        said = [(*k, sheet) for k, sheet in sheets.items() if k not in kept]
        self._refuse_names(source, found)
        judges = [who for who, _, _ in settled]
        self._refuse_both(judges, [who for who, _ in sheets])
        if found.elsewhere:
            self.journal.add_photos(found.elsewhere)
        new = [(who, "", Adjudicator()) for who in sorted({*judges} - self.ledger.adjudicators)]
        self.add([*new, *said, *settled], client)
        return {
            "photos": len({photo for _, photo, _ in said}),
            "faces": sum(len(sheet.faces) for _, _, sheet in said),
            "kept": len(kept),
        }

    def _refuse_names(self, source: str, found: Imported) -> None:
        """Refuse names under which nobody could go on here; those that name nobody are let be."""
        people = {who for who, _ in found.sheets} | {who for who, _, _ in found.settled}
        for who in sorted(people - {""}):
            if fault := name_fault(who):
                raise LabelError(f"{source}: annotator: {fault}; change it in the file")

    def _refuse_both(self, judges: Iterable[str], labellers: Iterable[str]) -> None:
        """Refuse names that would both label and adjudicate."""
        judging = {*judges, *self.ledger.adjudicators}
        both = sorted(judging & {*labellers, *self.ledger.annotators()})
        if both:
            raise LabelError(
                f"{both[0]!r} would both label and adjudicate these photos: who adjudicates has"
                " seen the answers; change the name in one of the files"
            )


def _answers(row: PhotoRow, sheets: Mapping[str, Sheet], view: Consensus) -> PhotoAnswers:
    notes = {who: sheets[who].extra for who in view.finished}
    return PhotoAnswers(row.name, row.sha256, view, notes)


def _reopened(present: Iterable[Settling], found: Iterable[Settling]) -> list[Settling]:
    """Return, for each face that was settled and is no more, that it is open again."""
    places = {(photo, action.box) for _, photo, action in found}
    return [
        (who, photo, replace(action, label=None))
        for who, photo, action in present
        if (photo, action.box) not in places
    ]
