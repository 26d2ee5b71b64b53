"""Fixtures of the tests that hold groupemo to the packages themselves."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike

ROOT = Path(__file__).resolve().parent.parent.parent
SHARED = ROOT.parent / "shared"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--differences", type=Path, help="write what was compared to a JSON file")


@pytest.fixture(scope="session")
def _compared(pytestconfig: pytest.Config) -> Iterator[list[dict[str, object]]]:
    compared: list[dict[str, object]] = []
    yield compared
    if path := pytestconfig.getoption("differences"):
        path.write_text(json.dumps(compared))


@pytest.fixture
def difference(_compared: list[dict[str, object]]) -> Callable[..., None]:
    """Return `difference(what, value, bound, on="")`: fails past the bound, notes a row.

    `value` is a difference or an array of them, of which the widest counts; one that is not a
    number is past any bound, and there must be one at least. `on` tells what was compared:
    "11 photos, 54 faces". Rows of the same `what` and `on` become one, the widest.
    """

    def difference(what: str, value: ArrayLike, bound: float, on: str = "") -> None:
        widest = float(np.abs(value).max())
        _compared.append({"what": what, "on": on, "value": widest, "bound": bound})
        assert widest <= bound, f"{what} differ by {widest:.3g}, more than {bound:.3g} ({on})"

    return difference


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of photos and labels that are measured on."""
    return _folder("GROUPEMO_TEST_DATA", SHARED / "data", "test data")


@pytest.fixture(scope="session")
def shared_models() -> Path:
    """Return the mirror folder of model files, which groupemo also looks in."""
    folder = _folder("GROUPEMO_MODELS", SHARED / "models", "model mirror")
    os.environ["GROUPEMO_MODELS"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def photos(shared_data: Path) -> list[Path]:
    """Return the group photos that every package is asked about, in order of their names."""
    return sorted((shared_data / "photos").glob("*.jpg"))


def _folder(variable: str, default: Path, what: str) -> Path:
    folder = Path(os.environ.get(variable, default)).resolve()
    if not folder.is_dir():
        pytest.skip(f"{what} not here: set {variable} to its folder")
    return folder
