"""The doctor, shown machines with one thing wrong each."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from typer.testing import CliRunner

from groupemo import doctor
from groupemo.catalog import PluginInfo
from groupemo.cli import app
from groupemo.doctor import Check
from groupemo.models.store import MODELS, ModelStatus


@pytest.mark.parametrize(
    ("version", "ok"),
    [((3, 10), False), ((3, 11), True), ((3, 13), True), ((3, 14), False), ((4, 0), False)],
)
def test_python(version, ok):
    check = doctor.check_python(version)
    assert (check.ok, bool(check.remedy)) == (ok, not ok)


def test_the_python_range_is_that_of_the_project():
    text = (ROOT / "pyproject.toml").read_text()
    low, high = re.search(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', text).groups()
    assert [*doctor.PYTHON_FROM, *doctor.PYTHON_BELOW] == [3, int(low), 3, int(high)]


@pytest.mark.parametrize(
    ("wheels", "ok", "remedy"),
    [
        ({"opencv-python-headless": "4.14.0.94"}, True, ""),
        ({"opencv-python": "4.14.0.94", "opencv-python-headless": "4.14.0.94"}, True, ""),
        (
            {"opencv-python-headless": "5.0.0.1"},
            False,
            "install 'opencv-contrib-python-headless>=4.10,<5'",
        ),
        ({}, False, "install 'opencv-contrib-python-headless>=4.10,<5'"),
        (
            {"opencv-contrib-python": "4.12.0", "opencv-python-headless": "4.14.0"},
            False,
            "uninstall -y opencv-contrib-python opencv-python-headless; ",
        ),
    ],
)
def test_opencv(wheels, ok, remedy):
    check = doctor.check_opencv(wheels)
    assert check.ok is ok
    assert remedy in check.remedy
    assert bool(check.remedy) is not ok
    assert all(version in check.detail for version in wheels.values())


def test_the_opencv_named_in_the_remedy_is_that_of_the_project():
    assert doctor.ONE_OPENCV.split("'")[1] in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize(
    ("status", "said", "detail"),
    [
        (1, "Traceback\nImportError: no libGL.so.1", "ImportError: no libGL.so.1"),
        (1, "", "exit status 1"),
        (-4, "", "crashes on import (signal 4)"),
        (
            1,
            "A module compiled using NumPy 1.x cannot be run in NumPy 2\nImportError: multiarray",
            "built for another NumPy: ImportError: multiarray",
        ),
    ],
)
def test_a_library_that_does_not_import(status, said, detail):
    check = doctor.check_import("cv2", "import cv2", lambda code: (status, said))
    assert not check.ok
    assert check.detail == detail
    assert "force-reinstall" in check.remedy


def test_a_library_that_crashes_is_reported():
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGILL)"
    assert "signal 4" in doctor.check_import("bad", crash, doctor.run_python).detail
    assert doctor.check_import("good", "import json", doctor.run_python).ok


def test_a_cache_that_cannot_be_written(tmp_path):
    assert doctor.check_writable(tmp_path / "new" / "cache").ok
    (tmp_path / "file").touch()
    check = doctor.check_writable(tmp_path / "file" / "cache")
    assert not check.ok
    assert "GROUPEMO_CACHE" in check.remedy


def test_space(tmp_path):
    assert doctor.check_space(tmp_path, 10**9).ok
    check = doctor.check_space(tmp_path, 10**8)
    assert not check.ok
    assert check.detail.startswith("0.1 GB free")
    assert "0.5 GB" in check.remedy


def test_mirror_variables(tmp_path):
    environ = {"GROUPEMO_MODELS": str(tmp_path), "GROUPEMO_SAMPLES": str(tmp_path / "absent")}
    models, samples = doctor.check_mirrors(environ)
    assert models.ok
    assert not samples.ok
    assert samples.remedy.startswith("unset GROUPEMO_SAMPLES")
    assert doctor.check_mirrors({}) == []


def model(name, *problems):
    return ModelStatus(MODELS.entry(name), None, problems)


def test_damaged_model_files():
    [check] = doctor.check_files([model("yunet", "cache: cut short"), model("fer")])
    assert (check.name, check.ok, check.detail) == ("model file yunet", False, "cache: cut short")
    assert check.remedy == "remove it, then groupemo models pull yunet"
    assert [check.ok for check in doctor.check_files([model("fer")])] == [True]


def test_a_damaged_file_that_groupemo_ships_comes_back_by_installing_it_again():
    [check] = doctor.check_files([model("groupemo", "cut short")])
    assert check.remedy.startswith("remove it, then python -m pip install --force-reinstall")


def plugin(name, ready, how="groupemo models pull it"):
    return PluginInfo(name, "detector", "", ready, ("other",), "MIT", how)


@pytest.mark.parametrize("name", ["yunet", "mtcnn"])
def test_weights_that_are_fetched_when_first_used_are_not_wrong(name):
    check = doctor.check_plugin(plugin(name, ready=False), offline=False)
    assert (check.ok, check.detail) == (True, "weights are fetched when first used")
    assert check.remedy == "groupemo models pull it"


def test_offline_the_default_plugins_must_have_their_weights():
    check = doctor.check_plugin(plugin("yunet", ready=False), offline=True)
    assert not check.ok
    assert check.remedy == "unset GROUPEMO_OFFLINE, then groupemo models pull it"
    assert doctor.check_plugin(plugin("mtcnn", ready=False), offline=True).ok


def test_a_stand_in_is_named():
    check = doctor.check_plugin(plugin("deepface", ready=True), offline=False)
    assert check.ok
    assert check.detail == "runs with other instead"
    assert doctor.check_plugin(plugin("haar", ready=True, how=""), False).remedy == ""


# --- the command -----------------------------------------------------------------------------

FINE = Check("Python", True, "3.11")
WRONG = Check("OpenCV wheel", False, "none", "install one")


@pytest.mark.parametrize(("checks", "code"), [([FINE], 0), ([FINE, WRONG], 1)])
def test_the_command_ends_with_1_if_anything_is_wrong(monkeypatch, checks, code):
    monkeypatch.setattr(doctor, "examine", lambda: checks)
    told = CliRunner().invoke(app, ["doctor", "--json"])
    assert told.exit_code == code
    assert json.loads(told.stdout) == [vars(check) for check in checks]
    printed = CliRunner().invoke(app, ["doctor"])
    assert printed.exit_code == code
    assert ("install one" in printed.stdout) == bool(code)


@pytest.mark.models
@pytest.mark.usefixtures("shared_models")
def test_this_machine(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "groupemo", "doctor", "--json"], capture_output=True, text=True
    )
    checks = {check["name"]: check for check in json.loads(done.stdout)}
    for name in ("Python", "OpenCV wheel", "cv2", "onnxruntime", "dlib", "h5py", "detector yunet"):
        assert checks[name]["ok"], checks[name]
    assert done.returncode == (not all(check["ok"] for check in checks.values()))
    assert Path(checks["cache folder"]["detail"]).is_dir()


def test_a_library_that_hangs_is_reported(monkeypatch):
    monkeypatch.setattr(doctor, "PATIENCE", 0.5)
    check = doctor.check_import("slow", "import time; time.sleep(60)", doctor.run_python)
    assert (check.ok, check.detail) == (False, "not imported after 0.5 seconds")
