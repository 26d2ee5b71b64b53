"""What is tried in tuning: for fields of a recipe a range, or choices.

::

    {
      "lr": [0.0005, 0.01, "log"],
      "augmentation.rotation": [0, 30],
      "architecture": ["groupemo", "mini-xception"],
      "batch": {"choices": [64, 128]}
    }

Two numbers are the bounds of a range, both of them in it; a third item "log"
spreads what is tried evenly over its logarithm. Any other list is one of choices,
and so is what stands under "choices".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from groupemo.errors import OptionError
from groupemo.training.architectures import ARCHITECTURES
from groupemo.training.recipe import Recipe

__all__ = ["Space", "as_distributions", "default_space", "own_values", "read_space"]

Space = Mapping[str, Any]
"""Field of a recipe -> its range or choices, as in JSON."""

FIXED = {
    "seed": "a luckier seed is no better recipe",
    "valid_share": "trials have to be validated on the same faces",
    "device": "it is where trials run",
    "threads": "workers share them",
    "start": "trials have to begin alike",
}
"""Fields that are not tuned, and why."""


def default_space(recipe: Recipe) -> dict[str, Any]:
    """Return ranges around a recipe: of its learning rate, its regularization, and its data."""
    space: dict[str, Any] = {"lr": [recipe.lr / 5, min(5 * recipe.lr, 10.0), "log"]}
    if recipe.weight_decay:
        space["weight_decay"] = [
            recipe.weight_decay / 10,
            min(10 * recipe.weight_decay, 10.0),
            "log",
        ]
    architecture = ARCHITECTURES.get(recipe.architecture)
    if architecture and "dropout" in architecture.options:
        space["dropout"] = [0.0, 0.5]
    return space | {
        "mixup": [0.0, 0.4],
        "balance": [0.0, 1.0],
        "augmentation.rotation": [0.0, 30.0],
        "augmentation.shift": [0.0, 0.2],
        "augmentation.erasing": [0.0, 0.8],
    }


def read_space(path: str | Path) -> dict[str, Any]:
    """Return the space in a JSON file, not yet checked.

    Raises
    ------
    OptionError
        If the file cannot be read, or holds no JSON object.
    """
    try:
        space = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OptionError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(space, dict):
        raise OptionError(f'{path}: expected an object such as {{"lr": [0.0005, 0.01, "log"]}}')
    return space


def as_distributions(space: Space, recipe: Recipe) -> dict[str, BaseDistribution]:
    """Return what Optuna draws from, every value in it one that the recipe takes.

    Raises
    ------
    OptionError
        If a field is unknown or not to be tuned, or a bound or a choice means nothing.
    """
    if not space:
        raise OptionError("space: is empty: give a field to tune, or leave the space out")
    return {name: _distribution(name, wanted, recipe) for name, wanted in space.items()}


def own_values(space: Mapping[str, BaseDistribution], recipe: Recipe) -> dict[str, Any] | None:
    """Return the recipe's own values of what is tuned; None where one is outside the space."""
    own = {}
    for name, distribution in space.items():
        if isinstance(distribution, CategoricalDistribution):
            inside = [one for one in distribution.choices if recipe.changed({name: one}) == recipe]
        else:
            value = _value(recipe, name)
            if value is None:
                value = ARCHITECTURES[recipe.architecture].options.get(name)
            inside = [value] if _is_between(distribution, value) else []
        if not inside:
            return None
        own[name] = inside[0]
    return own


def _distribution(name: str, wanted: object, recipe: Recipe) -> BaseDistribution:
    if name in FIXED:
        raise OptionError(f"space: {name} is not tuned: {FIXED[name]}")
    match wanted:
        case {"choices": [_, _, *_] as choices} if len(wanted) == 1:  # type: ignore[arg-type]
            return _choices(name, choices, recipe)
        case [int() | float() as low, int() | float() as high, *rest] if rest in (
            [],
            ["log"],
        ) and bool not in (type(low), type(high)):
            return _range(name, low, high, rest == ["log"], recipe)
        case [_, _, *_]:
            return _choices(name, wanted, recipe)
    raise OptionError(
        f'space: {name} is {wanted!r}: expected [LOW, HIGH], [LOW, HIGH, "log"], or a list of'
        " choices"
    )


def _choices(name: str, choices: Sequence[Any], recipe: Recipe) -> CategoricalDistribution:
    for one in choices:
        if isinstance(one, list | dict):
            raise OptionError(f"space: {name}: {one!r} is no choice: expected a text or a number")
        _taken(name, one, recipe)
    for one in choices if name == "architecture" else ():
        if one not in ARCHITECTURES:
            raise OptionError(f"space: {name} is {one!r}: expected some of {list(ARCHITECTURES)}")
    return CategoricalDistribution(choices)


def _range(
    name: str, low: float, high: float, log: bool, recipe: Recipe
) -> FloatDistribution | IntDistribution:
    first, last = (_taken(name, bound, recipe) for bound in (low, high))
    if not low < high or (log and low <= 0):
        expected = "0 < low < high" if log else "low < high"
        raise OptionError(f"space: {name} is from {low:g} to {high:g}: expected {expected}")
    if isinstance(first, int):
        return IntDistribution(first, last, log=log)
    return FloatDistribution(first, last, log=log)


def _taken(name: str, value: object, recipe: Recipe) -> Any:
    """Return the value as the recipe takes it; raise where it does not."""
    try:
        return _value(recipe.changed({name: value}), name)
    except OptionError as error:
        raise OptionError(f"space: {error}") from error


def _value(recipe: Recipe, name: str) -> Any:
    value: Any = recipe
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _is_between(distribution: BaseDistribution, value: float | None) -> bool:
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return value is not None and distribution.low <= value <= distribution.high
