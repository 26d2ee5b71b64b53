"""Made evaluations for the gallery: one mistake of each kind, and a whole grid of runs."""

import numpy as np
from report_scenes import analysis, answers

from groupemo import EMOTIONS, Analysis, Evaluation, Faces, LabelledFaces, Labels
from groupemo.boxes import clip
from groupemo.images import Photo, digest
from groupemo.testing import make_scene, write_scenes

HOSTILE = "</script><img src=x onerror=alert(1)>\u202e\"'& <!--.png"


def one_of_each(folder, pairs=(("eye", "mind"),)):
    """Return one photo on which every run makes one mistake of each kind.

    labelled:  happy    sad      neutral   fear     angry
    detected:  happy    happy    half off  -        no answer   and a stray box, answered sad
               and once more, 4 px beside: surprise
    """
    party = make_scene(["happy", "sad", "neutral", "fear", "angry"], name="party.png")
    faces = party.labelled.boxes
    boxes = [
        faces[0], faces[1], faces[2] + [24, 0, 24, 0], faces[4], faces[0] + [4, 0, 4, 0],
        [0, 0, 20, 20],
    ]  # fmt: skip
    words = ["happy", "happy", "neutral", None, "surprise", "sad"]
    labels = write_scenes([party], folder)
    return Evaluation.of(labels, [analysis(party, folder, boxes, words, pair) for pair in pairs])


DETECTORS = {"eye": (0.2, 6), "a glance": (0.4, 9), "labelled": (0, 0)}
"""The share of faces each misses, and how many pixels its boxes are off."""

BACKENDS = {"mind": 0.6, "mood": 0.4, "prior:classes=7": 0}
"""The share of faces each answers with the label; all others are happy to it."""


def grid(photos=8, detectors=DETECTORS, backends=BACKENDS):
    """Return an evaluation with a run in every part, votes, and a column to slice by.

    Nothing lies in a file. The first photo's name must not be run.
    """
    rng = np.random.default_rng(0)
    labels, found, runs = {}, [], []
    for i in range(photos):
        name = f"{i} of a group in summer.png" if i else HOSTILE
        scene = make_scene(rng.choice(EMOTIONS, 6), name=name)
        truth = scene.labelled
        votes = 3 * np.eye(7)[truth.labels] + rng.multinomial(2, np.ones(7) / 7, 6)
        light = rng.choice(["day", "night"], 6).tolist()
        labels[name] = LabelledFaces(truth.boxes, truth.labels, votes, extra={"light": light})
        found.append(Photo(name, scene.encoded()))
        for detector in detectors:
            runs += _runs(scene, detector, backends, rng)
    return Evaluation.of(Labels(labels), runs, photos=found)


def _runs(scene, detector, backends, rng):
    """Yield one photo's analyses by a detector and all backends."""
    miss, off = DETECTORS[detector]
    faces, words = scene.labelled.boxes, np.array(EMOTIONS)[scene.labelled.labels]
    height, width = scene.image.shape[:2]
    kept = np.flatnonzero(rng.random(len(faces)) >= miss)
    boxes = clip(faces[kept] + rng.normal(0, off, (len(kept), 4)), width, height)
    for backend in backends:
        right = rng.random(len(kept)) < BACKENDS[backend]
        yield Analysis(
            photo=scene.name,
            sha256=digest(scene.encoded()),
            width=width,
            height=height,
            faces=Faces(boxes, rng.random(len(boxes))),
            probs=answers(*np.where(right, words[kept], "happy").tolist()),
            classes=EMOTIONS,
            detector=detector,
            backend=backend,
            seconds={"read": 0.25},
        )
