"""How fast groupemo is where it matters, as ratios and shares taken in one run.

    python benchmarks/speed.py [--data ../shared/data] [--rounds 5]

1. Import: `import groupemo` against `import numpy`, each in a fresh process, in turn.
2. End to end on `wider_groups`, default detector and backend, one worker: the
   share of wall time spent inside decoding, OpenCV and ONNX Runtime calls; and
   two workers against one, in turn.
3. Where the time goes, before the native path was made faster and now: `stages.py`.
4. Memory: the peak of a process that analyzes 100 photos, and one that analyzes
   1,000 (the same photos again under other names).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock

import stages

import groupemo
from groupemo.environment import versions
from groupemo.files import write_atomically

ROOT = Path(__file__).resolve().parent.parent
MEMORY = """
import resource, sys
from pathlib import Path
import groupemo
from groupemo.environment import versions
from groupemo.images import Photo
paths = sorted(Path(sys.argv[1]).iterdir())
photos = [Photo(f"{i}.jpg", paths[i % len(paths)]) for i in range(int(sys.argv[2]))]
for _ in groupemo.analyze_all(photos, workers=2, progress=False):
    pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def import_ratio(rounds: int) -> tuple[float, float, float]:
    """Return median milliseconds of importing numpy and groupemo, and the median ratio."""
    pairs = [(_import_ms("numpy"), _import_ms("groupemo")) for _ in range(rounds + 1)][1:]
    ratio = statistics.median(ours / theirs for theirs, ours in pairs)
    theirs, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    return theirs, ours, ratio


def _import_ms(module: str) -> float:
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout
    return float(output) * 1000


@contextmanager
def timed_libraries():
    """Add up the seconds spent inside decoding, OpenCV and ONNX Runtime calls.

    Outermost calls only: each is replaced where groupemo calls it.
    """
    import cv2
    import onnxruntime
    from PIL import Image, ImageFile

    spent = {"decoding": 0.0, "opencv": 0.0, "onnxruntime": 0.0}
    depth = 0

    def timing(function, kind):
        def timed(*args, **kwargs):
            nonlocal depth
            depth += 1
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                depth -= 1
                if not depth:
                    spent[kind] += time.perf_counter() - start

        return timed

    functions = {
        cv2: ("resize", "cvtColor", "copyMakeBorder", "warpAffine"),
        cv2.dnn: ("blobFromImages", "NMSBoxes"),
    }
    with (
        mock.patch.object(
            onnxruntime.InferenceSession,
            "run",
            timing(onnxruntime.InferenceSession.run, "onnxruntime"),
        ),
        mock.patch.object(Image, "open", timing(Image.open, "decoding")),
        mock.patch.object(
            ImageFile.ImageFile, "load", timing(ImageFile.ImageFile.load, "decoding")
        ),
        mock.patch.object(Image.Image, "tobytes", timing(Image.Image.tobytes, "decoding")),
        ExitStack() as patches,
    ):
        for module, names in functions.items():
            timed = {name: timing(getattr(module, name), "opencv") for name in names}
            patches.enter_context(mock.patch.multiple(module, **timed))
        yield spent


def end_to_end(photos: Path, workers: int) -> float:
    """Return the wall seconds of analyzing a folder, once the models are loaded."""
    coming = groupemo.analyze_all(photos, workers=workers, progress=False)
    start = time.perf_counter()
    for _ in coming:
        pass
    return time.perf_counter() - start


def library_share(photos: Path) -> tuple[float, dict[str, float]]:
    """Return the share of one worker's wall time inside libraries, in all and by kind."""
    with timed_libraries() as spent:
        wall = end_to_end(photos, 1)
    shares = {kind: seconds / wall for kind, seconds in spent.items()}
    return sum(shares.values()), shares


def peak_megabytes(photos: Path, count: int) -> float:
    """Return the peak resident memory of a process that analyzes `count` photos."""
    command = [sys.executable, "-c", MEMORY, str(photos), str(count)]
    return float(subprocess.run(command, check=True, capture_output=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "speed.md")
    parser.add_argument("--before", default=stages.BEFORE)
    options = parser.parse_args()
    photos = options.data / "wider_groups" / "photos"
    count = len(list(photos.iterdir()))

    theirs, ours, ratio = import_ratio(options.rounds)
    end_to_end(photos, 1)  # warm the disk cache and the models
    shares = [library_share(photos) for _ in range(3)]
    share, kinds = sorted(shares, key=lambda row: row[0])[len(shares) // 2]
    pairs = [(end_to_end(photos, 1), end_to_end(photos, 2)) for _ in range(options.rounds)]
    speedups = [one / two for one, two in pairs]
    one, two = (statistics.median(column) for column in zip(*pairs, strict=True))
    profile = stages.measure(options.data, options.before, options.rounds)
    small, large = peak_megabytes(photos, 100), peak_megabytes(photos, 1000)

    split = ", ".join(f"{kind} {part:.0%}" for kind, part in kinds.items())
    rows = [
        ("import groupemo / import numpy", f"{ratio:.2f}", "at most 3",
         f"{ours:.0f} ms / {theirs:.0f} ms, median of {options.rounds} pairs"),
        ("share of one worker's wall time inside libraries", f"{share:.0%}", "at least 90 %",
         split),
        ("two workers against one", f"{statistics.median(speedups):.2f}", "at least 1.7",
         f"{min(speedups):.2f} to {max(speedups):.2f} over {options.rounds} pairs;"
         f" {one / count * 1000:.0f} and {two / count * 1000:.0f} ms a photo"),
        ("peak memory, 1,000 photos / 100 photos", f"{large / small:.2f}", "at most 1.10",
         f"{large:.0f} MB / {small:.0f} MB, two workers"),
    ]  # fmt: skip
    lines = ["| figure | seen | wanted | of which |", "|---|---|---|---|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    text = (
        "# Speed\n\n`python benchmarks/speed.py`: default detector and backend, end to end on"
        f" the {count} photos of `wider_groups`.\n\n"
        + "\n".join(lines)
        + "\n\n## Where the time goes\n\nMilliseconds a photo on one worker (median of"
        f" {options.rounds} rounds), at commit {options.before} and now, in turn"
        " (`python benchmarks/stages.py`); *decode* is reading and decoding, *crop* cutting faces"
        " out and making them a net's input. The last column is now divided by before.\n\n"
        + profile
        + "\n"
    )
    print(text)
    print(json.dumps(versions()))
    write_atomically(options.out, text.encode())


if __name__ == "__main__":
    main()
