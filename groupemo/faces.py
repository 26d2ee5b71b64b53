"""`Faces`: what a detector returns, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from groupemo import boxes as _boxes
from groupemo.errors import ContractError

__all__ = ["Faces"]


@dataclass(frozen=True, eq=False, init=False)
class Faces:
    """The faces found in one image.

    Parameters
    ----------
    boxes : array_like, shape=(n, 4)
        `[x1, y1, x2, y2]` in pixels, origin top left, half-open, finite, with
        x2 > x1 and y2 > y1. Stored as float32.
    scores : array_like, shape=(n,), optional
        The detector's confidence, higher is surer, finite; 1.0 for all where
        left out. Stored as float32. Scores of different detectors do not
        compare: each adapter's docstring says what its own mean.
    landmarks : array_like, shape=(n, 5, 2), optional
        Pixels of the viewer's left eye, the right eye, the nose, the left and
        the right mouth corner. Stored as float32. None where there are none.

    Raises
    ------
    ContractError
        If shapes disagree or a value is out of range; names the value.

    Examples
    --------
    >>> faces = Faces(boxes=[[0, 0, 10, 10], [5, 5, 9, 9]], scores=[0.9, 0.4])
    >>> len(faces[faces.scores > 0.5])
    1
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    landmarks: NDArray[np.float32] | None

    def __init__(
        self,
        boxes: ArrayLike,
        scores: ArrayLike | None = None,
        landmarks: ArrayLike | None = None,
    ) -> None:
        rows = _finite("boxes", boxes, (-1, 4))
        flat = np.flatnonzero(~_boxes.nonempty(rows))
        if len(flat):
            raise ContractError(
                f"faces: boxes[{flat[0]}] is {rows[flat[0]].tolist()}: expected x2 > x1 and"
                " y2 > y1 (was it x, y, w, h?)"
            )
        n = len(rows)
        fields = {
            "boxes": rows,
            "scores": _finite("scores", np.ones(n) if scores is None else scores, (n,)),
            "landmarks": (
                None if landmarks is None else _finite("landmarks", landmarks, (n, 5, 2))
            ),
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    @classmethod
    def empty(cls) -> Faces:
        """Return no faces: a value like any other."""
        return cls(boxes=np.empty((0, 4)))

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: Any) -> Faces:
        """Return the faces a mask, slice, integer array or single integer picks."""
        rows = np.atleast_1d(np.arange(len(self))[index])
        landmarks = None if self.landmarks is None else self.landmarks[rows]
        return Faces(self.boxes[rows], self.scores[rows], landmarks)

    def clipped(self, width: int, height: int) -> Faces:
        """Return the faces cut to an image's size; those wholly outside are left out."""
        cut = _boxes.clip(self.boxes, width, height)
        keep = _boxes.nonempty(cut)
        landmarks = None if self.landmarks is None else self.landmarks[keep]
        return Faces(cut[keep], self.scores[keep], landmarks)


def _finite(name: str, values: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return a read-only float32 copy of `values` in `shape`, where -1 fits any length."""
    try:
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite
            array = np.array(values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ContractError(f"faces: {name} are no array of numbers: {error}") from error
    if array.size == 0 and shape[0] in (-1, 0):
        array = array.reshape(0, *shape[1:])
    fits = array.ndim == len(shape) and all(
        want in (-1, got) for want, got in zip(shape, array.shape, strict=True)
    )
    if not fits:
        wanted = str(shape).replace("-1", "n")
        raise ContractError(f"faces: {name} have shape {array.shape}, expected {wanted}")
    if not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0][0])
        raise ContractError(f"faces: {name}[{row}] is {array[row].tolist()}: not finite")
    array.setflags(write=False)
    return array
