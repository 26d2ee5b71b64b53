"""One run's figures for each part of the faces: small and large ones, blurred and sharp ones.

Conventions
-----------
A slice is a run in which all other faces are left out, so every figure has its usual
meaning there, and its interval, over photos. Who is where is decided by the label,
or by what can be measured on the labelled box; so a slice of labelled faces has no
phantoms, and no figure of precision. Three slices ask the detector instead: `yaw`
and `roll` are known only of faces that were found (it gives the landmarks), which
leaves figures of the classifier; `score` asks how many of the detections it was
more or less sure of are faces.

Numbers are cut into thirds, so that groups have equal support, at edges rounded to
a hundredth to a thousandth of their range; but sizes where COCO cuts them: comparable
between runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groupemo import traits
from groupemo.analysis import read_again
from groupemo.emotions import EMOTIONS
from groupemo.errors import OptionError, PhotoError
from groupemo.figures import FIGURES, Weighed
from groupemo.images import Photo
from groupemo.labels import label_word, shortest
from groupemo.metrics.tally import IGNORED, NONE, Outcome, count
from groupemo.metrics.uncertainty import DRAWS, Weights, draw_weights, interval, leave_one_out

if TYPE_CHECKING:
    import pandas as pd

    from groupemo.scores import Judged, Scores

__all__ = [
    "BUILT_IN",
    "MIN_FACES",
    "MIN_PHOTOS",
    "PIXELS",
    "Slices",
    "Tones",
    "slice_names",
    "slices",
    "tones",
    "worst_gap",
]

MIN_FACES = 30
"""Fewer faces are flagged: a share of 30 has a standard error of up to 9 points."""

MIN_PHOTOS = 10
"""Fewer photos are flagged: an interval made of so few is too narrow."""

SIZES = (32.0, 96.0)
"""Where sizes are cut, in pixels: COCO's small, medium and large."""

DISTINCT = 6
"""A column of numbers with more distinct values than this is cut into thirds."""

MAX_GROUPS = 12
"""A column of words with more distinct ones than this is not offered: they are notes."""

GREATEST = 1e300
"""A number beyond this is taken for a word: sums of such are beyond a float."""

PIXELS = ("sharpness", "brightness", "contrast")
"""What takes the photos themselves to measure."""

UNKNOWN = "unknown"
"""The group of faces without a value."""

_NOTHING = 1e-12  # what rounding makes of a difference of 0

_MATCHED = ("matched_accuracy", "matched_macro_f1", "matched_log_loss")
_FIGURES: Mapping[str, tuple[str, ...]] = {
    "labelled": ("detection_recall", "end_to_end_accuracy", *_MATCHED),
    "found": _MATCHED,
    "detected": ("detection_precision", *_MATCHED),
    "photo": ("detection_recall", "detection_precision", "end_to_end_accuracy", *_MATCHED),
}

Tones = Mapping[str, Mapping[str, NDArray[np.float64]]]
"""Sharpness, brightness and contrast of each photo's labelled faces, by photo; see `tones`."""

_Unit = Literal["labelled", "found", "detected", "photo"]
_Values = NDArray[Any]
_ROW = ("group", "figure", "value", "low", "high", "n", "photos", "enough")
_GAP = ("figure", "gap", "low", "high", "best", "worst", "groups")


@dataclass(frozen=True, eq=False)
class Slices:
    """A run's figures by group, and how far the groups are apart.

    Parameters
    ----------
    by : str
    frame : pandas.DataFrame
        One row a group and figure: `group`, `figure`, `value`, `low`, `high` (95 %
        interval over photos), `n` (what it stands on, in units of the figure),
        `photos`, `enough` (at least `MIN_FACES` and `MIN_PHOTOS`). Groups are in
        their natural order, `UNKNOWN` last.
    gaps : pandas.DataFrame
        One row a figure: `figure`, `gap`, `low`, `high`, `best`, `worst` (groups),
        `groups` (how many were compared: those with enough support, and known).
    warnings : tuple of str
        What the figures cannot bear, in sentences: which groups have little support,
        why there is no gap, which gaps may be chance.
    """

    by: str
    frame: pd.DataFrame
    gaps: pd.DataFrame
    warnings: tuple[str, ...]


def slices(
    scores: Scores,
    by: str,
    *,
    figures: Sequence[str] | None = None,
    measured: Tones | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Slices:
    """Return the figures of each group of faces, with intervals, and the worst gap.

    Parameters
    ----------
    scores : Scores
    by : str
        One of `BUILT_IN`, or a column of the label file.
    figures : sequence of str, optional
        Names in `groupemo.figures.FIGURES` that mean something in such a slice; by
        default recall, end-to-end and matched accuracy, matched macro-F1 and log-loss,
        as far as they do.
    measured : Tones, optional
        From `tones`, where `by` is sharpness, brightness or contrast; made from the
        photos where left out.
    draws, seed : int
        Of the bootstrap over photos. All groups are drawn with the same weights, so
        gaps are of the same photos.

    Raises
    ------
    OptionError
        If `by` is unknown, or a figure means nothing in such a slice.
    """
    import pandas as pd

    chosen = _chosen(by, figures)
    weights = draw_weights(len(scores.photos), draws=draws, seed=seed)
    cells = [
        cell
        for name, photos, part in _parts(scores, by, measured)
        for cell in _cells(name, part, weights[:, photos], chosen)
    ]
    rows = [{column: getattr(cell, column) for column in _ROW} for cell in cells]
    gaps = [_gap(name, [cell for cell in cells if cell.figure == name]) for name in chosen]
    return Slices(
        by,
        pd.DataFrame(rows, columns=list(_ROW)),
        pd.DataFrame(gaps, columns=list(_GAP)),
        tuple(_warnings(by, cells, gaps)),
    )


def slice_names(scores: Scores) -> tuple[str, ...]:
    """Return what a run can be sliced by: `BUILT_IN`, then the label file's own columns.

    Left out are columns that put all faces into one group, or that hold more than
    `MAX_GROUPS` different words.
    """
    own = dict.fromkeys(name for one in scores.photos for name in one.labelled.extra)
    groups = {name: len(_grouped(scores, name, None)[0]) for name in own if name not in BUILT_IN}
    return (*BUILT_IN, *(name for name, many in groups.items() if 2 <= many <= MAX_GROUPS))


def tones(scores: Scores, photos: Mapping[str, Photo] | None = None) -> Tones:
    """Measure the labelled faces' sharpness, brightness and contrast in the photos' pixels.

    Each photo is read once; runs on the same labels share the result. Faces in photos
    that are out of reach, or have changed, are NaN.

    Parameters
    ----------
    scores : Scores
    photos : mapping of str to Photo, optional
        Where the pixels are; by default where the analyses say.
    """
    places = photos or {}
    return {one.analysis.photo: _tone(one, places.get(one.analysis.photo)) for one in scores.photos}


def worst_gap(
    values: ArrayLike, drawn: ArrayLike, *, level: float = 0.95
) -> tuple[float, float, float]:
    """Return the greatest difference between groups, and its interval.

    The groups furthest apart are chosen after looking, so an interval for just these
    two would claim too much. This one is made for all pairs at once, as Tukey's range
    test is: its half width is the `level` quantile of the range, over groups, of
    drawn minus actual values. Of groups that do not differ it holds 0.

    Parameters
    ----------
    values : array_like, shape=(g,)
    drawn : array_like, shape=(g, draws)
        The same weights in each row.
    level : float

    Returns
    -------
    gap, low, high : float
        None below 0; NaN for fewer than two groups. Bounds are NaN where all draws are
        alike: that is not certainty.
    """
    value, draw = np.asarray(values, dtype=np.float64), np.asarray(drawn, dtype=np.float64)
    if len(value) < 2:
        return (np.nan,) * 3
    gap = float(np.ptp(value))
    ranges = np.ptp(draw - value[:, None], axis=0)
    ranges = ranges[np.isfinite(ranges)]
    half = float(np.quantile(ranges, level)) if (ranges > _NOTHING).any() else np.nan
    return gap, max(gap - half, 0.0), gap + half


@dataclass(frozen=True, eq=False)
class _Cell:
    """One figure of one group."""

    group: str
    figure: str
    value: float
    low: float
    high: float
    n: int
    photos: int
    drawn: NDArray[np.float64]

    @property
    def enough(self) -> bool:
        return self.n >= MIN_FACES and self.photos >= MIN_PHOTOS


def _chosen(by: str, figures: Sequence[str] | None) -> tuple[str, ...]:
    unit = _unit(by)
    usual = _FIGURES[unit]
    if figures is None:  # macro-F1 is of several classes
        return tuple(name for name in usual if by != "emotion" or name != "matched_macro_f1")
    for name in figures:
        if name not in FIGURES:
            raise OptionError(f"no figure named {name!r}; known: {', '.join(FIGURES)}")
        if unit != "photo" and FIGURES[name].over != "matched" and name not in usual:
            raise OptionError(
                f"{name} means nothing in slices by {by}: expected matched figures"
                f" or {', '.join(name for name in usual if name not in _MATCHED) or 'no others'}"
            )
    return tuple(figures)


def _cells(group: str, part: Scores, weights: Weights, figures: Iterable[str]) -> Iterator[_Cell]:
    n = len(part.photos)
    drawn_photos = weights if n > 1 else weights[:0]  # one photo says nothing about others
    ways = [Weighed(part, many) for many in (np.ones((1, n)), drawn_photos, leave_one_out(n))]
    for name in figures:
        figure = FIGURES[name]
        point, drawn, jackknife = (figure.of(way) for way in ways)
        low, high = interval(drawn, point=float(point[0]), jackknife=jackknife,
                             least=figure.least, most=figure.most)  # fmt: skip
        support = int(figure.count(part))
        yield _Cell(group, name, float(point[0]), low, high, support, n, drawn)


def _gap(name: str, cells: Iterable[_Cell]) -> dict[str, Any]:
    """Return a row of `Slices.gaps`."""
    known = [cell for cell in cells
             if cell.enough and cell.group != UNKNOWN and np.isfinite(cell.value)]  # fmt: skip
    gap, low, high = worst_gap(
        [cell.value for cell in known], np.array([cell.drawn for cell in known])
    )
    row = {"figure": name, "gap": gap, "low": low, "high": high, "groups": len(known)}
    if len(known) < 2:
        return row
    ends = sorted(known, key=lambda cell: cell.value, reverse=FIGURES[name].higher_is_better)
    return {**row, "best": ends[0].group, "worst": ends[-1].group}


def _warnings(by: str, cells: Sequence[_Cell], gaps: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    groups = list(dict.fromkeys(cell.group for cell in cells))
    thin = list(dict.fromkeys(cell.group for cell in cells if not cell.enough))
    known = [group for group in groups if group != UNKNOWN]
    if len(known) < 2:
        whose = (
            f"by {by}, all known faces are in one group" if known else f"no face has a known {by}"
        )
        yield f"{whose}: there is nothing to compare"
    if thin:
        some = ", ".join(thin[:5]) + (", ..." if len(thin) > 5 else "")
        yield (
            f"{len(thin)} of {len(groups)} groups have a figure that stands on fewer than"
            f" {MIN_FACES} faces or {MIN_PHOTOS} photos, and is in no gap: {some}"
        )
    chance = [gap for gap in gaps if gap["gap"] > _NOTHING and not gap["low"] > 0]
    if chance:
        titles = ", ".join(FIGURES[gap["figure"]].full_title for gap in chance)
        yield f"may be chance, for no interval leaves out 0: the worst gap of {titles}"


# --- who is in which group ---


def _parts(
    scores: Scores, by: str, measured: Tones | None
) -> Iterator[tuple[str, list[int], Scores]]:
    """Yield each group's name, the rows of its photos, and the run with all else left out."""
    if by == "photo":
        for row, one in enumerate(scores.photos):
            yield one.analysis.photo, [row], replace(scores, photos=(one,), unread=())
        return
    names, codes = _grouped(scores, by, measured)
    for group, name in enumerate(names):
        chosen = [mask == group for mask in codes]
        rows = [row for row, mask in enumerate(chosen) if mask.any()]
        photos = [scores.photos[row] for row in rows]
        outcomes = [_part(scores.photos[row].outcome, chosen[row], _unit(by)) for row in rows]
        tallies = count(
            (one.labelled.labels, one.probs, outcome, one.labelled.votes)
            for one, outcome in zip(photos, outcomes, strict=True)
        )
        parts = tuple(
            replace(one, outcome=outcome, tally=tally)
            for one, outcome, tally in zip(photos, outcomes, tallies, strict=True)
        )
        yield name, rows, replace(scores, photos=parts, unread=())


def _part(outcome: Outcome, chosen: NDArray[np.bool_], unit: _Unit) -> Outcome:
    """Leave out all labelled faces (or detections) but those chosen, and what goes with them."""
    if unit == "detected":
        detected, labelled = chosen, _with(outcome.labelled, chosen)
    else:
        detected, labelled = _with(outcome.detected, chosen), chosen
    return replace(
        outcome,
        labelled=np.where(labelled, outcome.labelled, IGNORED),
        detected=np.where(detected, outcome.detected, IGNORED),
        iou=np.where(detected, outcome.iou, np.nan),
    )


def _with(partners: NDArray[np.int64], chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return whose partner is one of the chosen."""
    return np.asarray((partners >= 0) & np.append(chosen, False)[np.maximum(partners, NONE)])


def _grouped(
    scores: Scores, by: str, measured: Tones | None
) -> tuple[list[str], list[NDArray[np.int64]]]:
    """Return the groups' names, and the group of each face (or detection) of each photo, or -1."""
    if not scores.photos:
        return [], []
    inside = [_inside(one, _unit(by)) for one in scores.photos]
    values = _values(scores, by, measured)
    flat = np.concatenate([each[mask] for each, mask in zip(values, inside, strict=True)])
    names, groups = _cut(by, flat)
    filled, groups = np.unique(groups, return_inverse=True)
    codes = [np.full(len(mask), NONE) for mask in inside]
    ends = np.cumsum([mask.sum() for mask in inside])[:-1]
    for code, mask, part in zip(codes, inside, np.split(groups, ends), strict=True):
        code[mask] = part
    return [names[group] for group in filled], codes


def _unit(by: str) -> _Unit:
    """Return what is sliced."""
    return "photo" if by == "photo" else _MEASURED[by][0] if by in _MEASURED else "labelled"


def _inside(one: Judged, unit: _Unit) -> NDArray[np.bool_]:
    if unit == "detected":
        return np.asarray(one.outcome.detected != IGNORED)
    return np.asarray(one.outcome.labelled >= (0 if unit == "found" else NONE))


def _values(scores: Scores, by: str, measured: Tones | None) -> list[_Values]:
    """Return a number or a word for each labelled face, or each detection, of each photo."""
    if by in _MEASURED:
        return [_MEASURED[by][1](one) for one in scores.photos]
    if by in PIXELS:
        known = tones(scores) if measured is None else measured
        return [known.get(one.analysis.photo, _blank(one))[by] for one in scores.photos]
    if not any(by in one.labelled.extra for one in scores.photos):
        names = ", ".join(slice_names(scores))
        raise OptionError(f"by is {by!r}: expected one of {names}, or a column of the label file")
    columns = [
        [cell.strip() for cell in one.labelled.extra.get(by, ("",) * len(one.labelled))]
        for one in scores.photos
    ]
    words = {word for column in columns for word in column} - {""}
    if len(words) > DISTINCT and all(map(_is_number, words)):
        return [np.array([float(word or "nan") for word in column]) for column in columns]
    return [np.array(column, dtype=np.object_) for column in columns]


def _cut(by: str, values: _Values) -> tuple[list[str], NDArray[np.int64]]:
    """Return the names of all groups, and which one each value is in."""
    if values.dtype == np.object_:
        words = sorted({*values} - {"", UNKNOWN}, key=_in_order)
        place = {word: index for index, word in enumerate(words)}
        return [*words, UNKNOWN], np.array([place.get(word, len(words)) for word in values], int)
    known = np.isfinite(values)
    edges = np.array(SIZES) if by == "size" else _thirds(values[known])
    names = _spans([shortest(edge) for edge in edges], _SIGNS.get(by, ""))
    group = np.where(known, np.searchsorted(edges, values, side="right"), len(names))
    return [*names, UNKNOWN], group


def _thirds(values: _Values) -> NDArray[np.float64]:
    """Return where to cut values so that groups have equal support, in round numbers."""
    if not len(values) or not np.ptp(values):
        return np.zeros(0)
    digits = 2 - math.floor(math.log10(np.ptp(values)))
    edges = np.unique([round(float(edge), digits) for edge in np.quantile(values, [1 / 3, 2 / 3])])
    return np.asarray(edges[edges > values.min()])


def _spans(edges: Sequence[str], sign: str) -> list[str]:
    if not edges:
        return ["all"]
    between = [f"{low} to {high}{sign}" for low, high in pairwise(edges)]
    return [f"below {edges[0]}{sign}", *between, f"{edges[-1]}{sign} or more"]


def _is_number(word: str) -> bool:
    try:
        return abs(float(word)) <= GREATEST
    except ValueError:
        return False


def _in_order(word: str) -> tuple[int, float, str]:
    """Sort emotions in their order, then numbers, then words."""
    if word in EMOTIONS:
        return 0, EMOTIONS.index(word), word
    return (1, float(word), word) if _is_number(word) else (2, 0.0, word)


# --- what is measured ---


def _posed(one: Judged, name: str) -> _Values:
    """Return a pose of each labelled face, by the landmarks of the detection that found it."""
    values = np.full(len(one.labelled), np.nan)
    finders, landmarks = one.outcome.labelled, one.analysis.faces.landmarks
    if landmarks is not None:
        found = np.flatnonzero(finders >= 0)
        values[found] = np.abs(traits.pose(landmarks[finders[found]])[name])
    return values


def _relative_size(one: Judged) -> _Values:
    photo = one.analysis
    return traits.relative_size(one.labelled.boxes, photo.width, photo.height)


def _words(one: Judged) -> _Values:
    return np.array([label_word(label) for label in one.labelled.labels.tolist()], np.object_)


def _tone(one: Judged, photo: Photo | None) -> Mapping[str, NDArray[np.float64]]:
    try:
        return traits.tone(read_again(one.analysis, photo), one.labelled.boxes)
    except PhotoError:
        return _blank(one)


def _blank(one: Judged) -> Mapping[str, NDArray[np.float64]]:
    return dict.fromkeys(PIXELS, np.full(len(one.labelled), np.nan))


_SIGNS = {"size": " px", "roll": "°"}
_MEASURED: Mapping[str, tuple[_Unit, Callable[[Judged], _Values]]] = {
    "size": ("labelled", lambda one: traits.size(one.labelled.boxes)),
    "relative_size": ("labelled", _relative_size),
    "emotion": ("labelled", _words),
    "yaw": ("found", lambda one: _posed(one, "yaw")),
    "roll": ("found", lambda one: _posed(one, "roll")),
    "score": ("detected", lambda one: one.analysis.faces.scores.astype(np.float64)),
}

BUILT_IN = (*_MEASURED, *PIXELS, "photo")
"""What every run can be sliced by; a column of the label file so named is not reached.

`size` is the side of the labelled box in pixels, `relative_size` over the photo's; `yaw`
and `roll` count whichever way the face is turned; see `groupemo.traits`. `score` is the
detector's.
"""
