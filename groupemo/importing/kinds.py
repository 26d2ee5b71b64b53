"""What kind of file a net is in, told by its bytes, not by its name."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Literal

from groupemo.errors import ModelError

__all__ = ["Kind", "kind_of"]

Kind = Literal["ONNX", "Keras", "TorchScript", "PyTorch"]

LARGEST = 2**32
"""Bytes in an archive, unpacked; ONNX files end at half of it."""


def kind_of(source: Path) -> Kind:
    """Return what a file is; "PyTorch" is whatever `torch.save` wrote.

    Raises
    ------
    ModelError
        If it is not there, is empty, is a broken archive, or unpacks to too much.
    """
    try:
        with open(source, "rb") as file:
            start = file.read(64)
    except OSError as error:
        raise ModelError(f"{source}: cannot be read: {error.strerror}") from error
    if not start:
        raise ModelError(f"{source}: the file is empty: export or download it again")
    if start.startswith(b"PK"):
        return _kind_of_archive(source)
    if start.startswith(b"\x89HDF\r\n") or start.lstrip()[:1] == b"{":
        return "Keras"
    return "PyTorch" if start[:1] == b"\x80" else "ONNX"


def _kind_of_archive(source: Path) -> Kind:
    try:
        with zipfile.ZipFile(source) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise ModelError(
            f"{source}: a broken archive, perhaps cut short: copy it again ({error})"
        ) from error
    if sum(member.file_size for member in members) > LARGEST:
        raise ModelError(f"{source}: it unpacks to more than {LARGEST >> 30} GiB: refused")
    names = {member.filename.rpartition("/")[2] for member in members}
    if "config.json" in names:
        return "Keras"
    if "constants.pkl" in names:
        return "TorchScript"
    if "data.pkl" in names:
        return "PyTorch"
    raise ModelError(f"{source}: an archive, but of no net: expected .keras, .pt or .pth")
