"""Training an emotion net: faces with votes, recipes, runs, tuning, export.

The names are imported when first used; most need `groupemo[train]`. The same from
the command line, with every file's meaning: docs/training.md.
"""

from typing import Any

import lazy_loader as _lazy

from groupemo.models.pytorch import needs_train_extra as _needs_train_extra

_get, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    with _needs_train_extra():
        return _get(name)
