"""What a figure becomes as crop, detector and classifier are put right, one after the other."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

import groupemo
from crosschecks.cases import Case, Check
from crosschecks.classification import averaged_f1
from crosschecks.judging import UNSURE, K, Row
from groupemo.ablation import ablation
from groupemo.faces import Faces
from groupemo.labels import IGNORE, Labels


@lru_cache(maxsize=8)
def told(case: Case) -> list[list[int]]:
    """Return made answers to the labelled faces of each photo; some are abstentions."""
    rng = np.random.default_rng(len(case.rows))
    return [
        [label if label >= 0 and rng.random() < 0.5 else int(rng.integers(0, K + 1))
         for label in photo.labels]
        for photo in case.photos
    ]  # fmt: skip


def as_probs(answers: list[int]) -> np.ndarray:
    """Return rows that give these answers."""
    rows = np.full((K + 1, K), np.nan)
    rows[:K] = np.eye(K)
    return rows[np.array(answers, dtype=int)]


def our_steps(case: Case) -> np.ndarray:
    labels = Labels({one.analysis.photo: one.labelled for one in case.scores.photos})
    analyses = []
    for one, answers in zip(case.scores.photos, told(case), strict=True):
        real = one.labelled.labels != IGNORE
        analyses.append(
            replace(
                one.analysis,
                faces=Faces(one.labelled.boxes[real]),
                probs=as_probs(answers)[real],
                detector="labelled",
            )
        )
    labelled = groupemo.score(labels, analyses, min_iou=case.scores.min_iou)
    return ablation(labels, case.scores, labelled, draws=20)["value"].to_numpy()


def steps(case: Case) -> list[float]:
    """Return scikit-learn's end-to-end macro-F1 after each step, of rows changed one by one."""
    answers = told(case)

    def reread(row: Row) -> Row:
        return row._replace(answer=answers[row.photo][row.face])

    faces = [row for row in case.faces if row.truth != UNSURE]
    chain = (
        case.end_to_end,
        [reread(row) if min(row.face, row.detection) >= 0 else row for row in case.end_to_end],
        [reread(row) for row in faces],
        [row._replace(answer=row.truth) for row in faces],
    )
    return [averaged_f1(rows, "macro") for rows in chain]


CHECKS = (
    Check(
        "end-to-end macro-F1 after each step of the ablation",
        "scikit-learn f1_score",
        our_steps,
        steps,
        note="as found, labelled crops, labelled boxes, all right",
        repeats=False,
    ),
)
