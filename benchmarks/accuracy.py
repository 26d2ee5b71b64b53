"""Every detector x backend on labelled group photos, and the same totals from scikit-learn.

    python benchmarks/accuracy.py [--data ../shared/data]

The figures are `groupemo.evaluate`'s. The last column is the largest difference
to scikit-learn's accuracy, macro F1 and log-loss on the same pairs of labelled
and answered faces, matched and end to end; the pairs are taken from the table of
faces, not from the counts.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from backends import label_file
from sklearn.metrics import accuracy_score, f1_score, log_loss

import groupemo
from groupemo.demo import DEMO_BACKENDS, DEMO_DETECTORS
from groupemo.files import write_atomically
from groupemo.scores import Scores

ROOT = Path(__file__).resolve().parent.parent
SETS = {"group_emotion_real9": 0.3, "collages": 0.5, "wider_groups": 0.5}
"""Folder -> least IoU: boxes of the first are drawn wider than a detector's."""


def difference(scores: Scores) -> float:
    """Return the largest difference between our figures and scikit-learn's."""
    ours = scores.overall()
    faces = scores.faces()
    known = list(scores.classes)
    matched = faces[faces["labelled"].isin(known) & faces["answered"].isin(known)]
    truth = matched["labelled"]
    theirs = {
        "matched_accuracy": accuracy_score(truth, matched["answered"]),
        "matched_macro_f1": _macro_f1(truth, matched["answered"]),
    }
    judged = faces[faces["labelled"].isin(known) | (faces["outcome"] == "phantom")]
    truth, answer = judged["labelled"].fillna("none"), judged["answered"].fillna("none")
    real = truth != "none"
    theirs["end_to_end_accuracy"] = accuracy_score(truth[real], answer[real])
    theirs["end_to_end_macro_f1"] = _macro_f1(truth, answer)
    rows, columns = _answers(scores)
    theirs["matched_log_loss"] = log_loss(
        columns, np.clip(rows, 1e-15, 1), labels=range(len(known))
    )
    return max(abs(ours[name] - value) for name, value in theirs.items())


def _macro_f1(truth: pd.Series, answer: pd.Series) -> float:
    labels = sorted(set(truth) - {"none"})
    return float(f1_score(truth, answer, labels=labels, average="macro", zero_division=0))


def _answers(scores: Scores) -> tuple[np.ndarray, list[int]]:
    """Return the probabilities and labels of all found and answered faces of a known class."""
    rows, labels = [], []
    for photo in scores.photos:
        for row, face in enumerate(photo.outcome.detected):
            label = photo.labelled.labels[face] if face >= 0 else -1
            if label >= 0 and not np.isnan(photo.probs[row]).any():
                rows.append(photo.probs[row])
                labels.append(int(label))
    return np.array(rows), labels


def table(folder: Path, min_iou: float) -> str:
    """Return one data set's table in Markdown."""
    evaluation = groupemo.evaluate(
        folder / "photos", label_file(folder), detectors=DEMO_DETECTORS,
        backends=DEMO_BACKENDS, min_iou=min_iou,
    )  # fmt: skip
    lines = [
        "| detector | backend | found / labelled | phantoms | detection F1 | matched accuracy (n) |"
        " matched log-loss | end-to-end macro-F1 [95 %] | scikit-learn differs by |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for scores in evaluation.scores:
        seen = scores.overall()
        macro = scores.estimates()["end_to_end_macro_f1"]
        lines.append(
            f"| {scores.detector} | {scores.backend} | {seen['found']} / {seen['labelled']}"
            f" | {seen['phantom']} | {seen['detection_f1']:.3f}"
            f" | {seen['matched_accuracy']:.3f} ({seen['matched']})"
            f" | {seen['matched_log_loss']:.3f}"
            f" | {seen['end_to_end_macro_f1']:.3f} [{macro.low:.3f}, {macro.high:.3f}]"
            f" | {difference(scores):.1e} |"
        )
    plugins = evaluation.manifest["plugins"]
    files = [
        f"{name}: {', '.join(told['models'])}"
        for kind in ("detectors", "backends")
        for name, told in plugins[kind].items()
        if told["models"]
    ]
    return "\n".join([*lines, "", f"Model files: {'; '.join(files)}."])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "accuracy.md")
    options = parser.parse_args()
    text = (
        "# Accuracy on labelled group photos\n\n`python benchmarks/accuracy.py`. Perceived"
        " expressions. Stand-in weights are not the published model's: no figure made with them is"
        " that model's accuracy.\n"
    )
    for name, min_iou in SETS.items():
        text += f"\n## {name} (IoU at least {min_iou})\n\n{table(options.data / name, min_iou)}\n"
    print(text)
    write_atomically(options.out, text.encode())


if __name__ == "__main__":
    main()
