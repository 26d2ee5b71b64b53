"""What is said of detectors and backends without building them."""

from dataclasses import replace

import pytest

import groupemo
from groupemo import catalog
from groupemo.models.store import list_models
from groupemo.plugins import BACKENDS, DETECTORS


@pytest.fixture
def here(monkeypatch):
    """Return a set of model names: those that are on the made-up machine."""
    names = set()

    def statuses():
        return [
            replace(each, path=object() if each.entry.name in names else None)
            for each in list_models()
        ]

    monkeypatch.setattr(catalog, "list_models", statuses)
    return names


def named(name):
    infos = [*groupemo.list_detectors(), *groupemo.list_backends()]
    return next(info for info in infos if info.name == name)


def test_every_name_is_listed_once_with_its_kind():
    assert [info.name for info in groupemo.list_detectors()] == list(DETECTORS.names())
    assert [info.name for info in groupemo.list_backends()] == list(BACKENDS.names())
    assert {info.kind for info in groupemo.list_detectors()} == {"detector"}
    assert {info.kind for info in groupemo.list_backends()} == {"backend"}


def test_every_built_in_has_a_summary_and_its_weights_a_licence():
    for info in [*groupemo.list_detectors(), *groupemo.list_backends()]:
        assert info.summary
        assert bool(info.licence) == bool(info.weights)


def test_missing_weights_and_how_to_get_them(here):
    assert not named("yunet").ready
    assert named("yunet").how == "groupemo models pull yunet"
    here.add("mtcnn-pnet")
    assert not named("mtcnn").ready
    assert named("mtcnn").how == "groupemo models pull mtcnn-rnet mtcnn-onet"


def test_with_its_weights_here_a_plugin_is_ready(here):
    here.add("yunet")
    assert named("yunet") == catalog.PluginInfo(
        "yunet", "detector", named("yunet").summary, True, ("yunet",), "MIT"
    )


def test_what_takes_the_place_of_missing_weights_is_named(here):
    here.add("deepface-emotion-stand-in")
    info = named("deepface")
    assert info.ready
    assert info.weights == ("deepface-emotion-stand-in",)
    assert info.how == "groupemo models pull deepface-emotion"
    here.add("deepface-emotion")
    assert named("deepface").weights == ("deepface-emotion",)
    assert named("deepface").how == ""


def test_one_without_weights_is_ready(here):
    assert named("onnx").ready
    assert named("onnx").weights == ()


def test_a_registered_one_is_listed(monkeypatch):
    monkeypatch.setitem(BACKENDS._registered, "mine", object)
    assert named("mine").ready
    assert named("mine").kind == "backend"


def test_model_names_are_those_of_the_store():
    known = {each.entry.name for each in list_models()}
    for registry in (DETECTORS, BACKENDS):
        for built_in in registry.built_in.values():
            assert {*built_in.models, *built_in.instead} <= known
