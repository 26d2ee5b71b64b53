"""What can be installed besides, and whether it is."""

from __future__ import annotations

from importlib.util import find_spec

__all__ = ["training_within_reach"]


def training_within_reach() -> bool:
    """Return whether what training needs is installed, and say in a line if not."""
    missing = [name for name in ("torch", "kornia", "onnxscript") if find_spec(name) is None]
    if missing:
        print(f"training is left out: {', '.join(missing)} not installed:"
              " pip install 'groupemo[train]'")  # fmt: skip
    return not missing
