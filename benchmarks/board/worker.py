"""Answers requests in a contender's own environment: a JSON line in, a JSON line out.

    python worker.py KIND OPTIONS    OPTIONS: a JSON object, the arguments of the tool below

Nothing here is imported from groupemo but by its own tool, so any environment will do. Requests:

- {"photos": [path, ...]} -> {"answers": [{"boxes", "scores", "probs"}, ...], "classes": [...]}
- {"crops": file.npy, "way": name} -> {"seconds": ...} from crops to probabilities
- {"peak": true} -> {"megabytes": ..., "versions": {...}}

Boxes are x1, y1, x2, y2 in pixels; probs have a row a face, in the order of `classes`; crops have
shape (n, side, side, 3), uint8, RGB.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

CLASSES = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]

Answer = dict[str, Any]


class Groupemo:
    """groupemo with one detector and one backend; engines are loaded once, as peers' models are."""

    distributions = ("groupemo", "onnxruntime", "opencv-python-headless", "numpy")

    def __init__(self, detector: str | None, backend: str | None, workers: int = 2) -> None:
        from groupemo.images import MAX_PIXELS
        from groupemo.pipeline import load_engines
        from groupemo.plugins import BACKENDS, DEFAULT_BACKEND, DEFAULT_DETECTOR

        self.backend = backend or DEFAULT_BACKEND
        self.engines = load_engines(
            [detector or DEFAULT_DETECTOR], [self.backend], workers, MAX_PIXELS
        )
        self.classes = list(BACKENDS.load(self.backend).plugin.classes)

    def answers(self, photos: list[str]) -> Iterator[Answer]:
        """Yield each photo's faces."""
        from groupemo.images import find_photos
        from groupemo.pipeline import stream

        for one in stream(find_photos(photos), self.engines, None, False):
            yield answer(one.faces.boxes, one.faces.scores, one.probs)

    @cached_property
    def ways(self) -> dict[str, Callable[[Any], Any]]:
        """Return the ways from crops to probabilities."""
        import numpy as np

        from groupemo.plugins import BACKENDS

        backend = BACKENDS.load(self.backend).plugin
        return {"batch": lambda crops: backend.predict(np.stack([*map(backend.encode, crops)]))}


class DeepFace:
    """`DeepFace.analyze`, emotions alone."""

    distributions = ("deepface", "onnxruntime", "opencv-python-headless", "numpy")
    classes = CLASSES

    def __init__(self, detector: str = "opencv", align: bool = True) -> None:
        from deepface import DeepFace as package
        from deepface.modules.exceptions import FaceNotDetected

        self.package, self.no_face = package, FaceNotDetected
        self.options = {"detector_backend": detector, "align": align, "silent": True}

    def answers(self, photos: list[str]) -> Iterator[Answer]:
        """Yield each photo's faces."""
        for path in photos:
            try:
                faces = self.package.analyze(path, actions=["emotion"], **self.options)
            except self.no_face:
                faces = []
            yield answer(
                [corners(*(face["region"][side] for side in "xywh")) for face in faces],
                [face["face_confidence"] for face in faces],
                [[face["emotion"][name] / 100 for name in CLASSES] for face in faces],
            )

    @cached_property
    def ways(self) -> dict[str, Callable[[Any], Any]]:
        """Return its loop over faces, as `analyze` does it, and its own batches."""
        from deepface.modules import modeling

        net = modeling.build_model(task="facial_attribute", model_name="Emotion")
        return {
            "loop": lambda crops: [net.predict(crop[..., ::-1]) for crop in crops],
            "batch": lambda crops: net.predict([crop[..., ::-1] for crop in crops]),
        }


class Fer:
    """`FER.detect_emotions`."""

    distributions = ("fer", "tensorflow-cpu", "facenet-pytorch", "torch", "numpy")
    classes = CLASSES

    def __init__(self, mtcnn: bool = False) -> None:
        if mtcnn:
            import facenet_pytorch  # noqa: F401 - TensorFlow and PyTorch bear this order alone
        from fer.fer import FER

        self.make, self.package = FER, FER(mtcnn=mtcnn)

    def answers(self, photos: list[str]) -> Iterator[Answer]:
        """Yield each photo's faces."""
        for path in photos:
            faces = self.package.detect_emotions(path)
            yield answer(
                [corners(*map(int, face["box"])) for face in faces],
                [1.0] * len(faces),
                [[float(face["emotions"][name]) for name in CLASSES] for face in faces],
            )

    @cached_property
    def ways(self) -> dict[str, Callable[[Any], Any]]:
        """Return its loop over faces (TensorFlow Lite, its default), Keras in a loop and whole."""
        import cv2
        import numpy as np

        keras = self.make(use_tflite=False)

        def encoded(crops: Any) -> Any:
            grays = [cv2.resize(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), (64, 64)) for crop in crops]
            return (np.array(grays, dtype="float32") / 255 - 0.5) * 2

        return {
            "loop": lambda crops: self.package._classify_emotions(encoded(crops)),
            "keras loop": lambda crops: [
                keras._classify_emotions(face[None, ..., None]) for face in encoded(crops)
            ],
            "keras batch": lambda crops: keras._classify_emotions(encoded(crops)[..., None]),
        }


TOOLS: dict[str, Callable[..., Any]] = {"groupemo": Groupemo, "deepface": DeepFace, "fer": Fer}


def answer(boxes: Any, scores: Any, probs: Any) -> Answer:
    """Return one photo's answer."""
    return {"boxes": boxes, "scores": scores, "probs": probs}


def corners(x: float, y: float, w: float, h: float) -> list[float]:
    return [x, y, x + w, y + h]


def seconds_of(way: Callable[[Any], Any], crops: Any) -> float:
    start = time.perf_counter()
    way(crops)
    return time.perf_counter() - start


def peak_megabytes() -> float:
    """Return the most memory this process has held, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def versions(names: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def answered(tool: Any, request: dict[str, Any]) -> dict[str, Any]:
    if "photos" in request:
        return {"answers": list(tool.answers(request["photos"])), "classes": tool.classes}
    if "crops" in request:
        import numpy as np

        return {"seconds": seconds_of(tool.ways[request["way"]], np.load(request["crops"]))}
    return {"megabytes": peak_megabytes(), "versions": versions(tool.distributions)}


def main() -> None:
    kind, options = sys.argv[1], json.loads(sys.argv[2])
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    tool = TOOLS[kind](**options)
    for line in sys.stdin:
        try:
            said = answered(tool, json.loads(line))
        except Exception as error:
            said = {"error": f"{type(error).__name__}: {error}"}
        # what NumPy holds becomes plain numbers
        channel.write(json.dumps(said, default=lambda value: value.tolist()) + "\n")
        channel.flush()


if __name__ == "__main__":
    main()
