"""groupemo's yolo detector beside the ultralytics package, on the same files."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from beside import compared, counts, told

from groupemo.detectors.ultralytics import Ultralytics
from groupemo.detectors.yolo import Yolo
from groupemo.errors import ModelError
from groupemo.images import read_photo

SIZE = 320
OVERLAP = 0.7
HEADS = {"Detect": ["nc"], "Pose": ["nc", "kpt_shape"]}


@pytest.fixture(scope="module")
def ultralytics(tmp_path_factory):
    """Return the package.

    torchvision has no build for PyTorch without CUDA on the package index, and the one there is
    cannot be imported. The package uses it to leave out overlapping boxes; its own code for
    that, which it uses where torchvision has not been imported, takes the place here.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("YOLO_CONFIG_DIR", str(tmp_path_factory.mktemp("settings")))
        patch.setenv("YOLO_AUTOINSTALL", "false")
        import ultralytics
        from ultralytics.utils.nms import TorchNMS

        stand_in = ModuleType("torchvision")
        stand_in.ops = SimpleNamespace(nms=TorchNMS.nms)
        patch.setitem(sys.modules, "torchvision", stand_in)
        yield ultralytics


@pytest.fixture(scope="module", params=HEADS)
def model(request, ultralytics, tmp_path_factory):
    """Return a small model with random weights, as .pt and as .onnx, that is sure of some boxes."""
    import torch

    folder = tmp_path_factory.mktemp(request.param)
    torch.manual_seed(8)
    yolo = ultralytics.YOLO(_made(folder, request.param))
    yolo.model.names = {0: "face"}
    head = yolo.model.model[-1]
    with torch.no_grad():
        for boxes, score in zip(head.cv2, head.cv3, strict=True):
            boxes[-1].weight *= 20  # boxes of many sizes
            score[-1].weight *= 200  # scores from next to 0 to next to 1
            score[-1].bias[:] = -2.0
    yolo.model.eval()
    yolo.save(folder / "tiny.pt")
    exported = ultralytics.YOLO(folder / "tiny.pt").export(
        format="onnx", imgsz=SIZE, opset=17, simplify=False, verbose=False
    )
    return folder / "tiny.pt", exported


def _made(folder, head):
    """Write a YAML of the layout the package builds models from; return its path."""
    layers = {
        "nc": 1,
        "kpt_shape": [5, 3],
        "backbone": [
            [-1, 1, "Conv", [8, 3, 2]],
            [-1, 1, "Conv", [16, 3, 2]],
            [-1, 1, "Conv", [16, 3, 2]],
            [-1, 1, "Conv", [32, 3, 2]],
            [-1, 1, "Conv", [32, 3, 2]],
        ],
        "head": [[[2, 3, 4], 1, head, HEADS[head]]],
    }
    import yaml

    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(layers))
    return path


def least_score(find, image, wanted=60):
    """Return a least score that leaves about so many boxes, between two of them."""
    scores = np.sort(find(image).scores)[::-1]
    assert len(scores) > wanted, f"only {len(scores)} boxes: too few to compare"
    return float(scores[wanted : wanted + 2].mean())


def test_an_export_of_random_weights_has_the_same_boxes(model, photos, difference):
    _weights, exported = model
    image = read_photo(next(path for path in photos if path.stem == "azure_faces"))
    every = Yolo(model=exported, min_score=0.001, overlap=OVERLAP)
    sure = least_score(every, image)
    ours = Yolo(model=exported, min_score=sure, overlap=OVERLAP)
    theirs = Ultralytics(model=exported, conf=sure, iou=OVERLAP, imgsz=SIZE)
    faces, gaps = compared([image], ours, theirs)
    [(mine, yours)] = faces
    assert len(yours) >= 20
    difference("random weights: boxes a photo", counts(faces), 0, told(faces))
    difference("random weights: 1 - IoU of boxes", gaps, 1e-4, told(faces))
    difference("random weights: scores", mine.scores - yours.scores, 1e-5, told(faces))
    assert (mine.landmarks is None) == (yours.landmarks is None)
    if mine.landmarks is not None:
        inside = mine.landmarks.clip(0, image.shape[1::-1])  # as the package gives them
        apart = inside - yours.landmarks
        difference("random weights: landmarks, in pixels", apart, 0.05, told(faces))


def test_a_pt_file_has_the_boxes_of_its_export(model, photos, difference):
    weights, exported = model
    image = read_photo(photos[0])[:600, :600]  # square: the export does not take other shapes
    options = {"iou": OVERLAP, "imgsz": SIZE}
    sure = least_score(Ultralytics(model=exported, conf=0.001, **options), image)
    ours = Yolo(model=exported, min_score=sure, overlap=OVERLAP)
    faces, gaps = compared([image], ours, Ultralytics(model=weights, conf=sure, **options))
    difference("a .pt beside its export: 1 - IoU of boxes", gaps, 1e-3, told(faces))


def test_a_face_model_finds_the_same_faces(ultralytics, shared_models, photos, difference):
    file = shared_models / "yolov8-lite-t-face.onnx"
    theirs = Ultralytics(model=file, iou=0.45)
    faces, gaps = compared(map(read_photo, photos), Yolo(model=file), theirs)
    difference("a face model: faces a photo", counts(faces), 0, told(faces))
    difference("a face model: 1 - IoU of boxes", gaps, 0.01, told(faces))


def test_a_model_of_persons_is_refused(ultralytics, tmp_path):
    import torch

    yolo = ultralytics.YOLO(_made(tmp_path, "Detect"))
    yolo.model.names = {0: "person"}
    yolo.save(tmp_path / "person.pt")
    assert torch.load(tmp_path / "person.pt", weights_only=False)
    with pytest.raises(ModelError, match=r"knows 1 class \(person\), none named 'face'"):
        Ultralytics(model=tmp_path / "person.pt")
