"""Fixtures every test may use."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from groupemo.report.pdf import find_browser

settings.register_profile("groupemo", deadline=None)  # a busy machine is no failure
settings.load_profile("groupemo")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # as in the background of a shell; the commands that tests start would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent
collect_ignore = ["packages"]  # they run in environments of their own: make test-packages


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures that passing tests recorded as a property, from whichever process."""
    passed = terminalreporter.stats.get("passed", [])
    properties = [item for report in passed for item in report.user_properties]
    if figures := [text for name, text in properties if name == "figure"]:
        terminalreporter.section("figures")
        terminalreporter.write_line("\n".join(figures))


def _folder(variable: str, default: Path, what: str) -> Path:
    folder = Path(os.environ.get(variable, default)).resolve()
    if not folder.is_dir():
        pytest.skip(f"{what} not here: set {variable} to its folder")
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Photos and labels that are measured on, never copied into the project."""
    return _folder("GROUPEMO_TEST_DATA", ROOT.parent / "shared" / "data", "test data")


@pytest.fixture(scope="session")
def shared_models() -> Path:
    """Return the mirror folder of model files."""
    return _folder("GROUPEMO_MODELS", ROOT.parent / "shared" / "models", "model mirror")


@pytest.fixture(autouse=True, scope="session")
def _mirror() -> None:
    """Let every test find model files in the mirror folder, where there is one."""
    mirror = ROOT.parent / "shared" / "models"
    if mirror.is_dir():
        os.environ.setdefault("GROUPEMO_MODELS", str(mirror))


@pytest.fixture(scope="module")
def shallow_nets() -> Iterator[None]:
    """Make groupemo's own architecture shallow: exporting all of it takes many seconds."""
    from groupemo.training import architectures

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(architectures, "WIDTHS", (24, 48))
        patch.setattr(architectures, "BLOCKS", (1, 1))
        yield


@pytest.fixture
def no_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no sample photo on this machine."""
    from groupemo.samples import SAMPLES

    monkeypatch.setitem(SAMPLES.__dict__, "entries", {})


@pytest.fixture
def samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put six made sample photos of two faces each on this machine; return their folder.

    The left faces are happy to two annotators; the right ones are angry, surprise, and then
    neutral.
    """
    from PIL import Image

    from groupemo.labeller import warmup
    from groupemo.models.resolver import Entry
    from groupemo.samples import SAMPLES

    folder = tmp_path / "samples"
    folder.mkdir()
    entries, rows = {}, ["image,x,y,w,h,emotion,annotator,sha256"]
    for number, right in enumerate(["angry", "surprise", *["neutral"] * 4]):
        path = folder / f"made_{number}.png"
        image = Image.new("RGB", (400, 200), (30 * number, 90, 120))
        for x, shade in ((50, 180), (250, 220)):
            image.paste((shade, shade - 20 * number, shade), (x, 50, x + 100, 150))
        image.save(path)
        data = path.read_bytes()
        proof = hashlib.sha256(data).hexdigest()
        entries[path.stem] = Entry(path.stem, path.name, len(data), proof, "CC0", "made", ())
        rows += [
            f"{path.name},{x},50,100,100,{word},{who},{proof}"
            for x, word in ((50, "happy"), (250, right))
            for who in "AB"
        ]
    faces = tmp_path / "faces.csv"
    faces.write_text("\n".join(rows) + "\n")
    monkeypatch.setattr(warmup, "FACES", faces)
    monkeypatch.setitem(SAMPLES.__dict__, "entries", entries)
    monkeypatch.setenv(SAMPLES.mirror, str(folder))
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Return a headless Chromium, driven by Playwright."""
    driver = pytest.importorskip("playwright.sync_api")
    path = find_browser()
    if path is None:
        pytest.skip("no Chromium here: install one, or set GROUPEMO_CHROMIUM to its program")
    with driver.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield chromium
        chromium.close()
