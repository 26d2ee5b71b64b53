"""From a file of any kind to a folder that groupemo can run."""

from __future__ import annotations

import shutil
import tomllib
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from groupemo.backends._description import CHANNELS
from groupemo.crops import checked_size
from groupemo.errors import ModelError, OptionError, OutputError
from groupemo.importing.inspection import Fact, check_sides, inspect
from groupemo.importing.kinds import Kind, kind_of
from groupemo.importing.onnx_file import copy_onnx
from groupemo.importing.records import spell_card, spell_description
from groupemo.importing.torch_file import TorchClass, convert_torch, convert_torchscript
from groupemo.models import keras
from groupemo.models.resolver import sha256_of

__all__ = ["Imported", "import_model"]

NET, DESCRIPTION, CARD = "net.onnx", "net.toml", "card.md"

PROGRAM = (
    "A TorchScript file is a program. No Python ran while it was read, but its operators can read"
    " and write files: take it from people you know."
)


@dataclass(frozen=True)
class Imported:
    """A net that was imported.

    Parameters
    ----------
    folder : Path
        With net.onnx, net.toml and card.md.
    kind : {"ONNX", "Keras", "TorchScript", "PyTorch"}
        What it was.
    facts : tuple of Fact
        What is known of it, and how.
    assumptions : tuple of str
        What nothing says and a wrong guess would spoil.
    """

    folder: Path
    kind: Kind
    facts: tuple[Fact, ...]
    assumptions: tuple[str, ...]

    @property
    def spec(self) -> str:
        """The backend, as `evaluate` and the command line take it."""
        return f"onnx:model={self.folder / NET}"


def import_model(
    source: str | Path,
    *,
    out: str | Path,
    weights: str | Path | None = None,
    class_path: str | None = None,
    class_args: Mapping[str, Any] | None = None,
    allow_pickle: bool = False,
    force: bool = False,
    **description: Any,
) -> Imported:
    """Turn an emotion net of any common kind into one that groupemo runs.

    The kind is told by the file's bytes: ONNX; Keras (`.h5`, `.keras`, or
    `model.json` with `weights`), converted without TensorFlow; TorchScript, and
    state dicts with the class they belong to (these need `groupemo[train]`). The
    ONNX file is checked, run on made faces, and described.

    Parameters
    ----------
    source : path
        The file. A .toml of the same name beside it is read, as `description`.
    out : path
        The folder to make.
    weights : path, optional
        HDF5 of weights, for a Keras architecture in JSON.
    class_path, class_args : str and Mapping, optional
        `package.module:Class` a state dict belongs to, and what to call it with.
        The module is imported, so its code runs.
    allow_pickle : bool
        Read a PyTorch file even where reading it runs code in it.
    force : bool
        Replace what an earlier import wrote to `out`.
    **description
        How faces become inputs, and what outputs mean: `classes`, `color`, `size`,
        `layout`, `range`, `mean`, `std`, `margin`, `square`, `output`. `classes` must be
        given unless the .toml does; size and channels are read where the file says
        them.

    Returns
    -------
    Imported

    Raises
    ------
    ModelError
        If the file is not what it seems, or holds what cannot be converted.
    OptionError
        If something must be said, or what is said cannot be true.
    OutputError
        If the folder is there already, or cannot be written.
    MissingExtra
        If PyTorch is needed and not installed.

    Examples
    --------
    ::

        net = import_model("fer.h5", out="my_net", classes=groupemo.EMOTIONS)
        groupemo.evaluate("photos", "labels.csv", backends=[net.spec])
    """
    path, folder = Path(source), Path(out)
    arrays = None if weights is None else Path(weights)
    made_of = None if class_path is None else TorchClass(class_path, class_args or {})
    kind = kind_of(path)
    if arrays and kind != "Keras":
        raise OptionError(f"{path}: weights go with a Keras architecture; this is {kind}")
    if made_of and kind != "PyTorch":
        raise OptionError(f"{path}: a class path goes with a state dict; this is {kind}")
    options = {name: value for name, value in description.items() if value is not None}
    said = {**_read_beside(path), **options}
    with _folder(folder, force) as workplace, _named(workplace / NET, path):
        net = workplace / NET
        if kind == "ONNX":
            copy_onnx(path, net)
        elif kind == "Keras":
            keras.convert(path, net, weights=arrays)
        elif kind == "TorchScript":
            convert_torchscript(path, net, shape=_shape(path, said))
        else:
            shape = _shape(path, said)
            convert_torch(path, net, made_of=made_of, shape=shape, allow_pickle=allow_pickle)
        found = inspect(net, str(path), said)
        if kind == "TorchScript":
            found = replace(found, assumptions=(PROGRAM, *found.assumptions))
        origin = [f"{each.name!r}, SHA-256 {sha256_of(each)}" for each in (path, arrays) if each]
        text = spell_description(found, kind, origin)
        (workplace / DESCRIPTION).write_text(text, encoding="utf-8")
        text = spell_card(found, kind, origin, folder)
        (workplace / CARD).write_text(text, encoding="utf-8")
    return Imported(folder, kind, found.facts, found.assumptions)


def _read_beside(source: Path) -> dict[str, Any]:
    """Return the description in the .toml beside a file, if there is one."""
    path = source.with_suffix(".toml")
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OptionError(f"{path}: not a description in TOML: {error}") from error


def _shape(source: Path, said: Mapping[str, Any]) -> tuple[int | None, int, int]:
    """Return channels, height and width of an input, which files of PyTorch do not say."""
    if said.get("size") is None:
        raise OptionError(
            f"{source}: a file of PyTorch does not say the size of its pictures: say --size (size=)"
        )
    size = checked_size(said["size"])
    check_sides(str(source), size)
    color = said.get("color")
    return (CHANNELS.get(color) if isinstance(color, str) else None, *size)


@contextmanager
def _named(net: Path, source: Path) -> Iterator[None]:
    """Let errors name the user's file, not what becomes of it."""
    try:
        yield
    except (ModelError, OptionError) as error:
        raise type(error)(str(error).replace(str(net), str(source))) from error


@contextmanager
def _folder(folder: Path, force: bool) -> Iterator[Path]:
    """Give a folder under another name, and give it the right one when all went well."""
    try:
        _check_folder(folder, force)
        workplace = folder.absolute().with_name(f".{uuid.uuid4().hex[:16]}")
        workplace.mkdir(parents=True)
        try:
            yield workplace
            if folder.exists():
                shutil.rmtree(folder)
            workplace.rename(folder)
        finally:
            shutil.rmtree(workplace, ignore_errors=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror or error}") from error


def _check_folder(folder: Path, force: bool) -> None:
    if folder.exists() and not force:
        raise OutputError(f"{folder}: there already: say another folder, or --force to replace it")
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: a file: say a folder")
    held = sorted(each.name for each in folder.iterdir()) if folder.exists() else []
    foreign = [name for name in held if name not in (NET, DESCRIPTION, CARD)]
    if foreign:
        raise OutputError(
            f"{folder}: not made by an import ({', '.join(foreign[:3])}): say another folder"
        )
