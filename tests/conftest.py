"""Fixtures every test may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from groupemo.report.pdf import find_browser

settings.register_profile("groupemo", deadline=None)  # a busy machine is no failure
settings.load_profile("groupemo")

ROOT = Path(__file__).resolve().parent.parent


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
