"""MXNet 1.9.1's operators in ONNX (opset 17): one function each.

A function takes the writer, the node and the names of its inputs; it returns the name of its result, or
several. Sizes of maps are operators of the ONNX graph, never numbers.
"""

from __future__ import annotations

from typing import Callable, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np

from mxnetseg.errors import ExportError
from mxnetseg.export.graph import BOOL, FLOAT, INT32, INT64, Writer
from mxnetseg.symbols import Node

Result = Union[str, List[str]]
OPERATORS: Dict[str, Callable[[Writer, Node, List[str]], Result]] = {}


def _is(*names: str) -> Callable:
    def enter(function: Callable) -> Callable:
        for name in names:
            OPERATORS[name] = function
        return function

    return enter


def _refuse(node: Node, what: str) -> ExportError:
    return ExportError(f"operator {node.operator} of layer {node.name}: {what} has no ONNX form")


def _axes(axis) -> Optional[List[int]]:
    if axis is None or axis == ():
        return None
    return [axis] if isinstance(axis, int) else list(axis)


def _name(name: str) -> Callable:
    """An operator that ONNX has under another name, of the same inputs."""
    return lambda w, node, inputs: w.emit(name, inputs)


def _window(node: Node) -> Dict:
    """Attributes that convolutions and poolings share."""
    a = node.attributes
    kernel = tuple(a["kernel"])
    return dict(
        kernel_shape=kernel,
        strides=a.get("stride") or (1,) * len(kernel),
        pads=tuple(a.get("pad") or (0,) * len(kernel)) * 2,
    )


# ----- layers


@_is("Convolution")
def convolution(w: Writer, node: Node, inputs: List[str]) -> Result:
    a = node.attributes
    dilations = a.get("dilate") or (1,) * len(a["kernel"])
    return w.emit(
        "Conv", inputs, name=node.name, dilations=dilations, group=a.get("num_group", 1), **_window(node)
    )


@_is("Deconvolution")
def deconvolution(w: Writer, node: Node, inputs: List[str]) -> Result:
    a = node.attributes
    return w.emit(
        "ConvTranspose",
        inputs,
        name=node.name,
        dilations=a.get("dilate") or (1,) * len(a["kernel"]),
        group=a.get("num_group", 1),
        output_padding=a.get("adj") or (0,) * len(a["kernel"]),
        **_window(node),
    )


@_is("BatchNorm", "_contrib_SyncBatchNorm")
def batch_norm(w: Writer, node: Node, inputs: List[str]) -> Result:
    a = node.attributes
    if a.get("axis", 1) != 1:
        raise _refuse(node, f"axis {a['axis']}")
    if a.get("fix_gamma", True):
        inputs[1] = w.emit("Expand", [w.constant(1.0), w.sides(inputs[2], 0)])
    return w.emit("BatchNormalization", inputs, name=node.name, epsilon=a.get("eps", 1e-3))


@_is("LayerNorm")
def layer_norm(w: Writer, node: Node, inputs: List[str]) -> Result:
    rank, epsilon = w.rank(node.inputs[0]), node.attributes.get("eps", 1e-5)
    axis = node.attributes.get("axis", -1) % rank
    order = [k for k in range(rank) if k != axis] + [axis]
    x, *affine = inputs
    moved = axis != rank - 1
    x = w.emit("Transpose", [x], perm=order) if moved else x
    y = w.emit("LayerNormalization", [x, *affine], name=node.name, axis=-1, epsilon=epsilon)
    return w.emit("Transpose", [y], perm=[order.index(k) for k in range(rank)]) if moved else y


@_is("GroupNorm")
def group_norm(w: Writer, node: Node, inputs: List[str]) -> Result:
    """MXNet 1.9.1 has one scale and one shift for each group: an instance norm of the groups."""
    x, gamma, beta = inputs
    groups = w.emit("Reshape", [x, w.integers(0, node.attributes.get("num_groups", 1), -1)])
    epsilon = node.attributes.get("eps", 1e-5)
    y = w.emit("InstanceNormalization", [groups, gamma, beta], name=node.name, epsilon=epsilon)
    return w.emit("Reshape", [y, w.sides(x, 0)])


@_is("FullyConnected")
def fully_connected(w: Writer, node: Node, inputs: List[str]) -> Result:
    x, weight, *bias = inputs
    if node.attributes.get("flatten", True):
        x = w.emit("Flatten", [x], axis=1)
    name = w.graph.parameter(node.inputs[1])
    if name is None:
        weight = w.emit("Transpose", [weight], perm=[1, 0])
    else:
        weight = w.array(f"{name}.transposed", w.arrays[name].T)
    y = w.emit("MatMul", [x, weight], name=node.name)
    return w.emit("Add", [y, *bias]) if bias else y


@_is("Pooling")
def pooling(w: Writer, node: Node, inputs: List[str]) -> Result:
    a = node.attributes
    kind = a.get("pool_type", "max")
    if kind not in ("max", "avg"):
        raise _refuse(node, f"pool_type {kind!r}")
    if a.get("global_pool", False):
        return w.emit("GlobalMaxPool" if kind == "max" else "GlobalAveragePool", inputs)
    window = dict(_window(node), ceil_mode=int(a.get("pooling_convention", "valid") == "full"))
    if kind == "max":
        return w.emit("MaxPool", inputs, **window)
    return w.emit("AveragePool", inputs, count_include_pad=int(a.get("count_include_pad", True)), **window)


@_is("_contrib_AdaptiveAvgPooling2D")
def adaptive_avg_pool(w: Writer, node: Node, inputs: List[str]) -> Result:
    """Two products with matrices that the graph makes from the sides of the map."""
    (x,) = inputs
    size = node.attributes.get("output_size", 1)
    rows, columns = (size, size) if isinstance(size, int) else (size[0], size[-1])
    if (rows, columns) == (1, 1):
        return w.emit("GlobalAveragePool", [x])
    y = w.emit("MatMul", [x, _bins(w, x, 3, columns)])
    return w.swapped(w.emit("MatMul", [w.swapped(y, 4), _bins(w, x, 2, rows)]), 4)


def _bins(w: Writer, x: str, axis: int, count: int) -> str:
    """(side, count): the share of each pixel in each bin; bins run from floor(k * side / count) to
    ceil((k + 1) * side / count)."""
    side, whole = w.length(x, axis), w.constant([float(count)])
    numbers = np.arange(count, dtype=np.float32)[None]
    begin, end = (
        w.emit(rounding, [w.emit("Div", [w.emit("Mul", [w.constant(k), side]), whole])])
        for rounding, k in (("Floor", numbers), ("Ceil", numbers + 1))
    )
    pixels = w.emit("Unsqueeze", [w.steps(x, axis), w.integers(1)])
    inside = w.emit("And", [w.emit("GreaterOrEqual", [pixels, begin]), w.emit("Less", [pixels, end])])
    return w.emit("Div", [w.cast(inside, FLOAT), w.emit("Sub", [end, begin])])


@_is("Dropout", "BlockGrad", "_copy", "identity")
def same(w: Writer, node: Node, inputs: List[str]) -> Result:
    return inputs[0]


_ACTIVATIONS = dict(relu="Relu", sigmoid="Sigmoid", tanh="Tanh", softrelu="Softplus", softsign="Softsign")


@_is("Activation")
def activation(w: Writer, node: Node, inputs: List[str]) -> Result:
    return w.emit(_ACTIVATIONS[node.attributes["act_type"]], inputs)


@_is("LeakyReLU")
def leaky_relu(w: Writer, node: Node, inputs: List[str]) -> Result:
    kind, x = node.attributes.get("act_type", "leaky"), inputs[0]
    if kind == "prelu":
        spread = [-1] + [1] * (w.rank(node.inputs[0]) - 2)
        return w.emit("PRelu", [x, w.emit("Reshape", [inputs[1], w.integers(*spread)])])
    if kind == "gelu":
        below = w.emit("Erf", [w.emit("Mul", [x, w.constant(0.5**0.5)])])
        return w.emit("Mul", [w.emit("Mul", [x, w.constant(0.5)]), w.emit("Add", [below, w.constant(1.0)])])
    if kind not in ("leaky", "elu"):
        raise _refuse(node, f"act_type {kind!r}")
    return w.emit("LeakyRelu" if kind == "leaky" else "Elu", [x], alpha=node.attributes.get("slope", 0.25))


# ----- resizing and sampling


@_is("_contrib_BilinearResize2D")
def bilinear_resize(w: Writer, node: Node, inputs: List[str]) -> Result:
    a = node.attributes
    x, mode = inputs[0], a.get("mode", "size")
    if mode == "like":
        size = w.sides(inputs[1], 2, 4)
    elif mode != "size":
        raise _refuse(node, f"mode {mode!r}")
    elif "scale_height" in a:
        factors = w.constant([a["scale_height"], a["scale_width"]])
        scaled = w.emit("Mul", [w.cast(w.sides(x, 2, 4), FLOAT), factors])
        size = w.cast(w.emit("Floor", [scaled]), INT64)
    else:
        size = w.integers(a["height"], a["width"])
    # `pytorch_half_pixel` reads the first pixel for an output of one, as MXNet does.
    places = "align_corners" if a.get("align_corners", True) else "pytorch_half_pixel"
    sides = w.joined([w.sides(x, 0, 2), size])
    return w.emit("Resize", [x, "", "", sides], mode="linear", coordinate_transformation_mode=places)


@_is("UpSampling")
def upsampling(w: Writer, node: Node, inputs: List[str]) -> Result:
    kind, factor = node.attributes.get("sample_type"), float(node.attributes["scale"])
    if kind != "nearest":
        raise _refuse(node, f"sample_type {kind!r}")
    return w.emit(
        "Resize",
        [inputs[0], "", w.constant([1, 1, factor, factor])],
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )


@_is("BilinearSampler")
def bilinear_sampler(w: Writer, node: Node, inputs: List[str]) -> Result:
    x, grid = inputs
    places = w.emit("Transpose", [grid], perm=[0, 2, 3, 1])
    return w.emit("GridSample", [x, places], mode="bilinear", padding_mode="zeros", align_corners=1)


# ----- shapes


@_is("Reshape")
def reshape(w: Writer, node: Node, inputs: List[str]) -> Result:
    (x,) = inputs
    shape = node.attributes["shape"]
    codes = [shape] if isinstance(shape, int) else list(shape)
    if all(code >= -1 for code in codes):
        return w.emit("Reshape", [x, w.integers(*codes)])
    parts, axis = [], 0
    while codes:
        code = codes.pop(0)
        if code == -2:
            if axis < w.rank(node.inputs[0]):
                parts.append(w.sides(x, axis))
        elif code == -3:
            parts.append(w.emit("Mul", [w.side(x, axis), w.side(x, axis + 1)]))
            axis += 2
        elif code == -4:
            split = codes.pop(0), codes.pop(0)
            for mine, other in (split, split[::-1]):
                known = w.integers(mine) if mine > 0 else None
                parts.append(known or w.emit("Div", [w.side(x, axis), w.integers(other)]))
            axis += 1
        else:
            parts.append(w.side(x, axis) if code == 0 else w.integers(code))
            axis += 1
    return w.reshape(x, parts)


@_is("reshape_like")
def reshape_like(w: Writer, node: Node, inputs: List[str]) -> Result:
    x, like = inputs
    a, rank = node.attributes, w.rank(node.inputs[0])
    begin, end = a.get("lhs_begin") or 0, rank if a.get("lhs_end") is None else a["lhs_end"]
    before = [w.sides(x, 0, begin)] if begin else []
    after = [w.sides(x, end)] if end < rank else []
    return w.reshape(x, [*before, w.sides(like, a.get("rhs_begin") or 0, a.get("rhs_end")), *after])


@_is("transpose")
def transpose(w: Writer, node: Node, inputs: List[str]) -> Result:
    return w.emit("Transpose", inputs, perm=node.attributes.get("axes") or None)


@_is("SwapAxis")
def swap_axes(w: Writer, node: Node, inputs: List[str]) -> Result:
    order = list(range(w.rank(node.inputs[0])))
    one, other = node.attributes.get("dim1", 0), node.attributes.get("dim2", 0)
    order[one], order[other] = order[other], order[one]
    return w.emit("Transpose", inputs, perm=order)


@_is("expand_dims")
def expand_dims(w: Writer, node: Node, inputs: List[str]) -> Result:
    return w.emit("Unsqueeze", [*inputs, w.integers(node.attributes["axis"])])


@_is("squeeze")
def squeeze(w: Writer, node: Node, inputs: List[str]) -> Result:
    axes = _axes(node.attributes.get("axis"))
    return w.emit("Squeeze", [*inputs, w.integers(*axes)] if axes else inputs)


@_is("Flatten")
def flatten(w: Writer, node: Node, inputs: List[str]) -> Result:
    return w.emit("Flatten", inputs, axis=1)


@_is("slice")
def slice_(w: Writer, node: Node, inputs: List[str]) -> Result:
    begin, end, step = (node.attributes.get(key) or () for key in ("begin", "end", "step"))
    return w.cut(inputs[0], range(len(begin)), begin, end, step)


@_is("slice_axis")
def slice_axis(w: Writer, node: Node, inputs: List[str]) -> Result:
    a = node.attributes
    return w.cut(inputs[0], [a["axis"]], [a["begin"]], [a["end"]])


@_is("reverse")
def reverse(w: Writer, node: Node, inputs: List[str]) -> Result:
    """Slices that step backwards."""
    axes = _axes(node.attributes["axis"])
    last, beyond = [-1] * len(axes), [-(2**31)] * len(axes)
    return w.cut(inputs[0], axes, last, beyond, last)


@_is("slice_like")
def slice_like(w: Writer, node: Node, inputs: List[str]) -> Result:
    x, like = inputs
    axes = _axes(node.attributes.get("axes")) or list(range(w.rank(node.inputs[0])))
    return w.cut(x, axes, [0] * len(axes), w.joined([w.side(like, axis) for axis in axes]))


@_is("SliceChannel")
def split(w: Writer, node: Node, inputs: List[str]) -> Result:
    a = node.attributes
    count, axis = a["num_outputs"], a.get("axis", 1)
    parts = w.emit("Split", inputs, outputs=count, axis=axis) if count > 1 else [inputs[0]]
    if a.get("squeeze_axis", False):
        return [w.emit("Squeeze", [part, w.integers(axis)]) for part in parts]
    return parts


@_is("Concat")
def concat(w: Writer, node: Node, inputs: List[str]) -> Result:
    return w.emit("Concat", inputs, axis=node.attributes.get("dim", 1))


@_is("stack")
def stack(w: Writer, node: Node, inputs: List[str]) -> Result:
    axis = node.attributes.get("axis", 0)
    return w.emit("Concat", [w.emit("Unsqueeze", [x, w.integers(axis)]) for x in inputs], axis=axis)


@_is("take")
def take(w: Writer, node: Node, inputs: List[str]) -> Result:
    x, places = inputs
    axis, mode = node.attributes.get("axis", 0), node.attributes.get("mode", "clip")
    if mode != "clip":
        raise _refuse(node, f"mode {mode!r}")
    last = w.emit("Sub", [w.side(x, axis), w.integers(1)])
    places = w.emit("Max", [w.cast(places, INT64), w.integers(0)])
    return w.emit("Gather", [x, w.emit("Min", [places, last])], axis=axis)


@_is("_contrib_index_copy")
def index_copy(w: Writer, node: Node, inputs: List[str]) -> Result:
    x, places, new = inputs
    rows = w.emit("Unsqueeze", [w.cast(places, INT64), w.integers(1)])
    return w.emit("ScatterND", [x, rows, new])


@_is("topk")
def topk(w: Writer, node: Node, inputs: List[str]) -> Result:
    a = node.attributes
    kind = a.get("ret_typ", "indices")
    if kind not in ("value", "indices") or a.get("is_ascend", False):
        raise _refuse(node, f"ret_typ {kind!r}, is_ascend {a.get('is_ascend', False)}")
    found = w.emit("TopK", [inputs[0], w.integers(a["k"])], outputs=2, axis=a.get("axis", -1))
    return found[0] if kind == "value" else w.cast(found[1], FLOAT)


@_is("tile")
def tile(w: Writer, node: Node, inputs: List[str]) -> Result:
    repeats, rank = _axes(node.attributes["reps"]) or [], w.rank(node.inputs[0])
    if len(repeats) > rank:
        inputs = [w.emit("Unsqueeze", [*inputs, w.integers(*range(len(repeats) - rank))])]
    return w.emit("Tile", [*inputs, w.integers(*[1] * (rank - len(repeats)), *repeats)])


@_is("Pad")
def pad(w: Writer, node: Node, inputs: List[str]) -> Result:
    a = node.attributes
    widths = w.integers(*a["pad_width"][::2], *a["pad_width"][1::2])
    value = [w.constant(float(a.get("constant_value", 0)))] if a["mode"] == "constant" else []
    return w.emit("Pad", [*inputs, widths, *value], mode=a["mode"])


@_is("broadcast_like")
def broadcast_like(w: Writer, node: Node, inputs: List[str]) -> Result:
    x, like = inputs
    mine, other = (node.attributes.get(key) for key in ("lhs_axes", "rhs_axes"))
    if mine is None:
        return w.emit("Expand", [x, w.sides(like, 0)])
    of_like = dict(zip(mine, other))
    sides = [
        w.side(like, of_like[axis]) if axis in of_like else w.side(x, axis)
        for axis in range(w.rank(node.inputs[0]))
    ]
    return w.emit("Expand", [x, w.joined(sides)])


@_is("_contrib_arange_like")
def arange_like(w: Writer, node: Node, inputs: List[str]) -> Result:
    return w.steps(inputs[0], node.attributes["axis"])


@_is("ones_like", "zeros_like")
def constant_like(w: Writer, node: Node, inputs: List[str]) -> Result:
    value = w.constant(float(node.operator == "ones_like"))
    return w.emit("Expand", [value, w.sides(inputs[0], 0)])


@_is("_ones", "_zeros")
def constant(w: Writer, node: Node, inputs: List[str]) -> Result:
    return w.constant(np.full(node.attributes["shape"], float(node.operator == "_ones")))


@_is("Cast")
def cast(w: Writer, node: Node, inputs: List[str]) -> Result:
    kinds = {"float32": FLOAT, "int32": INT32}
    if node.attributes["dtype"] not in kinds:
        raise _refuse(node, f"dtype {node.attributes['dtype']}")
    return w.cast(inputs[0], kinds[node.attributes["dtype"]])


# ----- reductions and products


def _reduction(kind: str) -> Callable:
    def reduced(w: Writer, node: Node, inputs: List[str]) -> Result:
        axes, keep = _axes(node.attributes.get("axis")), int(node.attributes.get("keepdims", False))
        source = w.source(node.inputs[0])
        if kind == "ReduceMax" and axes is None and source.operator == "_contrib_arange_like":
            # The last place along a side: read from the side itself.
            place, index = source.inputs[0]
            measured = w.value((place, index))
            return w.emit("Sub", [w.length(measured, source.attributes["axis"]), w.constant([1.0])])
        if node.attributes.get("exclude", False):
            raise _refuse(node, "exclude")
        if kind == "ReduceSum":  # axes are an input since opset 13
            y = w.emit(kind, [*inputs, *([w.integers(*axes)] if axes else [])], keepdims=keep)
        else:
            y = w.emit(kind, inputs, axes=axes, keepdims=keep)
        everything = axes is None or len(axes) == w.rank(node.inputs[0])
        return w.emit("Reshape", [y, w.integers(1)]) if everything and not keep else y

    return reduced


for _mxnet, _onnx in dict(max="ReduceMax", min="ReduceMin", sum="ReduceSum", mean="ReduceMean").items():
    _is(_mxnet)(_reduction(_onnx))


@_is("norm")
def norm(w: Writer, node: Node, inputs: List[str]) -> Result:
    order = node.attributes.get("ord", 2)
    return _reduction({1: "ReduceL1", 2: "ReduceL2"}[order])(w, node, inputs)


@_is("softmax", "log_softmax")
def softmax(w: Writer, node: Node, inputs: List[str]) -> Result:
    if node.attributes.get("temperature") not in (None, 1.0):
        raise _refuse(node, "a temperature")
    kind = "Softmax" if node.operator == "softmax" else "LogSoftmax"
    return w.emit(kind, inputs, axis=node.attributes.get("axis", -1))


@_is("batch_dot")
def batch_dot(w: Writer, node: Node, inputs: List[str]) -> Result:
    flags = (node.attributes.get(key, False) for key in ("transpose_a", "transpose_b"))
    return w.emit("MatMul", [w.swapped(x, 3) if flag else x for x, flag in zip(inputs, flags)])


@_is("dot")
def dot(w: Writer, node: Node, inputs: List[str]) -> Result:
    ranks = [w.rank(entry) for entry in node.inputs]
    flags = [node.attributes.get(key, False) for key in ("transpose_a", "transpose_b")]
    if ranks[1] != 2 or (flags[0] and ranks[0] != 2):
        raise _refuse(node, f"{ranks[0]} by {ranks[1]} axes")
    return w.emit("MatMul", [w.swapped(x, 2) if flag else x for x, flag in zip(inputs, flags)])


# ----- element by element

_UNARY = dict(
    relu="Relu",
    sigmoid="Sigmoid",
    tanh="Tanh",
    exp="Exp",
    log="Log",
    sqrt="Sqrt",
    abs="Abs",
    floor="Floor",
    ceil="Ceil",
    negative="Neg",
    erf="Erf",
    sin="Sin",
    cos="Cos",
)
_BINARY = dict(add="Add", sub="Sub", mul="Mul", div="Div", maximum="Max", minimum="Min")
_COMPARED = dict(
    greater="Greater",
    greater_equal="GreaterOrEqual",
    lesser="Less",
    lesser_equal="LessOrEqual",
    equal="Equal",
)
# MXNet's operator of a number -> ONNX's, and whether the number stands in front.
_SCALAR: Dict[str, Tuple[str, bool]] = dict(
    plus=("Add", False),
    minus=("Sub", False),
    rminus=("Sub", True),
    mul=("Mul", False),
    div=("Div", False),
    rdiv=("Div", True),
    power=("Pow", False),
    maximum=("Max", False),
    minimum=("Min", False),
)


def _number(w: Writer, node: Node) -> str:
    return w.constant(node.attributes["scalar"], np.int32 if w.whole_numbers(node.inputs[0]) else np.float32)


def _of_number(kind: str, in_front: bool = False) -> Callable:
    def applied(w: Writer, node: Node, inputs: List[str]) -> Result:
        pair: Sequence[str] = (inputs[0], _number(w, node))
        return w.emit(kind, pair[::-1] if in_front else pair)

    return applied


def _compared(kind: str, with_number: bool) -> Callable:
    """MXNet has no truth values: the result is 0 or 1 of the operands' type."""

    def applied(w: Writer, node: Node, inputs: List[str]) -> Result:
        pair = [inputs[0], _number(w, node)] if with_number else inputs
        return w.cast(w.emit(kind, pair), INT32 if w.whole_numbers(node.inputs[0]) else FLOAT)

    return applied


for _mxnet, _onnx in _UNARY.items():
    _is(_mxnet)(_name(_onnx))
for _mxnet, _onnx in _BINARY.items():
    _is(f"elemwise_{_mxnet}", f"broadcast_{_mxnet}", f"_{_mxnet}")(_name(_onnx))
for _mxnet, _onnx in _COMPARED.items():
    _is(f"broadcast_{_mxnet}")(_compared(_onnx, False))
    _is(f"_{_mxnet}_scalar")(_compared(_onnx, True))
for _mxnet, (_onnx, _front) in _SCALAR.items():
    _is(f"_{_mxnet}_scalar")(_of_number(_onnx, _front))


@_is("square")
def square(w: Writer, node: Node, inputs: List[str]) -> Result:
    return w.emit("Mul", inputs * 2)


@_is("clip")
def clip(w: Writer, node: Node, inputs: List[str]) -> Result:
    kind = np.int32 if w.whole_numbers(node.inputs[0]) else np.float32
    low, high = (w.constant(node.attributes[key], kind) for key in ("a_min", "a_max"))
    return w.emit("Min", [w.emit("Max", [inputs[0], low]), high])


@_is("where")
def where(w: Writer, node: Node, inputs: List[str]) -> Result:
    return w.emit("Where", [w.cast(inputs[0], BOOL), *inputs[1:]])
