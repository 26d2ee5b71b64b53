"""What is installed here: for a run's manifest and for `groupemo doctor`."""

from __future__ import annotations

import importlib.metadata
import platform

from groupemo._version import __version__

__all__ = ["opencv_wheels", "versions"]

_PACKAGES = ("numpy", "lapx", "onnxruntime", "onnx", "pillow", "dlib-bin", "h5py", "pandas")


def versions() -> dict[str, str]:
    """Return the versions a result may depend on, by name."""
    found = {"groupemo": __version__, "python": platform.python_version()}
    for package in (*_PACKAGES, *opencv_wheels()):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {**found, "platform": f"{platform.system()} {platform.machine()}"}


def opencv_wheels() -> list[str]:
    """Return the OpenCV distributions installed; more than one overwrite each other."""
    names = {
        distribution.metadata["Name"].lower() for distribution in importlib.metadata.distributions()
    }
    return sorted(name for name in names if name.startswith("opencv-") and "python" in name)
