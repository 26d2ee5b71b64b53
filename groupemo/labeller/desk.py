"""The desk: one folder of photos, its journal, and everybody who labels there.

Whoever shows a page, be it the server or a notebook's widget, holds a `Desk` and passes
messages on: `Desk.handle(message) -> reply`, JSON objects both. It may be called from
any thread. It raises nothing for a message that is wrong: an error is a reply.

Messages
--------
Every message has `do`, `annotator` (a name or initials, 1 to 40 characters, no `;`) and
`client` (a tab's own random id, 1 to 64 characters of A-Za-z0-9-).

=============  ==============================  ===================================================
do             further fields                  reply
=============  ==============================  ===================================================
open           role ("annotator" by default,   {items: [Item, in order], classes: [the seven],
               or "adjudicator")               progress, seq, history, settings, notes: [text]}
photo          photo, again (0)                PhotoState
act            id, photo, again (0), seen,     {seq, photo: PhotoState, item: Item, progress,
               kind, and the kind's fields     history}
undo, redo     id, seen (may be left out)      the same, of the photo where it happened;
                                               or {nothing: true, history}
changes        since (a seq)                   {seq, photos: [[id, again] of this annotator, that
                                               other tabs changed], waiting: photos without
                                               proposals yet}
guess          photo                           {guesses: {face id: {backend: [7 probabilities, or
                                               nulls]}}}; recorded before it is sent
agreement                                      see "Agreement" below
disagreements                                  {faces: [Disagreement]}; the adjudicator only
adjudicate     id, photo, box, label           as act; the adjudicator only
export                                         {path (or null: nothing to write), faces, photos}
import         name, text, format              {photos, faces, kept: photos left as they were}
=============  ==============================  ===================================================

Item
    {id, name, width, height, again, faces, labelled, unsure, complete, pending, error,
    disagree}: `faces`, `labelled` and `unsure` are numbers of faces (what is *not a face*
    counts as labelled). `pending`: the detector has not been there yet. `error`: null, or why
    the photo cannot be shown. `disagree`: the number of faces still to be adjudicated; null for
    all but the adjudicator.
PhotoState
    {photo (id), again, faces: [Face], complete, pending, seq}. While `pending`, ask again after a
    second: proposals will come.
Face
    {id, box: [x1, y1, x2, y2], proposed, score, label, second, confidence, votes}; what was not
    said is null. For the adjudicator also `answers`: {annotator: label or null}.
progress
    {labelled, faces, complete, photos, seconds_a_face, minutes_left}; the last two are null
    until a few faces are labelled.
history
    {undo: bool, redo: bool}: whether there is something to.
settings
    {detector, backends: [names], order, seed, repeat, labels: path, blind: true}
Disagreement
    {photo, box, answers: {annotator: label, or null where that annotator, who has called the
    photo complete, has no face}, adjudicated: label or null}

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
itself. For undo and redo it is the highest `seq` this tab knows.

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

__all__: list[str] = []
