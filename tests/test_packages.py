"""Packages that are not installed, broken, or too new; made ones, on a path of their own."""

import sys
import warnings
from pathlib import Path

import pytest

from groupemo import packages
from groupemo.errors import MissingExtra
from groupemo.packages import Package


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that installs a made package and names it."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(packages, "_warned", set())

    def install(code: str = "", version: str = "1.5", apart: bool = False) -> Package:
        (tmp_path / "madeup.py").write_text(code)
        info = tmp_path / f"made_up-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: made-up\nVersion: {version}\n"
        )
        return Package("madeup", "made-up", "made", ">=1.2,<2", apart)

    yield install
    sys.modules.pop("madeup", None)


def test_a_package_is_loaded_without_a_word(installed):
    assert installed("answer = 42").load().answer == 42


@pytest.mark.parametrize("version", ["1.1.9", "2.0", "3.0.dev1"])
def test_a_version_that_was_not_tested_warns_once(installed, version):
    package = installed(version=version)
    with pytest.warns(UserWarning, match=rf"made-up {version} is not .* \(>=1.2,<2\)"):
        package.load()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        package.load()


def test_the_warning_points_at_the_caller(installed):
    with pytest.warns(UserWarning, match="made-up") as caught:
        installed(version="2.0").load()
    assert caught[0].filename == __file__


def test_a_copy_without_a_version_warns(installed):
    package = Package("madeup", "no-such", "made", ">=1.2,<2")
    installed()
    with pytest.warns(UserWarning, match=r"no-such \(unknown version\) is not"):
        package.load()


def test_a_package_that_is_not_installed_is_one_line():
    with pytest.raises(MissingExtra) as caught:
        Package("no_such_module", "no-such", "made", ">=1").load()
    assert str(caught.value) == "no-such is not installed: pip install 'groupemo[made]'"


def test_one_that_is_installed_apart_names_the_second_step():
    with pytest.raises(MissingExtra) as caught:
        Package("no_such_module", "no-such", "made", ">=1,<2", apart=True).load()
    assert str(caught.value) == (
        "no-such is not installed:"
        " pip install 'groupemo[made]' && pip install --no-deps 'no-such>=1,<2'"
    )


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise OSError('libGL.so.1:\\n  not found')", "OSError: libGL.so.1: not found"),
    ],
)
def test_one_that_fails_while_it_is_imported_says_how(installed, code, said):
    package = installed(code)
    with pytest.raises(MissingExtra) as caught:
        package.load()
    assert str(caught.value) == f"made-up cannot be imported ({said}): {package.install}"
