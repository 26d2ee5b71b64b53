"""How far can a face be disturbed? Accuracy against size, blur, JPEG, light, box and rotation.

python benchmarks/stress.py [--data ../shared/data] [--backend groupemo --backend fer]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import cv2
import numpy as np
from backends import PHOTOS, SHOWN, SIDE, label_file, majority, read_sheet
from matplotlib.figure import Figure

from groupemo.crops import resize
from groupemo.files import write_atomically
from groupemo.images import Photo
from groupemo.label_csv import load_labels
from groupemo.labels import LabelledFaces, Labels
from groupemo.plots import plot_robustness
from groupemo.plots._axes import png
from groupemo.robustness import Stress, stress
from groupemo.robustness.pages import markdown

ROOT = Path(__file__).resolve().parent.parent
ENLARGED = 3
"""Times a cell is: to about the size of the faces in the collages."""

NOTES = """Perceived expressions. What each disturbance is, what a half-life is, and what the
figures do not say: [docs/robustness.md](../docs/robustness.md).

![Accuracy against each disturbance: above single faces, below faces in photos](stress.png)

- *Single faces*: FER2013's PublicTest without faces whose pixels stand in its training set, against
  the FER+ majority. A cell of 48 x 48 pixels is a photo with one face whose box is the whole cell.
  It is enlarged three times, bilinearly, so that no level but size is judged at 48 pixels, where
  `fer`'s margin of 10 pixels is two fifths of the face; around it stands as much again that repeats
  the cell's edge, so that shifts, scales and margins have pixels to reach. A backend that adds a
  margin sees this border: undisturbed figures are not those of [backends.md](backends.md), where a
  cell is the crop. JPEG and noise act on the enlarged cell, and so do less than on a small face.
- *Faces in photos*: `collages` (gray web faces, balanced classes, coarse labels),
  `group_emotion_real9` and `wider_groups`, the labelled boxes.
- `--cells` and `--photos` take a sample, the same each time: of the cells, and of each folder.
- A *stand-in* is a net of the same shape trained for groupemo's tests: its figures are not those of
  the published weights."""


def single_faces(folder: Path, most: int | None) -> tuple[Labels, list[Photo]]:
    """Return PublicTest's cells as photos of one face, `most` of them drawn at random."""
    table, cells = read_sheet(folder)
    labels = majority(table)
    known = np.flatnonzero(labels >= 0)
    if most is not None and most < len(known):
        known = np.sort(np.random.default_rng(0).choice(known, most, replace=False))
    names = {row: f"cell_{table['cell'].iloc[row]:04}" for row in known}
    side = ENLARGED * SIDE
    box = [[side, side, 2 * side, 2 * side]]
    truth = Labels({name: LabelledFaces(box, [labels[row]]) for row, name in names.items()})
    pictures = {name: resize(cells[row], (side, side)) for row, name in names.items()}
    return truth, [Photo(name, np.pad(one, side, "edge")) for name, one in pictures.items()]


def faces_in_photos(data: Path, most: int | None) -> tuple[Labels, list[Photo]]:
    """Return the photos with labelled boxes, `most` of each folder drawn at random."""
    truth, photos = {}, []
    for folder in PHOTOS:
        labels = load_labels(label_file(data / folder))
        names = sorted(labels)
        if most is not None and most < len(names):
            names = sorted(np.random.default_rng(0).choice(names, most, replace=False).tolist())
        truth |= {name: labels[name] for name in names}
        photos += [Photo(name, data / folder / "photos" / name) for name in names]
    return Labels(truth), photos


def section(title: str, found: Stress, seconds: float) -> str:
    """Return the figures under a heading of their own, with how long they took."""
    text = markdown(found).replace("# Robustness", f"# {title}", 1).replace("\n## ", "\n### ")
    answers = len(found.answers) * len(found.labels) * (1 + len(found.steps))
    return f"#{text}\n{answers:,} answers in {seconds:.0f} s.\n"


def picture(parts: dict[str, Stress]) -> bytes:
    """Return the curves of each part, by its title, one above the other, as PNG."""
    figure = Figure(figsize=(11, 9 * len(parts)), dpi=110, layout="constrained")
    rows = np.ravel(figure.subplots(len(parts), 1))
    for (title, found), axes in zip(parts.items(), rows, strict=True):
        drawn = plot_robustness(found, axes)
        drawn.title.set_text(f"{title}: {drawn.get_title()}")
    return png(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=ROOT / "reports")
    parser.add_argument("--backend", action="append", help=f"a spec; by default {', '.join(SHOWN)}")
    parser.add_argument("--cells", type=int, metavar="N", help="single faces, drawn; default all")
    parser.add_argument("--photos", type=int, metavar="N", help="photos a folder, likewise")
    parser.add_argument("--workers", type=int, metavar="N")
    chosen = parser.parse_args()
    if (chosen.data.parent / "models").is_dir():
        os.environ.setdefault("GROUPEMO_MODELS", str(chosen.data.parent / "models"))
    cv2.setNumThreads(1)
    sources = {
        "Single faces": single_faces(chosen.data / "fer2013", chosen.cells),
        "Faces in photos": faces_in_photos(chosen.data, chosen.photos),
    }
    backends = chosen.backend or SHOWN
    parts, texts = {}, []
    for title, (labels, photos) in sources.items():
        start = time.perf_counter()
        parts[title] = stress(labels, photos, backends=backends, workers=chosen.workers)
        texts.append(section(title, parts[title], time.perf_counter() - start))
    command = " ".join(["python benchmarks/stress.py", *sys.argv[1:]])
    page = "\n".join([f"# Robustness\n\n`{command}`\n", NOTES, "", *texts])
    write_atomically(chosen.out / "stress.md", page.encode())
    write_atomically(chosen.out / "stress.png", picture(parts))
    print(page)


if __name__ == "__main__":
    main()
