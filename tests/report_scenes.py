"""Made evaluations for the tests of reports, plots and exports: known by construction."""

import numpy as np

from groupemo import EMOTIONS, Analysis, Evaluation, Faces, LabelledFaces, Labels
from groupemo.analysis import Failure
from groupemo.images import digest
from groupemo.testing import make_scene, write_scenes

HAPPY, SAD, NEUTRAL = (EMOTIONS.index(word) for word in ("happy", "sad", "neutral"))
ODD = "<script>alert('x')|.png"


def answers(*words):
    """Return one row a word: .7 on it, the rest spread; None abstains."""
    rows = np.full((len(words), 7), 0.05)
    for row, word in enumerate(words):
        rows[row] = rows[row] if word else np.nan
        rows[row, EMOTIONS.index(word or "happy")] += 0.65
    return rows


def analysis(scene, folder, boxes, words, pair=("eye", "mind"), **more):
    return Analysis(
        photo=scene.name,
        sha256=digest(scene.encoded()),
        width=scene.image.shape[1],
        height=scene.image.shape[0],
        faces=Faces(boxes, np.linspace(0.9, 0.5, len(boxes))),
        probs=answers(*words),
        classes=EMOTIONS,
        detector=pair[0],
        backend=pair[1],
        seconds={"read": 0.25, "detect": 0.5},
        path=str(folder / scene.name),
        **more,
    )


def unread(name, pair=("eye", "mind")):
    failure = Failure("read", "cut off <b>here</b>")
    return Analysis(name, "", 0, 0, Faces.empty(), np.empty((0, 7)), EMOTIONS, *pair, {}, {},
                    failure)  # fmt: skip


def evaluation(folder, pairs=(("eye", "mind"), ("eye", "mind (stand-in)"))):
    """Two photos that were read and one that was not.

    party.png    labelled:  happy   sad     neutral
                 detected:  happy   happy   -          and one stray box, answered sad
    <script>...  labelled:  happy
                 detected:  no answer
    """
    party = make_scene(["happy", "sad", "neutral"], name="party.png")
    odd = make_scene(["happy"], name="odd.png")
    object.__setattr__(odd, "name", ODD)
    (folder / ODD).write_bytes(odd.encoded())
    labels = {**write_scenes([party], folder), ODD: odd.labelled, "gone.jpg": LabelledFaces.empty()}
    stray = [[0, 0, 20, 20]]
    boxes = np.concatenate([party.labelled.boxes[:2], stray])
    runs = [
        one
        for pair in pairs
        for one in (
            analysis(party, folder, boxes, ["happy", "happy", "sad"], pair),
            analysis(odd, folder, odd.labelled.boxes, [None], pair),
            unread("gone.jpg", pair),
        )
    ]
    return Evaluation.of(Labels(labels), runs, manifest={"versions": {"groupemo": "<i>0</i>"}})


def voted(folder, photos=12):
    """Twelve photos alike, with votes, a column of the labeller's own, and all kinds of runs.

    labelled:  happy (8 happy, 2 sad)   sad (6 sad, 4 neutral)   neutral (all 10), by day and night
    eye        finds all but the last face, and in every second photo a stray box
    mind       answers happy, neutral, neutral; guess, happy, happy, happy
    labelled   is given the labelled boxes; prior always answers happy
    """
    votes = np.zeros((3, 7))
    votes[[0, 0, 1, 1, 2], [HAPPY, SAD, SAD, NEUTRAL, NEUTRAL]] = 8, 2, 6, 4, 10
    scenes = [
        make_scene(["happy", "sad", "neutral"], name=f"photo_{i:02}.png") for i in range(photos)
    ]
    write_scenes(scenes, folder)
    labels = {
        scene.name: LabelledFaces(
            scene.labelled.boxes,
            scene.labelled.labels,
            votes=votes,
            extra={"light": ("day", "day", "night")},
        )
        for scene in scenes
    }
    words = {
        "mind": ("happy", "neutral", "neutral"),
        "guess": ("happy",) * 3,
        "prior": ("happy",) * 3,
    }
    runs = []
    for backend, answer in words.items():
        for index, scene in enumerate(scenes):
            stray = [[0, 0, 20, 20]] * (index % 2)
            eye = np.concatenate([scene.labelled.boxes[:2], np.reshape(stray, (-1, 4))])
            said = [*answer[:2], *answer[2:] * (index % 2)]
            runs.append(analysis(scene, folder, eye, said, ("eye", backend)))
            runs.append(
                analysis(scene, folder, scene.labelled.boxes, answer, ("labelled", backend))
            )
    runs.sort(key=lambda one: (one.detector, one.backend))
    return Evaluation.of(Labels(labels), runs)
