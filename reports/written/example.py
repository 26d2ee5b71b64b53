"""The worked example of the chapter on measures: one photo, every figure computed."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from groupemo.analysis import Analysis
from groupemo.emotions import EMOTIONS
from groupemo.evaluation import score
from groupemo.faces import Faces
from groupemo.labels import LabelledFaces, Labels
from groupemo.markdown import table
from groupemo.matching import Matching, match
from groupemo.report.words import number
from groupemo.scores import Scores

__all__ = ["Example"]

SIDE = 40

LABELLED = (("A", "happy", 0), ("B", "happy", 60), ("C", "happy", 120), ("D", "sad", 180),
            ("E", "neutral", 240))  # fmt: skip
"""Faces in a row: name, label, left edge."""

DETECTED = (
    ("1", 2, "happy", 0.9, 0.8),
    ("2", 66, "happy", 0.8, 0.6),
    ("3", 186, "neutral", 0.7, 0.5),
    ("4", 238, "neutral", 0.95, 0.7),
    ("5", 320, "happy", 0.6, 0.4),
)
"""Detections: name, left edge, answer, score, probability of the answer."""


class Example:
    """Five labelled faces, five detections."""

    @cached_property
    def scores(self) -> Scores:
        """The photo, judged."""
        labels = [EMOTIONS.index(word) for _, word, _ in LABELLED]
        faces = LabelledFaces(_row(left for _, _, left in LABELLED), labels)
        probs = np.array([_probs(word, sure) for _, _, word, _, sure in DETECTED])
        found = Faces(_row(left for _, left, *_ in DETECTED), [one[3] for one in DETECTED])
        photo = Analysis("row.png", "", 400, 60, found, probs, EMOTIONS, "detector", "backend")
        return score(Labels({"row.png": faces}), [photo])

    @cached_property
    def matching(self) -> Matching:
        """Which detection found which face."""
        return match(_row(left for _, _, left in LABELLED), _row(left for _, left, *_ in DETECTED))

    def pairs_table(self) -> str:
        """Return a row a face, and one for each phantom."""
        by_face = dict(self.matching.pairs.tolist())
        overlaps = dict(zip(by_face, self.matching.iou.tolist(), strict=True))
        rows = []
        for place, (name, word, _) in enumerate(LABELLED):
            if place not in by_face:
                rows.append([name, word, "", "", "", "missed"])
                continue
            one = DETECTED[by_face[place]]
            verdict = "right" if one[2] == word else "wrong"
            answer = f"{one[2]} ({number(one[4])})"
            rows.append([name, word, one[0], number(overlaps[place]), answer, verdict])
        for place in self.matching.spurious.tolist():
            one = DETECTED[place]
            rows.append(["", "", one[0], "", f"{one[2]} ({number(one[4])})", "phantom"])
        return table(["face", "labelled", "detection", "IoU>", "answer", "so it is"], rows)

    def counts_table(self) -> str:
        """Return the table of counts, without rows and columns of zeros."""
        frame = self.scores.confusion()
        rows = [name for name in frame.index if frame.loc[name].any()]
        columns = [name for name in frame.columns if frame[name].any()]
        cells = [[f"**{row}**", *(str(frame.loc[row, each]) for each in columns)] for row in rows]
        return table(["labelled / answered", *(f"{each}>" for each in columns)], cells)

    def __getitem__(self, figure: str) -> str:
        value = self.scores.overall()[figure]
        return str(value) if isinstance(value, int) else number(value, 3)

    def of_class(self, word: str, figure: str) -> str:
        """Return one figure of a class."""
        return number(float(self.scores.per_class().loc[word, figure]), 3)


def _row(lefts) -> np.ndarray:
    return np.array([[left, 10, left + SIDE, 10 + SIDE] for left in lefts])


def _probs(word: str, sure: float) -> np.ndarray:
    rest = (1 - sure) / (len(EMOTIONS) - 1)
    return np.where(np.array(EMOTIONS) == word, sure, rest)
