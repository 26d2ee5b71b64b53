"""A trained net as one ONNX file that says what it is, held to the net it was made of.

The file takes `input`, faces as floats from 0 to 1, shape (n, c, s, s), and gives
`probs`, shape (n, k): softmax, temperature and, where asked for, the mean over a face
and its mirror are inside, and `n` is free. Its metadata name classes, side, colour,
temperature, flip and groupemo's version. Beside it stands its description as TOML, so
that the backend `onnx:model=FILE` takes it as it is.

Precisions
----------
``"float32"``
    As trained.
``"float16"``
    Weights stored as half, half the size; ONNX Runtime turns them back as it opens
    the file, and computes in float32.
``"int8"``
    Weights and activations as whole numbers, a quarter of the size and faster,
    their ranges taken from faces (static quantization; Jacob et al., CVPR 2018).
    What comes after the last weighted layer, and that layer, stay float32: a
    softmax in 256 steps answers 0 where it meant a little, which costs cross-entropy.
    Weights take 7 of 8 bits: with all 8, sums of pairs of products overflow 16 bits
    on x86 processors without VNNI, and the answers would depend on the processor.
"""

from __future__ import annotations

import copy
import hashlib
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process

from groupemo._version import __version__
from groupemo.backends._description import Description
from groupemo.emotions import EMOTIONS
from groupemo.errors import ModelError, OptionError
from groupemo.files import write_atomically
from groupemo.models.pytorch import forget_origin, quiet
from groupemo.models.session import open_session
from groupemo.models.session import run as run_session
from groupemo.training.feed import as_input
from groupemo.training.validation import logits_of

__all__ = [
    "PRECISIONS",
    "TOLERANCES",
    "Exported",
    "Precision",
    "answer",
    "export",
]

Precision = Literal["float32", "float16", "int8"]

PRECISIONS: tuple[str, ...] = get_args(Precision)

TOLERANCES: Mapping[str, float] = {"float32": 1e-4, "float16": 1e-2, "int8": math.inf}
"""The most a probability may differ from PyTorch's; what int8 costs is measured instead."""

QUANTIZED = ("Conv", "Gemm", "MatMul", "Add", "Mul", "Sigmoid", "Relu")
"""What int8 computes in whole numbers. Not pooling: padding with minus infinity has no range."""

BATCHES = (1, 2, 7)
"""Sizes of the first batches compared: a graph that fixed the size fails on them."""

BATCH = 64

SMALL = 256
"""Arrays of fewer numbers stay float32: they weigh nothing."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Exported:
    """An ONNX file, and how near it is to the net it was made of.

    Parameters
    ----------
    path : Path
    precision : str
    temperature : float
    bytes : int
    sha256 : str
    faces : int
        Compared with PyTorch in float32.
    largest_difference : float
        Of any probability.
    agreement : float
        Share of faces with the same answer.
    labelled : int
        Faces whose label was given; the next two stand on them, NaN where there is none.
    accuracy_before, accuracy_after : float
        Of PyTorch and of the file.
    lost, gained : int
        Labelled faces that PyTorch alone gets right, and that the file alone does.
    metadata : mapping of str to str
        What the file says of itself.
    """

    path: Path
    precision: str
    temperature: float
    bytes: int
    sha256: str
    faces: int
    largest_difference: float
    agreement: float
    labelled: int
    accuracy_before: float
    accuracy_after: float
    lost: int
    gained: int
    metadata: Mapping[str, str]


def export(
    net: torch.nn.Module,
    path: str | Path,
    *,
    side: int,
    channels: int,
    classes: Sequence[str] = EMOTIONS,
    precision: Precision = "float32",
    temperature: float = 1.0,
    flip: bool = False,
    faces: NDArray[np.uint8] | None = None,
    labels: NDArray[np.int64] | None = None,
    calibration_faces: NDArray[np.uint8] | None = None,
    margin: float = 0.0,
    square: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> Exported:
    """Write a net as ONNX with its description beside it, once it is seen to be equal.

    Parameters
    ----------
    net : torch.nn.Module
        Takes floats from 0 to 1, shape (n, channels, side, side), and returns logits,
        shape (n, k). It is left as it is.
    path : path
        The file; `net.onnx` has its description in `net.toml`.
    side : int
    channels : {1, 3}
        Gray, or RGB.
    classes : sequence of str, length k
    precision : {"float32", "float16", "int8"}
    temperature : float
        Divides the logits (Guo et al., "On Calibration of Modern Neural Networks",
        ICML 2017).
    flip : bool
        Whether logits are the mean over a face and its mirror, at twice the time a face.
    faces : np.ndarray, shape=(m, side, side) or (m, side, side, 3), uint8, optional
        What PyTorch and the file are compared on, ten at least; noise if not given.
    labels : np.ndarray, shape=(m,), optional
        The classes of `faces`, -1 where unknown: for the accuracy before and after.
    calibration_faces : np.ndarray, uint8, optional
        Needed for "int8": some faces of the training, 500 will do.
    margin, square : float, bool
        How faces are cut around a box, as `Description` has it.
    metadata : mapping of str to str, optional
        More to write into the file.

    Returns
    -------
    Exported

    Raises
    ------
    OptionError
        If an option means nothing, or there is no face to take int8's ranges from.
    ModelError
        If the net cannot be written as ONNX, or the file's probabilities differ by
        more than `TOLERANCES`; nothing is written then.
    OutputError
        If the file cannot be written.
    """
    target = Path(path)
    about = Description(
        classes=tuple(classes),
        color=_color(channels),
        size=side,
        layout="nchw",
        margin=margin,
        square=square,
    )
    _check(precision, temperature, calibration_faces)
    whole = _Whole(copy.deepcopy(net).cpu(), temperature, flip).eval()
    model = _traced(whole, (channels, side, side), len(about.classes), target)
    if precision == "float16":
        _halve_weights(model)
    elif precision == "int8" and calibration_faces is not None:
        model = _quantized(model, as_input(calibration_faces).numpy())
    told = {
        "classes": ",".join(about.classes),
        "side": str(side),
        "color": about.color,
        "temperature": repr(float(temperature)),
        "flip": str(flip).lower(),
        "precision": precision,
        "groupemo": __version__,
        **(metadata or {}),
    }
    _tell(model, told)
    shown = faces if faces is not None and len(faces) >= sum(BATCHES) else _noise(channels, side)
    known = labels if shown is faces and labels is not None else np.full(len(shown), -1)
    data = model.SerializeToString()
    exported = _compared(whole, data, shown, known, target, told)
    write_atomically(target.with_suffix(".toml"), about.to_toml().encode())
    write_atomically(target, data)
    return exported


def answer(path: str | Path, faces: NDArray[np.uint8]) -> Floats:
    """Return the probabilities an exported file gives faces, shape (n, k).

    Parameters
    ----------
    path : path
    faces : np.ndarray or h5py.Dataset, shape=(n, s, s) or (n, s, s, 3), uint8
        Read in batches.

    Raises
    ------
    ModelError
        If the file is not there or cannot be run.
    """
    session = open_session(Path(path))
    return _in_batches(lambda inputs: run_session(session, inputs.numpy())[0], faces)


class _Whole(torch.nn.Module):
    """A net of logits, with what makes them probabilities."""

    def __init__(self, net: torch.nn.Module, temperature: float, flip: bool) -> None:
        super().__init__()
        self.net = net
        self.temperature = temperature
        self.flip = flip

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        logits = logits_of(self.net, faces, flip=self.flip)
        if self.temperature != 1:
            logits = logits / self.temperature
        return torch.softmax(logits, dim=1)


def _check(precision: str, temperature: float, calibration_faces: NDArray[np.uint8] | None) -> None:
    if precision not in PRECISIONS:
        raise OptionError(f"precision is {precision!r}: expected one of {', '.join(PRECISIONS)}")
    if not 0 < temperature < math.inf:
        raise OptionError(f"temperature is {temperature}: expected a number above 0")
    if precision == "int8" and (calibration_faces is None or not len(calibration_faces)):
        raise OptionError("precision is 'int8', but there are no calibration_faces: give some")


def _color(channels: int) -> str:
    if channels not in (1, 3):
        raise OptionError(f"channels is {channels}: expected 1 (gray) or 3 (RGB)")
    return "gray" if channels == 1 else "rgb"


def _traced(net: torch.nn.Module, shape: tuple[int, ...], k: int, target: Path) -> onnx.ModelProto:
    """Return the net as an ONNX graph without the paths and names of the machine it is made on."""
    example = torch.zeros(2, *shape)
    try:
        with quiet():
            given = tuple(net(example).shape)
            program = torch.onnx.export(
                net, (example,), input_names=["input"], output_names=["probs"],
                dynamic_shapes=({0: torch.export.Dim("n")},), external_data=False, verbose=False,
            )  # fmt: skip
    except Exception as error:  # a net may fail in any way while it is traced
        reason = str(error).strip().split("\n")[0]
        raise ModelError(
            f"{target}: the net cannot be written as ONNX for inputs {('n', *shape)}: {reason}"
        ) from error
    if given != (2, k):
        raise ModelError(f"{target}: the net gives shape {given} for 2 faces, expected (2, {k})")
    assert program is not None  # None stands for the older exporter
    model = program.model_proto
    if model.graph.input[0].type.tensor_type.shape.dim[0].dim_param != "n":
        raise ModelError(f"{target}: the net takes just 2 faces at a time, expected any number")
    forget_origin(model)
    return model


def _halve_weights(model: onnx.ModelProto) -> None:
    """Store the large arrays as half, each with a cast back to float32."""
    graph = model.graph
    casts = []
    for weights in graph.initializer:
        values = numpy_helper.to_array(weights)
        if values.dtype != np.float32 or values.size < SMALL:
            continue
        name, half = weights.name, f"{weights.name}_half"
        weights.CopyFrom(numpy_helper.from_array(values.astype(np.float16), half))
        casts.append(onnx.helper.make_node("Cast", [half], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _quantized(model: onnx.ModelProto, inputs: NDArray[np.float32]) -> onnx.ModelProto:
    """Return the graph in whole numbers, its activations' ranges those of the inputs."""
    with tempfile.TemporaryDirectory() as folder:
        given, plain, whole = (Path(folder, f"{name}.onnx") for name in ("given", "plain", "whole"))
        onnx.save(model, given)
        quant_pre_process(given, plain, skip_symbolic_shape=True)
        quantization.quantize_static(
            plain,
            whole,
            _Reader(inputs),
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            op_types_to_quantize=list(QUANTIZED),
            per_channel=True,
            reduce_range=True,
            nodes_to_exclude=_tail(onnx.load(plain)),
        )
        quantized = onnx.load(whole)
    used = {node.domain for node in quantized.graph.node}
    kept = [opset for opset in quantized.opset_import if opset.domain in used]
    del quantized.opset_import[:], quantized.graph.value_info[:]
    quantized.opset_import.extend(kept)
    return quantized


class _Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, inputs: NDArray[np.float32]) -> None:
        self._batches = iter(np.split(inputs, range(BATCH, len(inputs), BATCH)))

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"input": batch}


def _tail(model: onnx.ModelProto) -> list[str]:
    """Return the names of the last layer with weights and of the nodes after it."""
    makers = {output: node for node in model.graph.node for output in node.output}
    names, wanted = [], model.graph.output[0].name
    while wanted in makers:
        node = makers[wanted]
        names.append(node.name)
        if node.op_type in ("Conv", "Gemm", "MatMul"):
            break
        wanted = node.input[0]
    return names


def _tell(model: onnx.ModelProto, metadata: Mapping[str, str]) -> None:
    """Write into the graph who made it and what it is."""
    model.producer_name, model.producer_version = "groupemo", __version__
    model.graph.name = "emotion"
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {**metadata})


def _compared(
    net: _Whole,
    data: bytes,
    faces: NDArray[np.uint8],
    labels: NDArray[np.int64],
    target: Path,
    told: Mapping[str, str],
) -> Exported:
    """Return what the file is, and how its answers differ from the net's."""
    with tempfile.TemporaryDirectory() as folder:
        after = answer(write_atomically(Path(folder, target.name), data), faces)
    with torch.no_grad():
        before = _in_batches(lambda inputs: net(inputs).numpy(), faces)
    precision = told["precision"]
    largest = float(np.abs(after - before).max())
    if not largest <= TOLERANCES[precision]:
        raise ModelError(
            f"{target}: not written: as {precision} its probabilities differ from PyTorch's by up"
            f" to {largest:.2g}, more than {TOLERANCES[precision]:g}"
        )
    known = labels >= 0
    right, still = ((rows.argmax(axis=1) == labels)[known] for rows in (before, after))
    return Exported(
        path=target,
        precision=precision,
        temperature=net.temperature,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        faces=len(faces),
        largest_difference=largest,
        agreement=float((before.argmax(axis=1) == after.argmax(axis=1)).mean()),
        labelled=int(known.sum()),
        accuracy_before=float(right.mean()) if known.any() else math.nan,
        accuracy_after=float(still.mean()) if known.any() else math.nan,
        lost=int((right & ~still).sum()),
        gained=int((still & ~right).sum()),
        metadata=told,
    )


def _in_batches(of: Any, faces: NDArray[np.uint8]) -> Floats:
    """Return what a net gives faces: of batches of `BATCHES` first, then of `BATCH`."""
    stops = [*np.cumsum(BATCHES), *range(sum(BATCHES) + BATCH, len(faces) + BATCH, BATCH)]
    parts = [of(as_input(faces[a:b])) for a, b in zip([0, *stops], stops, strict=False)]
    return np.concatenate([part for part in parts if len(part)]).astype(np.float64)


def _noise(channels: int, side: int) -> NDArray[np.uint8]:
    shape = (BATCH, side, side) if channels == 1 else (BATCH, side, side, channels)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)
