"""The resolver and the model store: every source, every way it can fail."""

import hashlib
import multiprocessing
import os
import sys
import tarfile
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from groupemo.errors import ModelError
from groupemo.models import resolver as module
from groupemo.models import store
from groupemo.models.resolver import Entry, Resolver, cache_dir

RIGHT, WRONG = b"right weights" * 100, b"other weights" * 100
PAGE = b"\n<!DOCTYPE html><title>Sign in to this network</title>"
SHA = hashlib.sha256(RIGHT).hexdigest()
FILE = "net.onnx"
METADATA = "Metadata-Version: 2.1\nName: demo-weights\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@pytest.fixture(autouse=True)
def clean(tmp_path, monkeypatch):
    """Give each test a cache of its own, no mirror, and hosts not asked yet."""
    for variable in ("GROUPEMO_MODELS", "GROUPEMO_OFFLINE", "GROUPEMO_TEST_MIRROR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("GROUPEMO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "_in_vain", {})


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    folder = tmp_path / "mirror"
    folder.mkdir()
    monkeypatch.setenv("GROUPEMO_TEST_MIRROR", str(folder))
    return folder


@pytest.fixture
def upstream():
    """Serve RIGHT, WRONG, PAGE, a cut answer and nothing, on loopback; count what was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            body = {"/right": RIGHT, "/wrong": WRONG, "/cut": RIGHT, "/page": PAGE}.get(self.path)
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write((body or b"")[: 50 if self.path == "/cut" else None])

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def index(tmp_path, monkeypatch):
    """Let pip find one wheel, and nothing else."""
    folder = tmp_path / "index"
    folder.mkdir()
    info = "demo_weights-1.0.dist-info"
    with zipfile.ZipFile(folder / "demo_weights-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("demo/net.onnx", RIGHT)
        wheel.writestr("demo/two.onnx", WRONG)
        wheel.writestr("demo/inside.py", f"import nothing\nWEIGHTS = {RIGHT!r}\n")
        wheel.writestr(f"{info}/METADATA", METADATA)
        wheel.writestr(f"{info}/WHEEL", WHEEL)
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def catalog(*sources, sha256=SHA, **others):
    resolver = Resolver("none.toml", "GROUPEMO_TEST_MIRROR", "things")
    net = Entry("net", FILE, len(RIGHT), sha256, "MIT", "nothing", sources)
    resolver.entries = {"net": net, **others}
    return resolver


def left_in_cache(resolver):
    return sorted(path.name for path in resolver.cache.rglob("*"))


def test_the_mirror_comes_first_and_is_used_in_place(mirror, upstream):
    (mirror / FILE).write_bytes(RIGHT)
    address, asked = upstream
    resolver = catalog(f"{address}/right")
    assert resolver.fetch("net") == mirror / FILE
    assert (asked, left_in_cache(resolver)) == ([], [])


def test_a_wrong_mirror_file_is_skipped(mirror, upstream):
    (mirror / FILE).write_bytes(WRONG)
    path = catalog(f"{upstream[0]}/right").fetch("net")
    assert path.read_bytes() == RIGHT
    assert (mirror / FILE).read_bytes() == WRONG


def test_the_error_lists_every_source_and_why(mirror, upstream):
    (mirror / FILE).write_bytes(WRONG)
    address, _ = upstream
    resolver = catalog(f"{address}/wrong", f"{address}/none", f"{address}/cut")
    with pytest.raises(ModelError) as caught:
        resolver.fetch("net")
    text = str(caught.value)
    other = hashlib.sha256(WRONG).hexdigest()[:12]
    assert text.count(f"has SHA-256 {other}..., expected {SHA[:12]}...") == 2
    for part in (str(mirror), "/none: 404", "/cut: ", "IncompleteRead", "GROUPEMO_TEST_MIRROR"):
        assert part in text
    assert left_in_cache(resolver) == []


@pytest.mark.parametrize("terminal", [True, False])
def test_a_download_shows_a_bar_on_a_terminal_alone(upstream, capsys, monkeypatch, terminal):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    catalog(f"{upstream[0]}/right").fetch("net")
    assert ("100%" in capsys.readouterr().err) is terminal


def test_what_was_downloaded_is_not_asked_for_again(upstream):
    address, asked = upstream
    resolver = catalog(f"{address}/right")
    assert resolver.fetch("net") == resolver.fetch("net")
    assert (asked, left_in_cache(resolver)) == (["/right"], [FILE])


@pytest.mark.parametrize("spoilt", [RIGHT[:50], WRONG])
def test_a_spoilt_cache_file_is_replaced(upstream, spoilt):
    resolver = catalog(f"{upstream[0]}/right")
    resolver.cache.mkdir(parents=True)
    (resolver.cache / FILE).write_bytes(spoilt)
    assert resolver.fetch("net").read_bytes() == RIGHT


def test_a_file_that_changes_after_it_was_checked_is_checked_again(upstream):
    resolver = catalog(f"{upstream[0]}/right")
    resolver.fetch("net").write_bytes(RIGHT[:-1])
    assert resolver.fetch("net").read_bytes() == RIGHT
    assert len(upstream[1]) == 2


def test_an_unchanged_file_is_read_once(mirror, monkeypatch):
    (mirror / FILE).write_bytes(RIGHT)
    resolver = catalog()
    resolver.fetch("net")
    monkeypatch.setattr(module.hashlib, "file_digest", None)
    resolver.fetch("net")


def test_a_spoilt_cache_file_that_cannot_be_replaced_is_named():
    resolver = catalog()
    resolver.cache.mkdir(parents=True)
    (resolver.cache / FILE).write_bytes(RIGHT[:50])
    with pytest.raises(ModelError, match=r"50 of 1,300 bytes: cut short"):
        resolver.fetch("net")


def test_offline_asks_nobody_and_says_so(upstream, index, monkeypatch):
    monkeypatch.setenv("GROUPEMO_OFFLINE", "1")
    monkeypatch.setattr(module.subprocess, "run", None)
    resolver = catalog(f"{upstream[0]}/right", "wheel:demo-weights==1.0#demo/net.onnx")
    with pytest.raises(ModelError, match="GROUPEMO_OFFLINE is set"):
        resolver.fetch("net")
    assert upstream[1] == []


def test_a_host_that_refused_is_not_asked_again(monkeypatch):
    resolver = catalog("http://127.0.0.1:9/net.onnx")
    for _ in range(2):
        with pytest.raises(ModelError, match=r"127\.0\.0\.1:9 cannot be reached"):
            resolver.fetch("net")
        monkeypatch.setattr("pooch.HTTPDownloader.__call__", None)


def test_an_installed_package_is_looked_into_and_not_imported(tmp_path, monkeypatch):
    package = tmp_path / "carrier"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError")
    (package / FILE).write_bytes(RIGHT)
    monkeypatch.syspath_prepend(tmp_path)
    assert catalog(f"package:carrier/{FILE}").fetch("net") == package / FILE
    assert "carrier" not in sys.modules
    (package / FILE).write_bytes(WRONG)
    with pytest.raises(ModelError, match=r"package:carrier/net\.onnx: net\.onnx has SHA-256"):
        catalog(f"package:carrier/{FILE}").fetch("net")
    with pytest.raises(ModelError, match=r"package:absent/net\.onnx: no net\.onnx"):
        catalog(f"package:absent/{FILE}").fetch("net")


@pytest.mark.parametrize("member", ["demo/net.onnx", "demo/inside.py#WEIGHTS"])
def test_a_pinned_wheel_gives_its_member(index, member):
    resolver = catalog("http://127.0.0.1:9/net.onnx", f"wheel:demo-weights==1.0#{member}")
    assert resolver.fetch("net").read_bytes() == RIGHT
    assert left_in_cache(resolver) == [FILE]


def test_one_wheel_gives_all_that_is_in_it(index, monkeypatch):
    wheel = "wheel:demo-weights==1.0"
    sha = hashlib.sha256(WRONG).hexdigest()
    two = Entry("two", "two.onnx", len(WRONG), sha, "MIT", "", (f"{wheel}#demo/two.onnx",))
    resolver = catalog(f"{wheel}#demo/net.onnx", two=two)
    resolver.fetch("net")
    monkeypatch.setattr(module.subprocess, "run", None)
    assert resolver.fetch("two").read_bytes() == WRONG


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("wheel:demo-weights==1.0#demo/absent.onnx", "the file is not in it"),
        ("wheel:demo-weights==1.0#demo/inside.py#ABSENT", "the file is not in it"),
        ("wheel:demo-weights==1.0#demo/two.onnx", "has SHA-256"),
        ("wheel:demo-weights==2.0#demo/net.onnx", "No matching distribution"),
    ],
)
def test_a_wheel_that_does_not_give_it_says_why(index, source, reason):
    resolver = catalog(source)
    with pytest.raises(ModelError, match=reason):
        resolver.fetch("net")
    assert left_in_cache(resolver) == []


def test_a_distribution_that_cannot_be_had_is_asked_for_once(index, monkeypatch):
    resolver = catalog("wheel:demo-weights==2.0#demo/net.onnx")
    for _ in range(2):
        with pytest.raises(ModelError, match="No matching distribution"):
            resolver.fetch("net")
        monkeypatch.setattr(module.subprocess, "run", None)


def test_only_the_member_leaves_an_sdist(tmp_path):
    (tmp_path / "net").write_bytes(RIGHT)
    archive = tmp_path / "demo-1.0.tar.gz"
    with tarfile.open(archive, "w:gz") as sdist:
        sdist.add(tmp_path / "net", "demo-1.0/net.onnx")
    assert module._member(archive, "demo-1.0/net.onnx") == RIGHT
    assert module._member(archive, "demo-1.0/absent") is None
    archive.write_bytes(archive.read_bytes()[:40])
    with pytest.raises(module._SourceFailed, match="damaged"):
        module._member(archive, "demo-1.0/net.onnx")


def test_an_unpinned_file_is_taken_from_its_address_and_not_from_a_mirror(mirror, upstream):
    (mirror / FILE).write_bytes(WRONG)
    resolver = catalog(f"{upstream[0]}/right", sha256="")
    path = resolver.fetch("net")
    assert (path.parent.parent, path.read_bytes()) == (resolver.cache, RIGHT)
    assert resolver.fetch("net") == path
    assert len(upstream[1]) == 1


def test_an_unpinned_file_that_cannot_be_had_may_be_put_into_the_cache(mirror, upstream):
    resolver = catalog(f"{upstream[0]}/page", sha256="")
    with pytest.raises(ModelError, match="/page: what came is a web page") as caught:
        resolver.fetch("net")
    assert left_in_cache(resolver) == []
    _, _, place = str(caught.value).partition("Remedy: put the file at ")
    place = Path(place.removesuffix("."))
    place.parent.mkdir(parents=True)
    place.write_bytes(RIGHT)
    assert resolver.fetch("net") == place


def test_a_cache_that_cannot_be_written_is_named(tmp_path, upstream, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GROUPEMO_CACHE", str(tmp_path / "file"))
    with pytest.raises(ModelError, match=r"file.*cannot be written.*GROUPEMO_CACHE"):
        catalog(f"{upstream[0]}/right").fetch("net")


def test_a_full_disk_is_no_stack_trace(upstream, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pooch.HTTPDownloader.__call__", full)
    with pytest.raises(ModelError, match="No space left on device"):
        catalog(f"{upstream[0]}/right").fetch("net")


def _fetch_in_process(address):
    return catalog(f"{address}/right").fetch("net").read_bytes() == RIGHT


def test_processes_and_threads_fetch_the_same_file_at_once(upstream):
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        assert all(pool.map(_fetch_in_process, [upstream[0]] * 6))
        pool.close()
        pool.join()
    resolver = catalog(f"{upstream[0]}/right")
    (resolver.cache / FILE).unlink()
    with ThreadPoolExecutor(6) as threads:
        assert all(threads.map(_fetch_in_process, [upstream[0]] * 6))
    assert left_in_cache(resolver) == [FILE]


def model_file(path, sha256=SHA):
    return store.ModelFile("net", path, sha256, "MIT", False)


def test_a_derived_file_is_made_once(tmp_path):
    source = tmp_path / "source"
    source.write_bytes(RIGHT)
    made = []

    def make(read, write):
        made.append(read)
        write.write_bytes(read.read_bytes())

    path = store.derived("thing", model_file(source), make)
    assert store.derived("thing", model_file(source), make) == path
    assert path == tmp_path / "cache" / "derived" / f"thing-{SHA[:12]}.onnx"
    assert made == [source]
    assert store.derived("thing", model_file(source, "b" * 64), make) != path


def test_a_derived_file_that_fails_leaves_nothing(tmp_path):
    def make(_, write):
        write.write_bytes(b"half")
        raise ModelError("no net")

    with pytest.raises(ModelError, match="no net"):
        store.derived("thing", model_file(tmp_path), make)
    assert list((tmp_path / "cache" / "derived").iterdir()) == []


def test_a_derived_file_needs_a_cache_that_can_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GROUPEMO_CACHE", str(tmp_path / "file"))
    with pytest.raises(ModelError, match=r"cannot be written.*GROUPEMO_CACHE"):
        store.derived("thing", model_file(tmp_path), lambda *_: None)


def test_an_unknown_model_lists_the_known():
    with pytest.raises(ModelError, match=r"'yumet'; known: yunet, "):
        store.fetch("yumet")


def test_the_catalog_is_complete():
    for status in store.list_models():
        entry = status.entry
        assert len(entry.sha256) in (0, 64)
        assert entry.licence
        assert entry.about
        if not entry.sha256:
            assert all(source.startswith("https://") for source in entry.sources)


def test_haar_comes_with_opencv():
    file = store.fetch("haar-frontal")
    assert not file.stand_in
    assert file.path.name == "haarcascade_frontalface_default.xml"


def problems() -> dict[str, tuple[str, ...]]:
    return {status.entry.name: status.problems for status in store.list_models()}


def test_what_is_wrong_is_named(tmp_path, monkeypatch):
    (tmp_path / "version-RFB-640.onnx").write_bytes(WRONG)
    monkeypatch.setenv("GROUPEMO_MODELS", str(tmp_path))
    [problem] = problems()["ssd-rfb-640"]
    assert "has SHA-256" in problem
    assert problems()["haar-frontal"] == problems()["yolov8n-face"] == ()


@pytest.mark.models
def test_the_stand_in_is_never_taken_for_the_published_weights(shared_models, monkeypatch):
    monkeypatch.setenv("GROUPEMO_MODELS", str(shared_models))
    monkeypatch.setenv("GROUPEMO_OFFLINE", "1")
    assert store.fetch("deepface-emotion-stand-in").stand_in
    with pytest.raises(ModelError, match="deepface-emotion"):
        store.fetch("deepface-emotion")


@pytest.mark.models
def test_the_mirror_holds_what_the_catalog_says(shared_models, monkeypatch):
    monkeypatch.setenv("GROUPEMO_MODELS", str(shared_models))
    here = {status.entry.file for status in store.list_models() if status.path}
    assert {path.name for path in shared_models.glob("*.onnx")} <= here
    assert not any(problems().values())


def test_the_cache_is_where_one_says(monkeypatch, tmp_path):
    assert cache_dir() == tmp_path / "cache"
    monkeypatch.delenv("GROUPEMO_CACHE")
    assert os.fspath(cache_dir()).endswith("groupemo")
