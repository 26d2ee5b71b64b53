"""The public names: all there, all documented, their examples true."""

import ast
import doctest
import importlib
import inspect
import pkgutil
import types
from pathlib import Path

import pytest

import groupemo

STUB = Path(groupemo.__file__).with_suffix(".pyi")
MODULES = sorted(
    info.name for info in pkgutil.walk_packages(groupemo.__path__, "groupemo.")
    if not info.name.endswith("__main__")
)  # fmt: skip


def stub_names():
    for node in ast.parse(STUB.read_text()).body:
        assert isinstance(node, ast.ImportFrom), "the stub holds imports and nothing else"
        yield from (alias.asname or alias.name for alias in node.names)


def test_all_is_what_the_stub_says():
    assert sorted(groupemo.__all__) == sorted({*stub_names()})
    assert set(groupemo.__all__) <= set(dir(groupemo))


@pytest.mark.parametrize("name", sorted(groupemo.__all__))
def test_a_public_name_is_there_and_documented(name):
    thing = getattr(groupemo, name)
    if callable(thing):
        assert inspect.getdoc(thing), f"groupemo.{name} has no docstring"
        assert thing.__name__ == name


def load(name):
    if name.startswith("groupemo.training"):
        pytest.importorskip("torch", reason="needs groupemo[train]")
    return importlib.import_module(name)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_documented_and_offers_what_it_has(name):
    module = load(name)
    assert module.__doc__, f"{name} has no docstring"
    for public in getattr(module, "__all__", ()):
        thing = getattr(module, public)
        if isinstance(thing, type | types.FunctionType):
            assert thing.__doc__, f"{name}.{public} has no docstring"


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_true(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    failed, _ = doctest.testmod(load(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert not failed


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nonesuch"):
        groupemo.nonesuch  # noqa: B018
