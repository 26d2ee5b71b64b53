"""Make tests/data/tide_reference.json: how many errors of each kind TIDE counts in made scenes.

Needs tidecv, which brings a second OpenCV, so it is run in an environment of its own::

    pip install tidecv==1.0.1
    python tests/generate_tide_reference.py
"""

import json
from pathlib import Path

import numpy as np
import tidecv

TARGET = Path(__file__).parent / "data" / "tide_reference.json"


def make_scene(rng):
    """Return labelled and detected boxes [x1, y1, x2, y2]; no detection is near two faces."""
    labelled = [[50.0 * slot, 0.0, 50.0 * slot + 20, 20.0] for slot in range(rng.integers(1, 7))]
    detected = []
    for _ in range(rng.integers(1, 12)):
        x, y = 50 * rng.integers(0, 6) + rng.normal(0, rng.choice([2, 8])), rng.normal(0, 2)
        width, height = rng.uniform(14, 24, 2)
        detected.append([x, y, x + width, y + height])
    return labelled, np.round(detected, 2).tolist()


def count(labelled, detected, scores):
    """Return TIDE's counts at an IoU of 0.5, faces being of one class."""
    truth, found = tidecv.Data("labelled"), tidecv.Data("detected")
    for x1, y1, x2, y2 in labelled:
        truth.add_ground_truth(0, 0, [x1, y1, x2 - x1, y2 - y1])
    for (x1, y1, x2, y2), score in zip(detected, scores, strict=True):
        found.add_detection(0, 0, score, [x1, y1, x2 - x1, y2 - y1])
    run = tidecv.TIDE(pos_threshold=0.5, background_threshold=0.1).evaluate(truth, found)
    kinds = {kind.short_name: errors for kind, errors in run.count_errors().items()}
    assert kinds["Cls"] == kinds["Both"] == 0, "one class, and nobody near two faces"
    return {name: kinds[name] for name in ("Miss", "Dupe", "Loc", "Bkg")}


def main():
    """Write sixty scenes and what TIDE counts in them."""
    rng = np.random.default_rng(7)
    scenes = []
    for _ in range(60):
        labelled, detected = make_scene(rng)
        counts = count(labelled, detected, rng.uniform(size=len(detected)).tolist())
        scenes.append({"labelled": labelled, "detected": detected, "counts": counts})
    lines = ",\n".join(json.dumps(scene) for scene in scenes)
    TARGET.write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
