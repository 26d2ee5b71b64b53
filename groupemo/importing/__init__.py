"""Bring your own net: ONNX, PyTorch or Keras files become an ONNX file that says what it is.

::

    a file ── kinds ──▶ onnx_file | torch_file | models.keras ──▶ net.onnx
                                                                     │
    what is said of it (options, a .toml beside it) ──▶ inspection ◀─┘ run on made faces
                                                            │
                                             net.onnx, net.toml, card.md
"""

from __future__ import annotations

from groupemo.importing.inspection import Fact
from groupemo.importing.model import Imported, import_model

__all__ = ["Fact", "Imported", "import_model"]
