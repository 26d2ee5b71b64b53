"""The trainings that are compared: recipes that mean something, in an order that can be."""

import importlib
import tomllib
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import ROOT

pytest.importorskip("torch", reason="needs groupemo[train]")


@pytest.fixture
def net(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("net")


def options(**changes):
    given = {"runs": Path("runs"), "epochs": 8, "seeds": 2, "jobs": 1, "threads": None, "set": []}
    return Namespace(**given | changes)


def test_every_variant_is_a_recipe(net):
    for name in net.VARIANTS:
        folder, words = net.command(name, 1, options())
        recipe = net.recipe_of(words)
        assert recipe.seed == 1
        assert recipe.epochs == (2 if recipe.start else 8)
        assert folder.name.endswith("-8-1")
    folders = {net.command(name, 0, options())[0] for name in net.VARIANTS}
    assert len(folders) == len(net.VARIANTS)


def test_what_is_set_for_all_comes_last(net):
    _, words = net.command("wider", 0, options(set=["width=0.5"], threads=1))
    assert (net.recipe_of(words).width, net.recipe_of(words).threads) == (0.5, 1)


def test_what_is_started_from_or_taught_by_is_trained_before(net, monkeypatch):
    done = []
    monkeypatch.setattr(net, "train_at_once", lambda commands, jobs: done.extend(commands))
    last = "then FER2013's own labels, too"
    folders = net.train_all([last, "base", "taught"], options())
    order = [folder for folder, _ in done]
    assert len(order) == len(set(order)) == 2 * 4
    for folder, words in done:
        recipe = net.recipe_of(words)
        runs = [each for each in (recipe.start, *recipe.distil) if each and each[-4:] != ".npy"]
        assert all(order.index(Path(each)) < order.index(folder) for each in runs)
        assert {Path(each).name[-1] for each in runs} <= {folder.name[-1]}, "of another seed"
    assert folders.keys() == {last, "base", "taught"}
    assert net.recipe_of(dict(done)[folders[last][0]]).distil[1] == "runs/own.npy"


def test_shipping_writes_one_row_of_the_catalog_and_how_the_net_is_used(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    ship = importlib.import_module("ship")
    before = ship.CATALOG.read_text(encoding="utf-8")
    after = ship.in_catalog(before, SimpleNamespace(bytes=7, sha256="ab" * 32))
    rows, was = tomllib.loads(after), tomllib.loads(before)
    assert rows.pop("groupemo") == was.pop("groupemo") | {"bytes": 7, "sha256": "ab" * 32}
    assert rows == was
    with pytest.raises(SystemExit, match=r"no \[groupemo\]"):
        ship.in_catalog("[other]\nbytes = 1\n", SimpleNamespace(bytes=7, sha256="ab"))
    use = "Use it: `groupemo evaluate A B --backend onnx:model=n.onnx`, with `n.toml` beside it."
    assert ship.used_by_name(use) == "Use it: `groupemo evaluate A B --backend groupemo`."
    with pytest.raises(SystemExit, match="does not say how"):
        ship.used_by_name("Use it.")
