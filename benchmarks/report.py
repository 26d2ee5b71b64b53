"""How long it takes from saved analyses to the finished report.

    python benchmarks/report.py [--photos 1000] [--faces 10]

Drawn photos with known labels, and six made runs on them (three detectors that
miss and shift faces and find phantoms, two backends that err), saved as
`Evaluation.save` does. Then, in a fresh process: read labels and analyses, judge,
compute every figure with its interval, compare all runs, cut the galleries, and
write the page and the tables.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from groupemo import EMOTIONS, Analysis, Evaluation, Faces, Labels
from groupemo.environment import versions
from groupemo.files import write_atomically
from groupemo.images import digest
from groupemo.testing import make_scene

ROOT = Path(__file__).resolve().parent.parent
DETECTORS = {"careful": (0.75, 0.1, 0.03), "eager": (0.9, 0.8, 0.06), "loose": (0.85, 0.4, 0.12)}
"""Name -> share of faces found, phantoms a photo, and shift of a box in sides."""
BACKENDS = {"sharp": 2.5, "dull": 1.0}
"""Name -> how many nats the labelled class is ahead on average."""
SIDE = 96
RUN = """
import sys, time
start = time.perf_counter()
from groupemo import load_evaluation
from groupemo.report import write_report
evaluation = load_evaluation(sys.argv[1])
loaded = time.perf_counter()
for scores in evaluation.scores:
    scores.estimates()
judged = time.perf_counter()
page = write_report(evaluation, sys.argv[2])
done = time.perf_counter()
print(loaded - start, judged - loaded, done - judged, page.stat().st_size / 1e6)
"""


def make_runs(folder: Path, photos: int, faces: int) -> None:
    """Draw photos, and save labels and analyses of all runs beside them."""
    rng = np.random.default_rng(0)
    labels, analyses = {}, []
    for number in range(photos):
        words = rng.choice(EMOTIONS, size=rng.integers(1, 2 * faces), p=SHARES)
        scene = make_scene(words, name=f"photo_{number:04}.jpg", face=SIDE)
        data = scene.encoded("JPEG")
        write_atomically(folder / "photos" / scene.name, data)
        labels[scene.name] = scene.labelled
        analyses += _analyses(scene, digest(data), folder / "photos" / scene.name, rng)
    Evaluation.of(Labels(labels), analyses).save(folder / "saved")


SHARES = (0.08, 0.03, 0.04, 0.42, 0.08, 0.05, 0.3)


def _analyses(scene, sha256: str, path: Path, rng: np.random.Generator) -> Iterator[Analysis]:
    height, width = scene.image.shape[:2]
    for detector, (found, phantoms, shift) in DETECTORS.items():
        real = rng.random(len(scene.faces)) < found
        boxes = scene.faces.boxes[real] + rng.normal(0, shift * SIDE, (real.sum(), 1))
        corner = rng.uniform(0, [width - SIDE, height - SIDE], (rng.poisson(phantoms), 2))
        boxes = np.concatenate([boxes, np.concatenate([corner, corner + SIDE / 2], axis=1)])
        seen = Faces(boxes, rng.beta(8, 2, len(boxes))).clipped(width, height)
        truth = np.append(scene.labelled.labels[real], rng.integers(0, 7, len(corner)))
        for backend, lead in BACKENDS.items():
            logits = rng.gumbel(size=(len(seen), 7)) + lead * np.eye(7)[truth]
            probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            yield Analysis(
                photo=scene.name, sha256=sha256, width=width, height=height, faces=seen,
                probs=probs, classes=EMOTIONS, detector=detector, backend=backend, path=str(path),
            )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--faces", type=int, default=10, help="on average")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "report_time.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_runs(folder, options.photos, options.faces)
        command = [sys.executable, "-c", RUN, str(folder / "saved"), str(folder / "report")]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    loading, judging, writing, size = map(float, printed.split())
    text = f"""# From saved analyses to the report

`python benchmarks/report.py`: {options.photos} drawn photos of {options.faces} faces on average,
{len(DETECTORS) * len(BACKENDS)} runs; a fresh process on {versions()["platform"]}.

| step | seconds |
|---|---|
| read labels and analyses, judge | {loading:.1f} |
| every figure with its interval | {judging:.1f} |
| comparisons, galleries, page ({size:.1f} MB) and tables | {writing:.1f} |
| **together** | **{loading + judging + writing:.1f}** |
"""
    write_atomically(options.out, text.encode())
    print(text)


if __name__ == "__main__":
    main()
