"""Nets whose published files may be out of reach: read from stand-ins of the same layout."""

import dataclasses
import functools
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from groupemo.backends import ddamfn, hsemotion
from groupemo.emotions import EMOTIONS, align_probs
from groupemo.errors import MissingExtra, ModelError, OptionError
from groupemo.faces import Faces
from groupemo.models import resolver
from groupemo.models.resolver import sha256_of
from groupemo.models.store import MODELS
from groupemo.plugins import BACKENDS
from groupemo.testing import check_backend

IMAGE = cv2.GaussianBlur(
    np.random.default_rng(3).integers(0, 256, (240, 320, 3), dtype=np.uint8), (0, 0), 6
)
IMAGE = np.clip((IMAGE.astype(float) - 128) * 12 + 128, 0, 255).astype(np.uint8)
BOXES = [[30, 20, 150, 170], [200, 100, 240, 150], [-20, 60, 30, 120]]

LAYOUTS = {
    "ferplus": ("Input3", [1, 1, 64, 64], 7, 3),
    "hsemotion-vgaf": ("input", ["batch_size", 3, 224, 224], 11, 6),
    "hsemotion-afew": ("input", ["batch_size", 3, 224, 224], 11, 6),
}
"""Name and shape of the input, opset and version of ONNX, as published."""


@pytest.fixture
def put(tmp_path, monkeypatch):
    """Return a function that puts a file in a model's place, as if it were the published one."""
    monkeypatch.setenv("GROUPEMO_MODELS", str(tmp_path))
    monkeypatch.setenv("GROUPEMO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GROUPEMO_OFFLINE", "1")
    monkeypatch.setitem(MODELS.__dict__, "entries", dict(MODELS.entries))

    def put(name, save):
        path = tmp_path / MODELS.entries[name].file
        save(path)
        entry = dataclasses.replace(MODELS.entries[name], sha256=sha256_of(path))
        MODELS.entries[name] = entry
        return path

    return put


def readers(shape):
    """Return eight rows that each read one value of an input of this shape."""
    size = int(np.prod(shape))
    rows = np.zeros((8, size), np.float32)
    rows[np.arange(8), np.linspace(0, size - 1, 8).astype(int)] = 1
    return rows


def save_onnx(name, path):
    """Write a net whose logits are eight values of its input."""
    source, shape, opset, version = LAYOUTS[name]
    rows = readers(shape[1:]) / (50 if name == "ferplus" else 1)
    nodes = [
        helper.make_node("Flatten", [source], ["flat"]),
        helper.make_node("Gemm", ["flat", "rows", "zeros"], ["output"], transB=1),
    ]
    constants = {"rows": rows, "zeros": np.zeros(8, np.float32)}
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(source, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [shape[0], 8])],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", opset)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=version), path)


def softmax(logits):
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def answers(backend, faces):
    return backend.predict(backend.prepare(IMAGE, faces))


# --- FER+ ---------------------------------------------------------------------------------------


def test_ferplus_takes_gray_pixels_as_they_are(put):
    put("ferplus", lambda path: save_onnx("ferplus", path))
    backend = BACKENDS.load("ferplus").plugin
    assert backend.classes[0] == "neutral"
    assert backend.classes[-1] == "contempt"
    luma = cv2.cvtColor(IMAGE[20:170, 30:150], cv2.COLOR_RGB2GRAY)
    small = cv2.resize(luma, (64, 64), interpolation=cv2.INTER_AREA)
    expected = softmax(small.reshape(1, -1).astype(float) @ readers((1, 64, 64)).T / 50)
    probs = answers(backend, Faces(BOXES))
    np.testing.assert_allclose(probs[:1], expected, atol=0.01)  # gray before the size, or after
    check_backend(backend)


# --- HSEmotion ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("spec", "file"), [("hsemotion", "vgaf"), ("hsemotion-afew", "afew")])
def test_hsemotion_prepares_faces_as_its_package_does(put, spec, file):
    path = put(f"hsemotion-{file}", lambda path: save_onnx(f"hsemotion-{file}", path))
    backend = BACKENDS.load(spec).plugin
    assert list(backend.models) == [path.name] == [f"enet_b0_8_best_{file}.onnx"]
    assert backend.classes[:2] == ("angry", "contempt")
    values = cv2.resize(IMAGE[:238, 3:315], (224, 224)) / 255
    values = (values - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    logits = values.transpose(2, 0, 1).reshape(1, -1) @ readers((3, 224, 224)).T
    probs = answers(backend, Faces([[3, 0, 315, 238]]))  # wider than 224: it shrinks
    np.testing.assert_allclose(probs, softmax(logits), atol=1e-6)


def test_contempt_is_left_out_and_the_others_keep_their_shares(put):
    put("hsemotion-vgaf", lambda path: save_onnx("hsemotion-vgaf", path))
    backend = BACKENDS.load("hsemotion").plugin
    probs = answers(backend, Faces(BOXES))
    seven = align_probs(probs, backend.classes)
    happy, sad = EMOTIONS.index("happy"), EMOTIONS.index("sad")
    np.testing.assert_allclose(seven.sum(axis=1), 1)
    ratio = probs[:, backend.classes.index("happy")] / probs[:, backend.classes.index("sad")]
    np.testing.assert_allclose(seven[:, happy] / seven[:, sad], ratio)


def test_hsemotion_knows_two_nets():
    with pytest.raises(OptionError, match=r"tuned is 'raf': expected one of vgaf, afew"):
        BACKENDS.load("hsemotion:tuned=raf")


# --- DDAMFN -------------------------------------------------------------------------------------


def save_torchscript(path, outputs=7):
    """Write a program that gives logits and, as DDAMFN does, features and heads beside them."""
    import torch

    class Net(torch.nn.Module):
        def __init__(self, rows: torch.Tensor) -> None:
            super().__init__()
            self.rows = torch.nn.Parameter(rows)

        def forward(self, pictures: torch.Tensor):
            flat = pictures.flatten(1)
            return flat @ self.rows.T, flat, [pictures]

    rows = torch.from_numpy(readers((3, 112, 112))[:outputs])
    torch.jit.script(Net(rows)).save(str(path))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("spec", "n"), [("ddamfn", 7), ("ddamfn:contempt=True", 8)])
def test_ddamfn_aligns_faces_as_its_package_does(put, spec, n):
    pytest.importorskip("torch")
    path = put(f"ddamfn-{n}", lambda path: save_torchscript(path, n))
    backend = BACKENDS.load(spec).plugin
    assert list(backend.models) == [path.name] == [f"affecnet{n}.script"]
    assert backend.classes[:3] == ("neutral", "happy", "sad")
    landmarks = np.float32([[60, 70], [110, 60], [90, 100], [70, 130], [115, 120]])
    turn = by_linear_equations(landmarks)
    values = cv2.warpAffine(IMAGE, turn, (112, 112)) / 255
    values = (values - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    logits = values.transpose(2, 0, 1).reshape(1, -1) @ readers((3, 112, 112))[:n].T
    probs = answers(backend, Faces(BOXES[:1], landmarks=[landmarks]))
    np.testing.assert_allclose(probs, softmax(logits), atol=1e-5)
    check_backend(backend)


def by_linear_equations(landmarks):
    """Return the similarity nearest to the template, from ten equations with four unknowns."""
    rows, wanted = [], []
    for (x, y), (u, v) in zip(landmarks, ddamfn.TEMPLATE, strict=True):
        rows += [[x, -y, 1, 0], [y, x, 0, 1]]
        wanted += [u, v]
    a, b, right, down = np.linalg.lstsq(np.array(rows), np.array(wanted), rcond=None)[0]
    return np.array([[a, -b, right], [b, a, down]])


@pytest.mark.parametrize("seed", range(5))
def test_the_similarity_is_the_nearest_there_is(seed):
    landmarks = np.random.default_rng(seed).uniform(0, 500, (5, 2))
    expected = by_linear_equations(landmarks)
    np.testing.assert_allclose(ddamfn.similarity(landmarks), expected, atol=1e-9)


def test_a_face_that_lies_as_the_template_is_left_as_it_is():
    unmoved = [[1, 0, 0], [0, 1, 0]]
    np.testing.assert_allclose(ddamfn.similarity(ddamfn.TEMPLATE), unmoved, atol=1e-12)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_ddamfn_reads_faces_without_landmarks_and_with_none_that_make_sense(put):
    pytest.importorskip("torch")
    put("ddamfn-7", save_torchscript)
    backend = BACKENDS.load("ddamfn").plugin
    without = answers(backend, Faces(BOXES))
    same_point = answers(backend, Faces(BOXES, landmarks=np.full((3, 5, 2), 40)))
    np.testing.assert_array_equal(without, same_point)
    assert np.isfinite(without).all()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_ddamfn_refuses_another_program(put):
    pytest.importorskip("torch")
    path = put("ddamfn-7", lambda path: save_torchscript(path, 5))
    with pytest.raises(ModelError, match=rf"{path.name}: .*\(1, 5\), expected \(1, 7\)"):
        BACKENDS.load("ddamfn")
    path = put("ddamfn-7", lambda path: path.write_bytes(b"no program"))
    with pytest.raises(ModelError, match=rf"{path.name}: not a TorchScript net"):
        BACKENDS.load("ddamfn")


def test_without_pytorch_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"torch is not installed: pip install 'groupemo"):
        BACKENDS.load("ddamfn")


# --- a net of which a file says where it is -----------------------------------------------------


@pytest.fixture
def site(tmp_path):
    """Serve two nets of one name on loopback; yield the address, their folder, what is asked."""
    folder, asked = tmp_path / "site", []
    for name in ("hsemotion-vgaf", "hsemotion-afew"):
        (folder / name).mkdir(parents=True)
        save_onnx(name, folder / name / "net.onnx")

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", folder, asked
        server.shutdown()
        thread.join()


def describe(path, source, sha256):
    path.write_text(
        f'source = "{source}"\nsha256 = "{sha256}"\noutput = "logits"\n'
        f"classes = {list(hsemotion.CLASSES)}\n"
    )
    return f"onnx:description={path}"


@pytest.fixture
def online(tmp_path, monkeypatch):
    for variable in ("GROUPEMO_OFFLINE", "GROUPEMO_MODELS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("GROUPEMO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(resolver, "_in_vain", {})


def test_a_description_may_say_where_the_net_is(site, online, tmp_path):
    address, folder, asked = site
    specs = {}
    for name in ("hsemotion-vgaf", "hsemotion-afew"):
        proof = sha256_of(folder / name / "net.onnx")
        source = f"{address}/{name}/net.onnx"
        specs[describe(tmp_path / f"{name}.toml", f"{source}?raw=true", proof)] = proof
    for _ in range(2):  # files of one name do not take each other's place
        for spec, proof in specs.items():
            assert BACKENDS.load(spec).plugin.models == {"net.onnx": proof}
    assert len(asked) == 2


def test_another_net_at_its_address_is_refused(site, online, tmp_path):
    spec = describe(tmp_path / "a.toml", f"{site[0]}/hsemotion-vgaf/net.onnx", "0" * 64)
    with pytest.raises(ModelError, match=r"net.onnx has SHA-256 \w+..., expected 000000000000"):
        BACKENDS.load(spec)
    assert not list((tmp_path / "cache").rglob("*.onnx"))


def test_a_mirror_folder_holds_such_nets_too(site, online, tmp_path, monkeypatch):
    folder = site[1] / "hsemotion-vgaf"
    monkeypatch.setenv("GROUPEMO_MODELS", str(folder))
    monkeypatch.setenv("GROUPEMO_OFFLINE", "1")
    proof = sha256_of(folder / "net.onnx")
    backend = BACKENDS.load(describe(tmp_path / "a.toml", "https://example.org/net.onnx", proof))
    assert backend.plugin.models == {"net.onnx": proof}


@pytest.mark.parametrize(
    ("source", "sha256", "reason"),
    [
        ("", "0" * 64, r"a.toml: it names no source: say model="),
        ("https://example.org/net.onnx", "0" * 40, r"a.toml: sha256 is '0{40}': expected 64 hex"),
    ],
)
def test_a_description_without_proof_is_refused(tmp_path, source, sha256, reason):
    with pytest.raises(OptionError, match=reason):
        BACKENDS.load(describe(tmp_path / "a.toml", source, sha256))


def test_a_net_has_to_be_named():
    with pytest.raises(OptionError, match=r"model= is missing"):
        BACKENDS.load("onnx:classes=happy")


# --- what is out of reach -----------------------------------------------------------------------


@pytest.mark.parametrize("spec", ["ferplus", "hsemotion", "hsemotion-afew", "face-api", "ddamfn"])
def test_a_net_that_cannot_be_had_says_where_from_and_where_to(spec, tmp_path, monkeypatch):
    if spec == "ddamfn":
        pytest.importorskip("torch")
    monkeypatch.setenv("GROUPEMO_OFFLINE", "1")
    monkeypatch.setenv("GROUPEMO_CACHE", str(tmp_path))
    monkeypatch.setenv("GROUPEMO_MODELS", str(tmp_path))
    file = MODELS.entries[BACKENDS.built_in[spec].models[0]].file
    with pytest.raises(ModelError, match=r"Remedy: put the file into a folder and set") as caught:
        BACKENDS.load(spec)
    assert file.partition(".")[0][:10] in str(caught.value)
