"""What detectors that run somebody else's package share."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from groupemo.models.resolver import sha256_of

__all__ = ["carried"]


def carried(module: ModuleType, pattern: str) -> dict[str, str]:
    """Return the SHA-256 of the weights that a package carries, by file name."""
    folder = Path(str(module.__file__)).parent
    return {path.name: sha256_of(path) for path in sorted(folder.glob(pattern))}
