"""What readers of sources hand on: faces one by one, and what is to be said of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from groupemo.crops import Image
from groupemo.emotions import CONTEMPT, EMOTIONS, parse_emotion
from groupemo.models.resolver import sha256_of

__all__ = ["Answer", "Ballot", "Record", "SourceFace", "one_vote"]


class Ballot(NamedTuple):
    """A face's votes, shape (7,), and the most that any one answer without a class got."""

    votes: NDArray[np.float32]
    rival: float = 0.0


Answer = Ballot | str
"""A face's votes, or why it is left out."""


class SourceFace(NamedTuple):
    """One face of any size, gray or RGB; its votes, shape (7,); what it came from; its rival."""

    picture: Image
    votes: NDArray[np.float32]
    photo: str
    rival: float = 0.0


@dataclass
class Record:
    """What is written down while a source is read.

    Parameters
    ----------
    options : dict
        How the faces were made; a reader adds its own.
    terms : str, optional
        The terms of use the user gave; they stand for those of every source.
    """

    options: dict[str, Any]
    terms: str | None = None
    sources: list[dict[str, str]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    failures: list[dict[str, str]] = field(default_factory=list)

    def add_source(self, path: Path, terms: str, sha256: str = "") -> str:
        """Note a file, or a folder and a checksum of what is in it; return the checksum."""
        sha256 = sha256 or sha256_of(path)
        self.sources.append({"name": path.name, "sha256": sha256, "terms": self.terms or terms})
        return sha256

    def leave_out(self, reason: str, faces: int = 1) -> None:
        """Count faces that are not handed on."""
        if faces:
            self.left_out[reason] += faces

    def fail(self, photo: str, reason: str) -> None:
        """Note a photo that cannot be read."""
        self.failures.append({"photo": photo, "reason": reason})


def one_vote(word: str) -> Answer:
    """Return one vote for an emotion, by its word or its place in `EMOTIONS`.

    Raises
    ------
    LabelError
        If it is no known word.
    """
    numbers = {str(number): emotion for number, emotion in enumerate(EMOTIONS)}
    emotion = numbers.get(word.strip()) or parse_emotion(word)
    if emotion == CONTEMPT:
        return CONTEMPT
    return Ballot(np.array([emotion == each for each in EMOTIONS], np.float32))
