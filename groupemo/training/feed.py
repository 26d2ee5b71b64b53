"""Faces on their way from a file to a net: all in memory where they fit, in blocks where not."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from groupemo.training.faces_file import FacesFile

__all__ = ["MEMORY", "Feed", "as_input", "targets"]

MEMORY = 2**31
"""Bytes of pixels held at a time, but for copies of a batch: FER2013 is 66 MB."""

BATCH = 256
"""Faces at a time where nothing is learned."""

Rows = NDArray[np.int64]
Floats = NDArray[np.float32]


class Feed:
    """Some faces of a file, in batches.

    Parameters
    ----------
    file : FacesFile
        Stays open as long as this is used.
    rows : np.ndarray, shape=(n,)
        The faces, ascending. What is yielded with them counts in `rows`: 0..n-1.
    memory : int
        Most bytes of pixels to hold. More than that are read in blocks, in a random
        order, and shuffled with the blocks that are held at the same time.
    """

    def __init__(self, file: FacesFile, rows: Rows, *, memory: int = MEMORY) -> None:
        self.file, self.rows = file, rows
        face = file.side**2 * file.channels
        self._pool = max(memory // face, 1)
        self._block = file.faces.chunks[0]
        self._held: NDArray[np.uint8] | None = None
        if len(file) <= self._pool:
            self._held = file.read()[rows]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def votes(self) -> Floats:
        """Votes, shape (n, 7)."""
        return self.file.votes[self.rows]

    @property
    def labels(self) -> Rows:
        """The class of each face, shape (n,); -1 where the votes have no majority."""
        return self.file.labels[self.rows]

    @property
    def photos(self) -> Rows:
        """Which photo each face came from, shape (n,)."""
        return self.file.photos[self.rows]

    @property
    def digests(self) -> NDArray[np.bytes_]:
        """What tells each face's pixels from others, shape (n,)."""
        return self.file.digests[self.rows]

    def in_order(self) -> Iterator[NDArray[np.uint8]]:
        """Yield all faces, shape (b, s, s[, 3])."""
        for first in range(0, len(self), BATCH):
            yield self._read(np.arange(first, min(first + BATCH, len(self))))

    def shuffled(
        self, batch: int, random: np.random.Generator
    ) -> Iterator[tuple[NDArray[np.uint8], Rows]]:
        """Yield `len(self) // batch` batches of faces, and which faces they are."""
        faces: NDArray[np.uint8] = self.file.read(slice(0))
        at = np.zeros(0, np.int64)
        for pool in self._pools(random):
            read = self._read(pool)
            faces, at = (
                (np.concatenate([faces, read]), np.concatenate([at, pool]))
                if len(at)
                else (read, pool)
            )
            order = random.permutation(len(at))
            for first in range(0, len(at) - batch + 1, batch):
                chosen = order[first : first + batch]
                yield faces[chosen], at[chosen]
            left = order[len(at) // batch * batch :]
            faces, at = faces[left], at[left]

    def _pools(self, random: np.random.Generator) -> Iterator[Rows]:
        """Yield what to hold at a time: everything, or blocks drawn at random."""
        if self._held is not None:
            yield np.arange(len(self))
            return
        starts = random.permutation(np.arange(0, len(self), self._block))
        for first in range(0, len(starts), many := max(self._pool // self._block, 1)):
            blocks = np.add.outer(starts[first : first + many], np.arange(self._block)).ravel()
            yield blocks[blocks < len(self)]

    def _read(self, at: Rows) -> NDArray[np.uint8]:
        """Return faces, read run by run of neighbours."""
        if self._held is not None:
            return self._held if len(at) == len(self) else self._held[at]
        runs = np.split(at, np.flatnonzero(np.diff(at) != 1) + 1)
        return np.concatenate([self._read_run(self.rows[run]) for run in runs])

    def _read_run(self, rows: Rows) -> NDArray[np.uint8]:
        read = self.file.read(slice(rows[0], rows[-1] + 1))
        return np.asarray(read[rows - rows[0]])


def as_input(faces: NDArray[np.uint8], device: torch.device | str = "cpu") -> torch.Tensor:
    """Return faces as nets take them: shape (n, c, s, s), float32, 0 to 1."""
    pixels = torch.from_numpy(faces).to(device)
    pixels = pixels.unsqueeze(1) if pixels.ndim == 3 else pixels.movedim(3, 1)
    return pixels.float() / 255


def targets(votes: Floats, *, strays: str = "drop", balance: float = 0.0) -> tuple[Floats, Floats]:
    """Return what a net should answer and what each face weighs, shapes (n, 7) and (n,).

    Parameters
    ----------
    votes : np.ndarray, shape=(n, 7)
    strays : {"drop", "keep"}
        Whether a vote that stands alone is dropped where a class has two or more.
    balance : float
        See `Recipe`.

    Examples
    --------
    >>> shares, weights = targets(np.array([[0, 0, 0, 3, 0, 1, 0], [1, 0, 0, 0, 0, 0, 0]]))
    >>> shares.round(2).tolist()[0], weights.tolist()
    ([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0], [1.600000023841858, 0.4000000059604645])
    """
    kept = votes.astype(np.float32)
    if strays == "drop":
        kept = np.where((votes.max(1, keepdims=True) >= 2) & (votes == 1), 0, kept)
    shares = kept / kept.sum(1, keepdims=True)
    prior = shares.mean(0)
    rarity = np.where(prior > 0, prior, 1) ** -balance
    weights = votes.sum(1) * (shares @ rarity)
    return shares, (weights / weights.mean()).astype(np.float32)
