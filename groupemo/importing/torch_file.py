"""Nets of PyTorch: a state dict with the class it belongs to, a TorchScript program, a pickle.

A pickle can hold code that runs when it is read. `torch.load(weights_only=True)`
reads tensors and refuses the rest; it is never done otherwise unasked.
"""

from __future__ import annotations

import importlib
import os
import pickle
import re
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from groupemo.errors import ModelError, OptionError
from groupemo.models.pytorch import forget_origin, needs_train_extra, quiet
from groupemo.models.session import open_session, run

__all__ = ["TorchClass", "convert_torch", "convert_torchscript"]

TOLERANCE = 1e-4
"""Largest difference between an answer of PyTorch and of the ONNX file."""

WRAPPINGS = ("state_dict", "model_state_dict", "model", "net")
"""Where checkpoints keep the state dict among other things."""


@dataclass(frozen=True)
class TorchClass:
    """The class a state dict belongs to.

    Parameters
    ----------
    path : str
        `package.module:Class`, or a function that returns the net; modules are
        looked for in the current folder, too.
    arguments : Mapping
        What to call it with.
    """

    path: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


def convert_torch(
    source: Path,
    target: Path,
    *,
    made_of: TorchClass | None,
    shape: tuple[int | None, int, int],
    allow_pickle: bool = False,
) -> None:
    """Write a net that `torch.save` wrote to `target` (ONNX).

    Parameters
    ----------
    source, target : path
    made_of : TorchClass or None
        Needed where `source` holds a state dict.
    shape : (int or None, int, int)
        Of one input: channels (None: those of the first convolution), height, width.
    allow_pickle : bool
        Read `source` even where that runs code in it.

    Raises
    ------
    MissingExtra
        If PyTorch is not installed.
    ModelError, OptionError
        If it cannot be read safely, or is not of that class.
    """
    torch = _torch()
    loaded = _load(torch, source, allow_pickle)
    if not isinstance(loaded, torch.nn.Module):
        loaded = _filled(torch, source, loaded, made_of)
    _export(torch, source, loaded, target, shape, dynamo=True)


def convert_torchscript(source: Path, target: Path, *, shape: tuple[int | None, int, int]) -> None:
    """Write a TorchScript program to `target` (ONNX); see `convert_torch`.

    No Python runs while it is read; but it is a program, with operators that can
    read files: it, too, should come from somebody known.
    """
    torch = _torch()
    try:
        with quiet():
            loaded = torch.jit.load(str(source), map_location="cpu")
    except (RuntimeError, ValueError, OSError) as error:
        raise ModelError(f"{source}: not a TorchScript net: {_first_line(error)}") from error
    _export(torch, source, loaded, target, shape, dynamo=False)


def _torch() -> Any:
    with needs_train_extra():
        import onnxscript  # noqa: F401 - torch's exporter needs it
        import torch
    return torch


def _load(torch: Any, source: Path, allow_pickle: bool) -> Any:
    if allow_pickle:
        warnings.warn(f"{source}: any code in it runs now, as you asked for", stacklevel=2)
    try:
        with quiet():
            return torch.load(source, map_location="cpu", weights_only=not allow_pickle)
    except pickle.UnpicklingError as error:
        asked = re.search(r"GLOBAL ([\w.]+)", str(error))
        raise ModelError(
            f"{source}: it holds more than weights{f' ({asked[1]})' if asked else ''}: to read it,"
            " code in it would have to run, and that may do anything on this computer. Ask for the"
            " state dict (torch.save(net.state_dict(), ...)); or, if you trust whoever made it, say"
            " --allow-pickle (allow_pickle=True)"
        ) from error
    except Exception as error:  # a pickle, and code in it, may raise anything
        raise ModelError(
            f"{source}: not a file of PyTorch that can be read: {_first_line(error)}"
        ) from error


def _filled(torch: Any, source: Path, loaded: Any, made_of: TorchClass | None) -> Any:
    """Return the net of a state dict."""
    state = _state_of(torch, source, loaded)
    if made_of is None:
        raise OptionError(
            f"{source}: it holds weights alone: say the net's class, --class-path"
            " package.module:Class (class_path=)"
        )
    net = _made(torch, made_of)
    _check_state(source, made_of.path, net.state_dict(), state)
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(
            f"{source}: its tensors cannot be weights of {made_of.path}: {str(error).strip()}"
        ) from error
    return net


def _state_of(torch: Any, source: Path, loaded: Any) -> dict[str, Any]:
    for key in WRAPPINGS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    if not isinstance(loaded, Mapping) or not all(map(torch.is_tensor, loaded.values())):
        told = ", ".join(map(str, loaded)) if isinstance(loaded, Mapping) else type(loaded).__name__
        raise ModelError(f"{source}: expected a state dict, names with tensors; it holds {told}")
    return {str(name).removeprefix("module."): tensor for name, tensor in loaded.items()}


def _made(torch: Any, made_of: TorchClass) -> Any:
    module, colon, name = made_of.path.partition(":")
    if not (colon and module and name):
        raise OptionError(f"class path is {made_of.path!r}: expected package.module:Class")
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        net = getattr(importlib.import_module(module), name)(**made_of.arguments)
    except (Exception, SystemExit) as error:  # somebody's own code may raise anything
        raise ModelError(
            f"class path {made_of.path!r} cannot be made with {dict(made_of.arguments)}:"
            f" {type(error).__name__}: {error}"
        ) from error
    finally:
        sys.path.remove(here)
    if not isinstance(net, torch.nn.Module):
        raise ModelError(f"class path {made_of.path!r} gives a {type(net).__name__}, not a net")
    return net


def _check_state(source: Path, path: str, own: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    counter = "num_batches_tracked"  # not saved by PyTorch before 0.4.1
    problems = [
        f"{name} is missing" for name in own if name not in state and not name.endswith(counter)
    ]
    problems += [f"{name} is not in the class" for name in state if name not in own]
    problems += [
        f"{name} is {tuple(state[name].shape)}, expected {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if name in state and state[name].shape != tensor.shape
    ]
    if problems:
        more = f" and {len(problems) - 6} more" if len(problems) > 6 else ""
        raise ModelError(
            f"{source}: these are not the weights of {path}: {'; '.join(problems[:6])}{more}:"
            " is it the right class, with the right arguments?"
        )


def _export(
    torch: Any,
    source: Path,
    net: Any,
    target: Path,
    shape: tuple[int | None, int, int],
    *,
    dynamo: bool,
) -> None:
    """Export a net, and see that both answer the same."""
    net = net.eval().float()
    full = (shape[0] or _channels(source, net), *shape[1:])
    dynamic: dict[str, Any] = (
        {"dynamic_shapes": ({0: torch.export.Dim("n")},)}
        if dynamo
        else {"dynamic_axes": {"input": {0: "n"}, "output": {0: "n"}}}
    )
    try:
        with quiet(), torch.no_grad():
            pictures = {n: torch.rand(n, *full) for n in (2, 5)}
            answers = {n: net(each).numpy() for n, each in pictures.items()}
            torch.onnx.export(
                net,
                (pictures[2],),
                str(target),
                input_names=["input"],
                output_names=["output"],
                external_data=False,
                dynamo=dynamo,
                verbose=False,
                **dynamic,
            )
    except Exception as error:  # the net is somebody's own code
        raise ModelError(
            f"{source}: it cannot be exported for inputs of shape {full}: {_first_line(error)}"
        ) from error
    model = onnx.load(target)
    forget_origin(model)
    onnx.save(model, target)
    session = open_session(target)
    for n, expected in answers.items():
        given = run(session, pictures[n].numpy())[0]
        difference = float(np.abs(given - expected).max())
        if not difference <= TOLERANCE:
            raise ModelError(
                f"{source}: exported to ONNX it answers otherwise, by up to {difference:.2g}:"
                f" not more than {TOLERANCE:g} is allowed"
            )


def _channels(source: Path, net: Any) -> int:
    """Return how many channels the first convolution takes."""
    kernels = (each for each in net.state_dict().values() if each.ndim == 4)
    channels = next((int(kernel.shape[1]) for kernel in kernels), 0)
    if channels not in (1, 3):
        raise OptionError(f"{source}: it does not say how many channels it takes: say color=")
    return channels


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
