"""CenterFace and SCRFD: what their maps say, read by hand; pictures of any size."""

from __future__ import annotations

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from groupemo.boxes import iou_matrix
from groupemo.detectors import centerface, scrfd
from groupemo.detectors._convolutional import _open_sizes
from groupemo.errors import ModelError, OptionError
from groupemo.images import read_photo
from groupemo.models.session import open_session, run

BOTH = pytest.mark.parametrize("build", [centerface.CenterFace, scrfd.SCRFD])


@pytest.fixture(scope="module")
def six(shared_data):
    return read_photo(shared_data / "photos" / "azure_faces.jpg")


def test_centerface_reads_its_maps():
    heat, size, offset = np.zeros((1, 8, 8)), np.zeros((2, 8, 8)), np.zeros((2, 8, 8))
    points = np.zeros((10, 8, 8))
    row, column = 3, 5
    heat[0, row, column] = 0.9
    heat[0, 0, 0] = 0.3
    size[:, row, column] = np.log([4, 2])  # four cells high, two wide: 16 by 8 pixels
    offset[:, row, column] = 0.25, -0.5
    points[:, row, column] = np.arange(10) / 10  # y, x of each point, in sides of the box
    found = centerface.decoded([heat, size, offset, points], 0.5)
    # centre: x = (5 - 0.5 + 0.5) 4 = 20, y = (3 + 0.25 + 0.5) 4 = 15
    np.testing.assert_allclose(found.boxes, [[16, 7, 24, 23]])
    np.testing.assert_allclose(found.scores, [0.9])
    np.testing.assert_allclose(found.landmarks[0, 1], [16 + 0.3 * 8, 7 + 0.2 * 16])


def test_scrfd_reads_its_outputs():
    rows = {8: 2 * 4 * 8, 16: 2 * 2 * 4, 32: 2 * 1 * 2}  # a picture 64 wide and 32 high
    scores, sides, points = ([np.zeros((n, k)) for n in rows.values()] for k in (1, 4, 10))
    at = 2 * (1 * 4 + 3) + 1  # stride 16, row 1, column 3, second anchor
    scores[1][at] = 0.8
    sides[1][at] = 0.5, 1, 1.5, 2
    points[1][at, :2] = 0.25, -0.25
    found = scrfd.decoded([*scores, *sides, *points], 64, 0.5)
    np.testing.assert_allclose(found.boxes, [[48 - 8, 16 - 16, 48 + 24, 16 + 32]])
    np.testing.assert_allclose(found.scores, [0.8])
    np.testing.assert_allclose(found.landmarks[0, :2], [[52, 12], [48, 16]])


def test_a_file_fixed_at_one_size_is_opened_for_all(tmp_path):
    # twice as large, then a weight that the file lists among its inputs
    inputs = [("x", (1, 3, 32, 32)), ("weight", (1, 3, 1, 1))]
    graph = helper.make_graph(
        [
            helper.make_node("Resize", ["x", "", "", "sizes"], ["large"], mode="nearest"),
            helper.make_node("Conv", ["large", "weight"], ["y"]),
        ],
        "fixed",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, axes) for name, axes in inputs],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 1, 64, 64))],
        [
            numpy_helper.from_array(np.array([1, 3, 64, 64], np.int64), "sizes"),
            numpy_helper.from_array(np.ones((1, 3, 1, 1), np.float32), "weight"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(tmp_path / "fixed.onnx"))
    _open_sizes(tmp_path / "fixed.onnx", tmp_path / "open.onnx")
    session = open_session(tmp_path / "open.onnx")
    assert [each.name for each in session.get_inputs()] == ["x"]
    picture = np.random.default_rng(1).random((2, 3, 32, 96)).astype(np.float32)
    (large,) = run(session, picture)
    expected = picture.sum(axis=1, keepdims=True).repeat(2, axis=2).repeat(2, axis=3)
    np.testing.assert_allclose(large, expected, rtol=1e-5)


def test_a_file_that_is_no_model(tmp_path):
    (tmp_path / "text.onnx").write_text("a text file")
    with pytest.raises(ModelError, match=r"text\.onnx: not an ONNX model"):
        _open_sizes(tmp_path / "text.onnx", tmp_path / "open.onnx")


@pytest.mark.models
@BOTH
def test_options_that_mean_nothing(build):
    with pytest.raises(OptionError, match="min_score is 2"):
        build(min_score=2)
    with pytest.raises(OptionError, match="max_side"):
        build(max_side=1)


@pytest.mark.data
@pytest.mark.models
@BOTH
def test_sides_need_not_be_multiples_of_the_stride(build, six):
    detector = build()
    whole = detector(six)
    cut = detector(six[: six.shape[0] - 7, : six.shape[1] - 11])
    assert len(cut) == len(whole) == 6
    assert (iou_matrix(cut.boxes, whole.boxes).max(axis=1) > 0.9).all()


@pytest.mark.data
@pytest.mark.models
@BOTH
def test_a_face_that_fills_a_large_photo_is_found(build, six):
    detector = build()
    box = detector(six).boxes[0].astype(int)
    middle, half = (box[:2] + box[2:]) // 2, max(box[2:] - box[:2])
    top, left = np.maximum(middle[::-1] - half, 0)
    near = six[top : top + 2 * half, left : left + 2 * half]
    large = cv2.resize(near, (2000, 2000))
    faces = detector(large)
    assert len(faces) >= 1
    assert np.ptp(faces.boxes[:1].reshape(2, 2), axis=0).min() > 500
