"""Recipes: read, checked, changed and compared, without PyTorch."""

import json
import subprocess
import sys
from dataclasses import fields

import pytest
from conftest import ROOT

from groupemo.errors import OptionError
from groupemo.training.recipe import Augmentation, Recipe


def test_json_keeps_every_field():
    recipe = Recipe(lr=0.01, patience=4, distil=("a", "b"), augmentation=Augmentation(shear=0))
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert set(json.loads(recipe.to_json())) == set(vars(recipe))


def test_fields_that_are_not_in_the_json_have_their_defaults():
    recipe = Recipe.from_json('{"epochs": 3, "augmentation": {"rotation": 20}}')
    assert recipe == Recipe(epochs=3, augmentation=Augmentation(rotation=20.0))


@pytest.mark.parametrize(
    ("setting", "value", "read"),
    [
        ("epochs", "7", 7),
        ("width", ".5", 0.5),
        ("width", "none", None),
        ("flip_valid", "true", True),
        ("device", "cpu", "cpu"),
        ("distil", "runs/a,runs/b", ("runs/a", "runs/b")),
        ("mixup", "1e-1", 0.1),
        ("start", "2024", "2024"),
        ("start", "", None),
        ("start", "none", None),
    ],
)
def test_texts_are_read_as_what_the_field_takes(setting, value, read):
    assert getattr(Recipe().changed({setting: value}), setting) == read


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"lr": 0}, "lr is 0: expected a number from 1e-07 to 10"),
        ({"lr": "fast"}, "lr is 'fast'"),
        ({"lr": "nan"}, "lr is nan"),
        ({"epochs": 2.5}, "epochs is 2.5: expected a whole number"),
        ({"epochs": True}, "epochs is True"),
        ({"epochs": None}, "epochs is None"),
        ({"epochs": 10**400}, "epochs is 1000"),
        ({"lr": "9" * 400}, "lr is 9999"),
        ({"lr": "inf"}, "lr is inf"),
        ({"ema": 1.0}, "ema is 1.0"),
        ({"strays": "some"}, r"strays is 'some': expected one of \['drop', 'keep'\]"),
        ({"distil": 3}, "distil is 3: expected paths"),
        ({"start": 3}, "start is 3: expected the path of a run's folder"),
        ({"architecture": 3}, "architecture is 3"),
        ({"widht": 1}, "no field 'widht'; known: architecture, width"),
        ({"augmentation.rotate": 1}, "no field 'augmentation.rotate'; known: flip, rotation"),
        ({"augmentation.flip": 2}, "augmentation.flip is 2: expected a number from 0 to 1"),
        ({"augmentation": "much"}, "augmentation is 'much'"),
    ],
)
def test_what_means_nothing_is_refused(values, told):
    with pytest.raises(OptionError, match=told):
        Recipe().changed(values)


@pytest.mark.parametrize("text", ["{", "[1]", '{"lr": -1}', "[" * 100_000])
def test_a_recipe_that_cannot_be_read_is_named(text):
    with pytest.raises(OptionError, match=r"^mine\.json: "):
        Recipe.from_json(text, source="mine.json")


def test_the_page_on_training_names_every_field():
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    names = [field.name for kind in (Recipe, Augmentation) for field in fields(kind)]
    assert [name for name in names if f"`{name}" not in page] == []


def test_differences_name_field_and_both_values():
    one, other = Recipe(lr=0.01), Recipe(augmentation=Augmentation(flip=0))
    assert one.differences(one) == []
    assert one.differences(other) == [
        "lr is 0.01, there 0.002",
        "augmentation.flip is 0.5, there 0.0",
    ]


def test_a_recipe_needs_no_pytorch():
    code = "import sys; import groupemo.training.recipe; print('torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert told.stdout.strip() == "False"
