"""YOLO files: each layout read from the file gives the same faces; others are refused."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from groupemo.detectors.yolo import DEFAULTS, Yolo, _default
from groupemo.errors import ModelError, OptionError
from groupemo.images import read_photo
from groupemo.models import store

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def export(shared_models):
    return shared_models / "yolov8-lite-t-face.onnx"


@pytest.fixture(scope="module")
def heads(shared_models):
    return shared_models / "yolov8-lite-t.onnx"


@pytest.fixture(scope="module")
def photo(shared_data):
    return read_photo(shared_data / "photos" / "azure_identification1.jpg")


def constant(name, *values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


def appended(source, path, op, values=None, attributes=None, channels=None):
    """Write `source` with `op` after each output, its shape left open or with `channels`."""
    model = onnx.load(str(source))
    graph = model.graph
    for number, output in enumerate(list(graph.output)):
        inputs = [output.name]
        for key, value in (values or {}).items():
            graph.initializer.append(constant(f"{key}{number}", value))
            inputs.append(f"{key}{number}")
        graph.node.append(helper.make_node(op, inputs, [f"new{number}"], **(attributes or {})))
        graph.output.append(
            helper.make_tensor_value_info(f"new{number}", TensorProto.FLOAT, channels)
        )
    del graph.output[: len(graph.output) // 2]
    onnx.save(model, str(path))
    return path


def same_faces(a, b, atol=0.05):
    assert len(a) == len(b) > 0
    np.testing.assert_allclose(a.boxes, b.boxes, atol=atol)
    np.testing.assert_allclose(a.scores, b.scores, atol=1e-3)


@pytest.mark.data
@pytest.mark.parametrize("name", ["azure_identification1", "situation_room", "azure_detection5"])
def test_raw_heads_and_decoded_export_agree(export, heads, shared_data, name):
    photo = read_photo(shared_data / "photos" / f"{name}.jpg")
    a, b = Yolo(model=export)(photo), Yolo(model=heads)(photo)
    same_faces(a, b)
    np.testing.assert_allclose(a.landmarks, b.landmarks, atol=0.05)


@pytest.mark.data
def test_a_transposed_export(export, photo, tmp_path):
    turned = appended(export, tmp_path / "turned.onnx", "Transpose", attributes={"perm": [0, 2, 1]})
    same_faces(Yolo(model=turned)(photo), Yolo(model=export)(photo))


@pytest.mark.data
@pytest.mark.parametrize(("kind", "rows"), [("export", 5), ("heads", 65)])
def test_without_landmarks(export, heads, photo, tmp_path, kind, rows):
    source = {"export": export, "heads": heads}[kind]
    plain = appended(source, tmp_path / "plain.onnx", "Slice", {"start": 0, "end": rows, "axis": 1})
    faces = Yolo(model=plain)(photo)
    same_faces(faces, Yolo(model=source)(photo))
    assert faces.landmarks is None


def white_finder(path, axes):
    """Write a net with three raw heads that takes each white cell for a face two cells wide.

    It says so as a real one does, and runs at any input size: means of 8, 16
    and 32 pixels, then the logits of 4 x 16 bins (bin 1 is certain: one stride
    from the cell's centre to each side) and of the face (4 where white).
    """
    weight, bias = np.zeros((65, 3, 1, 1), np.float32), np.zeros(65, np.float32)
    weight[64], bias[1:64:16], bias[64] = 100 / 3, 50, -96
    nodes, outputs = [], []
    for stride in (8, 16, 32):
        sides = {"kernel_shape": [stride, stride], "strides": [stride, stride]}
        nodes.append(helper.make_node("AveragePool", ["images"], [f"mean{stride}"], **sides))
        inputs = [f"mean{stride}", "weight", "bias"]
        nodes.append(helper.make_node("Conv", inputs, [f"head{stride}"]))
        free = [f"head{stride}_{axis}" for axis in range(4)]
        outputs.append(helper.make_tensor_value_info(f"head{stride}", TensorProto.FLOAT, free))
    image = helper.make_tensor_value_info("images", TensorProto.FLOAT, axes)
    held = [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")]
    graph = helper.make_graph(nodes, "white", [image], outputs, held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    return path


@pytest.mark.parametrize(
    ("axes", "size"),
    [
        ([1, 3, 320, 640], None),
        ([1, 3, "height", "width"], None),
        ([1, 3, "height", 640], None),
        ([1, 3, "height", "width"], 640),
        (["batch", 3, 320, 640], None),
        (["batch", 3, "height", "width"], None),
        ([3, 3, 320, 640], None),
    ],
)
def test_any_input_size_and_open_axes(tmp_path, axes, size):
    image = np.zeros((320, 640, 3), np.uint8)
    image[96:128, 160:192] = 255  # 16 cells of 8 px, 4 of 16 px, 1 of 32 px
    detector = Yolo(model=white_finder(tmp_path / "white.onnx", axes), size=size, overlap=1)
    faces = detector(image)
    expected = [
        [x - stride / 2, y - stride / 2, x + 1.5 * stride, y + 1.5 * stride]
        for stride in (8, 16, 32)
        for y in range(96, 128, stride)
        for x in range(160, 192, stride)
    ]
    assert faces.landmarks is None
    np.testing.assert_allclose(faces.scores, 1 / (1 + np.exp(-4)), rtol=1e-3)
    np.testing.assert_allclose(sorted(faces.boxes.tolist()), sorted(expected), atol=0.01)


def test_an_open_size_keeps_the_photos_shape(tmp_path):
    detector = Yolo(model=white_finder(tmp_path / "white.onnx", [1, 3, "h", "w"]), size=640)
    assert detector._canvas([np.zeros((100, 200, 3), np.uint8)]) == (320, 640)
    assert detector._canvas([np.zeros((1000, 1, 3), np.uint8)]) == (640, 32)
    images = [np.zeros((100, 200, 3), np.uint8), np.zeros((200, 150, 3), np.uint8)]
    assert detector._canvas(images) == (640, 640)


@pytest.mark.parametrize("axes", [["batch", 3, 320, 320], [3, 3, 320, 320], ["n", 3, "h", "w"]])
def test_tiles_in_one_batch_or_one_by_one(tmp_path, axes):
    cells = np.random.default_rng(5).random((25, 30)) < 0.1
    image = np.kron(cells, np.ones((32, 32))).astype(np.uint8)[..., None].repeat(3, axis=2) * 255
    size = 320 if "h" in axes else None
    many = Yolo(model=white_finder(tmp_path / "many.onnx", axes), tile=320, size=size)
    one = Yolo(model=white_finder(tmp_path / "one.onnx", [1, 3, 320, 320]), tile=320)
    a, b = many(image), one(image)
    assert len(a) > cells.sum()
    same_faces(a, b)


def made(path, shapes, names=None, input_shape=(1, 3, 64, 64)):
    """Write a model that answers zeros of the given shapes."""
    graph = helper.make_graph(
        [helper.make_node("Identity", [f"zeros{i}"], [f"out{i}"]) for i in range(len(shapes))],
        "made",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, input_shape)],
        [
            helper.make_tensor_value_info(f"out{i}", TensorProto.FLOAT, shape)
            for i, shape in enumerate(shapes)
        ],
        [
            numpy_helper.from_array(np.zeros(shape, np.float32), f"zeros{i}")
            for i, shape in enumerate(shapes)
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if names is not None:
        told = names if isinstance(names, str) else str(dict(enumerate(names)))
        helper.set_model_props(model, {"names": told})
    onnx.save(model, str(path))
    return path


def test_a_made_face_model_is_taken(tmp_path):
    faces = Yolo(model=made(tmp_path / "face.onnx", [(1, 5, 84)], ["face"]))
    assert len(faces(np.zeros((40, 60, 3), np.uint8))) == 0


@pytest.mark.parametrize("names", ["face", "['face']", "{0: "])
def test_class_names_in_another_programs_words_say_nothing(tmp_path, names):
    Yolo(model=made(tmp_path / "face.onnx", [(1, 5, 84)], names))


@pytest.mark.parametrize(
    ("shapes", "names", "says"),
    [
        ([(1, 84, 8400)], ["person", "bicycle", "car", "dog"], r"4 classes \(person, bicycle, car"),
        ([(1, 84, 8400)], None, r"not a YOLO face model.*\(84, 8400\)"),
        ([(1, 20, 8400)], [f"class {i}" for i in range(16)], "16 classes"),
        ([(1, 56, 8400)], ["person"], "not a YOLO face model"),  # 17 body points
        ([(1, 300, 6)], ["face"], "without NMS"),
        ([(1, 17640, 2), (1, 17640, 4)], None, "not a YOLO face model"),
        ([(1, 144, 80, 80), (1, 144, 40, 40), (1, 144, 20, 20)], None, "not a YOLO face model"),
    ],
)
def test_other_models_are_refused(tmp_path, shapes, names, says):
    path = made(tmp_path / "other.onnx", shapes, names)
    with pytest.raises(ModelError, match=says) as caught:
        Yolo(model=path)
    assert str(path) in str(caught.value)


def test_a_gray_model_is_refused(tmp_path):
    path = made(tmp_path / "gray.onnx", [(1, 5, 84)], input_shape=(1, 1, 64, 64))
    with pytest.raises(ModelError, match="expected one"):
        Yolo(model=path)


def test_files_that_are_no_models(tmp_path):
    text = tmp_path / "text.onnx"
    text.write_text("a text file")
    with pytest.raises(ModelError, match=r"text\.onnx.*not an ONNX model"):
        Yolo(model=text)
    with pytest.raises(ModelError, match=r"absent\.onnx.*cannot be read"):
        Yolo(model=str(tmp_path / "absent.onnx"))
    with pytest.raises(ModelError):
        Yolo(model="no-such-name")


def test_a_fixed_size_is_not_changed(export):
    with pytest.raises(OptionError, match="640 x 640"):
        Yolo(model=export, size=320)


def test_default_weights_are_the_first_that_can_be_had(monkeypatch, export):
    real, asked = store.fetch, []

    def fetch(name):
        asked.append(name)
        if name == DEFAULTS[0]:
            raise ModelError("not to be had")
        return real(name)

    monkeypatch.setattr(store, "fetch", fetch)
    _default.cache_clear()
    try:
        assert list(Yolo().models) == ["yolov8-lite-t-face.onnx"]
        Yolo()
        assert asked == list(DEFAULTS[:2])  # the absent one is not asked for again
    finally:
        _default.cache_clear()


def test_no_default_weights(monkeypatch):
    def fetch(name):
        raise ModelError(f"{name}: not to be had")

    monkeypatch.setattr(store, "fetch", fetch)
    _default.cache_clear()
    with pytest.raises(ModelError, match=r"yolov8n-face: not.*yolov8-lite-t-face: not"):
        Yolo()
