"""Who runs: groupemo's presets and pairs, and the packages as people run them and at their best."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from groupemo.errors import GroupemoError
from groupemo.models.store import fetch
from groupemo.plugins import DETECTORS

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ROOT / "tests" / "packages"
sys.path.insert(0, str(PACKAGES))

import environments  # noqa: E402

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

PRESETS = ("fast", "balanced", "best")
"""Detectors made to be chosen by name; the curve in the picture runs through them."""

INSTEAD = ("yunet", "yolo")
"""What the curve runs through where there are no presets."""

WEIGHTS = {
    "yunet": "face_detection_yunet_2023mar.onnx",
    "ssd-res10-prototxt": "deploy.prototxt",
    "ssd-res10-caffemodel": "res10_300x300_ssd_iter_140000.caffemodel",
}
"""groupemo's name of a model file -> the name under which deepface looks for it."""

HOME = ROOT / "build" / "leaderboard" / "deepface"
"""Where deepface finds its weights, so that it downloads none."""

EMOTION = "facial_expression_model_weights.onnx"


NOT_RUN = {
    "py-feat": "no worker is written for it: its wheel (2.1.5) carries no weights and fetches them"
    " from Hugging Face when a detector is made",
}
"""Who was looked at and does not run."""

PARAMETERS = {"detector": "detector_backend"}
"""Our name of an option -> DeepFace's."""


class NotHere(Exception):
    """A contender cannot run here; the message says why in one line."""


@dataclass(frozen=True)
class Contender:
    """A tool with its settings, and the environment it runs in.

    Parameters
    ----------
    name : str
        Short and unique: the key of its results.
    title : str
        As a user writes the call.
    tool : str
        One of `worker.TOOLS`.
    options : Mapping
        The tool's arguments.
    environment : str
        One of `tests/packages`, or "" for the interpreter this runs in.
    variables : Mapping
        Environment variables.
    crews : tuple of int
        How many processes may share its photos; the quickest number is taken.
    preset : bool
        A point of groupemo's curve.
    twin : str
        groupemo's contender with the same detector and net.
    """

    name: str
    title: str
    tool: str
    options: Mapping[str, object]
    environment: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    crews: tuple[int, ...] = (1, 2)
    preset: bool = False
    twin: str = ""

    @property
    def ours(self) -> bool:
        """Whether it is groupemo."""
        return self.tool == "groupemo"


def presets() -> list[str]:
    """Return the detectors of the curve, quickest first."""
    return [name for name in PRESETS if name in DETECTORS.names()] or list(INSTEAD)


def contenders() -> list[Contender]:
    """Return everybody, groupemo first; the first of all is what it does where nothing is named."""
    return [
        _ours("groupemo", "groupemo.analyze_all(photos)", None, None),
        *(
            _ours(f"groupemo {name}", f"groupemo.analyze_all(photos, detector={name!r})", name,
                  None, preset=True)
            for name in presets()
        ),
        *(
            _ours(f"groupemo {detector} x {backend}",
                  f"groupemo.analyze_all(photos, detector={detector!r}, backend={backend!r})",
                  detector, backend)
            for detector, backend in (("yunet", "deepface"), ("haar", "fer"), ("mtcnn", "fer"))
        ),
        _deepface("deepface"),
        _deepface("deepface yunet", detector="yunet"),
        _deepface("deepface yunet 0.7", 0.7, twin="groupemo yunet x deepface", detector="yunet"),
        _deepface("deepface yunet 0.7 unaligned", 0.7, twin="groupemo yunet x deepface",
                  detector="yunet", align=False),
        _deepface("deepface ssd", detector="ssd", align=False),
        _deepface("deepface mtcnn", environment="deepface-mtcnn", detector="mtcnn", align=False),
        _deepface("deepface retinaface", detector="retinaface", align=False),
        _fer("fer", "FER().detect_emotions(photo)", "fer", twin="groupemo haar x fer"),
        _fer("fer mtcnn", "FER(mtcnn=True).detect_emotions(photo)", "fer-mtcnn", mtcnn=True,
             twin="groupemo mtcnn x fer"),
    ]  # fmt: skip


def _ours(
    name: str, title: str, detector: str | None, backend: str | None, preset: bool = False
) -> Contender:
    options = {"detector": detector, "backend": backend, "workers": CORES}
    return Contender(name, title, "groupemo", options, crews=(1,), preset=preset)


def _deepface(
    name: str,
    threshold: float | None = None,
    twin: str = "",
    environment: str = "deepface",
    **options: object,
) -> Contender:
    """Return `DeepFace.analyze` with options, and YuNet's threshold, which is no option of it."""
    named = {PARAMETERS.get(key, key): value for key, value in options.items()}
    words = ["photo", "actions=['emotion']", *(f"{key}={value!r}" for key, value in named.items())]
    variables = {"DEEPFACE_BACKEND_ENGINE": "onnx", "DEEPFACE_HOME": str(HOME)}
    before = ""
    if threshold is not None:
        variables["yunet_score_threshold"] = str(threshold)
        before = f"yunet_score_threshold={threshold} "
    title = f"{before}DeepFace.analyze({', '.join(words)})"
    return Contender(name, title, "deepface", options, environment, variables, twin=twin)


def _fer(name: str, title: str, environment: str, twin: str, **options: object) -> Contender:
    variables = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    return Contender(name, title, "fer", options, environment, variables, twin=twin)


def interpreter(contender: Contender, given: Mapping[str, str]) -> str:
    """Return the Python a contender runs in: one that was given, or the lane's, built if need be.

    Raises
    ------
    NotHere
    """
    name = contender.environment
    if not name:
        return sys.executable
    if name in given:
        return given[name]
    if name not in environments.names():
        raise NotHere(f"there is no environment {name}: say --python {name}=PATH")
    try:
        return str(environments.interpreter(name))
    except environments.NotBuilt as error:
        raise NotHere(str(error)) from None


def lay_out_weights() -> bool:
    """Put the weights groupemo has where deepface looks; return whether the net's are a stand-in.

    Others deepface would download itself, which shows as a contender that is not here.
    """
    weights = HOME / ".deepface" / "weights"
    weights.mkdir(parents=True, exist_ok=True)
    try:
        emotion = fetch("deepface-emotion")
    except GroupemoError:
        emotion = fetch("deepface-emotion-stand-in")
    shutil.copyfile(emotion.path, weights / EMOTION)
    for name, file in WEIGHTS.items():
        shutil.copyfile(fetch(name).path, weights / file)
    return emotion.stand_in
