"""How many faces each detector finds on group photos, how many phantoms, and how fast.

    python benchmarks/detectors.py [--data ../shared/data] [--detectors yunet haar ...]

Writes reports/detectors.md. Photos: `wider_groups`, 60 group photos of the WIDER
FACE validation set with 463 labelled faces. A detection is right from an IoU
of 0.5 on; labelled regions too unclear to judge count neither way. AP is over
the scores a detector keeps by default. One thread.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from groupemo.boxes import xywh_to_xyxy
from groupemo.detectors.labelled import LABELLED
from groupemo.errors import GroupemoError
from groupemo.faces import Faces
from groupemo.files import write_atomically
from groupemo.images import read_photo
from groupemo.labels import IGNORE
from groupemo.metrics import detection
from groupemo.metrics.tally import Tally, tally
from groupemo.plugins import DETECTORS, Detector, get_detector

ROOT = Path(__file__).resolve().parent.parent
FACE = 0


@dataclass(frozen=True, eq=False)
class Truth:
    """One photo and its labelled faces."""

    image: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray


def read_truth(folder: Path) -> Iterator[Truth]:
    rows = defaultdict(list)
    with open(folder / "boxes.csv", newline="") as file:
        for row in csv.DictReader(file):
            rows[row["image"]].append([int(row[key]) for key in ("x", "y", "w", "h", "invalid")])
    for name, values in rows.items():
        table = np.array(values)
        labels = np.where(table[:, 4] == 1, IGNORE, FACE)
        yield Truth(read_photo(folder / "photos" / name), xywh_to_xyxy(table[:, :4]), labels)


def counted(truths: list[Truth], found: list[Faces]) -> Tally:
    tallies = [
        tally(truth.boxes, truth.labels, True, faces.boxes, np.ones((len(faces), 1)))[0]
        for truth, faces in zip(truths, found, strict=True)
    ]
    return sum(tallies, Tally.zero(1))


def average_precision(truths: list[Truth], found: list[Faces]) -> float:
    ranking = detection.ranking(
        (truth.boxes, truth.labels, True, faces.boxes, faces.scores)
        for truth, faces in zip(truths, found, strict=True)
    )
    return float(detection.average_precision(ranking, np.ones((1, len(truths))))[0])


def measure(detector: Detector, truths: list[Truth]) -> dict[str, float]:
    detector(truths[0].image)  # the first call pays for memory
    start = time.perf_counter()
    found = [detector(truth.image) for truth in truths]
    seconds = time.perf_counter() - start
    sums = counted(truths, found)
    return {
        "precision": float(detection.detection_precision(sums)),
        "recall": float(detection.detection_recall(sums)),
        "F1": float(detection.detection_f1(sums)),
        "AP": average_precision(truths, found),
        "ms": 1000 * seconds / len(truths),
    }


def row(spec: str, truths: list[Truth]) -> str:
    """Return one detector's row of the table."""
    try:
        detector = get_detector(spec)
    except GroupemoError as error:
        return f"| {spec} | not here: {str(error).splitlines()[0]} | | | | | |"
    seen = measure(detector, truths)
    figures = " | ".join(f"{seen[key]:.3f}" for key in ("precision", "recall", "F1", "AP"))
    return f"| {spec} | {figures} | {seen['ms']:.0f} | {', '.join(detector.models)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    finders = [name for name in DETECTORS.names() if name != LABELLED]
    parser.add_argument("--detectors", nargs="+", default=finders, metavar="SPEC")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "detectors.md")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    truths = list(read_truth(options.data / "wider_groups"))
    faces = sum(int((truth.labels == FACE).sum()) for truth in truths)
    text = (
        f"# Detectors\n\n`python benchmarks/detectors.py`: the {len(truths)} photos of"
        f" `wider_groups`, {faces} labelled faces, IoU at least 0.5, one thread. AP is over the"
        " scores a detector keeps by default.\n\n"
        "| detector | precision | recall | F1 | AP | ms a photo | model files |\n"
        "|---|---|---|---|---|---|---|\n"
        + "".join(f"{row(spec, truths)}\n" for spec in options.detectors)
    )
    print(text)
    write_atomically(options.out, text.encode())


if __name__ == "__main__":
    main()
