"""Say how right each backend is, given the face.

python benchmarks/backends.py [--data ../shared/data] [--backend fer --backend onnx:model=net.onnx]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

import groupemo
from groupemo import markdown
from groupemo.analysis import Analysis
from groupemo.backends._base import CropBackend
from groupemo.detectors.labelled import LABELLED
from groupemo.emotions import EMOTIONS, parse_emotion
from groupemo.faces import Faces
from groupemo.figures import FIGURES, Estimate, Weighed
from groupemo.files import write_atomically
from groupemo.labels import LabelledFaces, Labels
from groupemo.metrics import agreement
from groupemo.metrics.uncertainty import weightings
from groupemo.models.store import list_models
from groupemo.plugins import BACKENDS, Loaded
from groupemo.scores import Scores

ROOT = Path(__file__).resolve().parent.parent
SIDE, COLUMNS = 48, 60
"""The sheet's cells: side in pixels, cells a row."""
VOTES = ["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear"]
OTHERS = ["contempt", "unknown", "not_a_face"]
WHOLE = [[0, 0, SIDE, SIDE]]

SHOWN = ("groupemo", "fer", "deepface", "face-api")
"""Backends, where none is named."""

OUT_OF_REACH = ("ferplus", "hsemotion", "hsemotion-afew")
"""Shown as well where their files are on this machine: no package index has them."""

PHOTOS = {"collages": 0.5, "group_emotion_real9": 0.3, "wider_groups": 0.5}
"""Folder -> least IoU."""
FIGURES_SHOWN = {
    "accuracy": "matched_accuracy",
    "UAR": "matched_balanced_accuracy",
    "cross-entropy with votes": "matched_soft_cross_entropy",
    "log-loss": "matched_log_loss",
    "ECE": "matched_ece",
}

NOTES = """Perceived expressions. [low, high]: 95 % intervals.

- *FER+ majority*: faces of FER2013's PublicTest whose pixels do not stand in its training set, 48 x
  48 pixels, resized as each backend resizes its crops, no detector and no cropping. The truth is
  the majority of ten taggers, where it is unique, the largest of all ten columns, and one of the
  seven classes. Intervals are over faces.
- *FER2013's own labels*: the same sheet, all faces not leaked; these labels agree with the FER+
  majority on about 62 % of the faces.
- *collages* (coarse labels of gray web faces: angry, sad, fear, happy, neutral),
  *group_emotion_real9* and *wider_groups* (our own labels, by two passes of a vision-language
  model: labels/README.md): the labelled boxes, cropped as each backend crops. Intervals are
  over photos.
- *UAR*: mean recall of the classes that occur. *Cross-entropy* and *log-loss* in nats. *ECE*: 15
  bins.
- *ms a face*: resizing and net, one thread. *MB*: the model files.
- A *stand-in* is a net of the same shape trained for groupemo's tests: its figures are not those of
  the published weights."""


def read_cells(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return faces, shape (n, 48, 48), FER2013's labels and FER+'s majority, -1 where none."""
    table, cells = read_sheet(folder)
    labels = np.array([EMOTIONS.index(parse_emotion(word)) for word in table["fer2013"]])
    return cells, labels, majority(table)


def read_sheet(folder: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the rows of PublicTest that are not leaked, and their faces, shape (n, 48, 48)."""
    table = pd.read_csv(folder / "public_test.csv")
    table = table[table["in_train"] == 0]
    sheet = cv2.imread(str(folder / "public_test.webp"), cv2.IMREAD_GRAYSCALE)
    tops, lefts = np.divmod(table["cell"].to_numpy(), COLUMNS)
    cells = sheet.reshape(len(sheet) // SIDE, SIDE, COLUMNS, SIDE).swapaxes(1, 2)[tops, lefts]
    return table, cells


def votes_of(table: pd.DataFrame) -> np.ndarray:
    """Return the votes for the seven classes, shape (n, 7), in the order of `EMOTIONS`."""
    return table[VOTES].rename(columns=parse_emotion)[list(EMOTIONS)].to_numpy()


def majority(table: pd.DataFrame) -> np.ndarray:
    """Return the class with the unique largest vote of all ten columns, or -1."""
    best = agreement.majority(np.hstack([votes_of(table), table[OTHERS]]))
    return np.where(best < len(EMOTIONS), best, -1)


def labelled_sheets(table: pd.DataFrame) -> dict[str, Labels]:
    """Return the two ways PublicTest is labelled; each cell is a photo that is one face."""
    names = [str(cell) for cell in table["cell"]]
    own = [EMOTIONS.index(parse_emotion(word)) for word in table["fer2013"]]
    tagged = [
        (name, LabelledFaces(WHOLE, [label], votes=[votes]))
        for name, label, votes in zip(names, majority(table), votes_of(table), strict=True)
        if label >= 0
    ]
    labelled = [
        (name, LabelledFaces(WHOLE, [label])) for name, label in zip(names, own, strict=True)
    ]
    return {
        "FER+ majority": Labels(dict(tagged)),
        "FER2013's own labels": Labels(dict(labelled)),
    }


def analyses_of(
    loaded: Loaded, names: list[str], cells: np.ndarray
) -> tuple[list[Analysis], float]:
    """Return what a backend says of each cell, and its milliseconds a face."""
    backend = loaded.plugin
    assert isinstance(backend, CropBackend), f"{loaded.label}: reads no crops"
    start = time.perf_counter()
    probs = backend.predict(np.stack([backend.encode(cell) for cell in cells]))
    milliseconds = (time.perf_counter() - start) / len(cells) * 1000
    whole = Faces(WHOLE)
    return [
        Analysis(
            name, "", SIDE, SIDE, whole, row[np.newaxis], backend.classes, LABELLED, loaded.label
        )
        for name, row in zip(names, probs, strict=True)
    ], milliseconds


def estimates(scores: Scores) -> Iterator[tuple[str, Estimate]]:
    """Yield the figures shown, with their intervals over photos."""
    weighed = [Weighed(scores, weights) for weights in weightings(len(scores.photos))]
    for title, name in FIGURES_SHOWN.items():
        figure = FIGURES[name]
        yield title, figure.estimate(*map(figure.of, weighed), int(figure.count(scores)))


def row_of(scores: Scores) -> dict[str, str]:
    """Return one row of a table."""
    told = dict(estimates(scores))
    row = {"backend": scores.backend, "faces": f"{told['accuracy'].n:,}"}
    for title, one in told.items():
        row[title] = (
            "-" if np.isnan(one.value) else f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"
        )
    return row


def megabytes(loaded: Loaded) -> str:
    """Return the size of a backend's model files; "-" where they are not the store's."""
    files = {one.entry.file: one.path for one in list_models() if one.path}
    if not loaded.plugin.models.keys() <= files.keys():
        return "-"
    return f"{sum(files[name].stat().st_size for name in loaded.plugin.models) / 1e6:.1f}"


def keras_difference() -> str:
    """Return a line: how far fer's ONNX is from Keras on the reference inputs of the tests."""
    sys.path.insert(0, str(ROOT / "tests"))
    from generate_fer_reference import TARGET, make_inputs

    reference = np.load(TARGET)["probs"]
    probs = BACKENDS.load("fer").plugin.predict(make_inputs())
    apart = np.abs(probs - reference).max()
    return f"`fer` against Keras on {len(probs)} made inputs: at most {apart:.1e} apart."


def to_markdown(rows: list[dict[str, str]]) -> str:
    """Return the rows as a Markdown table."""
    first, *rest = rows[0]
    return markdown.table(
        [first, *(f"{name}>" for name in rest)], [[*row.values()] for row in rows]
    )


def on_cells(folder: Path, backends: list[Loaded]) -> dict[str, list[tuple[Scores, float]]]:
    """Return each way the cells are labelled: each backend's scores and milliseconds a face."""
    table, cells = read_sheet(folder)
    names = [str(cell) for cell in table["cell"]]
    sheets = labelled_sheets(table)
    judged: dict[str, list[tuple[Scores, float]]] = {title: [] for title in sheets}
    for loaded in backends:
        analyses, milliseconds = analyses_of(loaded, names, cells)
        for title, labels in sheets.items():
            scores = groupemo.score(labels, (one for one in analyses if one.photo in labels))
            judged[title].append((scores, milliseconds))
    return judged


def scores_on_photos(folder: Path, min_iou: float, specs: Sequence[str]) -> tuple[Scores, ...]:
    """Return each backend's scores on the labelled boxes of a folder of photos."""
    return groupemo.evaluate(
        folder / "photos", label_file(folder), detectors=[LABELLED], backends=specs,
        min_iou=min_iou,
    ).scores  # fmt: skip


def label_file(folder: Path) -> Path:
    """Return the labels that came with the photos of a folder, or else our own."""
    published = folder / "labels.csv"
    return published if published.is_file() else ROOT / "labels" / f"{folder.name}.csv"


def cell_rows(judged: list[tuple[Scores, float]], backends: list[Loaded]) -> list[dict[str, str]]:
    """Return a row a backend, with its speed and size."""
    return [
        row_of(scores) | {"ms a face": f"{milliseconds:.2f}", "MB": megabytes(loaded)}
        for (scores, milliseconds), loaded in zip(judged, backends, strict=True)
    ]


def photo_row(scores: Scores) -> dict[str, str]:
    """Return a row of labels that have no votes."""
    return {key: text for key, text in row_of(scores).items() if "votes" not in key}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "backends.md")
    parser.add_argument("--backend", action="append", help=f"a spec; by default {', '.join(SHOWN)}")
    chosen = parser.parse_args()
    if (chosen.data.parent / "models").is_dir():
        os.environ.setdefault("GROUPEMO_MODELS", str(chosen.data.parent / "models"))
    cv2.setNumThreads(1)
    here = {one.name for one in groupemo.list_backends() if one.ready}
    specs = chosen.backend or [*SHOWN, *(name for name in OUT_OF_REACH if name in here)]
    backends = [BACKENDS.load(spec) for spec in specs]
    judged = on_cells(chosen.data / "fer2013", backends)
    tables = {title: cell_rows(each, backends) for title, each in judged.items()}
    for name, min_iou in PHOTOS.items():
        scores = scores_on_photos(chosen.data / name, min_iou, specs)
        tables[name] = [photo_row(each) for each in scores]
    text = f"# Backends, given the face\n\n`python benchmarks/backends.py`\n\n{NOTES}\n"
    for title, rows in tables.items():
        text += f"\n## {title}\n\n{to_markdown(rows)}\n"
    if "fer" in specs:
        text += f"\n{keras_difference()}\n"
    print(text)
    write_atomically(chosen.out, text.encode())


if __name__ == "__main__":
    main()
