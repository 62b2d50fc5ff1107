"""Parameters and arithmetic of a network, counted from its traced graph, operator by operator.

The unit is the multiply-add; what has none (a comparison, an exponential, an addition) counts as one
for each element, so that nothing is silently free. Published tables differ in what they count: the
result keeps every operator apart, and `Complexity.matrix` is the part all of them agree on.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from mxnetseg.symbols import trace

# Operators that move or name values and compute nothing on them.
MOVES = {
    "Concat",
    "Reshape",
    "reshape_like",
    "transpose",
    "SwapAxis",
    "slice_axis",
    "slice",
    "slice_like",
    "SliceChannel",
    "_split_v2",
    "expand_dims",
    "squeeze",
    "Flatten",
    "Pad",
    "tile",
    "repeat",
    "stack",
    "broadcast_like",
    "broadcast_axis",
    "broadcast_to",
    "_copy",
    "BlockGrad",
    "identity",
    "Cast",
    "take",
    "gather_nd",
    "shape_array",
    "size_array",
    "_arange",
    "_zeros",
    "_ones",
    "zeros_like",
    "ones_like",
    "_contrib_arange_like",
    "depth_to_space",
    "space_to_depth",
    "Dropout",
    "_contrib_index_copy",
    "_full",
    "reverse",
    "pick",
    "one_hot",
    "diag",
    "where",
    "_slice_assign",
    "UpSampling_nearest",
    "Embedding",
}
# One operation for each element of the result.
ELEMENTWISE = {
    "Activation",
    "LeakyReLU",
    "relu",
    "sigmoid",
    "tanh",
    "exp",
    "log",
    "sqrt",
    "rsqrt",
    "square",
    "abs",
    "negative",
    "clip",
    "erf",
    "floor",
    "ceil",
    "round",
    "rint",
    "hard_sigmoid",
    "softsign",
    "sin",
    "cos",
    "reciprocal",
    "_contrib_div_sqrt_dim",
    "arcsin",
    "sign",
    "fix",
    "trunc",
    "elemwise_add",
    "elemwise_sub",
    "elemwise_mul",
    "elemwise_div",
    "add_n",
    "_maximum",
    "_minimum",
    "_Plus",
    "_Minus",
    "_Mul",
    "_Div",
    "BatchNorm",
    "_contrib_SyncBatchNorm",
    "_hypot",
    "_power",
}
# A few operations for each element of the result: weights of four neighbours, or a normalization.
PER_OUTPUT = {
    "_contrib_BilinearResize2D": 4,
    "BilinearSampler": 4,
    "GridGenerator": 2,
    "softmax": 3,
    "log_softmax": 3,
    "SoftmaxActivation": 3,
    "LayerNorm": 4,
    "InstanceNorm": 4,
    "GroupNorm": 4,
    "L2Normalization": 2,
    "_contrib_RROIAlign": 4,
    "UpSampling_bilinear": 4,
}
# One operation for each element read.
PER_INPUT = {
    "Pooling",
    "_contrib_AdaptiveAvgPooling2D",
    "sum",
    "mean",
    "max",
    "min",
    "norm",
    "argmax",
    "prod",
    "topk",
    "cumsum",
    "_np_cumsum",
    "argmin",
}
CONVOLUTIONS = {
    "Convolution",
    "Deconvolution",
    "_contrib_DeformableConvolution",
    "_contrib_ModulatedDeformableConvolution",
}
PRODUCTS = {"FullyConnected", "batch_dot", "dot", "_linalg_gemm2"}


class Complexity(NamedTuple):
    """What `complexity` found. `operations`: operator -> multiply-adds; `uncounted`: operator -> calls
    of operators without a rule (empty for every network of the zoo); `parameters`: trainable values;
    `stored`: with running statistics."""

    parameters: int
    stored: int
    operations: dict
    uncounted: dict

    @property
    def total(self):
        """Multiply-adds of all operators."""
        return sum(self.operations.values())

    @property
    def matrix(self):
        """Multiply-adds of convolutions and matrix products alone."""
        return sum(n for op, n in self.operations.items() if op in CONVOLUTIONS | PRODUCTS)


def complexity(net, size, in_channels=3):
    """Count `net` (a Segmentor; auxiliary heads are left out) on one image of `size` (height, width)."""
    net = net.deploy()
    parameters = net.collect_params().values()
    stored = sum(int(np.prod(p.shape)) for p in parameters)
    trainable = sum(int(np.prod(p.shape)) for p in parameters if p.grad_req != "null")
    graph = trace(net)
    shapes = graph.shapes((1, in_channels, *size))
    operations, uncounted = Counter(), Counter()
    for place, node in graph.operators():
        inputs = [shapes[entry] for entry in node.inputs]
        count = _count(node.operator, node.attributes, inputs, shapes[place, 0])
        if count is None:
            uncounted[node.operator] += 1
        elif count:
            operations[node.operator] += count
    return Complexity(trainable, stored, dict(operations), dict(uncounted))


def _count(operator, attributes, inputs, output):
    if operator in CONVOLUTIONS:
        return _convolution(operator, attributes, inputs, output)
    if operator in PRODUCTS:
        return _product(operator, attributes, inputs, output)
    if operator == "UpSampling":
        operator += "_" + attributes.get("sample_type", "nearest")
    if operator in MOVES:
        return 0
    size = int(np.prod(output))
    if operator in PER_OUTPUT:
        return PER_OUTPUT[operator] * size
    if operator in PER_INPUT:
        return int(np.prod(inputs[0]))
    scalar = operator.startswith("_") and operator.endswith("_scalar")
    if operator in ELEMENTWISE or operator.startswith("broadcast_") or scalar:
        return size
    return None


def _convolution(operator, attributes, inputs, output):
    kernel = int(np.prod(attributes["kernel"]))
    groups = attributes.get("num_group", 1)
    bias = not attributes.get("no_bias", False)
    if operator == "Deconvolution":
        # Every input value is spread over a kernel of every output channel of its group.
        per_input = kernel * attributes["num_filter"] // groups
        return int(np.prod(inputs[0])) * per_input + bias * int(np.prod(output))
    taps = kernel * inputs[0][1] // groups
    sampled = 4 * kernel * inputs[0][1] // output[1] if "Deformable" in operator else 0
    return int(np.prod(output)) * (taps + sampled + bias)


def _product(operator, attributes, inputs, output):
    size = int(np.prod(output))
    if operator == "FullyConnected":
        bias = not attributes.get("no_bias", False)
        return size * (inputs[1][1] + bias)
    axis = -2 if attributes.get("transpose_a") else -1
    if operator == "dot":
        axis = 0 if axis == -2 else -1
    return size * inputs[0][axis]
