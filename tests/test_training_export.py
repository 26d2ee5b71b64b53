"""ONNX files of trained nets: equal to PyTorch, of any batch size, and ready for the backend."""
# ruff: noqa: E402

import math
import tomllib

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch", reason="needs groupemo[train]")

from groupemo._version import __version__
from groupemo.backends.onnx import Onnx
from groupemo.emotions import EMOTIONS
from groupemo.errors import ModelError, OptionError
from groupemo.faces import Faces
from groupemo.models.session import open_session, run
from groupemo.plugins import get_backend
from groupemo.training import onnx_export
from groupemo.training.architectures import ARCHITECTURES, Normalize, build
from groupemo.training.onnx_export import answer, export
from groupemo.training.run_export import _fitted

SIDE = 16


def small_net(channels=1):
    """Return a net with statistics in its norm and an answer that depends on the face."""
    nn = torch.nn
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(8)
    norm.running_mean.normal_(0, 0.2)
    norm.running_var.uniform_(0.5, 2)
    net = nn.Sequential(
        Normalize(0.5, 0.25),
        nn.Conv2d(channels, 8, 3, bias=False), norm, nn.ReLU(),
        nn.Conv2d(8, 64, 3), nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Dropout(0.5), nn.Linear(64, 7),
    )  # fmt: skip
    with torch.no_grad():
        net[-1].weight.mul_(10)
    return net.eval()


def some_faces(n, channels=1, seed=1):
    """Return faces of one gray each with a little noise, so that answers differ."""
    rng = np.random.default_rng(seed)
    shape = (n, SIDE, SIDE) if channels == 1 else (n, SIDE, SIDE, 3)
    level = rng.integers(0, 256, (n, *[1] * (len(shape) - 1)))
    return np.clip(level + rng.normal(0, 25, shape), 0, 255).astype(np.uint8)


def torch_probs(net, faces, temperature=1.0):
    planes = faces[:, None] if faces.ndim == 3 else faces.transpose(0, 3, 1, 2)
    with torch.no_grad():
        logits = net(torch.from_numpy(planes / np.float32(255)))
    return torch.softmax(logits / temperature, dim=1).numpy()


@pytest.fixture(scope="module")
def net():
    return small_net()


@pytest.fixture(scope="module")
def exported(net, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "net.onnx"
    metadata = {"seed": "3", "licence": "MIT"}
    return export(
        net, path, side=SIDE, channels=1, temperature=1.7, faces=some_faces(40), margin=0.1,
        metadata=metadata,
    )  # fmt: skip


def test_the_file_answers_as_the_net_at_its_temperature(net, exported):
    faces = some_faces(100, seed=5)
    expected = torch_probs(net, faces, 1.7)
    np.testing.assert_allclose(answer(exported.path, faces), expected, atol=1e-5)
    assert len(set(expected.argmax(axis=1))) > 1


@pytest.mark.parametrize("n", [1, 2, 7])
def test_any_number_of_faces_at_once(net, exported, n):
    session = open_session(exported.path)
    faces = some_faces(n, seed=n)
    assert session.get_inputs()[0].name == "input"
    assert session.get_inputs()[0].shape == ["n", 1, SIDE, SIDE]
    assert session.get_outputs()[0].name == "probs"
    [probs] = run(session, (faces[:, None] / 255).astype(np.float32))
    np.testing.assert_allclose(probs, torch_probs(net, faces, 1.7), atol=1e-5)


def test_what_was_compared_is_told(exported):
    assert exported.faces == 40
    assert exported.largest_difference <= 1e-4
    assert exported.agreement == 1
    assert exported.labelled == 0
    assert math.isnan(exported.accuracy_after)
    assert exported.bytes == exported.path.stat().st_size


def test_the_file_says_what_it_is_and_nothing_of_where_it_was_made(exported):
    model = onnx.load(exported.path)
    onnx.checker.check_model(model, full_check=True)
    assert {each.key: each.value for each in model.metadata_props} == {
        "classes": ",".join(EMOTIONS), "side": "16", "color": "gray", "temperature": "1.7",
        "flip": "false", "precision": "float32", "groupemo": __version__, "seed": "3",
        "licence": "MIT",
    }  # fmt: skip
    data = exported.path.read_bytes()
    assert b"stack_trace" not in data
    assert b".py" not in data


def test_the_backend_takes_the_file_as_it_is(net, exported):
    backend = get_backend(f"onnx:model={exported.path}")
    assert isinstance(backend, Onnx)
    assert backend.classes == EMOTIONS
    described = tomllib.loads(exported.path.with_suffix(".toml").read_text())
    assert (described["margin"], described["output"]) == (0.1, "probs")


def test_the_backend_answers_as_the_net(net, exported):
    face = some_faces(1, seed=9)
    photo = np.repeat(face[0][..., None], 3, axis=-1)
    backend = Onnx(model=exported.path, margin=0.0)
    [row] = backend.predict(backend.prepare(photo, Faces([[0, 0, SIDE, SIDE]])))
    np.testing.assert_allclose(row, torch_probs(net, face, 1.7)[0], atol=1e-5)


def test_colour(tmp_path):
    net = small_net(channels=3)
    faces = some_faces(12, channels=3)
    exported = export(net, tmp_path / "net.onnx", side=SIDE, channels=3, faces=faces)
    np.testing.assert_allclose(answer(exported.path, faces), torch_probs(net, faces), atol=1e-5)
    backend = Onnx(model=exported.path)
    [row] = backend.predict(backend.prepare(faces[0], Faces([[0, 0, SIDE, SIDE]])))
    np.testing.assert_allclose(row, torch_probs(net, faces[:1])[0], atol=1e-5)


def test_half_weights_are_half_the_bytes_and_answer_alike(net, exported, tmp_path):
    faces = some_faces(50)
    half = export(
        net, tmp_path / "net.onnx", side=SIDE, channels=1, precision="float16", temperature=1.7,
        faces=faces,
    )  # fmt: skip
    assert half.bytes < 0.7 * exported.bytes
    assert 0 < half.largest_difference < 0.01
    np.testing.assert_allclose(answer(half.path, faces), torch_probs(net, faces, 1.7), atol=0.01)
    assert Onnx(model=half.path).classes == EMOTIONS


def test_whole_numbers_cost_what_is_told(net, exported, tmp_path):
    faces = some_faces(200)
    labels = torch_probs(net, faces).argmax(axis=1)
    labels[::2] = (labels[::2] + 1) % 7
    labels[:20] = -1
    whole = export(
        net, tmp_path / "net.onnx", side=SIDE, channels=1, precision="int8", faces=faces,
        labels=labels, calibration_faces=some_faces(64, seed=3),
    )  # fmt: skip
    answers = answer(whole.path, faces)
    assert whole.bytes < 0.6 * exported.bytes
    assert (whole.faces, whole.labelled) == (200, 180)
    assert whole.accuracy_before == 0.5
    assert whole.accuracy_after == np.mean(answers.argmax(axis=1)[20:] == labels[20:])
    before = torch_probs(net, faces).argmax(axis=1)[20:] == labels[20:]
    after = answers.argmax(axis=1)[20:] == labels[20:]
    assert whole.lost == sum(before > after) > 0
    assert whole.gained == sum(after > before)
    alike = answers.argmax(axis=1) == torch_probs(net, faces).argmax(axis=1)
    assert whole.agreement == alike.mean() > 0.8
    assert whole.largest_difference == np.abs(answers - torch_probs(net, faces)).max()
    assert Onnx(model=whole.path).classes == EMOTIONS


def test_whole_numbers_leave_the_end_of_the_net_as_it_is(net, tmp_path):
    """A softmax in whole numbers answers in steps of 1/255, and 0 where a little was meant."""
    faces = some_faces(64)
    whole = export(
        net, tmp_path / "net.onnx", side=SIDE, channels=1, precision="int8",
        calibration_faces=faces,
    )  # fmt: skip
    steps = answer(whole.path, faces) * 255
    assert (np.abs(steps - np.round(steps)) > 0.01).mean() > 0.3
    ops = [node.op_type for node in onnx.load(whole.path).graph.node]
    assert ops[-2:] == ["Gemm", "Softmax"]
    weights = [
        onnx.numpy_helper.to_array(each)
        for each in onnx.load(whole.path).graph.initializer
        if each.data_type == onnx.TensorProto.INT8 and len(each.dims) == 4
    ]
    assert max(np.abs(each.astype(int)).max() for each in weights) == 64


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_face_and_its_mirror_have_one_answer(net, precision, tmp_path):
    faces = some_faces(64)
    mirrored = faces[:, :, ::-1].copy()
    exported = export(
        net, tmp_path / "net.onnx", side=SIDE, channels=1, temperature=1.7, flip=True, faces=faces,
        precision=precision, calibration_faces=faces,
    )  # fmt: skip
    answers = answer(exported.path, faces)
    np.testing.assert_allclose(answer(exported.path, mirrored), answers, atol=1e-6)
    logits = [np.log(torch_probs(net, each, 1.7)) for each in (faces, mirrored)]
    mean = np.exp(np.mean(logits, axis=0))
    expected = mean / mean.sum(axis=1, keepdims=True)
    assert np.abs(expected - torch_probs(net, faces, 1.7)).max() > 1e-3
    np.testing.assert_allclose(answers, expected, atol=1e-5 if precision == "float32" else 0.1)
    assert exported.metadata["flip"] == "true"
    assert open_session(exported.path).get_inputs()[0].shape == ["n", 1, SIDE, SIDE]
    ops = [node.op_type for node in onnx.load(exported.path).graph.node]
    assert ops[-5:] == ["Gemm", "Reshape", "ReduceMean", "Div", "Softmax"]


@pytest.fixture
def traced_once(monkeypatch):
    """Trace a net once for all its precisions, which is what takes long."""
    trace, kept = onnx_export._traced, []

    def traced(*about):
        kept.extend([] if kept else [trace(*about).SerializeToString()])
        return onnx.load_from_string(kept[0])

    monkeypatch.setattr(onnx_export, "_traced", traced)


@pytest.mark.parametrize("name", [*ARCHITECTURES])
@pytest.mark.slow
def test_every_architecture_at_every_precision(name, tmp_path, traced_once):
    torch.manual_seed(0)
    net = build(name, side=48, channels=1)
    faces = np.random.default_rng(0).integers(0, 256, (20, 48, 48), np.uint8)
    for precision in ("float32", "float16", "int8"):
        exported = export(
            net, tmp_path / f"{precision}.onnx", side=48, channels=1, precision=precision,
            faces=faces, calibration_faces=faces,
        )  # fmt: skip
        assert exported.largest_difference < 0.01
        assert Onnx(model=exported.path).classes == EMOTIONS


def test_the_same_net_gives_the_same_bytes_and_is_left_as_it_was(net, exported, tmp_path):
    before = {name: value.clone() for name, value in net.state_dict().items()}
    net.train()
    again = export(
        net, tmp_path / "again.onnx", side=SIDE, channels=1, temperature=1.7, margin=0.1,
        metadata={"seed": "3", "licence": "MIT"},
    )  # fmt: skip
    assert net.training
    net.eval()
    assert again.sha256 == exported.sha256
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


class Fixed(torch.nn.Module):
    """Cannot do with another number of faces than it was traced with."""

    def forward(self, x):
        return x.mean((2, 3)).expand(2, 7)


class Drawn(torch.nn.Module):
    """Never answers the same twice."""

    def forward(self, x):
        return torch.rand(x.shape[0], 7) * 9 + x.mean((1, 2, 3))[:, None]


class Short(torch.nn.Module):
    def forward(self, x):
        return x.mean((2, 3)).expand(-1, 5)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (Fixed(), "just 2 faces at a time, expected any number"),
        (Drawn(), r"differ from PyTorch's by up to 0\.\d+, more than 0\.0001"),
        (Short(), r"gives shape \(2, 5\) for 2 faces, expected \(2, 7\)"),
        (torch.nn.Linear(3, 7), "cannot be written as ONNX"),
    ],
)
def test_nets_that_would_answer_otherwise_are_not_written(net, message, tmp_path):
    with pytest.raises(ModelError, match=message):
        export(net, tmp_path / "net.onnx", side=SIDE, channels=1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "int4"}, "precision is 'int4': expected one of float32, float16, int8"),
        ({"precision": "int8"}, "there are no calibration_faces"),
        ({"temperature": 0}, "temperature is 0: expected a number above 0"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"channels": 2}, r"channels is 2: expected 1 \(gray\) or 3 \(RGB\)"),
        ({"classes": ("happy", "hapy")}, "classes: unknown emotion 'hapy'"),
    ],
)
def test_options_that_mean_nothing_are_refused(net, options, message, tmp_path):
    with pytest.raises(OptionError, match=message):
        export(net, tmp_path / "net.onnx", **{"side": SIDE, "channels": 1, **options})
    assert not list(tmp_path.iterdir())


def test_the_temperature_is_1_where_none_is_best():
    """Where all answers are right, surer is always better; without labels nothing is known."""
    right = np.full((5, 7), 0.05) + 0.65 * np.eye(7)[:5]
    assert _fitted(right, np.arange(5)) == 1
    assert _fitted(right, np.full(5, -1)) == 1
    half = np.repeat(right[:1], 4, axis=0)
    assert _fitted(half, np.array([0, 0, 0, 1])) not in (0.01, 1, 100)
