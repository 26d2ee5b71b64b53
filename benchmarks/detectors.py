"""How many faces each detector finds on group photos, how many phantoms, and how fast.

    python benchmarks/detectors.py [--data ../shared/data] [--detectors yunet best ...]
    python benchmarks/detectors.py --fit [--detectors yunet scrfd ...]

Writes reports/detectors.md and its picture. Photos: `wider_groups`, 60 group photos
of the WIDER FACE validation set with 463 labelled faces. A detection is right from
an IoU of 0.5 on; labelled regions too unclear to judge count neither way. Time is
that of one thread on its processor, so that a busy machine costs little; the
detectors take turns at each photo, and a photo's time is the median of the rounds.

`--fit` prints the curves of `groupemo.detectors.fused`, from other photos: the
samples, `group_emotion_real9`, and every ninth of `collages`.
"""

from __future__ import annotations

import argparse
import csv
import io
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure

from groupemo import load_labels
from groupemo.boxes import xywh_to_xyxy
from groupemo.environment import versions
from groupemo.errors import GroupemoError
from groupemo.faces import Faces
from groupemo.files import write_atomically
from groupemo.images import read_photo
from groupemo.labels import IGNORE
from groupemo.metrics import detection
from groupemo.metrics.tally import tally
from groupemo.metrics.uncertainty import estimate
from groupemo.models import store
from groupemo.plugins import DETECTORS, get_detector
from groupemo.samples import fetch_samples

ROOT = Path(__file__).resolve().parent.parent
FACE = 0
PRESETS = ("fast", "balanced", "best")
ALONE = (
    "yunet", "retinaface", "centerface", "scrfd", "yolo", "mtcnn", "ssd", "ssd-rfb", "haar",
    "haar-1.32", "hog",
)  # fmt: skip
STEPS = (
    "yunet:max_side=480", "yunet:max_side=960", "scrfd:max_side=640", "scrfd:max_side=800",
    "centerface:max_side=640", "centerface:max_side=1024", "fused:detectors=scrfd+centerface",
    "fused:detectors=yunet+centerface+retinaface",
)  # fmt: skip
"""What stands between the presets."""

SIZES = (0, 24, 48, 96, float("inf"))
"""Edges of the classes of faces, in pixels: the square root of the box's area."""

ANY_USE = ("MIT", "Apache-2.0", "Intel licence for open source computer vision")
"""How the licences begin that allow any use and ask for no source; said of the file itself."""

LOW = {"haar": 0, "haar-1.32": 0, "hog": -1, "fused": 0, "best": 0}
"""The least score asked for where AP is to be over all scores; 0.05 for the others."""


@dataclass(frozen=True, eq=False)
class Truth:
    """One photo and its labelled faces."""

    image: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True, eq=False)
class Seen:
    """What a detector did on all photos."""

    spec: str
    kept: list[Faces]
    """By its own threshold."""
    all: list[Faces]
    """At any score."""
    ms: float


@dataclass(frozen=True, eq=False)
class Figures:
    """A detector's row: each figure with its interval over photos, but for the plain numbers."""

    spec: str
    recall: tuple[float, float, float]
    precision: tuple[float, float, float]
    ap: tuple[float, float, float]
    by_size: list[float]
    """Recall in each class of `SIZES`."""
    ms: float
    any_use: bool
    """Whether its files' terms allow any use."""


def read_truth(folder: Path) -> Iterator[Truth]:
    rows = defaultdict(list)
    with open(folder / "boxes.csv", newline="") as file:
        for row in csv.DictReader(file):
            rows[row["image"]].append([int(row[key]) for key in ("x", "y", "w", "h", "invalid")])
    for name, values in rows.items():
        table = np.array(values)
        labels = np.where(table[:, 4] == 1, IGNORE, FACE)
        yield Truth(read_photo(folder / "photos" / name), xywh_to_xyxy(table[:, :4]), labels)


def at_any_score(spec: str):
    return get_detector(spec, min_score=LOW.get(spec.partition(":")[0], 0.05))


def run(specs: Sequence[str], truths: list[Truth], rounds: int) -> tuple[list[Seen], list[str]]:
    """Return what the detectors did, taking turns, and the reasons for those that are not here."""
    detectors, absent = {}, []
    for spec in specs:
        try:
            detectors[spec] = get_detector(spec)
        except GroupemoError as error:
            absent.append(f"`{spec}` is left out: {str(error).splitlines()[0]}")
    seconds = {spec: np.empty((len(truths), rounds)) for spec in detectors}
    kept = {spec: [] for spec in detectors}
    for number, truth in enumerate(truths):
        for turn in range(rounds + 1):  # the first pays for memory
            for spec, detector in detectors.items():
                start = time.thread_time()
                faces = detector(truth.image)
                if turn:
                    seconds[spec][number, turn - 1] = time.thread_time() - start
                else:
                    kept[spec].append(faces)
    seen = []
    for spec in detectors:
        low = at_any_score(spec)
        ms = 1000 * float(np.median(seconds[spec], axis=1).mean())
        seen.append(Seen(spec, kept[spec], [low(truth.image) for truth in truths], ms))
    return seen, absent


def figures(seen: Seen, truths: list[Truth]) -> Figures:
    tallies = [
        tally(truth.boxes, truth.labels, True, faces.boxes, np.ones((len(faces), 1)))[0]
        for truth, faces in zip(truths, seen.kept, strict=True)
    ]
    right, missed, wrong = (
        np.array([float(of(each)) for each in tallies])
        for of in (detection.found, detection.missed, detection.phantom)
    )
    ranked = ranking(truths, seen.all)
    share = partial(estimate, n=len(truths), least=0, most=1)
    return Figures(
        seen.spec,
        share(lambda weights: weights @ right / (weights @ (right + missed))),
        share(lambda weights: weights @ right / (weights @ (right + wrong))),
        share(lambda weights: detection.average_precision(ranked, weights)),
        [
            size.hit.sum() / size.faces.sum()
            for size in (
                ranking(truths, seen.kept, area=(low**2, high**2 - 0.5))
                for low, high in pairwise(SIZES)
            )
        ],
        seen.ms,
        for_any_use(seen.spec),
    )


def ranking(truths: list[Truth], found: list[Faces], **options) -> detection.Ranking:
    return detection.ranking(
        (
            (truth.boxes, truth.labels, True, faces.boxes, faces.scores)
            for truth, faces in zip(truths, found, strict=True)
        ),
        **options,
    )


def front(rows: Sequence[Figures]) -> set[str]:
    """Return the specs for any use that no other such beats in both recall and time."""
    free = [row for row in rows if row.any_use]
    return {
        row.spec
        for row in free
        if not any(
            other.recall[0] >= row.recall[0] and other.ms <= row.ms and other is not row
            for other in free
        )
    }


def for_any_use(spec: str) -> bool:
    """Say whether the licence of each file that the detector takes allows any use."""
    files = DETECTORS.load(spec).provenance["models"]
    licences = [entry.licence for entry in store.MODELS.entries.values() if entry.file in files]
    return all(licence.partition(" (")[0] in ANY_USE for licence in licences)


def with_interval(figure: tuple[float, float, float]) -> str:
    return "{:.3f} [{:.2f}, {:.2f}]".format(*figure)


def main_table(rows: Sequence[Figures]) -> str:
    on = front(rows)
    lines = [
        f"| {'**' * (row.spec in PRESETS)}{row.spec}{'**' * (row.spec in PRESETS)}"
        f" | {with_interval(row.recall)} | {with_interval(row.precision)}"
        f" | {with_interval(row.ap)} | {row.ms:.0f}"
        f" | {'any' if row.any_use else 'restricted'} | {'yes' if row.spec in on else ''} |"
        for row in sorted(rows, key=lambda row: row.ms)
    ]
    head = "| detector | recall | precision | AP50 | ms | use | front |\n"
    head += "|---|---|---|---|---|---|---|\n"
    return head + "\n".join(lines)


def size_table(rows: Sequence[Figures], truths: list[Truth]) -> str:
    counts = [
        int(
            ranking(truths, [Faces.empty()] * len(truths), area=(low**2, high**2 - 0.5)).faces.sum()
        )
        for low, high in pairwise(SIZES)
    ]
    names = ["below 24 px", "24 to 48", "48 to 96", "96 and more"]
    head = "".join(f" | {name} ({count})" for name, count in zip(names, counts, strict=True))
    lines = [
        f"| {row.spec} | " + " | ".join(f"{recall:.3f}" for recall in row.by_size) + " |"
        for row in sorted(rows, key=lambda row: row.ms)
    ]
    return f"| detector{head} |\n|---|---|---|---|---|\n" + "\n".join(lines)


def file_table(specs: Sequence[str]) -> str:
    """Return the terms of the files that the presets take."""
    names = dict.fromkeys(name for spec in specs for name in DETECTORS.built_in[spec].models)
    entries = [store.MODELS.entry(name) for name in names]
    lines = [f"| {entry.file} | {entry.bytes / 1e6:.1f} | {entry.licence} |" for entry in entries]
    return "| file | MB | licence |\n|---|---|---|\n" + "\n".join(lines)


def picture(rows: Sequence[Figures]) -> bytes:
    """Draw recall against time, the front as steps."""
    axes = (figure := Figure(figsize=(7, 4.5), layout="constrained")).subplots()
    on = sorted((row for row in rows if row.spec in front(rows)), key=lambda row: row.ms)
    axes.step([r.ms for r in on], [r.recall[0] for r in on], where="post", color="#8d96a2")
    for row in rows:
        preset = row.spec in PRESETS
        color = "#d55e00" if preset else "#0072b2"
        fill = color if row.any_use else "none"
        axes.plot(row.ms, row.recall[0], "o", c=color, mfc=fill, markersize=8 if preset else 5)
        if row.spec in STEPS and "scrfd+" not in row.spec:
            continue  # among their neighbours there is no room for words
        axes.annotate(
            row.spec.removeprefix("fused:detectors=").replace(":max_side=", " at "),
            (row.ms, row.recall[0]),
            xytext=(0, 9) if preset else (5, -10),
            textcoords="offset points",
            ha="center" if preset else "left",
            fontsize=10 if preset else 7,
            weight="bold" if preset else "normal",
        )
    axes.set_xscale("log")
    axes.set_xlabel("ms a photo, one thread")
    axes.set_ylabel("recall at the detector's own threshold")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(buffer := io.BytesIO(), format="png", dpi=130)
    return buffer.getvalue()


def report(rows: Sequence[Figures], absent: Sequence[str], truths: list[Truth], rounds: int) -> str:
    faces = sum(int((truth.labels == FACE).sum()) for truth in truths)
    made_of = "\n".join(
        f"- `{name}`: {DETECTORS.built_in[name].summary}"
        f" (`{DETECTORS.built_in[name].target.rpartition(':')[2]}`,"
        f" {', '.join(f'{k}={v}' for k, v in DETECTORS.built_in[name].options.items())})"
        for name in PRESETS
    )
    left_out = "".join(f"\n{reason}\n" for reason in absent)
    return f"""# Detectors

`python benchmarks/detectors.py`: the {len(truths)} photos of `wider_groups`, {faces} labelled
faces, IoU at least 0.5. Recall and precision at each detector's own threshold; AP50 over all
scores. [low, high]: 95 % interval over photos. ms a photo: one thread's processor time, median of
{rounds} rounds in which the detectors take turns at each photo, on {versions()["platform"]}.
*Use*: whether the terms of its files allow any (MIT, Apache-2.0, BSD), or do not: for research
alone, for open source alone (AGPL), or not stated. *Front*: none for any use finds as many faces in
as little time. In the picture the others are rings; dots without a name are other sizes
and mixtures.

![Recall against time](detectors.png)

{main_table(rows)}
{left_out}
## The presets

{made_of}

Thresholds and the curves that put scores of different detectors on one scale come from other
photos (`--fit`), so that these stay a test. Which detectors to fuse, and the sizes, were
chosen with a look at these: expect a little less elsewhere.

{file_table(PRESETS)}

## Recall by size of face

The square root of the labelled box's area; in brackets the number of faces.

{size_table(rows, truths)}
"""


def fit(specs: Sequence[str], data: Path) -> str:
    """Return the logistic curve of each detector's score, from photos not reported on."""
    from sklearn.linear_model import LogisticRegression

    photos = list(choosing(data))
    lines = []
    for spec in specs:
        try:
            detector = at_any_score(spec)
        except GroupemoError as error:
            lines.append(f"# {spec}: {str(error).splitlines()[0]}")
            continue
        name = type(detector).__name__
        scores, right = [], []
        for truth, min_iou in photos:
            ranked = ranking([truth], [detector(truth.image)], min_iou=min_iou)
            scores.extend(ranked.score)
            right.extend(ranked.hit)
        model = LogisticRegression(C=1e3).fit(np.array(scores)[:, None], right)
        slope = model.coef_[0, 0]
        lines.append(f'    "{name}": Curve({slope:.3g}, {-model.intercept_[0] / slope:.3g}),')
    return "\n".join(lines)


def choosing(data: Path) -> Iterator[tuple[Truth, float]]:
    """Yield the photos that choices are made on, with the least IoU of their boxes."""
    samples = fetch_samples().paths
    for name, labelled in load_labels(ROOT / "labels" / "samples.csv").items():
        if name in samples:
            yield Truth(read_photo(samples[name]), labelled.boxes, labelled.labels), 0.5
    for folder, step, min_iou in (("group_emotion_real9", 1, 0.3), ("collages", 9, 0.5)):
        labels = load_labels(data / folder / "labels.csv")
        for name in sorted(labels)[::step]:
            image = read_photo(data / folder / "photos" / name)
            yield Truth(image, labels[name].boxes, labels[name].labels), min_iou


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--detectors", nargs="+", metavar="SPEC")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--photos", type=int, help="only the first so many")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "detectors.md")
    parser.add_argument("--fit", action="store_true", help="print the curves of fused instead")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    if options.fit:
        print(fit(options.detectors or ALONE, options.data))
        return
    truths = list(read_truth(options.data / "wider_groups"))[: options.photos]
    seen, absent = run(options.detectors or PRESETS + ALONE + STEPS, truths, options.rounds)
    rows = [figures(each, truths) for each in seen]
    text = report(rows, absent, truths, options.rounds)
    print(text)
    write_atomically(options.out, text.encode())
    write_atomically(options.out.with_suffix(".png"), picture(rows))


if __name__ == "__main__":
    main()
