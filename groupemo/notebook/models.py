"""Which of the models that are asked for can be had on this machine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from groupemo.demo import reachable
from groupemo.plugins import BACKENDS, DETECTORS, Registry

__all__ = ["backends_within_reach", "detectors_within_reach"]


def detectors_within_reach(*names: str) -> list[str]:
    """Return those of the detectors that can be had, and say in a line which cannot.

    Raises
    ------
    ModelError
        If none can.
    """
    return _within_reach(DETECTORS, names)


def backends_within_reach(*names: str) -> list[str]:
    """Return those of the backends that can be had, and say in a line which cannot.

    Raises
    ------
    ModelError
        If none can.
    """
    return _within_reach(BACKENDS, names)


def _within_reach(registry: Registry[Any], names: Iterable[str]) -> list[str]:
    found, reasons = reachable(registry, names)
    for name in reasons:
        print(f"{name} is left out: it cannot be had here (`groupemo doctor` says more)")
    return found
