"""The warm-up: clear faces of the sample photos, for people to try their eyes on before they label.

`warmup.csv` holds the faces of `labels/samples.csv` that have at least two annotators, all of whom
say the same expression, and that are at least 60 pixels wide and high. Only sample photos
that are on this machine are used: nothing is fetched.
"""

from __future__ import annotations

import random
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from groupemo.emotions import EMOTIONS
from groupemo.images import Photo
from groupemo.label_csv import load_labels
from groupemo.labeller.actions import WARM_UP_FACES, Box
from groupemo.labeller.album import id_of
from groupemo.samples import SAMPLES

__all__ = ["SampleFace", "SampleFaces"]

FACES = Path(__file__).with_name("warmup.csv")


@dataclass(frozen=True)
class SampleFace:
    """A face of a sample photo: its box, the photo's id and size, and what annotators said.

    `votes` counts them by expression; `label` is what they say together.
    """

    photo: str
    width: int
    height: int
    box: Box
    label: str
    votes: Mapping[str, int]


class SampleFaces:
    """Sample photos with faces to try oneself on.

    Parameters
    ----------
    without : container of str
        Ids of photos to leave out: those that are to be labelled here, for the warm-up tells what
        others said.

    Attributes
    ----------
    photos : dict of str to Photo
        By id.
    """

    def __init__(self, without: Container[str] = ()) -> None:
        self.photos: dict[str, Photo] = {}
        self._faces: dict[tuple[str, Box], SampleFace] = {}
        labels = load_labels(FACES)
        for entry in SAMPLES.entries.values():
            photo, path = id_of(entry.sha256, entry.file), SAMPLES.find(entry).path
            if path is None or photo in without or entry.file not in labels:
                continue
            self.photos[photo] = Photo(entry.file, path)
            faces = labels[entry.file]
            assert faces.votes is not None
            width, height = self.photos[photo].size(path.read_bytes())
            for box, label, votes in zip(
                faces.boxes.tolist(), faces.labels, faces.votes.astype(int).tolist(), strict=True
            ):
                counts = {word: n for word, n in zip(EMOTIONS, votes, strict=True) if n}
                face = SampleFace(photo, width, height, tuple(box), EMOTIONS[label], counts)
                self._faces[photo, face.box] = face

    def __bool__(self) -> bool:
        """Whether there are enough faces."""
        return len(self._faces) >= WARM_UP_FACES

    def face(self, photo: str, box: Sequence[float]) -> SampleFace | None:
        """Return the face with a box; None where there is none."""
        return self._faces.get((photo, tuple(box)))  # type: ignore[arg-type]

    def draw(self, seed: str) -> list[SampleFace]:
        """Return ten faces in random order, of as many expressions as there are.

        Parameters
        ----------
        seed : str
            The same one draws the same faces.
        """
        chance = random.Random(seed)
        shuffled = chance.sample(list(self._faces.values()), len(self._faces))
        drawn = list(_in_turns(shuffled))[:WARM_UP_FACES]
        chance.shuffle(drawn)
        return drawn


def _in_turns(faces: Sequence[SampleFace]) -> Iterator[SampleFace]:
    """Yield faces, one of each expression in turn until there is none left of any."""
    waiting = [[face for face in faces if face.label == word] for word in EMOTIONS]
    while any(waiting):
        yield from [same.pop() for same in waiting if same]
