"""What detectors and backends there are: weights, licences, and how to get what is missing."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from groupemo.models.resolver import Entry
from groupemo.models.store import ModelStatus, list_models
from groupemo.plugins import BACKENDS, DETECTORS, BuiltIn, Registry

__all__ = ["PluginInfo", "how_to_get", "list_backends", "list_detectors"]


@dataclass(frozen=True)
class PluginInfo:
    """What is known of a detector or backend without building it.

    Parameters
    ----------
    name : str
        What a spec calls it.
    kind : str
        "detector" or "backend".
    summary : str
    ready : bool
        What it needs is on this machine: its weights, and the package it runs.
    weights : tuple of str
        Names of its files in the model store: of those in use, or of those missing.
    licence : str
        Of the weights.
    how : str
        How to get what is missing; empty where nothing is.
    absent : str
        The package it runs, where that is not installed; else empty.
    """

    name: str
    kind: str
    summary: str
    ready: bool
    weights: tuple[str, ...] = ()
    licence: str = ""
    how: str = ""
    absent: str = ""


def list_detectors() -> list[PluginInfo]:
    """Return every detector known by name: built in, registered, or by entry point."""
    return _list(DETECTORS)


def list_backends() -> list[PluginInfo]:
    """Return every backend known by name: built in, registered, or by entry point."""
    return _list(BACKENDS)


def _list(registry: Registry[Any]) -> list[PluginInfo]:
    store = {status.entry.name: status for status in list_models()}
    others = [name for name in registry.names() if name not in registry.built_in]
    return [
        *(_built_in(name, registry, plugin, store) for name, plugin in registry.built_in.items()),
        *(PluginInfo(name, registry.kind, "added by you or a package", True) for name in others),
    ]


def _built_in(
    name: str, registry: Registry[Any], plugin: BuiltIn, store: dict[str, ModelStatus]
) -> PluginInfo:
    missing = _missing(plugin.models, store)
    here = [name for name in plugin.instead if store[name].path]
    fallback = bool(missing and here)
    weights = (here[0],) if fallback else plugin.models
    licences = dict.fromkeys(store[each].entry.licence for each in weights)
    absent = plugin.package if plugin.package and not plugin.package.installed else None
    pull = how_to_get([store[each].entry for each in missing]) if missing else ""
    return PluginInfo(
        name=name,
        kind=registry.kind,
        summary=plugin.summary,
        ready=(fallback or not missing) and not absent,
        weights=weights,
        licence="; ".join(licences),
        how=absent.install if absent else pull,
        absent=absent.distribution if absent else "",
    )


def how_to_get(models: Collection[Entry]) -> str:
    """Return the command that gets model files; what groupemo ships comes with it again."""
    if any(entry.shipped for entry in models):
        return "python -m pip install --force-reinstall --no-deps groupemo"
    return f"groupemo models pull {' '.join(entry.name for entry in models)}"


def _missing(models: Iterable[str], store: dict[str, ModelStatus]) -> list[str]:
    return [name for name in models if store[name].path is None]
