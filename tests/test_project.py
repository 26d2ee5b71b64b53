"""The project's own files agree with each other."""

from __future__ import annotations

import re
import tomllib

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
