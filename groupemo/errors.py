"""The errors groupemo raises on purpose.

::

    GroupemoError
    ├── PhotoError        a photo cannot be used: names the photo, says what is wrong
    ├── LabelError        a label file or label set is wrong: file, line, word, nearest known word
    ├── AnalysisError     a saved analysis cannot be read, or does not fit the labels
    ├── ModelError        a model file cannot be had or is not what it should be
    ├── UnknownPlugin     no detector or backend of that name: lists the known ones
    ├── MissingExtra      an optional package is not installed: says what to install
    ├── ContractError     a plugin broke the rules of its seam
    ├── OptionError       an option has a value that means nothing: names option, value, choices
    └── OutputError       a result cannot be written: names the path and the reason

Each message names the offender, the place and the remedy. Anything else that
escapes from groupemo is a bug.
"""

from __future__ import annotations

__all__ = [
    "AnalysisError",
    "ContractError",
    "GroupemoError",
    "LabelError",
    "MissingExtra",
    "ModelError",
    "OptionError",
    "OutputError",
    "PhotoError",
    "UnknownPlugin",
]


class GroupemoError(Exception):
    """Root of every error groupemo raises on purpose."""


class PhotoError(GroupemoError):
    """A photo cannot be read or used."""


class LabelError(GroupemoError):
    """A label file, or a set of labels, is wrong."""


class AnalysisError(GroupemoError):
    """A saved analysis cannot be read, or does not fit what it is compared with."""


class ModelError(GroupemoError):
    """A model or sample file cannot be had, or is not what it should be."""


class UnknownPlugin(GroupemoError):
    """No detector or backend goes by that name."""


class MissingExtra(GroupemoError):
    """An optional package is needed and not installed."""


class ContractError(GroupemoError):
    """A detector or backend returned something its contract forbids."""


class OptionError(GroupemoError):
    """An option was given a value that has no meaning."""


class OutputError(GroupemoError):
    """A result cannot be written."""
