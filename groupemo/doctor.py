"""What is wrong with this installation, and the remedy.

Each check is a function of what it looks at, so that a test can show it any
machine; `examine` looks at this one. Libraries are imported in processes of
their own: one that crashes is reported.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from groupemo.catalog import PluginInfo, how_to_get, list_backends, list_detectors
from groupemo.environment import opencv_wheels
from groupemo.models.resolver import cache_dir
from groupemo.models.store import ModelStatus, list_models
from groupemo.packages import Package
from groupemo.plugins import BACKENDS, DEFAULT_BACKEND, DEFAULT_DETECTOR, DETECTORS

__all__ = ["Check", "examine"]

PYTHON_FROM, PYTHON_BELOW = (3, 11), (3, 14)
OPENCV_BELOW = 5
SPACE = 500_000_000
"""Bytes that all model files together need, roughly."""

MIRRORS = ("GROUPEMO_MODELS", "GROUPEMO_SAMPLES")

PATIENCE = 120
"""Seconds a library may take to be imported."""

IMPORTS = {
    "cv2": "import cv2; cv2.FaceDetectorYN, cv2.CascadeClassifier",
    "onnxruntime": "import onnxruntime; onnxruntime.InferenceSession",
    "dlib": "import dlib; dlib.get_frontal_face_detector",
    "h5py": "import h5py; h5py.File",
}
"""What must work here: library -> the code that shows it."""

REINSTALL = "python -m pip install --force-reinstall groupemo"
ONE_OPENCV = "python -m pip install 'opencv-contrib-python-headless>=4.10,<5'"


@dataclass(frozen=True)
class Check:
    """One thing looked at.

    Parameters
    ----------
    name : str
        What was looked at.
    ok : bool
    detail : str
        What was found.
    remedy : str
        What to do; empty where nothing need be done.
    """

    name: str
    ok: bool
    detail: str
    remedy: str = ""


def examine() -> list[Check]:
    """Look at this machine, and return every check."""
    wheels = {name: importlib.metadata.version(name) for name in opencv_wheels()}
    folder = cache_dir()
    offline = os.environ.get("GROUPEMO_OFFLINE", "") not in ("", "0")
    return [
        check_python(sys.version_info[:2]),
        check_opencv(wheels),
        *(check_import(name, code, run_python) for name, code in IMPORTS.items()),
        *(check_package(package, run_python) for package in installed_packages()),
        check_writable(folder),
        check_space(folder, _free_bytes(folder)),
        *check_mirrors(os.environ),
        *check_files(list_models()),
        *(check_plugin(each, offline) for each in [*list_detectors(), *list_backends()]),
    ]


def check_python(version: tuple[int, ...]) -> Check:
    """Hold the Python version to the supported range."""
    ok = PYTHON_FROM <= tuple(version) < PYTHON_BELOW
    spoken = ".".join(map(str, version))
    wanted = f"from {PYTHON_FROM[0]}.{PYTHON_FROM[1]}, below {PYTHON_BELOW[0]}.{PYTHON_BELOW[1]}"
    return Check("Python", ok, spoken, "" if ok else f"use a Python {wanted}")


def check_opencv(wheels: Mapping[str, str]) -> Check:
    """Ask for one OpenCV, below version 5: wheels of one version may lie over each other.

    Parameters
    ----------
    wheels : Mapping of str to str
        The OpenCV distributions installed, with their versions.
    """
    found = ", ".join(f"{name} {version}" for name, version in wheels.items()) or "not installed"
    if len(set(wheels.values())) > 1:
        away = f"python -m pip uninstall -y {' '.join(wheels)}; {ONE_OPENCV}"
        return Check("OpenCV wheel", False, f"{found}: they overwrite each other", away)
    ok = bool(wheels) and all(int(v.partition(".")[0]) < OPENCV_BELOW for v in wheels.values())
    return Check("OpenCV wheel", ok, found, "" if ok else ONE_OPENCV)


def installed_packages() -> list[Package]:
    """Return the packages of others that plugins run and that are installed here."""
    built_in = (*DETECTORS.built_in.values(), *BACKENDS.built_in.values())
    packages = dict.fromkeys(each.package for each in built_in)
    return [package for package in packages if package and package.installed]


def check_package(package: Package, run: Callable[[str], tuple[int, str]]) -> Check:
    """Import somebody else's package as groupemo does, and hold it to the versions tested."""
    imported = check_import(package.distribution, f"import {package.module}", run, package.install)
    if package.doubt and imported.ok:
        return Check(package.distribution, True, package.doubt, package.install)
    return imported


def check_import(
    name: str, code: str, run: Callable[[str], tuple[int, str]], remedy: str = REINSTALL
) -> Check:
    """Run the code that shows a library to work.

    Parameters
    ----------
    run : callable
        Runs Python code; returns the exit status and what was said on standard error.
    remedy : str
        The command that installs it anew.
    """
    status, said = run(code)
    if status == 0:
        return Check(name, True, "imports")
    if status < 0:
        return Check(name, False, f"crashes on import (signal {-status})", remedy)
    last = said.strip().splitlines()[-1] if said.strip() else f"exit status {status}"
    if "numpy" in said.lower():
        return Check(name, False, f"built for another NumPy: {last}", f"{remedy} numpy {name}")
    return Check(name, False, last, remedy)


def check_writable(folder: Path) -> Check:
    """Try to write into the folder that keeps model files."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = f"{folder}: cannot be written: {error.strerror}"
        return Check("cache folder", False, reason, "set GROUPEMO_CACHE to a folder you own")
    return Check("cache folder", True, str(folder))


def check_space(folder: Path, free: int) -> Check:
    """Ask for room for all model files; `free` is in bytes."""
    ok = free >= SPACE
    remedy = "" if ok else f"make {SPACE / 1e9:.1f} GB free, or set GROUPEMO_CACHE to another disk"
    return Check("disk space", ok, f"{free / 1e9:.1f} GB free at {folder}", remedy)


def check_mirrors(environ: Mapping[str, str]) -> list[Check]:
    """Look whether the mirror variables that are set name folders."""
    return [
        Check(name, ok, environ[name], "" if ok else f"unset {name}, or set it to a folder")
        for name in MIRRORS
        if environ.get(name)
        for ok in [Path(environ[name]).expanduser().is_dir()]
    ]


def check_files(models: Iterable[ModelStatus]) -> list[Check]:
    """Name model files that are here and are not what they should be."""
    return [
        Check(
            f"model file {entry.name}",
            False,
            "; ".join(problems),
            f"remove it, then {how_to_get([entry])}",
        )
        for entry, problems in ((one.entry, one.problems) for one in models)
        if problems
    ] or [Check("model files", True, "all that are here are whole")]


def check_plugin(plugin: PluginInfo, offline: bool) -> Check:
    """Look whether what a detector or backend needs is here.

    Weights that are not are fetched when first used, so their lack is wrong only offline, and
    only for the default detector and backend.
    """
    name = f"{plugin.kind} {plugin.name}"
    if plugin.absent:
        return Check(name, True, f"{plugin.absent} is not installed", plugin.how)
    if not plugin.ready:
        if not offline:
            return Check(name, True, "weights are fetched when first used", plugin.how)
        needed = plugin.name in (DEFAULT_DETECTOR, DEFAULT_BACKEND)
        remedy = f"unset GROUPEMO_OFFLINE, then {plugin.how}"
        return Check(name, not needed, "weights are not here", remedy)
    if plugin.how:
        return Check(name, True, f"runs with {', '.join(plugin.weights)} instead", plugin.how)
    return Check(name, True, "ready")


def run_python(code: str) -> tuple[int, str]:
    """Run code in a Python of its own; return its exit status and standard error."""
    command = [sys.executable, "-c", code]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return 1, f"not imported after {PATIENCE} seconds"
    return done.returncode, done.stderr


def _free_bytes(folder: Path) -> int:
    """Return what is free on the disk of a folder that may not be there yet."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    return shutil.disk_usage(there).free
