"""Detectors that run somebody else's package, with small modules that behave as the package does.

How they answer with the packages themselves: tests/packages.
"""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from groupemo import packages
from groupemo.errors import MissingExtra, ModelError, OptionError
from groupemo.plugins import DETECTORS, get_detector

PHOTO = np.full((60, 80, 3), (200, 100, 50), np.uint8)

NAMES = ["deepface-package", "face_recognition", "facenet-pytorch", "mtcnn-package"]


@pytest.fixture
def package(monkeypatch, tmp_path):
    """Return a function that puts a module of this name in place, of a version that was tested."""
    monkeypatch.setattr(packages.Package, "doubt", "")
    monkeypatch.setattr(packages.Package, "installed", True)

    def put(name, **members):
        module = ModuleType(name)
        module.__file__ = str(tmp_path / "__init__.py")
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)

    return put


# --- what is not installed ---


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_package_says_in_one_line_what_to_install(name, monkeypatch):
    package = DETECTORS.built_in[name].package
    monkeypatch.setitem(sys.modules, package.module, None)
    with pytest.raises(MissingExtra) as caught:
        get_detector(name)
    assert package.install in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_ultralytics_too(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ultralytics", None)
    (tmp_path / "face.pt").touch()
    with pytest.raises(MissingExtra, match="--no-deps 'ultralytics"):
        get_detector("ultralytics", model=tmp_path / "face.pt")


def test_a_version_that_was_not_tested_warns_once(package, monkeypatch):
    package("facenet_pytorch", MTCNN=lambda **_: SimpleNamespace(detect=None))
    monkeypatch.setattr(packages.Package, "doubt", "facenet-pytorch 9 was not tested")
    monkeypatch.setattr(packages, "_warned", set())
    with pytest.warns(UserWarning, match="facenet-pytorch 9"):
        get_detector("facenet-pytorch")
    get_detector("facenet-pytorch")  # warnings are errors here


# --- face_recognition ---


@pytest.fixture
def face_recognition(package):
    """Return what the package was asked; it finds a face at the right edge, and one inside."""
    asked = []

    def face_locations(image, upsample, model):
        asked.append((image.shape, upsample, model))
        # top, right, bottom, left; the package cuts at the width
        return [(10, 80, 29, 61), (20, 39, 49, 10)]

    package("face_recognition_models", cnn_face_detector_model_location=lambda: __file__)
    package("face_recognition", face_locations=face_locations)
    return asked


def test_face_recognition_counts_the_last_pixel_in(face_recognition):
    faces = get_detector("face_recognition")(PHOTO)
    assert faces.boxes.tolist() == [[61, 10, 80, 30], [10, 20, 40, 50]]
    assert faces.scores.tolist() == [1, 1]
    assert face_recognition == [((60, 80, 3), 1, "hog")]


def test_face_recognition_takes_its_network(face_recognition):
    detector = get_detector("face_recognition:model=cnn,upsample=0")
    detector(PHOTO)
    assert face_recognition == [((60, 80, 3), 0, "cnn")]
    assert list(detector.models) == ["test_package_detectors.py"]


def test_face_recognition_is_not_asked_where_no_face_can_be(face_recognition):
    assert len(get_detector("face_recognition")(PHOTO[:5])) == 0
    assert face_recognition == []


def test_face_recognition_knows_two_models(face_recognition):
    with pytest.raises(OptionError, match="model is 'resnet': expected one of hog, cnn"):
        get_detector("face_recognition:model=resnet")


def test_weights_that_cannot_be_imported_do_not_end_the_process(face_recognition, monkeypatch):
    monkeypatch.setitem(sys.modules, "face_recognition_models", None)
    with pytest.raises(MissingExtra, match="face_recognition_models"):
        get_detector("face_recognition")


# --- ultralytics ---


class Numbers:
    """Boxes or points as the package gives them: on a device until they are fetched."""

    def __init__(self, **values):
        self.values = {name: np.array(value, float) for name, value in values.items()}

    def cpu(self):
        return self

    def numpy(self):
        return SimpleNamespace(**self.values)


@pytest.fixture
def ultralytics(package, tmp_path):
    """Return a model's file, and what may be changed about the model."""
    told = SimpleNamespace(names={0: "person", 1: "Face"}, task="pose", points=5, asked=[])

    class YOLO:
        def __init__(self, path):
            self.path, self.task, self.names = path, told.task, told.names

        def predict(self, image, **options):
            told.asked.append((image[0, 0].tolist(), options))
            points = np.arange(2.0 * told.points).reshape(1, told.points, 2)
            return [
                SimpleNamespace(
                    boxes=Numbers(xyxy=[[1.5, 2, 30, 40]], conf=[0.75]),
                    keypoints=Numbers(xy=points) if told.points else None,
                )
            ]

    package("ultralytics", YOLO=YOLO)
    told.file = tmp_path / "model.pt"
    told.file.write_bytes(b"weights")
    return told


def test_ultralytics_asks_for_faces_in_its_own_order_of_colours(ultralytics):
    faces = get_detector("ultralytics", model=ultralytics.file, conf=0.5, iou=0.6, imgsz=320)(PHOTO)
    assert faces.boxes.tolist() == [[1.5, 2, 30, 40]]
    assert faces.scores.tolist() == [0.75]
    assert faces.landmarks.tolist() == [[[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]]
    wanted = {"conf": 0.5, "iou": 0.6, "imgsz": 320, "verbose": False, "classes": [1]}
    assert ultralytics.asked == [([50, 100, 200], wanted)]


@pytest.mark.parametrize("points", [0, 17])
def test_ultralytics_has_no_landmarks_but_five(ultralytics, points):
    ultralytics.points = points
    assert get_detector("ultralytics", model=ultralytics.file)(PHOTO).landmarks is None


def test_a_model_of_persons_is_refused(ultralytics):
    ultralytics.names = {0: "person", 1: "bicycle", 2: "car", 3: "bus"}
    message = (
        r"knows 4 classes \(person, bicycle, car, \.\.\.\), none named 'face'.*face_class=NAME"
    )
    with pytest.raises(ModelError, match=message):
        get_detector("ultralytics", model=ultralytics.file)


def test_a_class_may_be_named(ultralytics):
    ultralytics.names = {0: "0"}
    get_detector(f"ultralytics:model={ultralytics.file},face_class=0")(PHOTO)
    assert ultralytics.asked[0][1]["classes"] == [0]


def test_a_model_for_another_task_is_refused(ultralytics):
    ultralytics.task = "classify"
    with pytest.raises(ModelError, match="for the task 'classify': expected one of detect, pose"):
        get_detector("ultralytics", model=ultralytics.file)


def test_a_file_that_is_not_there_is_not_looked_for_on_the_network(ultralytics):
    with pytest.raises(ModelError, match=r"yolov8n\.pt: not there"):
        get_detector("ultralytics", model="yolov8n.pt")


def test_a_file_that_the_package_cannot_open(ultralytics, package):
    def fails(path):
        raise EOFError("Ran out\nof input")

    package("ultralytics", YOLO=fails)
    with pytest.raises(ModelError, match=r"model\.pt: .*can run: Ran out of input"):
        get_detector("ultralytics", model=ultralytics.file)


# --- deepface ---


class UnimplementedError(ValueError):
    pass


class NoFace(ValueError):
    pass


class NoImage(ValueError):
    pass


@pytest.fixture
def deepface(package):
    """Return a list of what the package finds; it raises where that is empty."""
    found = []

    def build_model(name, task):
        assert task == "face_detector"
        if name == "other":
            raise UnimplementedError("Invalid model_name")
        if name == "retinaface":
            raise ValueError("cannot be\ndownloaded")

    def extract_faces(image, detector_backend, align):
        if not found:
            raise NoFace("Face could not be detected")
        return found

    package("deepface")
    package("deepface.modules")
    package(
        "deepface.modules.exceptions",
        FaceNotDetected=NoFace, ImgNotFound=NoImage, UnimplementedError=UnimplementedError,
    )  # fmt: skip
    package("deepface.DeepFace", build_model=build_model, extract_faces=extract_faces)
    return found


def area(confidence, **points):
    box = {"x": 5, "y": 6, "w": 20, "h": 30, "left_eye": None, "right_eye": None}
    return {"facial_area": {**box, **points}, "confidence": confidence}


def test_a_photo_without_a_face_has_none_for_deepface(deepface):
    assert len(get_detector("deepface-package")(PHOTO)) == 0


def test_deepface_gives_boxes_and_its_confidence(deepface):
    deepface.append(area(0.93, left_eye=(20, 12), right_eye=(9, 12)))
    faces = get_detector("deepface-package:detector=dlib")(PHOTO)
    assert faces.boxes.tolist() == [[5, 6, 25, 36]]
    assert faces.scores.tolist() == pytest.approx([0.93])
    assert faces.landmarks is None


def test_the_cascade_of_deepface_is_surest_where_its_confidence_is_least(deepface):
    deepface.extend([area(0.96), area(0.89)])
    scores = get_detector("deepface-package")(PHOTO).scores
    assert scores.tolist() == pytest.approx([11, 4], abs=1e-4)


def test_five_points_of_deepface_are_as_the_viewer_sees_them(deepface):
    points = {"right_eye": (9, 12), "left_eye": (20, 12), "nose": (14, 20)}
    mouth = {"mouth_right": (10, 28), "mouth_left": (19, 28)}
    deepface.append(area(0.9, **points, **mouth))
    detector = get_detector("deepface-package:detector=dlib")
    expected = [[9, 12], [20, 12], [14, 20], [10, 28], [19, 28]]
    assert detector(PHOTO).landmarks.tolist() == [expected]
    deepface.append(area(0.9, **points, mouth_right=(10, 28), mouth_left=None))
    assert detector(PHOTO).landmarks is None


def test_a_detector_that_deepface_does_not_have(deepface):
    with pytest.raises(OptionError, match="detector is 'other'"):
        get_detector("deepface-package:detector=other")


def test_weights_that_deepface_cannot_have(deepface):
    with pytest.raises(ModelError, match="detector 'retinaface': cannot be downloaded"):
        get_detector("deepface-package:detector=retinaface")


def test_align_is_yes_or_no(deepface):
    with pytest.raises(OptionError, match="align is 1: expected True or False"):
        get_detector("deepface-package:align=1")


# --- MTCNN twice ---


@pytest.mark.parametrize("rows", [0, 1])
def test_mtcnn_package(package, rows):
    asked = []
    words = ["nose", "mouth_right", "right_eye", "left_eye", "mouth_left"]
    points = dict(zip(words, [[14, 20], [19, 28], [20, 12], [9, 12], [10, 28]], strict=True))
    face = {"box": [5, 6, 25, 36], "confidence": np.float64(0.9), "keypoints": points}

    def detect_faces(image, **options):
        asked.append(options)
        return [face] * rows

    package("mtcnn", MTCNN=lambda: SimpleNamespace(detect_faces=detect_faces))
    faces = get_detector("mtcnn-package:min_score=0.7,min_face=30")(PHOTO)
    assert asked == [{"threshold_onet": 0.7, "min_face_size": 30, "box_format": "xyxy"}]
    assert faces.boxes.tolist() == [[5, 6, 25, 36]][:rows]
    assert faces.landmarks.tolist() == [[[9, 12], [20, 12], [14, 20], [10, 28], [19, 28]]][:rows]


def test_facenet_pytorch(package):
    built = []

    def detect(image, landmarks):
        boxes = np.array([[[5, 6, 25, 36.5]]], object)[0]
        return boxes, np.array([0.9], object), np.arange(10).astype(object).reshape(1, 5, 2)

    def build(**options):
        built.append(options)
        return SimpleNamespace(detect=detect)

    package("facenet_pytorch", MTCNN=build)
    detector = get_detector("facenet-pytorch:min_score=0.8,min_face=40")
    assert built == [{"min_face_size": 40, "thresholds": [0.6, 0.7, 0.8]}]
    faces = detector(PHOTO)
    assert faces.boxes.tolist() == [[5, 6, 25, 36.5]]
    assert faces.landmarks.shape == (1, 5, 2)
    assert len(detector(PHOTO[:39])) == 0  # where the package would fail


def test_facenet_pytorch_without_a_face(package):
    nothing = SimpleNamespace(detect=lambda image, landmarks: (None, [None], None))
    package("facenet_pytorch", MTCNN=lambda **_: nothing)
    assert len(get_detector("facenet-pytorch")(PHOTO)) == 0
