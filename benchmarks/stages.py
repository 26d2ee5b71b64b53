"""Where one worker's time goes, stage by stage, now and at an earlier commit.

    python benchmarks/stages.py [--data ../shared/data] [--before a9bac1a] [--rounds 5]

Both versions run in turn, each time in a process of its own that has analyzed a
photo before the clock starts: default detector and backend, on `wider_groups` and
on six of its photos enlarged to 20 megapixels. A third row is a cold process, from
its start to the end of its first photo. A ratio is the median over rounds of now
divided by before.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from groupemo.boxes import iou_matrix
from groupemo.emotions import EMOTIONS

ROOT = Path(__file__).resolve().parent.parent
BEFORE = "a9bac1a"
"""The commit before the native path was made faster."""

STAGES = {"read": "decode", "detect": "detect", "prepare": "crop", "predict": "classify"}
ENLARGED, PIXELS = 6, 20_000_000
COLD = "import sys, groupemo; groupemo.analyze(sys.argv[1])"
WARM = """
import json, sys, time
from pathlib import Path
import groupemo
photos = sorted(Path(sys.argv[1]).iterdir())
list(groupemo.analyze_all(photos[:1], workers=1, progress=False))
coming = groupemo.analyze_all(photos, workers=1, progress=False)  # the models are loaded
start = time.perf_counter()
analyses = list(coming)
wall = time.perf_counter() - start
stages = {name: sum(one.seconds.get(name, 0) for one in analyses) for name in sys.argv[2:]}
per_photo = {name: seconds * 1000 / len(photos) for name, seconds in stages.items()}
answers = [[one.faces.boxes.tolist(), one.probs.tolist()] for one in analyses]
print(json.dumps([wall * 1000 / len(photos), per_photo, answers]))
"""


def checkout(commit: str, folder: Path) -> Path:
    """Write the package as it was at a commit into a folder."""
    command = ["git", "-C", str(ROOT), "archive", commit, "groupemo"]
    archive = subprocess.run(command, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return folder


def enlarge(photos: Path, folder: Path) -> Path:
    """Write photos of 20 megapixels, as a camera would: JPEG of quality 92."""
    folder.mkdir()
    for path in sorted(photos.iterdir())[:ENLARGED]:
        picture = Image.open(path).convert("RGB")
        factor = (PIXELS / (picture.width * picture.height)) ** 0.5
        size = round(picture.width * factor), round(picture.height * factor)
        picture.resize(size, Image.Resampling.BICUBIC).save(folder / path.name, quality=92)
    return folder


def python(source: Path, code: str, *arguments: str) -> str:
    """Run code with the package in `source`; return what it prints."""
    command = [sys.executable, "-c", code, *arguments]
    environ = {**os.environ, "PYTHONPATH": str(source)}
    return subprocess.run(
        command, env=environ, cwd=source, check=True, capture_output=True, text=True
    ).stdout


def warm(source: Path, photos: Path) -> tuple[dict[str, float], list]:
    """Return milliseconds a photo by stage, and the answers."""
    wall, stages, answers = json.loads(python(source, WARM, str(photos), *STAGES))
    named = {STAGES[name]: value for name, value in stages.items()}
    return {**named, "rest": wall - sum(named.values()), "all": wall}, answers


def cold(source: Path, photos: Path) -> dict[str, float]:
    """Return the milliseconds from a process's start to the end of its first photo."""
    photo = min(photos.iterdir())
    start = time.perf_counter()
    python(source, COLD, str(photo))
    return {"all": (time.perf_counter() - start) * 1000}


def difference(before: list, now: list) -> str:
    """Say how the answers of two versions differ: faces, and of those both found, the rest."""
    alone, boxes, probs = 0, [0.0], [0.0]
    for old, new in zip(before, now, strict=True):
        (old_boxes, old_probs), (new_boxes, new_probs) = (
            (np.reshape(each[0], (-1, 4)), np.reshape(each[1], (-1, len(EMOTIONS))))
            for each in (old, new)
        )
        was, is_now = np.nonzero(iou_matrix(old_boxes, new_boxes) >= 0.5)
        alone += len(old_boxes) + len(new_boxes) - 2 * len(was)
        boxes.extend(np.abs(old_boxes[was] - new_boxes[is_now]).ravel())
        probs.extend(np.abs(old_probs[was] - new_probs[is_now]).ravel())
    return (
        f"{alone} faces found by one of them alone; boxes differ by at most {max(boxes):.1e}"
        f" pixels, probabilities by {np.nanmax(probs):.1e}"
    )


def measure(data: Path, commit: str, rounds: int) -> str:
    """Return the tables as Markdown."""
    lines = [f"| photos | commit | {' | '.join([*STAGES.values(), 'rest', 'all'])} | ratio |"]
    lines.append("|---|---" + "|---" * 7 + "|")
    notes = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        sources = {commit: checkout(commit, folder / "before"), "now": ROOT}
        small = data / "wider_groups" / "photos"
        sets = {"wider_groups": small, "20 megapixels": enlarge(small, folder / "large")}
        for name, photos in sets.items():
            runs = [
                {key: warm(each, photos) for key, each in sources.items()} for _ in range(rounds)
            ]
            lines += _rows(name, [{key: one[key][0] for key in sources} for one in runs])
            notes.append(f"- {name}: {difference(*(runs[0][key][1] for key in sources))}.")
        runs = [{key: cold(each, small) for key, each in sources.items()} for _ in range(rounds)]
        lines += _rows("cold process, one photo", runs)
    return "\n".join([*lines, "", *notes])


def _rows(name: str, runs: list[dict[str, dict[str, float]]]) -> list[str]:
    """Return a row a version; `runs` are rounds of version -> column -> milliseconds."""
    columns = [*STAGES.values(), "rest", "all"]
    before, now = runs[0]
    ratio = statistics.median(one[now]["all"] / one[before]["all"] for one in runs)
    rows = []
    for key, said in ((before, ""), (now, f"{ratio:.2f}")):
        cells = [
            f"{statistics.median(one[key][column] for one in runs):.1f}"
            if column in runs[0][key]
            else ""
            for column in columns
        ]
        rows.append(f"| {name} | {key} | {' | '.join(cells)} | {said} |")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--before", default=BEFORE)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(measure(options.data, options.before, options.rounds))


if __name__ == "__main__":
    main()
