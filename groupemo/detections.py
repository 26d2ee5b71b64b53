"""The detector's side of a run: what it found, ranked once for all backends that got it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import ClassVar
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from groupemo.metrics import detection as det
from groupemo.metrics.uncertainty import Weights

__all__ = ["Detections"]


class Detections:
    """What a detector found on labelled photos; every backend that got these faces shares it.

    Attributes
    ----------
    overlaps : Overlaps
        Which detections overlap which labelled faces.
    rankings : tuple of Ranking
        The detections by falling score, at each of COCO's least IoUs.
    by_size : dict of str to Ranking
        The same at an IoU of 0.5, of small, medium and large faces.
    """

    _known: ClassVar[WeakValueDictionary[bytes, Detections]] = WeakValueDictionary()

    def __init__(self, photos: Iterable[det.ScoredPhoto]) -> None:
        self.overlaps = det.overlaps(photos)
        self.rankings = tuple(self.overlaps.ranking(min_iou=each) for each in det.COCO_IOUS)
        self.by_size = {
            size: self.overlaps.ranking(area=area) for size, area in det.COCO_AREAS.items()
        }
        self._drawn: list[tuple[Weights, Mapping[str, NDArray[np.float64]]]] = []

    @classmethod
    def shared(cls, photos: Iterable[det.ScoredPhoto]) -> Detections:
        """Return those of equal photos where they are still in use, else new ones."""
        rows = list(photos)
        digest = hashlib.sha256()
        for row in rows:
            for part in map(np.ascontiguousarray, row):
                digest.update(repr((part.shape, part.dtype)).encode() + part.tobytes())
        key = digest.digest()
        return cls._known.get(key) or cls._known.setdefault(key, cls(rows))

    def figures(self, weights: Weights) -> Mapping[str, NDArray[np.float64]]:
        """Return AP50, AP50:95, AP50 by face size and oLRP in each draw.

        The last few weights are remembered, where they cannot be written to.
        """
        for known, figures in self._drawn:
            if known is weights:
                return figures
        each = [det.average_precision(one, weights) for one in self.rankings]
        figures = {
            "ap50": each[0],
            "ap": np.mean(each, axis=0),
            "olrp": det.optimal_lrp(self.rankings[0], weights),
            **{
                f"ap50_{size}": det.average_precision(one, weights)
                for size, one in self.by_size.items()
            },
        }
        if not weights.flags.writeable:
            self._drawn = [(weights, figures), *self._drawn[:3]]
        return figures
