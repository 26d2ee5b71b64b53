"""Several detectors as one: each finds faces that the others miss.

Scores of different detectors do not compare. Each is first turned into the
probability that its box is a face, by a logistic curve (Platt 1999) fitted on photos
labelled by hand: `python benchmarks/detectors.py --fit` prints `CURVES`. Boxes that
overlap then become one face: its box is their mean weighted by probability
(weighted boxes fusion, Solovyev et al. 2021), its probability that not all
of those that saw it err, 1 - prod(1 - p), as if they erred independently.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from groupemo.boxes import iou_matrix
from groupemo.detectors._base import Found, Image, NativeDetector, checked, joined
from groupemo.errors import OptionError
from groupemo.plugins import DETECTORS, Detector, Loaded, checked_faces, parse_spec

__all__ = ["CURVES", "Curve", "Fused", "fuse"]

Member: TypeAlias = Loaded[Detector]

_LEAST = 0.01
"""Boxes less probable than this are not asked for."""


class Curve(NamedTuple):
    """How probably a box is a face, given a detector's score."""

    slope: float
    middle: float
    """The score of boxes half of which are faces."""

    def probability(self, scores: NDArray[Any]) -> NDArray[np.float64]:
        """Return 1 / (1 + exp(-slope (score - middle))), shape (n,)."""
        return np.asarray(1 / (1 + np.exp(-self.slope * (scores - self.middle))), np.float64)

    def score(self, probability: float) -> float:
        """Return the score whose boxes are faces with this probability."""
        return self.middle + math.log(probability / (1 - probability)) / self.slope


CURVES = {
    "YuNet": Curve(10.9, 0.648),
    "RetinaFace": Curve(10.8, 0.655),
    "CenterFace": Curve(12.5, 0.427),
    "SCRFD": Curve(14.7, 0.445),
    "Yolo": Curve(11.2, 0.33),
    "RFB": Curve(16.5, 0.713),
}
"""The curve of each detector's scores, by the name of its class."""


class Fused(NativeDetector):
    """The faces that several detectors find, each once.

    Parameters
    ----------
    detectors : str or sequence of str or Detector
        Specs joined by `+`, their options parted by semicolons, as in
        `"scrfd+yunet:max_side=640;overlap=0.4"`; or specs and objects. Scores of a
        detector that is not in `CURVES` are taken for probabilities.
    min_score : float
        The score is the probability that the box is a face, 0..1.
    min_size : float
        The shortest box side kept, in pixels.
    overlap : float
        Boxes of two detectors whose IoU is larger are one face.

    Raises
    ------
    OptionError, UnknownPlugin, ContractError, ModelError, MissingExtra
        If an option means nothing, or a detector cannot be had.
    """

    def __init__(
        self,
        detectors: str | Sequence[str | Detector],
        *,
        min_score: float = 0.5,
        min_size: float = 0,
        overlap: float = 0.5,
    ) -> None:
        super().__init__(checked("min_score", min_score, 0, 1), min_size, overlap)
        self._same = checked("overlap", overlap, 0, 1)
        wanted = detectors.split("+") if isinstance(detectors, str) else detectors
        self._members = [_member(each) for each in wanted]
        if not self._members:
            raise OptionError("detectors is empty: expected names such as 'scrfd+centerface'")
        self.name = "fused:detectors=" + "+".join(member.label for member in self._members)
        self.models = {
            file: sha256
            for member in self._members
            for file, sha256 in getattr(member.plugin, "models", {}).items()
        }

    def _find(self, image: Image) -> Found:
        return fuse([_probable(member, image) for member in self._members], self._same)


def fuse(parts: Sequence[Found], overlap: float) -> Found:
    """Make one face of each group of overlapping boxes.

    The most probable box that is free gathers the most probable free box of every
    other detector that overlaps it; whatever else overlaps it is left out.

    Parameters
    ----------
    parts : sequence of Found
        What each detector found; its scores are probabilities. Landmarks are
        fused where every detector gives them.
    overlap : float
        From what IoU on boxes are one face.
    """
    parts = [part for part in parts if len(part.scores)]
    if not parts:
        return Found.nothing()
    if any(part.landmarks is None for part in parts):
        parts = [part._replace(landmarks=None) for part in parts]
    found = joined(parts)
    member = np.repeat(np.arange(len(parts)), [len(part.scores) for part in parts])
    order = np.argsort(-found.scores, kind="stable")
    same = iou_matrix(found.boxes, found.boxes) > overlap
    np.fill_diagonal(same, val=True)
    free = np.ones(len(order), bool)
    faces = []
    for row in order:
        if free[row]:
            near = order[free[order] & same[row, order]]
            free[near] = False
            _, surest = np.unique(member[near], return_index=True)
            faces.append(_mean(found.pick(near[surest])))
    return joined(faces)


def _member(which: str | Detector) -> Member:
    """Load a detector; one of `CURVES` says also what it is rather unsure of, if not told else."""
    if not isinstance(which, str):
        return DETECTORS.load(which)
    name, options = parse_spec(which.replace(";", ","))
    known = DETECTORS.built_in.get(name)
    curve = CURVES.get(known.target.rpartition(":")[2]) if known else None
    if curve is not None:
        options = {"min_score": max(0.0, curve.score(_LEAST)), **options}
    return replace(DETECTORS.load(name, **options), label=which)


def _probable(member: Member, image: Image) -> Found:
    """Return what a member finds, its scores as probabilities."""
    faces = checked_faces(member.plugin(image), image, member.label)
    curve = CURVES.get(type(member.plugin).__name__)
    probable = np.clip(faces.scores, 0, 1) if curve is None else curve.probability(faces.scores)
    return Found(faces.boxes, probable, faces.landmarks).pick(probable >= _LEAST)


def _mean(found: Found) -> Found:
    """Return the one face that several boxes are meant to be."""
    weights = found.scores / found.scores.sum()
    points = found.landmarks
    return Found(
        (weights @ found.boxes)[None],
        1 - np.prod(1 - found.scores, keepdims=True),
        None if points is None else np.tensordot(weights, points, 1)[None],
    )
