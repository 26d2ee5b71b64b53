"""What an emotion net's file does not say of itself: classes, colours, scaling, cropping."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groupemo.crops import checked_margin, checked_size
from groupemo.emotions import parse_emotion
from groupemo.errors import LabelError, OptionError

__all__ = ["CHANNELS", "LAYOUTS", "Description", "describe", "read_origin"]

CHANNELS = {"gray": 1, "rgb": 3, "bgr": 3}
LAYOUTS = {"nchw": 1, "nhwc": 3}
"""Where the channels are among the four dimensions."""

ORIGIN = ("source", "sha256")
"""Fields of a file that say which net it describes, not how."""


@dataclass(frozen=True, kw_only=True)
class Description:
    """How faces become inputs of a net, and what its outputs mean.

    A pixel value v of 0..255 becomes `(low + v / 255 * (high - low) - mean) / std`.

    Parameters
    ----------
    classes : sequence of str
        The outputs in order, in any words `groupemo.emotions` knows.
    color : {"rgb", "bgr", "gray"}
        Which channels the net takes, in which order.
    size : int or (int, int), optional
        Side, or (height, width), of the input; needed where the graph leaves it open.
    layout : {"nchw", "nhwc"}, optional
        Channels first or last; needed where the graph leaves it open.
    range : (float, float)
        `low` and `high`: what black and white become.
    mean, std : float or sequence of float
        One for all channels, or one a channel in the order of `color`.
    margin : float
        Added to the box on each side, as a fraction of its width and height.
    square : bool
        Grow the shorter side until the box is square.
    output : {"probs", "logits"}
        "probs" if the net ends in a softmax.

    Raises
    ------
    OptionError
        If a field has a value that means nothing.
    """

    classes: Sequence[str]
    color: str = "rgb"
    size: int | Sequence[int] | None = None
    layout: str | None = None
    range: Sequence[float] = (0.0, 1.0)
    mean: float | Sequence[float] = 0.0
    std: float | Sequence[float] = 1.0
    margin: float = 0.0
    square: bool = False
    output: str = "probs"

    def __post_init__(self) -> None:
        _check_choice("color", self.color, CHANNELS)
        _check_choice("layout", self.layout, [None, *LAYOUTS])
        _check_choice("square", self.square, [True, False])
        _check_choice("output", self.output, ["probs", "logits"])
        _check_numbers("range", self.range, [2])
        for name in ("mean", "std"):
            _check_numbers(name, getattr(self, name), [1, CHANNELS[self.color]])
        if np.ptp(self.range) == 0 or not np.all(self.std):
            raise OptionError(f"range is {self.range}, std {self.std}: no picture would be left")
        checked_margin(self.margin)
        object.__setattr__(self, "classes", _known_classes(self.classes))
        if self.size is not None:
            object.__setattr__(self, "size", checked_size(self.size))

    def scale(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the values of pixels, shape (h, w, c), as the net wants them."""
        low, high = self.range
        values = low + picture / 255 * (high - low)
        return np.asarray((values - np.array(self.mean)) / np.array(self.std), np.float32)

    def to_toml(self) -> str:
        """Return the text of a file that `describe` reads: TOML's values are written as JSON's."""
        said = {name: value for name, value in vars(self).items() if value is not None}
        return "".join(
            f"{name} = {json.dumps(np.asarray(value).tolist())}\n" for name, value in said.items()
        )


def describe(
    model: Path, description: str | Path | None, options: Mapping[str, Any]
) -> Description:
    """Return the description in a file, or beside the model, changed by `options`.

    Raises
    ------
    OptionError
        If a field is missing, unknown or means nothing; names the file.
    """
    path = _beside(model) if description is None else Path(description)
    told = (
        {name: value for name, value in _read(path).items() if name not in ORIGIN} if path else {}
    )
    values = {**told, **options}
    where = path or model
    known = [field.name for field in fields(Description)]
    unknown = [name for name in values if name not in known]
    if unknown:
        raise OptionError(f"{where}: no option {unknown[0]!r}; known: {', '.join(known)}")
    if "classes" not in values:
        raise OptionError(
            f"{where}: classes are missing: name the net's outputs in order, as an option or in"
            f" {model.with_suffix('.toml').name} beside it"
        )
    try:
        return Description(**values)
    except OptionError as error:
        raise OptionError(f"{where}: {error}") from error


def read_origin(description: str | Path) -> tuple[str, str]:
    """Return where a description says that its net comes from: `source` and `sha256`.

    Raises
    ------
    OptionError
        If it does not; names the file.
    """
    values = _read(Path(description))
    source, sha256 = (values.get(name) for name in ORIGIN)
    if not isinstance(source, str) or not source:
        raise OptionError(f"{description}: it names no source: say model=, or where the net is")
    if not isinstance(sha256, str) or not re.fullmatch("[0-9a-f]{64}", sha256):
        raise OptionError(
            f"{description}: sha256 is {sha256!r}: expected 64 hex digits, lower case"
        )
    return source, sha256


def _beside(model: Path) -> Path | None:
    found = (model.with_suffix(suffix) for suffix in (".toml", ".json"))
    return next((path for path in found if path.is_file()), None)


def _read(path: Path) -> dict[str, Any]:
    parse = json.loads if path.suffix == ".json" else tomllib.loads
    try:
        values = parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OptionError(f"{path}: not a description in TOML or JSON: {error}") from error
    if not isinstance(values, dict):
        raise OptionError(f"{path}: expected a table of fields, got {type(values).__name__}")
    return values


def _check_choice(name: str, value: object, choices: Collection[object]) -> None:
    if not isinstance(value, str | bool | None) or value not in choices:
        raise OptionError(f"{name} is {value!r}: expected one of {list(choices)}")


def _check_numbers(name: str, value: object, lengths: Collection[int]) -> None:
    try:
        numbers = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        numbers = np.array(np.nan)
    if numbers.ndim > 1 or numbers.size not in lengths or not np.isfinite(numbers).all():
        counts = " or ".join(str(length) for length in sorted(set(lengths)))
        raise OptionError(f"{name} is {value!r}: expected {counts} finite number(s)")


def _known_classes(words: object) -> tuple[str, ...]:
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
        raise OptionError(f"classes is {words!r}: expected a list of words")
    try:
        classes = tuple(parse_emotion(word) for word in words)
    except LabelError as error:
        raise OptionError(f"classes: {error}") from error
    if len(set(classes)) < max(len(classes), 2):
        raise OptionError(f"classes is {words!r}: expected two or more, each named once")
    return classes
