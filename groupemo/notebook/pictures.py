"""Faces to look at: who found which, where backends differ, what went wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from groupemo.drawing import COLORS, UNANSWERED, blur_faces, data_uri, draw_boxes
from groupemo.errors import OptionError, PhotoError
from groupemo.evaluation import Evaluation
from groupemo.labels import label_word
from groupemo.metrics.anatomy import BINS
from groupemo.report.gallery import gallery as chosen
from groupemo.report.grid import Grid
from groupemo.report.inline import DISPLAY, Shown
from groupemo.report.mistakes import KINDS, whole
from groupemo.report.page import render
from groupemo.report.pictures import Part, Shot, take
from groupemo.report.words import plural
from groupemo.scores import Judged, Scores

__all__ = ["compare_detectors", "disagreements", "gallery", "photo_html"]

SIDE, SIDE_BESIDE = 760, 480
"""Pixels of the longer side of a photo by itself, and of one among several."""

FOUND = "#009e73"
"""The colour of a face that was found; those of errors are `KINDS`'."""

OUTLINE = "#ffffff"


def compare_detectors(evaluation: Evaluation, photo: str) -> Shown:
    """Show what each detector makes of one photo, and which labelled face it finds.

    Parameters
    ----------
    evaluation : Evaluation
        Of any backends: they have no part in it.
    photo : str
        Its name.

    Raises
    ------
    OptionError
        If the evaluation has no such photo.
    """
    pairs = {scores.detector: scores.pair for scores in reversed(evaluation.scores)}
    runs = [scores.pair for scores in evaluation.scores if pairs[scores.detector] == scores.pair]
    html = photo_html(evaluation, runs, photo, table=True)
    return Shown(html, f"{photo} by {plural(len(runs), 'detector')}")


def photo_html(
    evaluation: Evaluation, runs: Iterable[tuple[str, str]], photo: str, *, table: bool = False
) -> str:
    """Return a photo once for each run, with what was found, missed and imagined on it.

    Parameters
    ----------
    evaluation : Evaluation
    runs : iterable of tuple of str
        Detector and backend of each.
    photo : str
    table : bool
        Add a table: who found which face.

    Raises
    ------
    OptionError
        If the evaluation has no such photo.
    """
    if photo not in evaluation.labels:
        known = ", ".join(evaluation.labels)
        raise OptionError(f"photo {photo!r}: expected one of {known}")
    views = [_view(evaluation[pair], photo) for pair in runs]
    seen = [view for view in views if view]
    image, reason = _pixels(evaluation, photo, [view.judged for view in seen])
    side = SIDE if len(seen) == 1 else SIDE_BESIDE
    pictures = [
        (view, "" if image is None else data_uri(view.drawn(image), side, quality=70))
        for view in seen
    ]
    return render(
        "notebook_photo.html",
        photo=photo,
        pictures=pictures,
        reason=reason,
        faces=seen[0].faces() if table and seen else [],
        views=seen,
    )


@dataclass(frozen=True, eq=False)
class _View:
    """What one run made of one photo.

    `labelled` is the bin of each labelled face, `detected` that of each detection, and `face`
    the labelled face that each detection is about.
    """

    scores: Scores
    judged: Judged
    labelled: Sequence[str]
    detected: Sequence[str]

    @property
    def title(self) -> str:
        """What was found, in words."""
        counts = {kind: self.detected.count(kind) for kind in ("phantom", "duplicate")}
        real = sum(kind != "not judged" for kind in self.labelled)
        told = [f"{self.scores.detector}: {len(self.hits)} of {plural(real, 'face')}"]
        told += [plural(count, kind) for kind, count in counts.items() if count]
        return ", ".join(told)

    @property
    def hits(self) -> set[int]:
        """The labelled faces that were found."""
        labelled = self.judged.outcome.labelled
        return set(np.flatnonzero(labelled >= 0).tolist())

    def faces(self) -> list[tuple[int, str, int]]:
        """Return number, label and height of each face to be found."""
        rows = zip(self.judged.labelled.labels.tolist(), self.judged.labelled.boxes, strict=True)
        return [
            (number, label_word(label), round(float(box[3] - box[1])))
            for number, (label, box) in enumerate(rows)
            if self.labelled[number] != "not judged"
        ]

    def drawn(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the photo with what was found, missed and imagined."""
        found, labelled = self.judged.analysis.faces.boxes, self.judged.labelled.boxes
        texts, colors = [], []
        for row, kind in enumerate(self.detected):
            face = int(self.judged.outcome.detected[row])
            texts.append(str(face) if face >= 0 else kind)
            colors.append(FOUND if face >= 0 else KINDS[kind].color if kind in KINDS else OUTLINE)
        missed = [n for n, kind in enumerate(self.labelled) if kind in ("missed", "localisation")]
        return draw_boxes(
            image,
            np.concatenate([found, labelled[missed]]),
            [*texts, *(f"{face} missed" for face in missed)],
            [*colors, *[KINDS["missed"].color] * len(missed)],
        )


def _view(scores: Scores, photo: str) -> _View | None:
    for judged, bins in zip(scores.photos, scores.bins, strict=True):
        if judged.analysis.photo == photo:
            words = [[BINS[code] for code in each] for each in (bins.labelled, bins.detected)]
            return _View(scores, judged, *words)
    return None


def _pixels(
    evaluation: Evaluation, photo: str, seen: Sequence[Judged]
) -> tuple[NDArray[np.uint8] | None, str]:
    """Return the photo, its faces blurred unless they are to be shown, or why it is not there."""
    source = evaluation.photos.get(photo)
    if source is None or not seen:
        return None, f"{photo} is out of reach"
    try:
        image = source.decode(source.load())
    except PhotoError as error:
        return None, str(error)
    if DISPLAY.faces:
        return image, ""
    faces = [seen[0].labelled.boxes, *(one.analysis.faces.boxes for one in seen)]
    return blur_faces(image, np.concatenate(faces)), ""


@dataclass(frozen=True, eq=False)
class _Face:
    """A face that backends answer differently: where it is, its label, and their answers."""

    judged: Judged
    row: int
    answers: Mapping[str, NDArray[np.float64]]

    @property
    def sure(self) -> float:
        """How sure the least sure of two who differ is; the most contested face comes first."""
        best: dict[int, float] = {}
        for probs in self.answers.values():
            top = int(probs.argmax())
            best[top] = max(best.get(top, 0.0), float(probs[top]))
        return sorted(best.values())[-2] if len(best) > 1 else 0.0

    @property
    def label(self) -> str:
        """The label, in a word."""
        found = int(self.judged.outcome.detected[self.row])
        return label_word(int(self.judged.labelled.labels[found])) if found >= 0 else "no face"

    @property
    def part(self) -> Part:
        """What of the photo shows it."""
        return Part((whole(self.judged.analysis.faces.boxes[self.row]),), (OUTLINE,))


def disagreements(evaluation: Evaluation, detector: str | None = None, *, most: int = 6) -> Shown:
    """Show faces that backends answer differently, each with its bars of probabilities.

    The faces on which two are surest of different answers come first. `prior`, which looks
    at no face, is left out.

    Parameters
    ----------
    evaluation : Evaluation
    detector : str, optional
        Whose faces; by default the first's.
    most : int
        How many faces at most.
    """
    finder = detector or evaluation.scores[0].detector
    runs = [
        scores for scores in evaluation.scores
        if scores.detector == finder and scores.backend.partition(":")[0] != "prior"
    ]  # fmt: skip
    faces = sorted(_contested(runs), key=lambda face: -face.sure)
    shown = faces[:most]
    sources = _parts(evaluation, shown)
    html = render(
        "notebook_disagreements.html",
        total=len(faces),
        faces=[(face, sources.get((face.judged.analysis.photo, face.part))) for face in shown],
        classes=runs[0].classes if runs else (),
        colors=COLORS,
        other=UNANSWERED,
    )
    return Shown(html, f"{plural(len(faces), 'face')} with different answers")


def _contested(runs: Sequence[Scores]) -> Iterator[_Face]:
    """Yield the faces of one detector to which two backends give different answers."""
    for same in zip(*(scores.photos for scores in runs), strict=True):
        for row in range(len(same[0].analysis)):
            answers = {
                scores.backend: judged.probs[row]
                for scores, judged in zip(runs, same, strict=True)
                if len(judged.probs) > row and not np.isnan(judged.probs[row]).any()
            }
            if len({int(probs.argmax()) for probs in answers.values()}) > 1:
                yield _Face(same[0], row, answers)


def _parts(evaluation: Evaluation, faces: Sequence[_Face]) -> dict[tuple[str, Part], str]:
    """Return the picture of each face, by photo and part; every photo is read once."""
    wanted: dict[str, list[_Face]] = {}
    for face in faces:
        wanted.setdefault(face.judged.analysis.photo, []).append(face)
    shots = []
    for photo, here in wanted.items():
        judged = here[0].judged
        hidden = np.concatenate([judged.labelled.boxes, judged.analysis.faces.boxes])
        shots.append(
            Shot(
                judged.analysis,
                evaluation.photos.get(photo),
                [face.part for face in here],
                hidden[:0] if DISPLAY.faces else hidden,
            )
        )
    taken = zip(wanted, take(shots), strict=True)
    return {
        (photo, part): source
        for photo, pictures in taken
        if pictures
        for part, source in pictures.parts.items()
    }


def gallery(evaluation: Evaluation, *kinds: str, most: int = 8) -> Shown:
    """Show the surest errors of all runs, kind by kind.

    Parameters
    ----------
    evaluation : Evaluation
    *kinds : str
        "wrong emotion", "phantom", "duplicate", "localisation", "missed", "abstained"; all
        unless told otherwise.
    most : int
        How many of each kind at most.

    Raises
    ------
    OptionError
        If there is no such kind.
    """
    if unknown := set(kinds) - set(KINDS):
        raise OptionError(f"kind {min(unknown)!r}: expected one of {', '.join(KINDS)}")
    all_of_them = chosen(Grid(evaluation, show_faces=DISPLAY.faces)).groups
    groups = [group for group in all_of_them if not kinds or group.name in kinds]
    shown = [(group, list(islice(group.cards, most))) for group in groups]
    html = render("notebook_gallery.html", groups=shown)
    total = sum(group.total for group in groups)
    return Shown(html, plural(total, "error"))
