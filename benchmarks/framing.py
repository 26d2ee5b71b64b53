"""How should a face be cut for a backend? Its figures over margins, square and not.

python benchmarks/framing.py [--data ../shared/data] [--backend groupemo]
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from backends import PHOTOS, label_file, photo_row, to_markdown

import groupemo
from groupemo.detectors.labelled import LABELLED
from groupemo.files import write_atomically
from groupemo.plugins import parse_spec, spell_spec
from groupemo.scores import Scores

ROOT = Path(__file__).resolve().parent.parent
MARGINS = (-0.1, -0.05, 0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4)
DETECTORS = (LABELLED, "yunet")
AVERAGED = {
    "accuracy": "matched_accuracy",
    "UAR": "matched_balanced_accuracy",
    "log-loss": "matched_log_loss",
}
CHOOSING = "accuracy"

NOTES = """Perceived expressions. The margin is added to the box on each side, as a fraction of its
width and height; a box made square has its shorter side grown then.

- The boxes are the labelled ones, and those of `yunet` that meet them; the faces of a table are
  the same in each row. Figures as in [backends.md](backends.md); [low, high]: 95 % intervals over
  photos.
- *Chosen* is the framing with the highest accuracy, averaged over the tables. Chosen on these very
  faces, its figures here flatter a little.
- *Gain*: accuracy less that of the chosen framing, in the same draws of photos."""


def framings(spec: str) -> dict[str, tuple[float, bool]]:
    """Return the spec of each framing, with its margin and whether it is square."""
    name, options = parse_spec(spec)
    return {
        spell_spec(name, {**options, "margin": margin, "square": square}): (margin, square)
        for square in (False, True)
        for margin in MARGINS
    }


def judged(data: Path, specs: Sequence[str]) -> dict[str, dict[str, Scores]]:
    """Return the scores of each framing on each kind of boxes, by title and spec."""
    tables = {}
    for name, min_iou in PHOTOS.items():
        evaluation = groupemo.evaluate(
            data / name / "photos", label_file(data / name), detectors=DETECTORS,
            backends=specs, min_iou=min_iou,
        )  # fmt: skip
        for detector in DETECTORS:
            tables[f"{name}, {detector}"] = {spec: evaluation[detector, spec] for spec in specs}
    return tables


def averages(tables: Mapping[str, Mapping[str, Scores]]) -> dict[str, dict[str, float]]:
    """Return each framing's figures, averaged over the tables."""
    specs = next(iter(tables.values()))
    seen = {spec: [scores[spec].overall() for scores in tables.values()] for spec in specs}
    return {
        spec: {
            title: float(np.mean([one[name] for one in each])) for title, name in AVERAGED.items()
        }
        for spec, each in seen.items()
    }


def cut(frame: tuple[float, bool], chosen: bool) -> dict[str, str]:
    """Return the cells that say how a framing cuts."""
    margin, square = frame
    return {"margin": f"{margin:g}{' (chosen)' * chosen}", "square": "yes" if square else "no"}


def figures(scores: Scores, chosen: Scores) -> dict[str, str]:
    """Return the cells that say how right a framing is."""
    figure = AVERAGED[CHOOSING]
    gain = groupemo.compare(scores, chosen, figures=[figure]).differences[figure]
    cells = photo_row(scores) | {
        "gain": f"{gain.difference:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"
    }
    return {name: cell for name, cell in cells.items() if name != "backend"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "framing.md")
    parser.add_argument("--backend", default="groupemo", help="one that takes margin and square")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    frames = framings(options.backend)
    tables = judged(options.data, list(frames))
    means = averages(tables)
    chosen = max(means, key=lambda spec: means[spec][CHOOSING])
    cuts = {spec: cut(frame, spec == chosen) for spec, frame in frames.items()}
    rows = {
        "Averaged over the tables": [
            cuts[spec] | {title: f"{value:.3f}" for title, value in each.items()}
            for spec, each in means.items()
        ]
    } | {
        title: [cuts[spec] | figures(each, scores[chosen]) for spec, each in scores.items()]
        for title, scores in tables.items()
    }
    command = f"python benchmarks/framing.py --backend {options.backend}"
    text = f"# How a face is cut\n\n`{command}`\n\n{NOTES}\n"
    for title, each in rows.items():
        text += f"\n## {title}\n\n{to_markdown(each)}\n"
    print(text)
    write_atomically(options.out, text.encode())


if __name__ == "__main__":
    main()
