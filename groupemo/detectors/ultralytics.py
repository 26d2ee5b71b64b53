"""The ultralytics package: YOLO face models of any of its families, run by their own code.

groupemo's own `yolo` runs ONNX exports of the families 8, 11 and 12 without PyTorch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2

from groupemo.detectors._base import Found, Image, NativeDetector, checked
from groupemo.errors import ModelError
from groupemo.models.resolver import sha256_of
from groupemo.packages import ULTRALYTICS, left_alone

__all__ = ["Ultralytics", "face_classes"]

_TASKS = ("detect", "pose")


class Ultralytics(NativeDetector):
    """Faces, and landmarks where the model gives five points, by `YOLO.predict`.

    Parameters
    ----------
    model : str or Path
        Your own file: `.pt`, or any export the package runs, such as `.onnx`. A `.pt` file is
        a program: open only those you trust.
    conf : float
        The least score; it is the model's probability of a face, 0..1.
    iou : float
        Of two boxes whose IoU is larger, the surer one is kept.
    imgsz : int
        The longer side the photo is scaled to; a file of fixed size keeps its own.
    face_class : str
        The class whose boxes are faces, in small letters or large.
    min_size : float
        The shortest box side kept, in pixels.

    Raises
    ------
    OptionError, ModelError, MissingExtra
        If an option means nothing; the file is not there, is not a YOLO model that finds boxes,
        or knows no class of that name; or the package is not installed.
    """

    package = ULTRALYTICS

    def __init__(
        self,
        *,
        model: str | Path,
        conf: float = 0.25,
        iou: float = 0.7,
        imgsz: int = 640,
        face_class: str = "face",
        min_size: float = 0,
    ) -> None:
        super().__init__(0, min_size, None)
        path = Path(model)
        self._options: dict[str, Any] = {
            "conf": checked("conf", conf, 0, 1),
            "iou": checked("iou", iou, 0, 1),
            "imgsz": int(checked("imgsz", imgsz, 32)),
            "verbose": False,
        }
        if not path.exists():  # the package would look for it on the network
            raise ModelError(f"{path}: not there: give the file of a YOLO face model")
        self._model = _opened(path)
        self._options["classes"] = face_classes(self._model.names, str(face_class), str(path))
        self.models = {path.name: sha256_of(path)} if path.is_file() else {}

    def _find(self, image: Image) -> Found:
        [result] = self._model.predict(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), **self._options)
        found = result.boxes.cpu().numpy()
        points = None if result.keypoints is None else result.keypoints.cpu().numpy().xy
        five = points is not None and points.shape[1] == 5
        return Found(found.xyxy, found.conf, points if five else None)


def face_classes(names: Mapping[int, str], wanted: str, where: str) -> list[int]:
    """Return which of a model's classes are faces, by name.

    Raises
    ------
    ModelError
        If none is; names the classes there are.
    """
    faces = [key for key, name in names.items() if str(name).lower() == wanted.lower()]
    if not faces:
        some = ", ".join(map(str, list(names.values())[:3])) + ", ..." * (len(names) > 3)
        count = f"{len(names)} class" + "es" * (len(names) > 1)
        raise ModelError(
            f"{where}: not a face model: it knows {count} ({some}), none named {wanted!r}; if the"
            " boxes of one of them are faces, name it: face_class=NAME"
        )
    return faces


def _opened(path: Path) -> Any:
    package = ULTRALYTICS.load()
    try:
        with left_alone():
            model = package.YOLO(path)
            task, _ = model.task, model.names  # which an export is opened for
    except Exception as error:  # whatever a file that is none of its own lets it raise
        said = " ".join(str(error).split())
        raise ModelError(f"{path}: not a model ultralytics can run: {said}") from error
    if task not in _TASKS:
        raise ModelError(
            f"{path}: a model for the task {task!r}: expected one of {', '.join(_TASKS)}"
        )
    return model
