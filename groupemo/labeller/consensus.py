"""What the annotators say together: one box a face, everybody's answer, what was settled.

Conventions
-----------
Boxes that people drew for one face differ by some pixels. Boxes of different annotators with
an IoU of `SAME_FACE` or more are one face; its box is the median of theirs, side by side.
The closest two are joined first, then the closest of what has come of it, until none are
left that could be: so labels that went out to a file and came back are joined the same way.
What somebody called *not a face* moves no box.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import TypeAlias

import numpy as np

from groupemo.boxes import iou_matrix
from groupemo.labeller.actions import NOT_A_FACE, Adjudicate, Box
from groupemo.labeller.state import SAME_FACE, Face, Sheet

__all__ = ["Common", "Consensus", "Settled", "consensus"]

Group: TypeAlias = dict[str, Face]
"""Faces taken for one, each by its annotator."""


@dataclass(frozen=True)
class Settled:
    """What an adjudicator said of a face; `label` is None where it was opened again.

    `former`: an annotator has changed something on the photo since.
    """

    by: str
    label: str | None
    former: bool = False


@dataclass(frozen=True)
class Common:
    """One face as everybody sees it.

    Parameters
    ----------
    box : Box
        Numbers that float32 holds, as label files do.
    answers : mapping of str to Face
        The labelled face of each annotator who has one here, *not a face* among them.
    missing : tuple of str
        Who has called the photo complete and has no face here.
    settled : Settled, optional
        The adjudicator's word.
    """

    box: Box
    answers: Mapping[str, Face]
    missing: tuple[str, ...] = ()
    settled: Settled | None = None

    @property
    def labels(self) -> dict[str, str | None]:
        """Everybody's label; None for those who miss the face."""
        return {
            **{who: face.label for who, face in self.answers.items()},
            **dict.fromkeys(self.missing),
        }

    def denied_by(self, annotator: str) -> bool:
        """Whether an annotator has called the photo complete, or this, without a face here."""
        face = self.answers.get(annotator)
        return annotator in self.missing if face is None else not face.is_face

    @property
    def differs(self) -> bool:
        """Whether the annotators disagree, with each other or with what was settled."""
        return len(set(self.labels.values())) > 1 or self.contradicted

    @property
    def contradicted(self) -> bool:
        """Whether the annotators now agree on something else than was settled before."""
        if self.settled is None or not self.settled.former:
            return False
        words = {label or NOT_A_FACE for label in self.labels.values()} or {NOT_A_FACE}
        return len(words) == 1 and words != {self.settled.label}

    @property
    def is_open(self) -> bool:
        """Whether an adjudicator has to decide."""
        return self.differs and (self.settled is None or self.contradicted)


@dataclass(frozen=True)
class Consensus:
    """The faces of one photo, from left to right, and who has called it complete.

    Parameters
    ----------
    faces : tuple of Common
    finished : tuple of str
        The annotators who have called the photo complete and labelled each of its faces.
    """

    faces: tuple[Common, ...]
    finished: tuple[str, ...]


def consensus(
    sheets: Mapping[str, Sheet], settled: Iterable[tuple[str, Adjudicate]] = (), former: int = 0
) -> Consensus:
    """Return what annotators' sheets of one photo say together.

    Parameters
    ----------
    sheets : mapping of str to Sheet
        By annotator.
    settled : iterable of (str, Adjudicate)
        Who settled what, in order: the last word about a face counts. A settled face that
        nobody has any more stands by itself.
    former : int
        How many of these, from the first, came before an annotator's last change.
    """
    said = [
        (who, replace(face, box=_rounded(face.box)))
        for who, sheet in sorted(sheets.items())
        for face in sheet.faces
    ]
    groups = _joined([{who: face} for who, face in said if face.is_face])
    boxes = _apart([_median(group) for group in groups])
    denied = [{who: face} for who, face in said if face.label and not face.is_face]
    for group in _joined(denied):
        _attach(group, groups, boxes)
    finished = tuple(who for who, sheet in sorted(sheets.items()) if sheet.finished)
    faces = [
        Common(box, group, tuple(who for who in finished if who not in group))
        for box, group in zip(boxes, groups, strict=True)
    ]
    for at, (who, action) in enumerate(settled):
        _settle(faces, _rounded(action.box), Settled(who, action.label, at < former))
    faces = [face for face in faces if face.answers or face.settled]
    return Consensus(tuple(sorted(faces, key=lambda face: face.box)), finished)


def _joined(groups: list[Group]) -> list[Group]:
    """Join groups of different annotators' faces, the closest two first, while any are close."""
    found: dict[Box, Group] = {}
    for group in groups:  # the usual case: the same proposal, which nobody moved
        for face in group.values():
            found.setdefault(face.box, {}).update(group)
    groups = list(found.values())
    while pair := _closest(groups):
        together = groups[pair[0]] | groups[pair[1]]
        groups = [*(group for at, group in enumerate(groups) if at not in pair), together]
    return groups


def _closest(groups: Sequence[Group]) -> tuple[int, int] | None:
    """Return the two groups that overlap most, of those that may be one face."""
    if len({who for group in groups for who in group}) < 2:
        return None
    boxes = [_median(group) for group in groups]
    iou = iou_matrix(boxes, boxes)
    close = [
        (-iou[first, second], *sorted((boxes[first], boxes[second])), first, second)
        for first, second in np.argwhere(np.triu(iou, 1) >= SAME_FACE).tolist()
        if groups[first].keys().isdisjoint(groups[second])
    ]
    return min(close)[-2:] if close else None


def _attach(group: Group, groups: list[Group], boxes: list[Box]) -> None:
    """Put those who deny a face with those who see it; alone where nobody does."""
    box = _median(group)
    near = iou_matrix([box], boxes)[0] if boxes else np.empty(0)
    for at in np.argsort(-near, kind="stable"):
        if near[at] >= SAME_FACE and groups[at].keys().isdisjoint(group):
            groups[at] |= group
            return
    groups.append(group)
    boxes.append(box)


def _settle(faces: list[Common], box: Box, settled: Settled) -> None:
    """Write down an adjudicator's word at the face it is about."""
    near = iou_matrix([box], [face.box for face in faces])[0] if faces else np.zeros(1)
    at = int(near.argmax())
    if near[at] >= SAME_FACE:
        faces[at] = replace(faces[at], settled=settled if settled.label else None)
    elif settled.label:
        faces.append(Common(box, {}, settled=settled))


def _median(group: Group) -> Box:
    return _rounded(np.median([face.box for face in group.values()], axis=0))


def _rounded(box: Iterable[float]) -> Box:
    """Return a box of numbers that float32 holds."""
    x1, y1, x2, y2 = np.asarray(box, dtype=np.float32).tolist()
    return x1, y1, x2, y2


def _apart(boxes: Sequence[Box]) -> list[Box]:
    """Return boxes of which no two are the same: one that is taken grows by a tenth of a pixel."""
    found: list[Box] = []
    for x1, y1, x2, y2 in boxes:
        grown = (_rounded((x1, y1, x2 + step / 10, y2)) for step in count())
        found.append(next(box for box in grown if box not in found))
    return found
