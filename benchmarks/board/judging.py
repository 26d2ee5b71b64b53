"""The photos, what is labelled in them, and how many of the faces a contender got right."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import groupemo
from board.contenders import ROOT
from groupemo.analysis import Analysis
from groupemo.boxes import nonempty, xywh_to_xyxy
from groupemo.faces import Faces
from groupemo.images import Photo, digest
from groupemo.labels import IGNORE, UNSURE, LabelledFaces, Labels

FACES = "wider_groups"
MIN_IOU = 0.5


def photos_of(data: Path, most: int | None = None) -> list[Path]:
    """Return the photos of `wider_groups`, or so many of them, evenly spread."""
    found = sorted((data / FACES / "photos").iterdir())
    return found if most is None or most >= len(found) else found[:: len(found) // most][:most]


def published_boxes(data: Path) -> Labels:
    """Return WIDER FACE's own boxes: detection alone, so each expression is unsure."""
    rows = defaultdict(list)
    with open(data / FACES / "boxes.csv", newline="") as file:
        for row in csv.DictReader(file):
            rows[row["image"]].append([int(row[key]) for key in ("x", "y", "w", "h", "invalid")])
    return Labels(
        {
            name: LabelledFaces(
                xywh_to_xyxy([row[:4] for row in values]),
                [IGNORE if row[4] else UNSURE for row in values],
            )
            for name, values in rows.items()
        }
    )


def own_labels() -> Labels:
    """Return the boxes and expressions that were labelled for groupemo."""
    return groupemo.load_labels(ROOT / "labels" / f"{FACES}.csv")


class Truth:
    """What is labelled in the photos.

    Parameters
    ----------
    photos : sequence of Path
    data : Path
    """

    def __init__(self, photos: Sequence[Path], data: Path) -> None:
        names = [path.name for path in photos]
        self.boxes = published_boxes(data).only(names)
        self.expressions = own_labels().only(names)
        self.about = {path.name: about(path) for path in photos}

    def counts(
        self, answers: Mapping[str, Mapping[str, Any]], classes: Sequence[str]
    ) -> dict[str, dict[str, int]]:
        """Return photo -> how many faces were labelled, found, phantoms, known and correct.

        *found*: answered, at an IoU of 0.5 with a box of WIDER FACE. *known*: faces of our own
        labels with one of the seven expressions; *correct*: those found with that answer.
        """
        analyses = [
            Analysis(name, *self.about[name], *found(answer), tuple(classes), "theirs", "theirs")
            for name, answer in answers.items()
        ]
        faces = groupemo.score(self.boxes.only(answers), analyses, min_iou=MIN_IOU)
        words = groupemo.score(self.expressions.only(answers), analyses, min_iou=MIN_IOU)
        return {
            face.analysis.photo: {
                "labelled": int(face.tally.counts[:-1].sum()),
                "found": int(face.tally.counts[:-1, :-2].sum()),
                "phantom": int(face.tally.counts[-1].sum()),
                "known": int(word.tally.counts[:-2].sum()),
                "correct": int(np.trace(word.tally.counts)),
            }
            for face, word in zip(faces.photos, words.photos, strict=True)
        }


def about(path: Path) -> tuple[str, int, int]:
    """Return a photo's checksum, width and height."""
    data = path.read_bytes()
    return digest(data), *Photo(path.name, path).size(data)


def found(answer: Mapping[str, Any]) -> tuple[Faces, np.ndarray]:
    """Return a contender's faces and probabilities; boxes without area are no faces."""
    boxes = np.reshape(np.array(answer["boxes"], dtype=np.float64), (-1, 4))
    kept = nonempty(boxes)
    faces = Faces(boxes[kept], np.array(answer["scores"], dtype=np.float64)[kept])
    return faces, np.array(answer["probs"], dtype=np.float64)[kept]
