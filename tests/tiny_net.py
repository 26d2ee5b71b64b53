"""A net of one layer, for tests of whatever runs ONNX files."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save


def save_net(
    path,
    *,
    shape=("n", 3, 8, 8),
    k=3,
    softmax=True,
    kind=TensorProto.FLOAT,
    layout="nchw",
    weights=None,
):
    """Write a net that weighs the mean of each channel; `weights` has shape (channels, k)."""
    channels = shape[1] if layout == "nchw" else shape[3]
    if weights is None:
        weights = np.random.default_rng(0).normal(0, 3, (channels, k))
    weights = np.asarray(weights, helper.tensor_dtype_to_np_dtype(kind))
    axes = [2, 3] if layout == "nchw" else [1, 2]
    last = ["out"] if not softmax else ["raw"]
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["means"], axes=axes, keepdims=0),
        helper.make_node("MatMul", ["means", "weights"], last),
    ]
    if softmax:
        nodes.append(helper.make_node("Softmax", ["raw"], ["out"]))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", kind, list(shape))],
        [helper.make_tensor_value_info("out", kind, None)],
        [numpy_helper.from_array(weights, "weights")],
    )
    opset = [helper.make_opsetid("", 13)]
    save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path
