"""The lane of tests/packages, without installing anything: its environments, files and table."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from packaging.specifiers import SpecifierSet

LANE = ROOT / "tests" / "packages"
sys.path.append(str(LANE))

import environments  # noqa: E402
import lane  # noqa: E402

NAMES = environments.names()


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Have one environment, `made`, that nothing has built."""
    here = tmp_path / "packages"
    here.mkdir()
    (here / "made.in").write_text("pytest\nmade>=1\nother\n")
    (here / "without.txt").write_text("other\n")
    pins = ["made==1.2", "pytest==9", *(f"{one}=={number}" for number, one in enumerate(lane.OURS))]
    (here / "made.txt").write_text("\n".join(pins))
    monkeypatch.setattr(environments, "HERE", here)
    monkeypatch.setattr(lane, "REPORT", tmp_path / "parity.md")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CI", raising=False)
    return here


# --- the files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_lock_file_pins_what_is_wanted_and_names_no_address(name):
    lines = environments.lock_file(name).read_text().splitlines()
    assert not [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.!]+", line)]
    pins = environments.pins(name)
    for distribution, versions in environments.wanted(name).items():
        assert pins[distribution] in SpecifierSet(versions), f"{distribution}: lock {name} again"


@pytest.mark.parametrize("name", NAMES)
def test_the_report_tells_the_versions_of_both_sides(name):
    theirs, ours = lane.versions(name).split(" beside groupemo ")
    assert theirs
    assert re.search(r", onnxruntime \d", ours)


def test_every_test_file_runs_in_one_environment():
    run = [path for name in NAMES for path in lane.files(name)]
    assert all(lane.files(name) for name in NAMES)
    assert sorted(run) == sorted(LANE.glob("test_*.py"))


# --- building -----------------------------------------------------------------------------------


def install(*words):
    """Stand in for uv: put a Python where an environment is to be."""
    if words[0] == "venv":
        (words[-1] / "bin").mkdir()
        (words[-1] / "bin" / "python").touch()


def test_an_environment_is_built_once(here, monkeypatch):
    asked = []
    monkeypatch.setattr(environments, "uv", lambda *words: (asked.append(words), install(*words)))
    python = environments.interpreter("made")
    assert python.exists()
    assert environments.interpreter("made") == python
    assert [words[0] for words in asked] == ["venv", "pip"]
    assert asked[1][-1] == here / "made.txt"
    assert "--no-deps" in asked[1]
    assert [*python.parent.parent.parent.iterdir()] == [python.parent.parent]


def test_another_lock_file_or_python_is_another_environment(here, monkeypatch):
    first = environments.folder("made")
    assert re.fullmatch("made-[0-9a-f]{12}", first.name)
    assert first == environments.folder("made")
    monkeypatch.setattr("platform.python_version", lambda: "3.99.0")
    second = environments.folder("made")
    (here / "made.txt").write_text("made==1.3\n")
    assert len({first, second, environments.folder("made")}) == 3


def test_a_failure_leaves_nothing_and_is_one_line(here, monkeypatch):
    def fail(*command, **_):
        if "venv" in command[0]:
            Path(command[0][-1], "bin").mkdir()
            return subprocess.CompletedProcess(command, 0, "", "")
        return subprocess.CompletedProcess(command, 2, "", "error: no\n  index " + "x" * 999)

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(environments.NotBuilt) as raised:
        environments.interpreter("made")
    assert re.fullmatch(
        r"the environment made could not be built: error: no index x+ \.\.\. x+", str(raised.value)
    )
    assert len(str(raised.value)) < 600
    assert [*environments.folder("made").parent.iterdir()] == []


def test_two_at_once_end_with_one(here, monkeypatch):
    place = environments.folder("made")

    def overtaken(*words):
        install(*words)
        (place / "bin").mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(environments, "uv", overtaken)
    assert environments.interpreter("made") == place / "bin" / "python"
    assert [*place.parent.iterdir()] == [place]


# --- running ------------------------------------------------------------------------------------

TESTS = """
def test_near(difference):
    difference("boxes", [[0.1, -0.25]], 0.5, "2 photos")
    difference("boxes", 0.125, 0.5, "2 photos")

def test_far(difference):
    difference("probabilities", 0, 1e-3, on="3 faces")
    difference("probabilities", {far}, 1e-3, on="3 faces")
"""


@pytest.fixture
def built(here, monkeypatch):
    """Have this very Python stand in for the environment."""
    monkeypatch.setattr(environments, "interpreter", lambda name: Path(sys.executable))
    for name in ("conftest.py", "pytest.ini"):
        shutil.copy(LANE / name, here)
    return here


def test_the_lane_ends_with_the_table(built, capsys):
    (built / "test_made.py").write_text(TESTS.format(far=1e-4))
    assert lane.main([]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^== made: ready after 0 s, tested in \d+ s$", printed, re.M)
    assert re.search(r"^2 passed in ", printed, re.M)
    written = lane.REPORT.read_text()
    assert printed.endswith(written + "\n")
    assert "\nmade 1.2 beside groupemo " in written
    assert written.endswith(
        "| boxes | 2 photos | 0.25 | 0.5 |\n| probabilities | 3 faces | 0.0001 | 0.001 |\n"
    )


@pytest.mark.parametrize(("far", "shown"), [(0.1, "0.1"), ("float('nan')", "nan")])
def test_a_difference_past_its_bound_fails_and_is_shown(built, capsys, far, shown):
    (built / "test_made.py").write_text(TESTS.format(far=far))
    assert lane.main([]) == 1
    printed = capsys.readouterr().out
    assert "1 failed, 1 passed" in printed
    assert f"| probabilities | 3 faces | {shown} | 0.001 |" in printed
    assert not lane.REPORT.exists()


@pytest.mark.parametrize(("ci", "status"), [("", 0), ("true", 1)])
def test_an_environment_that_cannot_be_built_is_one_line(here, monkeypatch, capsys, ci, status):
    def no(name):
        raise environments.NotBuilt(f"the environment {name} could not be built: no index")

    monkeypatch.setattr(environments, "interpreter", no)
    monkeypatch.setenv("CI", ci)
    assert lane.main([]) == status
    printed = capsys.readouterr().out
    told = "== made: the environment made could not be built: no index; its tests did not run"
    assert printed.splitlines()[0] == told
    assert not lane.REPORT.exists()
