import json
import re

import numpy as np
import pytest
from onnx import TensorProto
from tiny_net import save_net

from groupemo.backends.onnx import Onnx
from groupemo.errors import ModelError, OptionError
from groupemo.faces import Faces
from groupemo.plugins import get_backend

CLASSES = ["happy", "sad", "neutral"]
IMAGE = np.zeros((20, 30, 3), np.uint8)
IMAGE[:] = [200, 100, 50]
FACES = Faces([[2, 2, 12, 18]])


@pytest.fixture
def make(tmp_path):
    """Save a net and open it: options of the net in `net`, the rest describes it."""

    def make(net=(), **options):
        path = save_net(tmp_path / "net.onnx", **dict(net))
        return Onnx(model=path, **{"classes": CLASSES, **options})

    return make


def mean_channels(backend):
    """Return what each channel of the first face's input holds."""
    [row] = backend.prepare(IMAGE, FACES)
    return row.reshape(3, -1).mean(axis=1) if row.shape[0] == 3 else row.mean(axis=(0, 1))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"range": (0, 255)}, [200, 100, 50]),
        ({"range": (0, 255), "color": "bgr"}, [50, 100, 200]),
        ({}, [200 / 255, 100 / 255, 50 / 255]),
        ({"range": (-1, 1)}, [200 / 127.5 - 1, 100 / 127.5 - 1, 50 / 127.5 - 1]),
        ({"range": (0, 255), "mean": (100, 50, 0), "std": (2, 1, 10)}, [50, 50, 5]),
        ({"range": (0, 255), "mean": 100, "std": 10}, [10, 0, -5]),
    ],
)
def test_pixels_become_the_values_described(make, options, expected):
    np.testing.assert_allclose(mean_channels(make(**options)), expected, rtol=1e-5)


def test_gray_nets_get_luma(make):
    backend = make({"shape": ("n", 1, 8, 8)}, color="gray", range=(0, 255))
    [row] = backend.prepare(IMAGE, FACES)
    assert row.shape == (1, 8, 8)
    assert (row == 124).all()  # .299 * 200 + .587 * 100 + .114 * 50


def test_channels_last_is_read_from_the_graph(make):
    backend = make({"shape": ("n", 6, 9, 3), "layout": "nhwc"}, range=(0, 255))
    assert backend.prepare(IMAGE, FACES).shape == (1, 6, 9, 3)
    np.testing.assert_allclose(mean_channels(backend), [200, 100, 50])


def test_an_open_size_is_given(make):
    backend = make({"shape": ("n", 3, "h", "w")}, size=(5, 7))
    assert backend.prepare(IMAGE, FACES).shape == (1, 3, 5, 7)


def test_an_open_layout_is_given(make):
    net = {"shape": ("n", 3, 3, 3), "layout": "nhwc"}
    assert make(net, layout="nhwc").prepare(IMAGE, FACES).shape == (1, 3, 3, 3)


def test_the_margin_shows_what_is_around_the_box(make):
    image = np.zeros((40, 40, 3), np.uint8)
    image[10:30, 10:30] = 255
    net = {"shape": ("n", 3, 4, 4)}
    [tight] = make(net).prepare(image, Faces([[10, 10, 30, 30]]))
    [wide] = make(net, margin=0.5).prepare(image, Faces([[10, 10, 30, 30]]))
    assert (tight == 1).all()
    assert wide[0].tolist() == [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]


def test_logits_become_probabilities(make):
    weights = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    backend = make({"softmax": False, "weights": weights}, output="logits", range=(0, 2))
    probs = backend.predict(backend.prepare(IMAGE, FACES))
    raw = np.exp(np.array([200, 100, 50]) / 127.5)
    np.testing.assert_allclose(probs, [raw / raw.sum()], rtol=1e-5)


def test_huge_logits_do_not_overflow(make):
    backend = make({"softmax": False, "weights": np.eye(3) * 1e5}, output="logits")
    assert backend.predict(backend.prepare(IMAGE, FACES)).tolist() == [[1, 0, 0]]


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.DOUBLE])
def test_half_and_double_precision(make, kind):
    backend = make({"kind": kind})
    probs = backend.predict(backend.prepare(IMAGE, FACES))
    np.testing.assert_allclose(probs.sum(axis=1), 1)


def test_a_net_for_one_face_at_a_time_takes_many(make):
    faces = Faces([[2, 2, 12, 18], [0, 0, 9, 9], [9, 3, 25, 17]])
    backend = make({"shape": (1, 3, 8, 8)})
    free = make()
    np.testing.assert_allclose(
        backend.predict(backend.prepare(IMAGE, faces)), free.predict(free.prepare(IMAGE, faces))
    )


@pytest.mark.parametrize("suffix", [".toml", ".json"])
def test_a_description_beside_the_model(tmp_path, suffix):
    path = save_net(tmp_path / "net.onnx")
    values = {"classes": ["joy", "sadness", "contempt"], "margin": 0.25, "range": [0, 255]}
    text = json.dumps(values)
    if suffix == ".toml":
        text = "\n".join(f"{key} = {json.dumps(value)}" for key, value in values.items())
    path.with_suffix(suffix).write_text(text)
    assert Onnx(model=path).classes == ("happy", "sad", "contempt")
    assert Onnx(model=path, classes=CLASSES).classes == tuple(CLASSES)  # an option wins
    assert get_backend(f"onnx:model={path}").classes == ("happy", "sad", "contempt")


def test_a_description_elsewhere(tmp_path):
    path = save_net(tmp_path / "net.onnx")
    other = tmp_path / "other.json"
    other.write_text('{"classes": ["fear", "sad", "happy"]}')
    assert Onnx(model=path, description=other).classes == ("fear", "sad", "happy")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"color": "grey"}, "color is 'grey': expected one of"),
        ({"color": ["rgb"]}, "color is"),
        ({"layout": "chw"}, "layout is 'chw'"),
        ({"output": "softmax"}, "output is 'softmax'"),
        ({"square": "yes"}, "square is 'yes'"),
        ({"range": 255}, "range is 255: expected 2 finite"),
        ({"range": (1, 1)}, "range is"),
        ({"mean": (1, 2)}, "mean is (1, 2): expected 1 or 3 finite"),
        ({"mean": "imagenet"}, "mean is 'imagenet'"),
        ({"std": 0}, "std 0"),
        ({"std": (1, 1, float("nan"))}, "std is"),
        ({"margin": -0.7}, "margin is -0.7"),
        ({"size": 0}, "size is 0"),
        ({"classes": "happy"}, "classes is 'happy': expected a list"),
        ({"classes": 7}, "classes is 7: expected a list"),
        ({"classes": ["happy", "grumpy", "sad"]}, "unknown emotion 'grumpy'"),
        ({"classes": ["happy", "joy", "sad"]}, "each named once"),
        ({"classes": ["happy"]}, "two or more"),
        ({"colour": "rgb"}, "no option 'colour'; known: classes, color"),
    ],
)
def test_a_field_that_means_nothing_is_named(make, options, told):
    with pytest.raises(OptionError, match=re.escape(told)):
        make(**options)


def test_classes_must_be_given(tmp_path):
    path = save_net(tmp_path / "net.onnx")
    with pytest.raises(OptionError, match=r"classes are missing.*net\.toml"):
        Onnx(model=path)


@pytest.mark.parametrize(
    ("name", "text"), [("net.toml", "classes = ["), ("net.json", "{"), ("net.json", "[1]")]
)
def test_a_description_that_cannot_be_read_is_named(tmp_path, name, text):
    path = save_net(tmp_path / "net.onnx")
    (tmp_path / name).write_text(text)
    with pytest.raises(OptionError, match=re.escape(name)):
        Onnx(model=path)


def test_a_description_that_is_not_there_is_named(tmp_path):
    path = save_net(tmp_path / "net.onnx")
    with pytest.raises(OptionError, match=r"absent\.toml"):
        Onnx(model=path, description=tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("net", "options", "told"),
    [
        ({}, {"classes": ["happy", "sad"]}, "classes names 2"),
        ({}, {"color": "gray"}, "color='gray' has 1 channel"),
        ({}, {"layout": "nhwc"}, "layout is 'nhwc'"),
        ({}, {"size": 9}, "its input is 8 x 8, but size is (9, 9)"),
        ({"shape": ("n", 3, "h", "w")}, {}, "say size="),
        ({"shape": ("n", 3, 3, 3)}, {}, "say layout="),
        ({"shape": (4, 3, 8, 8)}, {}, "4 faces at a time"),
        ({"softmax": False}, {"range": (1, 2)}, "say output='logits'"),
    ],
)
def test_what_the_graph_contradicts_is_named(make, net, options, told):
    with pytest.raises(ModelError, match=re.escape(told)):
        make(net, **options)


def test_inputs_that_are_no_pictures_are_refused(tmp_path):
    from onnx import helper, save

    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", values[:1], values[1:])
    path = tmp_path / "flat.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    with pytest.raises(ModelError, match="4 dimensions"):
        Onnx(model=path, classes=CLASSES)


def test_a_size_that_the_net_cannot_take_is_named(tmp_path):
    from onnx import helper, save

    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[9, 9])
    graph = helper.make_graph([node], "g", [image], [out])
    path = tmp_path / "pool.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    with pytest.raises(ModelError, match=r"does not take inputs of shape \(1, 3, 4, 4\)"):
        Onnx(model=path, classes=CLASSES, size=4)


def test_a_file_that_is_no_net_is_named(tmp_path):
    path = tmp_path / "text.onnx"
    path.write_text("not a net")
    with pytest.raises(ModelError, match=r"text\.onnx"):
        Onnx(model=path, classes=CLASSES)
    with pytest.raises(ModelError, match=r"absent\.onnx: no such file"):
        Onnx(model=tmp_path / "absent.onnx", classes=CLASSES)
