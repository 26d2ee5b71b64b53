"""Which detection found which labelled face.

Conventions
-----------
Boxes are `[x1, y1, x2, y2]` rows in pixels (see `groupemo.boxes`). What was
labelled by hand comes first, what was detected second.
"""

from __future__ import annotations

from dataclasses import dataclass

import lap
import numpy as np
from numpy.typing import ArrayLike, NDArray

from groupemo.boxes import area, iou_matrix
from groupemo.errors import OptionError

__all__ = ["Matching", "check_min_iou", "in_regions", "match", "share_inside"]


@dataclass(frozen=True, eq=False)
class Matching:
    """Labelled faces and detections, paired one to one.

    Parameters
    ----------
    pairs : np.ndarray, shape=(p, 2)
        Rows `[labelled, detected]`, int64, in the order of the labelled faces.
    iou : np.ndarray, shape=(p,)
        Intersection over union of each pair.
    missed : np.ndarray, shape=(m - p,)
        Labelled faces that no detection found, rising.
    spurious : np.ndarray, shape=(n - p,)
        Detections that found no labelled face, rising.
    """

    pairs: NDArray[np.int64]
    iou: NDArray[np.float64]
    missed: NDArray[np.int64]
    spurious: NDArray[np.int64]


def match(labelled: ArrayLike, detected: ArrayLike, *, min_iou: float = 0.5) -> Matching:
    """Pair labelled with detected boxes: most pairs first, then the greatest total IoU.

    The pairing is the best one over the whole photo, so it depends neither on
    the order of the boxes nor on the detector's scores, unless two pairings
    are equally good.

    Parameters
    ----------
    labelled : array_like, shape=(m, 4)
    detected : array_like, shape=(n, 4)
    min_iou : float
        Least IoU of a pair, above 0 and at most 1.

    Raises
    ------
    OptionError
        If `min_iou` is out of range.

    Examples
    --------
    >>> match([[0, 0, 4, 4]], [[9, 9, 12, 12], [0, 0, 4, 3]]).pairs.tolist()
    [[0, 1]]
    """
    check_min_iou(min_iou)
    iou = iou_matrix(labelled, detected)
    fits = iou >= min_iou
    # A pairing of p pairs has a total IoU of at most p, so a bonus of
    # min(m, n) for each pair makes one pair more outweigh any gain in IoU.
    gain = fits * (iou + min(iou.shape))
    _, columns, _ = lap.lapjv(-gain, extend_cost=True)
    pairs = np.stack([np.arange(len(columns)), columns], axis=1).astype(np.int64)[columns >= 0]
    pairs = pairs[fits[pairs[:, 0], pairs[:, 1]]]
    return Matching(
        pairs=pairs,
        iou=iou[pairs[:, 0], pairs[:, 1]],
        missed=np.setdiff1d(np.arange(iou.shape[0]), pairs[:, 0]),
        spurious=np.setdiff1d(np.arange(iou.shape[1]), pairs[:, 1]),
    )


def in_regions(detected: ArrayLike, regions: ArrayLike, *, min_share: float) -> NDArray[np.bool_]:
    """Return which detections lie in a region to leave out, shape (n,).

    A detection does when at least `min_share` of its own area is inside one
    region, so a wide region can hold many detections. This is the rule COCO's
    evaluation has for crowds (pycocotools, `maskApi.c`, `bbIou`), with the
    threshold it has for pairs.

    Parameters
    ----------
    detected : array_like, shape=(n, 4)
        Boxes that have an area.
    regions : array_like, shape=(r, 4)
    min_share : float
        Least share of the detection's area, above 0 and at most 1.
    """
    return np.asarray((share_inside(detected, regions) >= min_share).any(axis=1))


def share_inside(detected: ArrayLike, regions: ArrayLike) -> NDArray[np.float64]:
    """Return the share of each detection's area, above 0, in each region, shape (n, r)."""
    found = np.asarray(detected, dtype=np.float64).reshape(-1, 1, 4)
    region = np.asarray(regions, dtype=np.float64).reshape(1, -1, 4)
    corner = np.maximum(found[..., :2], region[..., :2])
    other = np.minimum(found[..., 2:], region[..., 2:])
    inside = area(np.concatenate([corner, other], axis=-1)).reshape(corner.shape[:2])
    return np.asarray(inside / area(found)[:, None])


def check_min_iou(min_iou: float) -> None:
    """Raise `OptionError` unless `min_iou` is above 0 and at most 1."""
    if not 0 < min_iou <= 1:
        raise OptionError(f"min_iou is {min_iou!r}: expected above 0 and at most 1, such as 0.5")
