"""The desk: one folder of photos, its journal, and everybody who labels there.

Whoever shows a page, be it the server or a notebook's widget, holds a `Desk` and passes
messages on: `Desk.handle(message) -> reply`, JSON objects both. It may be called from
any thread. It raises nothing for a message that is wrong: an error is a reply.

Messages
--------
Every message has `do`, `annotator` (a name or initials, 1 to 40 characters, no `;`; compared
in Unicode's form NFC) and `client` (a tab's own random id, 1 to 64 characters of A-Za-z0-9-).

=============  ==============================  ===================================================
do             further fields                  reply
=============  ==============================  ===================================================
open           role ("annotator" by default,   {items: [Item, in order, made anew each time],
               or "adjudicator")               classes: [the seven], progress, seq, history,
                                               settings, notes: [text], warm_ups: number done, or
                                               null where there are too few sample faces}
photo          photo, again (0)                PhotoState
act            id, photo, again (0), seen,     {seq, photo: PhotoState, item: Item, progress,
               kind, and the kind's fields     history}
undo, redo     id, seen (may be left out)      the same, of the photo where it happened;
                                               or {nothing: true, history}
changes        since (a seq)                   {seq, photos: [[id, again] of this annotator (for
                                               the adjudicator, of anybody), that other tabs
                                               changed], waiting: photos without
                                               proposals yet, trouble: null, or why the label
                                               file cannot be written}
guess          photo                           {guesses: {face id: {backend: [7 probabilities, or
                                               nulls]}}}; recorded before it is sent
agreement                                      see "Agreement" below
disagreements                                  {faces: [Disagreement]}; the adjudicator only
adjudicate     id, photo, box, label           as act; the adjudicator only
export                                         {path (or null: nothing to write), faces, photos}
import         name, text, format              {photos, faces, kept: photos left as they were}
warm_up                                        {faces: [SampleFace, ten of them, drawn]}
warmed_up      id, answers: [{photo, box,      {seq, warm_ups}
               label}]
=============  ==============================  ===================================================

Item
    {id, name, width, height, again, faces, labelled, unsure, complete, pending, error,
    disagree}: `faces`, `labelled` and `unsure` are numbers of faces (what is *not a face*
    counts as labelled). `pending`: the detector has not been there yet. `error`: null, or why
    the photo cannot be shown. `disagree`: the number of faces still to be adjudicated; null for
    all but the adjudicator.
PhotoState
    {photo (its id), again, faces: [Face], complete, pending, seq}. While `pending`, ask again
    after a second: proposals will come.
Face
    {id, box: [x1, y1, x2, y2], proposed, score, label, second, confidence, votes}; what was not
    said is null. For the adjudicator also `answers`: {annotator: label or null}; where a face that
    was settled is to be decided again, with the former word by its adjudicator's name.
progress
    {labelled, faces, complete, photos, seconds_a_face, minutes_left}; the last two are null
    until a few faces are labelled.
history
    {undo: bool, redo: bool}: whether there is something to.
settings
    {detector, backends: [names], order, seed, repeat, labels: path, blind: true}
Disagreement
    {photo, box, answers: {annotator: label, or null where that annotator, who has called the
    photo complete, has no face}, adjudicated: label or null}. A face that was settled is to be
    decided again where the annotators have since agreed on something else.
SampleFace
    {photo, width, height, box, label, votes: {expression: number of annotators}}, of a photo that
    is not to be labelled here. Pictures of it can be had as of those that are.

Kinds of `act`, and their fields:

- add: face (an id of the page's own making: "d" and 4 to 40 of A-Za-z0-9-), box
- move: face, box
- delete: face
- label: face, label (null takes it back), second, confidence (1, 2, 3), votes ({emotion: number};
  kept as shares of 1). A label replaces all four. Labels: the seven, "contempt", "unsure",
  "not_a_face", "ignore".
- complete: complete (true or false)

A box is in pixels of the upright original, half-open, inside the photo, at least 2 px a side;
it is kept to a tenth of a pixel. `id` is a random id of the action's own (1 to 64 of A-Za-z0-9-):
an action sent again is acknowledged again and applied once. A reply with `seq` means that the
action is on the disk.

`seen` is the `seq` of the last PhotoState that this tab has of this photo. If another tab of the
same annotator has changed the same face since (for `complete`: anything on the photo), the
reply is a conflict. Several actions may be sent with the same `seen`: a tab has no conflict with
itself. For undo and redo it is the highest `seq` this tab knows: what another tab has undone
since is not undone once more.

In the repeat (`again` 1) the faces are those of the first pass, without labels; `label` and
`complete` are the kinds there are. Photos come up for it at `open`, when they are complete by then.

Errors
------
{error: text, kind, ...}:

- "refused": the message means nothing, or is not allowed. Sending it again is no use.
- "unknown": no such `do`, photo or face.
- "conflict": changed in another tab; with photo: PhotoState, item and seq as they are now.
- "failed": it could not be saved (a full disk); nothing is changed. Send it again, same id.

Blindness
---------
No reply holds what another annotator said or what a backend guessed, but the reply to
`guess`, which is recorded first and marks every later label of that annotator on that photo
(`guess_shown`), and those to an adjudicator. Who adjudicates does so under a name that
labels nothing, and has said so at `open`.

Agreement
---------
For an annotator, {blind: true, self: Self}: how far they agree with themselves, for figures
about others, seen live, would tell what the others said. For the adjudicator also
{annotators: [names], faces, alpha, fleiss, pairs: [{annotators: [a, b], faces, kappa, labels:
[words], confusion: [[rows a, columns b]], alone: {a: boxes that b, who has called the photo
complete, does not have, b: ...}}], selves: {annotator: Self}}. Self is {faces, same, kappa}.
What is undefined is null.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from threading import Condition
from typing import Any, TypeAlias

from groupemo.boxes import iou_matrix
from groupemo.emotions import EMOTIONS
from groupemo.errors import GroupemoError, OptionError, OutputError
from groupemo.images import Photo
from groupemo.labeller.actions import (
    CLIENT_KINDS,
    WARM_UP_FACES,
    Action,
    Add,
    Adjudicate,
    Adjudicator,
    Complete,
    Guess,
    Label,
    Move,
    Redo,
    Tried,
    Undo,
    WarmUp,
    composed,
    face_of,
    name_fault,
    parse,
    read_box,
    within,
)
from groupemo.labeller.agreement import agreement_of, self_agreement
from groupemo.labeller.exchange import read_file
from groupemo.labeller.journal import Entry, Proposals, now
from groupemo.labeller.ordering import draw_repeats, order_photos, uncertainty
from groupemo.labeller.proposals import Proposer
from groupemo.labeller.records import Records
from groupemo.labeller.saving import Later
from groupemo.labeller.state import SAME_FACE, History
from groupemo.labeller.views import AdjudicatorView, AnnotatorView, View
from groupemo.labeller.warmup import SampleFaces
from groupemo.labels import Labels
from groupemo.plugins import BACKENDS, DEFAULT_DETECTOR, DETECTORS, Backend, Detector

__all__ = ["Desk"]

PATIENCE = 2.0
"""Seconds a page waits for the proposals of the photo it asks for."""

_ENVELOPE = {"do", "annotator", "client", "id", "photo", "again", "seen", "kind"}
"""Fields of a message that are no field of the action it holds."""

Reply: TypeAlias = dict[str, Any]
Message: TypeAlias = Mapping[str, Any]


class _Refusal(GroupemoError):
    """What is wrong with a message, as a reply."""

    def __init__(self, text: str, kind: str = "refused", **fields: Any) -> None:
        super().__init__(text)
        self.reply = {"error": text, "kind": kind, **fields}


class _Nothing(Exception):
    """There is nothing to undo or redo."""


class Desk:
    """A folder of photos that is being labelled.

    Parameters
    ----------
    photos : folder, glob, path or list of these
        See `find_photos`.
    labels : path, optional
        The label file; if not given, `labels.csv` in the folder. The journal stands beside it.
    annotator : str
        Whose the rows of an imported file are that name nobody.
    detector : str or Detector
        Proposes faces.
    backends : sequence of str or Backend
        Guess, for `order="active"` and for those who ask to see it.
    order : {"name", "shuffle", "active"}
        See `order_photos`.
    seed : int
        Of the shuffled order and of the repeats.
    repeat : float
        The share of finished photos to show again, 0 to 1.
    take_in : path, optional
        Labels to import, in `format`, before anything else.
    format, contempt : str
        See `read_file`.

    Attributes
    ----------
    labels : Path
        The label file; from the root, so that a notebook may change its folder.
    photos : mapping of str to Photo
        By id, in the order of their names.
    pictured : mapping of str to Photo
        By id: those that may be shown, which are these and the sample photos of the warm-up.
    order : list of str
        Their ids, in the order in which they are shown.

    Raises
    ------
    LabelError
        If the journal is damaged, the label file was changed by hand, or what is to be
        imported cannot be understood.
    OptionError, UnknownPlugin, ModelError, MissingExtra, PhotoError, OutputError
        If an option means nothing, a plugin or the photos cannot be had, or nothing can be
        written beside the labels.
    """

    def __init__(
        self,
        photos: Any,
        *,
        labels: str | Path | None = None,
        annotator: str = "",
        detector: str | Detector = DEFAULT_DETECTOR,
        backends: Sequence[str | Backend] = (),
        order: str = "name",
        seed: int = 0,
        repeat: float = 0.0,
        take_in: str | Path | None = None,
        format: str = "csv",
        contempt: str = "refuse",
    ) -> None:
        if not 0 <= repeat <= 1:
            raise OptionError(f"repeat is {repeat!r}: expected a share of the photos, 0 to 1")
        if annotator and (fault := name_fault(annotator)):
            raise OptionError(f"annotator: {fault}")
        if order == "active" and not backends:
            raise OptionError("order 'active' goes by what backends are unsure of: name one")
        order_photos((), order, seed=seed, uncertain={})
        finder = DETECTORS.load(detector)
        readers = [BACKENDS.load(each) for each in backends]
        file = Path(labels).expanduser() if labels is not None else _label_file(photos)
        self.labels = file.absolute()
        self._settings: Reply = {
            "detector": finder.label,
            "backends": [each.label for each in readers],
            "order": order,
            "seed": seed,
            "repeat": repeat,
            "labels": str(self.labels),
            "blind": True,
        }
        self._keys = {each.key for each in readers}
        self._records = Records(photos, self.labels)
        self._lock = self._records.lock
        self._looked = Condition(self._lock)
        self._views: dict[str, AnnotatorView] = {}
        self._failures: list[str] = []
        self._trouble: str | None = None
        try:
            path = None if take_in is None else Path(take_in)
            self._records.open_file(path, format, contempt=contempt, nameless=composed(annotator))
        except BaseException:
            self._records.journal.discard()
            raise
        self.photos: Mapping[str, Photo] = self._records.album.photos
        self._samples = SampleFaces(without=self.photos)
        self.pictured: Mapping[str, Photo] = {**self._samples.photos, **self.photos}
        self.order = self._in_order()
        self._later = Later(self._export_quietly)
        if self._records.ledger.seq:
            self._later.ask()
        self._proposer = Proposer(
            {photo: self.photos[photo] for photo in self.order if self._shown(photo)},
            self._records.journal,
            finder,
            readers,
            self._on_look,
            self._finished,
        )
        self._proposer.start()

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the detector, write the label file, close the journal.

        Raises
        ------
        OutputError, LabelError
            If the label file cannot be written, or was changed by hand. The journal has
            everything even so.
        """
        self._proposer.stop()
        try:
            if self._later.stop():
                self.export()
        finally:
            self._records.journal.close()

    def export(self) -> Path | None:
        """Write the label file now; return it, or None where there is nothing to write.

        Raises
        ------
        LabelError
            If it was changed by hand.
        OutputError
            If it cannot be written.
        """
        return self._records.export()[0]

    def said(self, *, settled: bool = True) -> Labels:
        """Return what the annotators have said, as the label file has it.

        Parameters
        ----------
        settled : bool
            Whether an adjudicator's word stands in place of the annotators'.
        """
        return self._records.labels(settled=settled)

    def handle(self, message: Message) -> Reply:
        """Do what a message says, and return the reply: see `groupemo.labeller.desk`."""
        try:
            do = message.get("do") if isinstance(message, Mapping) else None
            if not isinstance(do, str) or do not in _HANDLERS:
                raise _Refusal(f"no such message: {do!r:.60}", "unknown")
            who = _annotator(message)
            _token(message, "client")
            with self._lock:
                self._records.catch_up()
                return _HANDLERS[do](self, who, message)
        except _Refusal as refusal:
            return refusal.reply
        except OutputError as error:
            return {"error": str(error), "kind": "failed"}
        except GroupemoError as error:
            return {"error": str(error), "kind": "refused"}

    def _open(self, who: str, message: Message) -> Reply:
        role, ledger = message.get("role", "annotator"), self._records.ledger
        repeats: list[str] = []
        if role not in ("annotator", "adjudicator"):
            raise _Refusal(f"role: {role!r:.60}: expected annotator or adjudicator")
        if role == "annotator":
            self._refuse_adjudicator(who)
            repeats = self._drawn(who)
            self._views[who] = self._annotator_view(who, repeats)
        elif who not in ledger.adjudicators:
            if who in ledger.annotators():
                raise _Refusal(f"{who} has labelled here: adjudicate under another name")
            self._records.add([(who, "", Adjudicator())], message["client"])
        self.order = self._in_order()
        view = self._view(who)
        items = [view.item(photo, 0) for photo in self.order]
        return {
            "items": items + [view.item(photo, 1) for photo in repeats],
            "classes": list(EMOTIONS),
            "progress": view.progress(),
            "seq": ledger.seq,
            "history": self._history(who),
            "settings": self._settings,
            "notes": self._notes(),
            "warm_ups": ledger.warm_ups(who) if self._samples else None,
        }

    def _photo(self, who: str, message: Message) -> Reply:
        photo, again = self._photo_of(message), _again(message)
        self._proposer.near(photo)
        if self._shown(photo):
            self._looked.wait_for(lambda: not self._records.ledger.pending(photo), PATIENCE)
        return self._view(who).state(photo, again)

    def _act(self, who: str, message: Message) -> Reply:
        self._refuse_adjudicator(who)
        photo, kind, seen = self._photo_of(message), message.get("kind"), _seq(message, "seen")
        if not self._shown(photo):
            raise _Refusal(self._records.album.errors[photo])
        if kind not in CLIENT_KINDS:
            raise _Refusal(f"kind: {kind!r:.60}: expected one of {', '.join(CLIENT_KINDS)}")
        row = self._records.album.rows[photo]
        body = {name: value for name, value in message.items() if name not in _ENVELOPE}
        action = within(parse(kind, body), row.width, row.height)
        entry = _entry(who, message, photo, action, _again(message))
        return self._record(entry, lambda entry: self._checked(entry, seen))

    def _checked(self, entry: Entry, seen: int) -> Entry:
        """Return an entry as it is to be written, if it fits what stands; refuse it otherwise."""
        who, photo, action = entry.annotator, entry.photo, entry.action
        ledger = self._records.ledger
        if ledger.conflicts(entry, seen):
            raise self._conflict(entry)
        if entry.again and not isinstance(action, Label | Complete):
            raise _Refusal("in the repeat, faces have the boxes of the first pass")
        sheet, name = ledger.sheet(who, photo, entry.again), face_of(action)
        if isinstance(action, Add):
            if not re.fullmatch("d[A-Za-z0-9-]{4,40}", action.face):
                raise _Refusal(f"face: {action.face!r}: expected d and 4 to 40 of A-Za-z0-9-")
            if ledger.was_drawn(who, photo, action.face):
                raise _Refusal(f"face: there is, or was, a face {action.face}")
        elif name is not None and sheet.face(name) is None:
            raise _Refusal(f"there is no face {name} on this photo", "unknown")
        if isinstance(action, Add | Move) and any(
            face.box == action.box and face.id != name for face in sheet.faces
        ):
            raise _Refusal("there is another face with this very box")
        if isinstance(action, Label):
            action = replace(action, guess_shown=ledger.guess_shown(who, photo))
        return replace(entry, action=action)

    def _conflict(self, entry: Entry) -> _Refusal:
        view, place = self._view(entry.annotator), (entry.photo, entry.again)
        return _Refusal(
            "changed in another tab",
            "conflict",
            photo=view.state(*place),
            item=view.item(*place),
            seq=self._records.ledger.seq,
        )

    def _undo(self, who: str, message: Message) -> Reply:
        return self._step(who, message, Undo, lambda history: history.next_undo)

    def _redo(self, who: str, message: Message) -> Reply:
        return self._step(who, message, Redo, lambda history: history.next_redo)

    def _step(
        self,
        who: str,
        message: Message,
        kind: type[Undo | Redo],
        next_step: Callable[[History], Entry | None],
    ) -> Reply:
        history = self._records.ledger.history(who)
        seen = _seq(message, "seen") if message.get("seen") is not None else None

        def aimed(entry: Entry) -> Entry:
            """Return the entry with the step that is next."""
            target = next_step(history)
            if target is None:
                raise _Nothing
            for other in (history.latest, target):
                if seen is not None and other and other.seq > seen and other.client != entry.client:
                    raise self._conflict(other)
            return replace(entry, photo=target.photo, again=target.again, action=kind(target.seq))

        try:
            return self._record(_entry(who, message, "", kind(1)), aimed)
        except _Nothing:
            return {"nothing": True, "history": self._history(who)}

    def _changes(self, who: str, message: Message) -> Reply:
        ledger = self._records.ledger
        whose = None if who in ledger.adjudicators else who
        changed = ledger.changed(whose, message["client"], _seq(message, "since"))
        waiting = sum(ledger.pending(photo) and self._shown(photo) for photo in self.photos)
        return {"seq": ledger.seq, "photos": changed, "waiting": waiting, "trouble": self._trouble}

    def _guess(self, who: str, message: Message) -> Reply:
        self._refuse_adjudicator(who)
        photo, records = self._photo_of(message), self._records
        if not self._keys:
            raise _Refusal("no backend guesses here: start with one, such as --backend fer")
        found = [each for each in records.journal.guesses(photo) if each.provenance in self._keys]
        if not found:
            raise _Refusal("the backends have not looked at this photo yet: ask again in a while")
        if not records.ledger.guess_shown(who, photo):
            records.add([(who, photo, Guess())], message["client"])
        return {
            "guesses": {
                face.id: {
                    each.backend: [p if p == p else None for p in each.probs[row].tolist()]
                    for each in found
                }
                for row, face in enumerate(records.ledger.proposed(photo).faces)
            }
        }

    def _agreement(self, who: str, message: Message) -> Reply:
        ledger = self._records.ledger
        if who not in ledger.adjudicators:
            return {"blind": True, "self": self._self(who)}
        return {
            **agreement_of(self._records.answers()),
            "blind": False,
            "selves": {each: self._self(each) for each in ledger.annotators()},
        }

    def _self(self, who: str) -> Reply:
        """Return how far an annotator agrees with themselves."""
        ledger = self._records.ledger
        pairs = [
            (first.label, again.label)
            for photo in ledger.repeated(who)
            for again in ledger.sheet(who, photo, 1).faces
            if (first := ledger.sheet(who, photo).face(again.id)) is not None
        ]
        return self_agreement([(one, two) for one, two in pairs if one and two])

    def _disagreements(self, who: str, message: Message) -> Reply:
        return {"faces": self._adjudicator_view(who).disagreements()}

    def _adjudicate(self, who: str, message: Message) -> Reply:
        self._adjudicator_view(who)
        body = {name: message[name] for name in ("box", "label") if name in message}
        entry = _entry(who, message, self._photo_of(message), parse("adjudicate", body))
        return self._record(entry, self._settling)

    def _settling(self, entry: Entry) -> Entry:
        """Return an adjudicator's entry if there is a face where it settles one; refuse it else."""
        assert isinstance(entry.action, Adjudicate)
        faces = self._records.consensus(entry.photo).faces
        boxes = [face.box for face in faces]
        if not boxes or iou_matrix([entry.action.box], boxes).max() < SAME_FACE:
            raise _Refusal("there is no face there any more, or never was: look again", "unknown")
        return entry

    def _export(self, who: str, message: Message) -> Reply:
        path, labels = self._records.export()
        return {
            "path": None if path is None else str(path),
            "faces": sum(map(len, labels.values())),
            "photos": len(labels),
        }

    def _import(self, who: str, message: Message) -> Reply:
        self._refuse_adjudicator(who)
        name, text, format = (_text(message, each) for each in ("name", "text", "format"))
        labels = read_file(name, format, text=text, photos=list(self.photos.values()))
        taken = self._records.take_in(
            labels, name, uuid.uuid4().hex, nameless=who, client=message["client"], only=who
        )
        self._later.ask()
        return dict(taken)

    def _draw_warm_up(self, who: str, message: Message) -> Reply:
        if not self._samples:
            raise _Refusal("there are too few sample faces here: groupemo samples pull")
        drawn = self._samples.draw(f"{who} {self._records.ledger.warm_ups(who)}")
        return {"faces": [asdict(face) for face in drawn]}

    def _warmed_up(self, who: str, message: Message) -> Reply:
        given = message.get("answers")
        if not isinstance(given, list) or not 1 <= len(given) <= WARM_UP_FACES:
            raise _Refusal(f"answers: expected a list of 1 to {WARM_UP_FACES}")
        action = WarmUp(tuple(self._tried(each) for each in given))
        entry = self._records.record(_entry(who, message, "", action), lambda entry: entry)
        return {"seq": entry.seq, "warm_ups": self._records.ledger.warm_ups(who)}

    def _tried(self, given: object) -> Tried:
        """Return an answer of a warm-up, with what the labels say."""
        if not isinstance(given, Mapping):
            raise _Refusal(f"answers: expected objects, got {given!r:.60}")
        photo, box = given.get("photo"), read_box(given.get("box"), "answers: box")
        face = self._samples.face(photo, box) if isinstance(photo, str) else None
        if face is None:
            raise _Refusal("answers: no such sample face", "unknown")
        label = parse("label", {"face": "p0", "label": given.get("label")})
        assert isinstance(label, Label)
        if label.label is None:
            raise _Refusal("answers: a label is missing")
        return Tried(face.photo, face.box, label.label, face.label)

    def _record(self, entry: Entry, check: Callable[[Entry], Entry]) -> Reply:
        """Write an action, checked, and return what it led to."""
        written = self._records.record(entry, check)
        self._later.ask()
        view, place = self._view(written.annotator), (written.photo, written.again)
        return {
            "seq": written.seq,
            "photo": view.state(*place),
            "item": view.item(*place),
            "progress": view.progress(),
            "history": self._history(written.annotator),
        }

    def _view(self, who: str) -> View:
        if who in self._records.ledger.adjudicators:
            return self._adjudicator_view(who)
        if who not in self._views:
            self._views[who] = self._annotator_view(who, [])
        return self._views[who]

    def _annotator_view(self, who: str, repeats: Sequence[str]) -> AnnotatorView:
        return AnnotatorView(self._records.ledger, self._records.album, who, repeats)

    def _adjudicator_view(self, who: str) -> AdjudicatorView:
        records = self._records
        if who not in records.ledger.adjudicators:
            raise _Refusal(f"{who} does not adjudicate here: open as an adjudicator first")
        return AdjudicatorView(records.ledger, records.album, records.consensus)

    def _history(self, who: str) -> dict[str, bool]:
        history = self._records.ledger.history(who)
        return {"undo": history.next_undo is not None, "redo": history.next_redo is not None}

    def _refuse_adjudicator(self, who: str) -> None:
        if who in self._records.ledger.adjudicators:
            raise _Refusal(f"{who} adjudicates here, and has seen the answers: use another name")

    def _shown(self, photo: str) -> bool:
        """Say whether a photo can be shown."""
        return photo not in self._records.album.errors

    def _photo_of(self, message: Message) -> str:
        photo = message.get("photo")
        if not isinstance(photo, str) or photo not in self.photos:
            raise _Refusal(f"no such photo: {photo!r:.60}", "unknown")
        return photo

    def _drawn(self, who: str) -> list[str]:
        """Return the photos to show again: drawn from those finished, and those begun."""
        ledger, share = self._records.ledger, self._settings["repeat"]
        done = [photo for photo in self.photos if ledger.sheet(who, photo).finished]
        drawn = draw_repeats(done, share, seed=self._settings["seed"])
        begun = [photo for photo in ledger.repeated(who) if photo in self.photos]
        return list(dict.fromkeys([*begun, *drawn]))

    def _in_order(self) -> list[str]:
        uncertain = {}
        if self._settings["order"] == "active":
            answers: dict[str, list[Any]] = {}
            for one in self._records.journal.guesses():
                if one.provenance in self._keys:
                    answers.setdefault(one.photo, []).append(one.probs)
            uncertain = {photo: uncertainty(probs) for photo, probs in answers.items()}
        return order_photos(
            list(self._records.album.rows),
            self._settings["order"],
            seed=self._settings["seed"],
            uncertain=uncertain,
        )

    def _notes(self) -> list[str]:
        outdated, ledger = self._records.outdated(), self._records.ledger
        changed = (
            f"{outdated} labelled photos have changed since: what was said of the former pictures"
            f" is in the journal, and not in {self.labels.name}"
        )
        nameless = (
            f"there are labels in {self.labels.name} that name no annotator, so nobody is shown"
            f" them: to make them yours, start again with --import {self.labels} --annotator and"
            " your name"
        )
        nobodys = any(ledger.sheet("", photo).labelled for photo in ledger.photos())
        told = [*([changed] if outdated else []), *([nameless] if nobodys else [])]
        return [*self._records.album.notes, *self._failures, *told]

    def _on_look(self, photo: str, failure: str) -> None:
        """Take in what the detector found; if it failed, faces can still be drawn."""
        with self._lock:
            try:
                self._records.catch_up()
            except GroupemoError as error:
                failure = str(error)
            if failure:
                self._failures.append(failure)
            if self._records.ledger.pending(photo):
                self._records.ledger.propose(Proposals(photo, {}, ()))
            self._looked.notify_all()

    def _finished(self, photo: str) -> bool:
        """Say whether somebody has called a photo complete with the faces they saw on it."""
        with self._lock:
            self._records.catch_up()
            return self._records.ledger.finished(photo)

    def _export_quietly(self) -> None:
        try:
            self.export()
            self._trouble = None
        except GroupemoError as error:
            self._trouble = str(error)
            self._later.ask()


_HANDLERS: Mapping[str, Callable[[Desk, str, Message], Reply]] = {
    "open": Desk._open,
    "photo": Desk._photo,
    "act": Desk._act,
    "undo": Desk._undo,
    "redo": Desk._redo,
    "changes": Desk._changes,
    "guess": Desk._guess,
    "agreement": Desk._agreement,
    "disagreements": Desk._disagreements,
    "adjudicate": Desk._adjudicate,
    "export": Desk._export,
    "import": Desk._import,
    "warm_up": Desk._draw_warm_up,
    "warmed_up": Desk._warmed_up,
}


def _label_file(photos: Any) -> Path:
    """Return the label file of a folder; of anything else, one in the current folder."""
    folder = isinstance(photos, str | Path) and Path(photos).expanduser().is_dir()
    return (Path(photos).expanduser() if folder else Path()) / "labels.csv"


def _entry(who: str, message: Message, photo: str, action: Action, again: int = 0) -> Entry:
    return Entry(
        0, _token(message, "id"), who, again, photo, _token(message, "client"), now(), action
    )


def _annotator(message: Message) -> str:
    name = message.get("annotator")
    if fault := name_fault(name):
        raise _Refusal(f"annotator: {fault}")
    return composed(str(name))


def _token(message: Message, field: str) -> str:
    value = message.get(field)
    if not isinstance(value, str) or not re.fullmatch("[A-Za-z0-9-]{1,64}", value):
        raise _Refusal(f"{field}: {value!r:.60}: expected 1 to 64 of A-Za-z0-9-")
    return value


def _text(message: Message, field: str) -> str:
    value = message.get(field)
    if not isinstance(value, str):
        raise _Refusal(f"{field}: expected text, got {value!r:.60}")
    return value


def _seq(message: Message, field: str) -> int:
    value = message.get(field)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _Refusal(f"{field}: {value!r:.60}: expected the number of an action, from 0")
    return value


def _again(message: Message) -> int:
    value = message.get("again", 0)
    if isinstance(value, bool) or value not in (0, 1):
        raise _Refusal(f"again: {value!r:.60}: expected 0 or 1")
    return int(value)
