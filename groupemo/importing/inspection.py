"""What an ONNX file says of itself, what is said of it, and what only running it shows."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray

from groupemo.backends._description import CHANNELS, LAYOUTS, Description
from groupemo.backends.onnx import TYPES, Onnx
from groupemo.errors import ModelError, OptionError
from groupemo.faces import Faces
from groupemo.models.session import open_session, run

__all__ = ["Fact", "Inspection", "check_sides", "inspect"]

FACES = 32
"""Made faces that a net is tried on: a batch."""

LARGEST = 1024
"""Pixels of a side; nets of faces take 48 to 448."""

FIELDS = tuple(each.name for each in fields(Description))

SCALING = {"range", "mean", "std"}

Source = Literal["read", "given", "assumed", "seen"]


@dataclass(frozen=True)
class Fact:
    """Something known of a net.

    Parameters
    ----------
    name, value : str
    known : {"read", "given", "assumed", "seen"}
        Read from the file, given by the user, taken for granted because nothing
        says otherwise, or seen when the net ran.
    """

    name: str
    value: str
    known: Source


@dataclass(frozen=True)
class Inspection:
    """What is known of a net.

    Parameters
    ----------
    description : Description
        Complete.
    facts : tuple of Fact
    assumptions : tuple of str
        What to make sure of, each a sentence.
    """

    description: Description
    facts: tuple[Fact, ...]
    assumptions: tuple[str, ...]


def inspect(net: Path, name: str, given: Mapping[str, Any]) -> Inspection:
    """Complete the description of an ONNX file, and try it on made faces.

    Parameters
    ----------
    net : path
        The ONNX file.
    name : str
        What to call it in errors.
    given : Mapping
        Fields of `Description`; they are not doubted unless the net contradicts them.

    Raises
    ------
    OptionError
        If something must be said that neither the file nor `given` says.
    ModelError
        If the net is no classifier of pictures, or not as described.
    """
    unknown = [field for field in given if field not in FIELDS]
    if unknown:
        raise OptionError(f"{name}: no option {unknown[0]!r}; known: {', '.join(FIELDS)}")
    session = open_session(net)
    if not session.get_inputs():
        raise ModelError(f"{name}: it has no input: no net that looks at faces")
    size = given.get("size")
    check_sides(name, [*_dims(session), *(size if isinstance(size, list | tuple) else [size])])
    known: dict[str, Any] = dict(given)
    if "color" not in known:
        known["color"] = _color(name, session)
    if not SCALING & known.keys() and _takes_bytes(net):
        known["range"] = [0, 255]
    if "classes" not in known:
        raise OptionError(_ask_for_classes(name, session))
    backend = Onnx(model=net, **{**known, "output": "logits"})
    values = _answers(backend, session)
    known["output"] = _output(name, values, known.get("output"))
    layout, *size = _layout_and_size(backend.shape, known)
    known |= {"layout": layout, "size": size}
    description = Description(**known)
    return Inspection(
        description,
        tuple(_facts(net, backend, description, given)),
        tuple(_assumptions(description, given, values)),
    )


def check_sides(name: str, sides: Iterable[Any]) -> None:
    """Refuse pictures so large that trying the net would fill the memory.

    Raises
    ------
    OptionError
        If one of the sides that are whole numbers is larger than `LARGEST`.
    """
    most = max((side for side in sides if isinstance(side, int)), default=0)
    if most > LARGEST:
        raise OptionError(
            f"{name}: its pictures have a side of {most} pixels: expected {LARGEST} at most"
        )


def _dims(session: Any) -> list[int | None]:
    shape = session.get_inputs()[0].shape
    return [dim if isinstance(dim, int) else None for dim in shape]


def _color(name: str, session: Any) -> str:
    """Return the colours that fit the graph's channels; of two orders the usual one."""
    dims = _dims(session)
    sides = {dims[axis] for axis in LAYOUTS.values()} if len(dims) == 4 else set()
    fitting = [color for color, channels in (("gray", 1), ("rgb", 3)) if channels in sides]
    if len(fitting) != 1:
        raise OptionError(
            f"{name}: its input is {dims}, which does not say how many channels it takes: say"
            f" color, one of {', '.join(CHANNELS)}"
        )
    return fitting[0]


def _takes_bytes(net: Path) -> bool:
    """Say whether a net begins by making 0..255 small itself, as Keras's `Rescaling` does."""
    graph = onnx.load(net).graph
    tensors = {each.name: each for each in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            tensors[node.output[0]] = node.attribute[0].t
    current = graph.input[0].name
    for node in graph.node:  # in the order of computing
        if current in node.input:
            beside = [
                onnx.numpy_helper.to_array(tensors[name]) for name in node.input if name in tensors
            ]
            values = np.array([np.abs(each).max() for each in beside if each.size])
            if node.op_type in ("Div", "Sub", "Add") and (values >= 50).any():
                return True
            if node.op_type == "Mul" and (values <= 0.02).any():
                return True
            if node.op_type not in ("Transpose", "Cast", "Identity", "Sub", "Add"):
                return False
            current = node.output[0]
    return False


def _ask_for_classes(name: str, session: Any) -> str:
    shape = session.get_outputs()[0].shape
    count = f"{shape[-1]} " if shape and isinstance(shape[-1], int) else ""
    return (
        f"{name}: nothing says what its {count}outputs mean: name them in order, such as"
        " --classes angry,disgust,fear,happy,sad,surprise,neutral (FER2013's order; ask whoever"
        " trained it)"
    )


def _made_faces() -> NDArray[np.uint8]:
    """Return pictures with broad lights and shadows, shape (n, 64, 64, 3): no faces of anybody."""
    coarse = np.random.default_rng(7).integers(0, 256, (FACES, 5, 5, 3), dtype=np.uint8)
    return np.stack([cv2.resize(each, (64, 64), interpolation=cv2.INTER_CUBIC) for each in coarse])


def _answers(backend: Onnx, session: Any) -> NDArray[np.float64]:
    """Return the bare outputs on made faces, shape (n, k)."""
    inputs = np.concatenate(
        [backend.prepare(face, Faces([[0, 0, 64, 64]])) for face in _made_faces()]
    )
    typed = inputs.astype(TYPES[session.get_inputs()[0].type])
    parts = [
        run(session, typed[start : start + backend.batch])[0]
        for start in range(0, FACES, backend.batch)
    ]
    return np.concatenate(parts).reshape(FACES, -1).astype(np.float64)


def _output(name: str, values: NDArray[np.float64], said: str | None) -> str:
    """Return whether outputs are probabilities or logits."""
    if not np.isfinite(values).all():
        raise ModelError(f"{name}: on made faces it answers NaN or infinity: is it whole?")
    sums = (values >= 0).all() and np.allclose(values.sum(axis=1), 1, atol=1e-2)
    seen = "probs" if sums else "logits"
    if said not in (None, seen):
        does = "sum" if sums else "do not sum"
        raise OptionError(f"{name}: its outputs {does} to 1: they are {seen}, not {said}")
    return seen


def _layout_and_size(shape: tuple[int, ...], known: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return layout, height and width of an input of this shape."""
    channels = CHANNELS[known["color"]]
    fitting = [layout for layout, axis in LAYOUTS.items() if shape[axis - 1] == channels]
    layout = fitting[0] if len(fitting) == 1 else known.get("layout", fitting[0])
    return (layout, *(shape[1:] if layout == "nchw" else shape[:2]))


def _facts(
    net: Path, backend: Onnx, description: Description, given: Mapping[str, Any]
) -> list[Fact]:
    def fact(name: str, value: str, *of: str, otherwise: Source) -> Fact:
        return Fact(name, value, "given" if any(field in given for field in of) else otherwise)

    height, width = description.size  # type: ignore[misc]  # known by now
    low, high = description.range
    scaling = f"0..255 to {low:g}..{high:g}"
    mean, std = _spelled(description.mean), _spelled(description.std)
    if (mean, std) != ("0", "1"):
        scaling += f", then minus {mean}, over {std}"
    color = description.color
    crop = f"box plus {description.margin:g} of its sides" + ", square" * description.square
    return [
        fact("Size", f"{height} x {width}", "size", otherwise="read"),
        fact("Colour", color, "color", otherwise="read" if color == "gray" else "assumed"),
        fact("Layout", str(description.layout), "layout", otherwise="read"),
        fact("Scaling", scaling, *SCALING, otherwise="read" if high == 255 else "assumed"),
        fact("Crop", crop, "margin", "square", otherwise="assumed"),
        fact("Classes", ", ".join(description.classes), "classes", otherwise="read"),
        Fact("Outputs", description.output, "seen"),
        Fact("Parameters", f"{_parameters(net):,}", "read"),
        Fact("Bytes", f"{net.stat().st_size:,}", "read"),
        Fact("Time", f"{_milliseconds(backend):.2f} ms a face, {backend.batch} at once", "seen"),
    ]


def _assumptions(
    description: Description, given: Mapping[str, Any], values: NDArray[np.float64]
) -> list[str]:
    """Return what a wrong guess would spoil without a word."""
    told = []
    if not SCALING & given.keys() and description.range[1] == 1:
        told.append(
            "Pixels are taken to go in as 0..1: nothing says so. If it was trained on 0..255, say"
            " --range 0,255; on -1..1, --range -1,1."
        )
    if description.color == "rgb" and "color" not in given:
        told.append("Its three channels are taken for red, green, blue: if blue is first, bgr.")
    if not {"margin", "square"} & set(given):
        told.append(
            "Faces are cut as the detector boxes them; if it was trained on wider cuts, say"
            " --margin."
        )
    if description.output == "logits" and ((values >= 0) & (values <= 1)).all():
        told.append(
            "Its outputs lie in 0..1 and do not sum to 1: perhaps a sigmoid a class, which is read"
            " as logits here."
        )
    if np.ptp(values, axis=0).max() < 1e-4:
        told.append("It answers the same on every made face: is the scaling right?")
    return told


def _spelled(value: Any) -> str:
    return ", ".join(f"{each:g}" for each in np.ravel(value))


def _parameters(net: Path) -> int:
    """Return how many numbers of the file are fractions: those a net learns."""
    real = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE}
    tensors = onnx.load(net).graph.initializer
    return sum(int(np.prod(each.dims)) for each in tensors if each.data_type in real)


def _milliseconds(backend: Onnx) -> float:
    """Return the shortest of a few times, on one thread, a face of a batch."""
    rows = np.random.default_rng(7).random((backend.batch, *backend.shape), np.float32)

    def once() -> float:
        began = time.perf_counter()
        backend.answer(rows)
        return 1000 * (time.perf_counter() - began) / len(rows)

    return min(once() for _ in range(5))
