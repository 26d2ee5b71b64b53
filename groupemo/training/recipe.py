"""A recipe: everything that decides how a net is trained, but for the faces.

Needs no PyTorch, so that recipes are read, checked and compared anywhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import Field, asdict, dataclass, field, fields, replace
from typing import Any, Self

from groupemo.errors import OptionError

__all__ = ["Augmentation", "Recipe", "flat"]


def _number(default: float | None, low: float, high: float, kind: type = float) -> Any:
    """Return a field that takes numbers in a range, and None if that is its default."""
    return field(default=default, metadata={"low": low, "high": high, "kind": kind})


def _whole(default: int | None, low: int, high: int) -> Any:
    return _number(default, low, high, int)


def _choice(*choices: object) -> Any:
    """Return a field that takes one of the choices; the first is the default."""
    return field(default=choices[0], metadata={"choices": choices})


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How strongly faces are changed at random, so that they look like crops from group photos.

    Parameters
    ----------
    flip : float
        Chance of left and right being swapped.
    rotation : float
        Most degrees a face is turned, either way.
    shift : float
        Most a face is moved, each way, as a share of its side.
    shrink, enlarge : float
        Most a face becomes smaller or larger, as a share of its side.
    shear : float
        Most degrees of shear, each way.
    low_resolution : float
        Chance of being scaled down, to a quarter of its side at least, and up again.
    blur : float
        Chance of a Gaussian blur of standard deviation 0.3 to 1.6 pixels at a side of 48.
    gamma : float
        Chance of a gamma of 0.6 to 1.7.
    brightness : float
        Chance of brightness times 0.7 to 1.3.
    contrast : float
        Chance of contrast times 0.6 to 1.4.
    noise : float
        Chance of Gaussian noise of standard deviation 0.03 of the range.
    jpeg : float
        Chance of a JPEG's loss at a quality of 20 to 90.
    erasing : float
        Chance of a rectangle of 2 to 25 % of the face turned black
        (Zhong et al., AAAI 2020).

    Raises
    ------
    OptionError
        If a value means nothing.
    """

    flip: float = _number(0.5, 0, 1)
    rotation: float = _number(15.0, 0, 180)
    shift: float = _number(0.1, 0, 0.5)
    shrink: float = _number(0.2, 0, 0.9)
    enlarge: float = _number(0.15, 0, 2)
    shear: float = _number(6.0, 0, 45)
    low_resolution: float = _number(0.25, 0, 1)
    blur: float = _number(0.2, 0, 1)
    gamma: float = _number(0.4, 0, 1)
    brightness: float = _number(0.4, 0, 1)
    contrast: float = _number(0.4, 0, 1)
    noise: float = _number(0.2, 0, 1)
    jpeg: float = _number(0.1, 0, 1)
    erasing: float = _number(0.4, 0, 1)

    def __post_init__(self) -> None:
        _check(self, "augmentation.")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a net is trained.

    Parameters
    ----------
    architecture : str
        A name in `groupemo.training.architectures.ARCHITECTURES`.
    width, dropout, drop_path : float, optional
        Options of the architecture, where it has them; None for its own values.
    epochs : int
        How often every face is seen.
    batch : int
        Faces a step.
    lr : float
        The greatest learning rate of the one cycle (Smith & Topin 2019).
    warmup : float
        The share of the steps in which the learning rate rises to it.
    optimizer : {"adamw", "sgd"}
        AdamW (Loshchilov & Hutter, ICLR 2019), or SGD with Nesterov's momentum.
    weight_decay : float
        Of matrices and convolutions alone, not of biases and norms.
    clip : float
        Greatest norm of all gradients.
    ema : float
        Decay a step of the moving average of the net that is validated and kept;
        less in the first steps: at most (1 + step) / (10 + step).
    strays : {"drop", "keep"}
        Whether a vote that stands alone for its class is dropped where another
        class has two or more.
    balance : float
        0 weighs faces by their votes alone; 1 weighs rare classes as much as
        frequent ones: faces by the mean of (1 / share of the class) ** balance.
    mixup : float
        Half of the batches are mixed pairwise by a share drawn from
        Beta(mixup, mixup) (Zhang et al., ICLR 2018); 0 mixes none.
    start : str, optional
        A run's folder: learning goes on from its net instead of weights drawn at random,
        as where a net is to fit a few faces of one's own, or to see calmer ones at last.
    distil : tuple of str
        Teachers, whose answers are averaged: run folders, or .npy files of
        probabilities, shape (faces, 7) (Hinton et al. 2015).
    distil_share : float
        The part of the target that is the teachers'; the rest are the votes.
    augmentation : Augmentation
    valid_share : float
        The part kept for validation, by photo, where no faces are given for it.
    flip_valid : bool
        Whether a face's answer is the mean of its own and its mirror's: where the net
        is validated, and in the exported net.
    patience : int, optional
        Epochs without a better validation loss after which training stops early;
        None for never.
    seed : int
    device : {"auto", "cpu", "cuda"}
        A GPU is taken where there is one.
    precision : {"auto", "float32", "bfloat16"}
        Of most products while training; bfloat16 where the device has it.
    threads : int, optional
        Of PyTorch on the processor; figures are the same for the same number.

    Raises
    ------
    OptionError
        If a value means nothing: names the field, the value and what is expected.

    Examples
    --------
    >>> recipe = Recipe(epochs=5).changed({"augmentation.rotation": "20", "lr": 0.01})
    >>> recipe.augmentation.rotation, recipe.lr, recipe.epochs
    (20.0, 0.01, 5)
    >>> Recipe.from_json(recipe.to_json()) == recipe
    True
    """

    architecture: str = "groupemo"
    width: float | None = _number(None, 0.1, 8)
    dropout: float | None = _number(None, 0, 0.95)
    drop_path: float | None = _number(None, 0, 0.95)
    epochs: int = _whole(40, 1, 10_000)
    batch: int = _whole(128, 2, 65_536)
    lr: float = _number(2e-3, 1e-7, 10)
    warmup: float = _number(0.15, 0.001, 0.9)
    optimizer: str = _choice("adamw", "sgd")
    weight_decay: float = _number(0.05, 0, 10)
    clip: float = _number(5.0, 1e-3, 1e6)
    ema: float = _number(0.999, 0, 0.99999)
    strays: str = _choice("drop", "keep")
    balance: float = _number(0.0, 0, 1)
    mixup: float = _number(0.0, 0, 10)
    start: str | None = None
    distil: tuple[str, ...] = ()
    distil_share: float = _number(0.5, 0, 1)
    augmentation: Augmentation = field(default_factory=Augmentation)
    valid_share: float = _number(0.1, 0.001, 0.9)
    flip_valid: bool = _choice(False, True)
    patience: int | None = _whole(None, 1, 10_000)
    seed: int = _whole(0, 0, 2**31 - 1)
    device: str = _choice("auto", "cpu", "cuda")
    precision: str = _choice("auto", "float32", "bfloat16")
    threads: int | None = _whole(None, 1, 1024)

    def __post_init__(self) -> None:
        _check(self)

    def to_json(self) -> str:
        """Return the recipe as JSON, every field in it."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, *, source: str = "recipe") -> Self:
        """Return the recipe in JSON; fields that are not in it have their defaults.

        Raises
        ------
        OptionError
            If it is no JSON object, or a field is unknown or means nothing; names `source`.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise OptionError(f"{source}: not JSON: {error}") from error
        if not isinstance(values, dict):
            raise OptionError(f"{source}: expected an object of fields, got {text.strip()[:40]!r}")
        try:
            return cls().changed(values)
        except OptionError as error:
            raise OptionError(f"{source}: {error}") from error

    def changed(self, values: Mapping[str, object]) -> Self:
        """Return the recipe with other values.

        Parameters
        ----------
        values : mapping
            Field -> value; "augmentation.rotation" is a field of `augmentation`. A
            text is read as what the field takes: "20", "none", "true", "runs/a,runs/b".

        Raises
        ------
        OptionError
            If a field is unknown or a value means nothing.
        """
        own: dict[str, object] = {}
        inner: dict[str, object] = {}
        for name, value in values.items():
            head, _, rest = name.partition(".")
            if name == "augmentation" and isinstance(value, Mapping):
                inner.update(value)
            elif head == "augmentation" and rest:
                inner[rest] = value
            else:
                own[name] = value
        if inner:
            own["augmentation"] = _replaced(self.augmentation, inner, "augmentation.")
        changed: Self = _replaced(self, own)
        return changed

    def differences(self, other: Recipe) -> list[str]:
        """Return "lr is 0.002, there 0.01" for each field the other has another value in."""
        mine, others = flat(self), flat(other)
        return [
            f"{name} is {value!r}, there {others[name]!r}"
            for name, value in mine.items()
            if value != others[name]
        ]


def flat(recipe: Recipe) -> dict[str, object]:
    """Return every field's value by its name; "augmentation.rotation" is one of `augmentation`."""
    values = {name: value for name, value in vars(recipe).items() if name != "augmentation"}
    return values | {f"augmentation.{name}": v for name, v in vars(recipe.augmentation).items()}


def _replaced(given: Any, values: Mapping[str, object], prefix: str = "") -> Any:
    known = {one.name: one for one in fields(given)}
    for name in values:
        if name not in known:
            raise OptionError(f"no field {prefix + name!r}; known: {', '.join(known)}")
    return replace(given, **{name: _read(known[name], value) for name, value in values.items()})


def _read(of: Field[Any], value: object) -> object:
    """Return the value a text stands for; JSON's lists become tuples."""
    if of.name == "distil" and isinstance(value, str):
        return tuple(part for part in value.split(",") if part)
    if of.name == "start" and isinstance(value, str):  # a folder may be named 2024
        return None if value.lower() in ("", "none") else value
    if isinstance(value, list):
        return tuple(value)
    if not isinstance(value, str) or value in of.metadata.get("choices", ()):
        return value
    words = {"none": None, "true": True, "false": False}
    if value.lower() in words:
        return words[value.lower()]
    for kind in (int, float):
        with suppress(ValueError):
            return kind(value)
    return value


def _check(given: Any, prefix: str = "") -> None:
    """Raise where a value is not of its field's kind or out of its range; make reals floats."""
    for one in fields(given):
        value = getattr(given, one.name)
        good, expected = _judge(one, value)
        if not good:
            raise OptionError(f"{prefix}{one.name} is {value!r}: expected {expected}")
        if one.metadata.get("kind") is float and value is not None:
            object.__setattr__(given, one.name, float(value))


def _judge(of: Field[Any], value: object) -> tuple[bool, str]:
    """Return whether a field takes a value, and what it takes."""
    about = of.metadata
    if "choices" in about:
        choices = about["choices"]
        return isinstance(value, str | bool) and value in choices, f"one of {list(choices)}"
    if "kind" in about:
        what = "whole number" if about["kind"] is int else "number"
        expected = f"a {what} from {about['low']:g} to {about['high']:g}"
        return (value is None and of.default is None) or _in_range(value, **about), expected
    if of.name == "distil":
        paths = isinstance(value, tuple) and all(isinstance(path, str) for path in value)
        return paths, "paths of run folders or .npy files"
    if of.name == "start":
        return value is None or isinstance(value, str), "the path of a run's folder"
    kind = str if of.name == "architecture" else Augmentation
    return isinstance(value, kind), f"a {kind.__name__}"


def _in_range(value: object, low: float, high: float, kind: type) -> bool:
    if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
        return False
    return low <= value <= high  # which NaN is not
