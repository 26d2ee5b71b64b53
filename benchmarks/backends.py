"""How right is each backend, given the face? FER2013's PublicTest, without its leaked faces.

python benchmarks/backends.py [--data ../shared/data] [--backend fer --backend deepface]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from groupemo.backends._base import CropBackend
from groupemo.emotions import EMOTIONS, align_probs, parse_emotion
from groupemo.files import write_atomically
from groupemo.plugins import BACKENDS

ROOT = Path(__file__).resolve().parent.parent
SIDE, COLUMNS = 48, 60
"""The sheet's cells: side in pixels, cells a row."""
VOTES = ["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear"]
OTHERS = ["contempt", "unknown", "not_a_face"]

NOTES = """Faces of FER2013's PublicTest whose pixels do not stand in its training set: 48 x 48
pixels, resized as each backend resizes its crops, no detector and no cropping.

- *accuracy*, *balanced* (mean recall of the seven classes) and *log-loss* (nats): against FER2013's
  own labels.
- *FER+*: against the majority of ten taggers, where it is unique, the largest of all ten columns,
  and one of the seven classes.
- *ms a face*: resizing and net, one thread.
- A *stand-in* is a net of the same shape trained for groupemo's tests: its figures are not those of
  the published weights."""


def read_cells(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return faces, shape (n, 48, 48), FER2013's labels and FER+'s majority, -1 where none."""
    table = pd.read_csv(folder / "public_test.csv")
    table = table[table["in_train"] == 0]
    sheet = cv2.imread(str(folder / "public_test.webp"), cv2.IMREAD_GRAYSCALE)
    tops, lefts = np.divmod(table["cell"].to_numpy(), COLUMNS)
    cells = sheet.reshape(len(sheet) // SIDE, SIDE, COLUMNS, SIDE).swapaxes(1, 2)[tops, lefts]
    labels = np.array([EMOTIONS.index(parse_emotion(word)) for word in table["fer2013"]])
    return cells, labels, majority(table)


def majority(table: pd.DataFrame) -> np.ndarray:
    """Return the class with the unique largest vote of all ten columns, or -1."""
    votes = table[VOTES].rename(columns=parse_emotion)[list(EMOTIONS)].to_numpy()
    top = votes.max(axis=1)
    unique = (votes == top[:, None]).sum(axis=1) == 1
    largest = top > table[OTHERS].to_numpy().max(axis=1)
    return np.where(unique & largest, votes.argmax(axis=1), -1)


def figures(
    backend: CropBackend, cells: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> dict[str, Any]:
    """Return one row of the table."""
    faces, labels, tagged = cells
    start = time.perf_counter()
    inputs = np.stack([backend.encode(face) for face in faces])
    probs = align_probs(backend.predict(inputs), backend.classes)
    seconds = time.perf_counter() - start
    top, known = probs.argmax(axis=1), tagged >= 0
    return {
        "n": len(faces),
        "accuracy": np.mean(top == labels),
        "balanced": balanced(top, labels),
        "log-loss": -np.log(np.clip(probs[np.arange(len(faces)), labels], 1e-15, 1)).mean(),
        "n FER+": int(known.sum()),
        "FER+ accuracy": np.mean((top == tagged)[known]),
        "FER+ balanced": balanced(top[known], tagged[known]),
        "ms a face": seconds / len(faces) * 1000,
    }


def keras_difference() -> str:
    """Return a line: how far fer's ONNX is from Keras on the reference inputs of the tests."""
    sys.path.insert(0, str(ROOT / "tests"))
    from generate_fer_reference import TARGET, make_inputs

    reference = np.load(TARGET)["probs"]
    probs = BACKENDS.load("fer").plugin.predict(make_inputs())
    apart = np.abs(probs - reference).max()
    return f"`fer` against Keras on {len(probs)} made inputs: at most {apart:.1e} apart."


def balanced(answers: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean recall of the classes that occur."""
    return float(np.mean([np.mean(answers[labels == each] == each) for each in np.unique(labels)]))


def to_markdown(table: pd.DataFrame) -> str:
    """Return the table as Markdown: counts whole, the rest to three places."""
    rows = [["backend", *table.columns], ["---"] + ["---:"] * len(table.columns)]
    for name, row in table.iterrows():
        values = [f"{x:,.0f}" if "n" in key.split() else f"{x:.3f}" for key, x in row.items()]
        rows.append([str(name), *values])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "backends.md")
    parser.add_argument("--backend", action="append", help="a spec; by default fer and deepface")
    chosen = parser.parse_args()
    if (chosen.data.parent / "models").is_dir():
        os.environ.setdefault("GROUPEMO_MODELS", str(chosen.data.parent / "models"))
    cv2.setNumThreads(1)
    cells = read_cells(chosen.data / "fer2013")
    loaded = [BACKENDS.load(spec) for spec in chosen.backend or ["fer", "deepface"]]
    rows = {each.label: figures(each.plugin, cells) for each in loaded}
    table = to_markdown(pd.DataFrame.from_dict(rows, orient="index"))
    text = f"# Backends\n\n`python benchmarks/backends.py`\n\n{NOTES}\n\n{table}\n"
    text += f"\n{keras_difference()}\n"
    print(text)
    write_atomically(chosen.out, text.encode())


if __name__ == "__main__":
    main()
