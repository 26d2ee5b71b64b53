"""The project's own files agree with each other."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_environment_yml_has_the_ranges_of_pyproject() -> None:
    listed = re.findall(r"^ +- ([\w-]+[<>=].*)$", (ROOT / "environment.yml").read_text(), re.M)
    assert sorted(listed) == sorted(
        [*PROJECT["dependencies"], f"python{PROJECT['requires-python']}"]
    )


def test_one_opencv_below_5() -> None:
    opencv = [line for line in PROJECT["dependencies"] if line.startswith("opencv")]
    assert len(opencv) == 1
    assert opencv[0].endswith("<5")


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/architecture.md"])
def test_links_to_our_own_files_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    folder = (ROOT / page).parent
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", text)
    assert not [target for target in targets if not (folder / target).exists()]


def test_changelog_tells_of_this_version() -> None:
    version = (ROOT / "groupemo" / "_version.py").read_text().split('"')[-2]
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text()


def test_type_checkers_are_told_that_it_is_typed() -> None:
    assert "Typing :: Typed" in PROJECT["classifiers"]
    assert (ROOT / "groupemo" / "py.typed").exists()


def test_every_library_imported_is_declared() -> None:
    extras = PROJECT["optional-dependencies"]
    optional = [line for extra in ("heic", "notebook", "train", "xlsx") for line in extras[extra]]
    declared = {_plain(line) for line in [*PROJECT["dependencies"], *optional]}
    several = {"cv2": ["opencv-contrib-python-headless"], "dlib": ["dlib-bin"]}  # bring it
    owners = {**importlib.metadata.packages_distributions(), **several}
    ours = sys.stdlib_module_names | {"groupemo"}
    imported = {name for path in (ROOT / "groupemo").rglob("*.py") for name in _imported(path)}
    undeclared = {
        name
        for name in imported - ours
        if not declared & set(map(_plain, owners.get(name, [name])))
    }
    assert not undeclared


def _plain(requirement: str) -> str:
    return re.split(r"[<>=\[]", requirement)[0].lower().replace("_", "-")


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


WITHOUT_TORCH = """
import sys
import pytest

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
sys.exit(pytest.main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_what_needs_pytorch_is_skipped_without_it() -> None:
    """`make test` installs none."""
    files = sorted((ROOT / "tests").glob("test_*.py"))
    concerned = [str(path) for path in files if re.search("torch|train", path.read_text())]
    words = ["-q", "-n0", "-p", "no:cacheprovider", "-m", "not slow", *concerned]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *words], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    assert " passed" in done.stdout
