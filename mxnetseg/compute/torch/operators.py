"""MXNet 1.9.1's operators in PyTorch: one function each, with MXNet's names and defaults for its attributes.

Sizes are read from the tensors when a function runs; nothing is fixed at translation. `last_index` gives a
length as a Python number instead of a tensor, and what networks compute of lengths stays a number: the
functions that meet one (`floor`, `maximum`, `reshape` ...) take both.
"""

from __future__ import annotations

import math
import operator
from typing import Callable, Dict, List, Optional, Sequence, Tuple, Union

import torch
import torch.nn.functional as F
from torch import Tensor

from mxnetseg.compute.torch.precision import in_float32_on_cpu, must_be_wide, widened
from mxnetseg.errors import ConfigError

Value = Union[Tensor, float]
OPERATORS: Dict[str, Callable] = {}


def _is(*names: str) -> Callable:
    """Enters a function under MXNet's names of an operator."""

    def enter(function: Callable) -> Callable:
        for name in names:
            OPERATORS[name] = function
        return function

    return enter


def _axes(axis, rank: int) -> Tuple[int, ...]:
    if axis is None or axis == ():
        return tuple(range(rank))
    return (axis,) if isinstance(axis, int) else tuple(axis)


def _pair(value) -> Tuple[int, int]:
    if isinstance(value, int):
        return (value, value)
    return tuple(value) if len(value) == 2 else (value[0], value[0])


# ----- arithmetic

for _names, _function in (
    (("elemwise_add", "broadcast_add", "_plus_scalar"), operator.add),
    (("elemwise_sub", "broadcast_sub", "_minus_scalar"), operator.sub),
    (("elemwise_mul", "broadcast_mul", "_mul_scalar"), operator.mul),
    (("elemwise_div", "broadcast_div", "_div_scalar"), operator.truediv),
    (("sigmoid",), torch.sigmoid),
    (("tanh",), torch.tanh),
    (("erf",), torch.erf),
    (("sin",), torch.sin),
    (("cos",), torch.cos),
    (("negative",), operator.neg),
    (("abs",), operator.abs),
):
    _is(*_names)(_function)


# In half precision these overflow or lose what follows them; autocast widens them on GPUs by itself.


@_is("_power_scalar")
def power(x: Value, scalar: float) -> Value:
    return _wide(x) ** scalar


@_is("exp")
def exp(x: Tensor) -> Tensor:
    return torch.exp(_wide(x))


@_is("log")
def log(x: Tensor) -> Tensor:
    return torch.log(_wide(x))


@_is("sqrt")
def sqrt(x: Tensor) -> Tensor:
    return torch.sqrt(_wide(x))


@_is("square")
def square(x: Tensor) -> Tensor:
    return torch.square(_wide(x))


def _wide(x: Value) -> Value:
    return widened(x) if isinstance(x, Tensor) else x


@_is("_rminus_scalar")
def subtract_from(x: Value, scalar: float) -> Value:
    return scalar - x


@_is("_rdiv_scalar")
def divide(x: Value, scalar: float) -> Value:
    return scalar / x


@_is("relu")
def relu(x: Value) -> Value:
    return F.relu(x) if isinstance(x, Tensor) else maximum(x, 0)


def relu_in_place(x: Value) -> Value:
    """The same in the memory of `x`, for a value that nothing else reads and no gradient needs."""
    return F.relu_(x) if isinstance(x, Tensor) else maximum(x, 0)


@_is("floor")
def floor(x: Value) -> Value:
    return torch.floor(x) if isinstance(x, Tensor) else math.floor(x)


@_is("ceil")
def ceil(x: Value) -> Value:
    return torch.ceil(x) if isinstance(x, Tensor) else math.ceil(x)


@_is("broadcast_maximum", "_maximum", "_maximum_scalar")
def maximum(x: Value, y: Value) -> Value:
    if isinstance(x, Tensor):
        return torch.maximum(x, y) if isinstance(y, Tensor) else torch.clamp(x, min=y)
    return torch.clamp(y, min=x) if isinstance(y, Tensor) else torch.sym_max(x, y)


@_is("broadcast_minimum", "_minimum", "_minimum_scalar")
def minimum(x: Value, y: Value) -> Value:
    if isinstance(x, Tensor):
        return torch.minimum(x, y) if isinstance(y, Tensor) else torch.clamp(x, max=y)
    return torch.clamp(y, max=x) if isinstance(y, Tensor) else torch.sym_min(x, y)


def _as_number(truth, *operands: Value) -> Value:
    """MXNet has no truth values: 1 and 0 of the operands' type."""
    if not isinstance(truth, Tensor):
        return 1.0 if truth else 0.0
    return truth.to(next(x.dtype for x in operands if isinstance(x, Tensor)))


@_is("broadcast_greater", "_greater_scalar")
def greater(x: Value, y: Value) -> Value:
    return _as_number(x > y, x, y)


@_is("broadcast_greater_equal", "_greater_equal_scalar")
def greater_equal(x: Value, y: Value) -> Value:
    return _as_number(x >= y, x, y)


@_is("broadcast_lesser", "_lesser_scalar")
def lesser(x: Value, y: Value) -> Value:
    return _as_number(x < y, x, y)


@_is("broadcast_lesser_equal", "_lesser_equal_scalar")
def lesser_equal(x: Value, y: Value) -> Value:
    return _as_number(x <= y, x, y)


@_is("broadcast_equal", "_equal_scalar")
def equal(x: Value, y: Value) -> Value:
    return _as_number(x == y, x, y)


@_is("where")
def where(condition: Value, x: Value, y: Value) -> Value:
    if not isinstance(condition, Tensor):
        return x if condition else y
    return torch.where(torch.ne(condition, 0), x, y)


@_is("clip")
def clip(x: Tensor, a_min: float, a_max: float) -> Tensor:
    return torch.clamp(x, a_min, a_max)


@_is("Activation")
def activation(x: Tensor, act_type: str) -> Tensor:
    return _ACTIVATIONS[act_type](x)


_ACTIVATIONS = {
    "relu": F.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softrelu": F.softplus,
    "softsign": F.softsign,
}


@_is("LeakyReLU")
def leaky_relu(
    x: Tensor, gamma: Optional[Tensor] = None, act_type: str = "leaky", slope: float = 0.25
) -> Tensor:
    if act_type == "prelu":
        return F.prelu(x, gamma.reshape(-1).to(x.dtype))
    if act_type == "gelu":
        return F.gelu(x)
    return {"leaky": F.leaky_relu, "elu": F.elu}[act_type](x, slope)


@_is("softmax")
def softmax(x: Tensor, axis: int = -1) -> Tensor:
    return F.softmax(widened(x), axis)


@_is("log_softmax")
def log_softmax(x: Tensor, axis: int = -1) -> Tensor:
    return F.log_softmax(widened(x), axis)


# ----- reductions


@_is("max")
def max_(x: Tensor, axis=None, keepdims: bool = False) -> Tensor:
    return _never_empty(torch.amax(x, _axes(axis, x.dim()), keepdims))


@_is("min")
def min_(x: Tensor, axis=None, keepdims: bool = False) -> Tensor:
    return _never_empty(torch.amin(x, _axes(axis, x.dim()), keepdims))


@_is("sum")
def sum_(x: Tensor, axis=None, keepdims: bool = False) -> Tensor:
    return _never_empty(torch.sum(widened(x), _axes(axis, x.dim()), keepdims))


@_is("mean")
def mean(x: Tensor, axis=None, keepdims: bool = False) -> Tensor:
    return _never_empty(torch.mean(x, _axes(axis, x.dim()), keepdims))


@_is("norm")
def norm(x: Tensor, ord: int = 2, axis=None, keepdims: bool = False) -> Tensor:
    return _never_empty(torch.linalg.vector_norm(widened(x), ord, _axes(axis, x.dim()), keepdims))


def _never_empty(x: Tensor) -> Tensor:
    """MXNet's arrays have one axis at least."""
    return x.reshape(1) if x.dim() == 0 else x


# ----- products and layers without a module of their own


@_is("dot")
def dot(x: Tensor, y: Tensor, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
    x = x.t() if transpose_a else x
    y = y.t() if transpose_b else y
    return torch.matmul(x, y) if y.dim() == 2 else torch.tensordot(x, y, dims=1)


@_is("batch_dot")
def batch_dot(x: Tensor, y: Tensor, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
    return torch.matmul(x.transpose(-1, -2) if transpose_a else x, y.transpose(-1, -2) if transpose_b else y)


@_is("Convolution")
def convolution(
    x: Tensor,
    weight: Tensor,
    bias: Optional[Tensor] = None,
    kernel: Sequence[int] = (),
    num_filter: int = 0,
    stride: Sequence[int] = (1, 1),
    pad: Sequence[int] = (0, 0),
    dilate: Sequence[int] = (1, 1),
    num_group: int = 1,
    no_bias: bool = False,
    layout: str = "NCHW",
) -> Tensor:
    def convolve(x: Tensor) -> Tensor:
        return F.conv2d(x, weight, bias, stride, pad, dilate, num_group)

    return in_float32_on_cpu(convolve, x) if must_be_wide(weight.shape[1], dilate) else convolve(x)


@_is("FullyConnected")
def fully_connected(
    x: Tensor,
    weight: Tensor,
    bias: Optional[Tensor] = None,
    num_hidden: int = 0,
    no_bias: bool = False,
    flatten: bool = True,
) -> Tensor:
    return F.linear(torch.flatten(x, 1) if flatten else x, weight, bias)


@_is("LayerNorm")
def layer_norm(x: Tensor, gamma: Tensor, beta: Tensor, axis: int = -1, eps: float = 1e-5) -> Tensor:
    if axis in (-1, x.dim() - 1):
        return F.layer_norm(x, gamma.shape, gamma, beta, eps)
    moved = F.layer_norm(x.movedim(axis, -1), gamma.shape, gamma, beta, eps)
    return moved.movedim(-1, axis)


@_is("GroupNorm")
def group_norm(x: Tensor, gamma: Tensor, beta: Tensor, num_groups: int = 1, eps: float = 1e-5) -> Tensor:
    """MXNet 1.9.1 has one scale and one shift for each group."""
    each = x.shape[1] // num_groups
    return F.group_norm(x, num_groups, gamma.repeat_interleave(each), beta.repeat_interleave(each), eps)


@_is("Pooling")
def pooling(
    x: Tensor,
    kernel: Sequence[int] = (),
    pool_type: str = "max",
    global_pool: bool = False,
    stride: Sequence[int] = (1, 1),
    pad: Sequence[int] = (0, 0),
    pooling_convention: str = "valid",
    count_include_pad: bool = True,
    layout: str = "NCHW",
) -> Tensor:
    if global_pool:
        return x.amax((2, 3), True) if pool_type == "max" else x.mean((2, 3), True)
    whole = pooling_convention == "full"
    if pool_type == "sum":
        return F.avg_pool2d(x, kernel, stride, pad, whole, divisor_override=1)
    if pool_type == "max":
        return F.max_pool2d(x, kernel, stride, pad, 1, whole)
    return F.avg_pool2d(x, kernel, stride, pad, whole, count_include_pad)


@_is("_contrib_AdaptiveAvgPooling2D")
def adaptive_avg_pool(x: Tensor, output_size=1) -> Tensor:
    return F.adaptive_avg_pool2d(x, _pair(output_size))


# ----- resizing and sampling


@_is("_contrib_BilinearResize2D")
def bilinear_resize(
    x: Tensor,
    like: Optional[Tensor] = None,
    mode: str = "size",
    height: int = 0,
    width: int = 0,
    scale_height: Optional[float] = None,
    scale_width: Optional[float] = None,
    align_corners: bool = True,
) -> Tensor:
    if mode not in ("size", "like"):
        raise ConfigError(f"operator _contrib_BilinearResize2D with mode {mode!r} has no PyTorch form")
    if mode == "like":
        size = tuple(like.shape[2:])
    elif scale_height is not None:
        size = (int(x.shape[2] * scale_height), int(x.shape[3] * scale_width))
    else:
        size = (height, width)
    if not align_corners:
        # For an output of one pixel MXNet reads the first pixel, PyTorch the middle.
        for axis in (2, 3):
            if size[axis - 2] == 1:
                x = x.narrow(axis, 0, 1)
    return F.interpolate(x, size=size, mode="bilinear", align_corners=align_corners)


@_is("UpSampling")
def upsampling(x: Tensor, scale: int, sample_type: str = "nearest") -> Tensor:
    if sample_type != "nearest":
        raise ConfigError(f"operator UpSampling with sample_type {sample_type!r} has no PyTorch form")
    return F.interpolate(x, scale_factor=scale, mode="nearest")


@_is("BilinearSampler")
def bilinear_sampler(x: Tensor, grid: Tensor) -> Tensor:
    # A grid in half precision would be off by pixels: under autocast the finer of both types is taken.
    kind = torch.promote_types(x.dtype, grid.dtype)
    places = grid.permute(0, 2, 3, 1).to(kind)
    return F.grid_sample(x.to(kind), places, mode="bilinear", padding_mode="zeros", align_corners=True)


@_is("gather_nd")
def gather_nd(x: Tensor, indices: Tensor) -> Tensor:
    return x[tuple(index.long() for index in indices)]


@_is("_contrib_index_copy")
def index_copy(x: Tensor, places: Tensor, new: Tensor) -> Tensor:
    # Under autocast one may be in half precision, the other not.
    kind = torch.promote_types(x.dtype, new.dtype)
    return x.to(kind).index_copy(0, places.long(), new.to(kind))


@_is("topk")
def topk(x: Tensor, k: int, axis: int = -1, ret_typ: str = "indices", is_ascend: bool = False) -> Tensor:
    found = torch.topk(x, k, axis, largest=not is_ascend)
    if ret_typ == "value":
        return found.values
    if ret_typ == "indices":
        return found.indices.to(x.dtype)
    raise ConfigError(f"operator topk with ret_typ {ret_typ!r} has no PyTorch form")


@_is("_random_uniform_like")
def uniform_like(x: Tensor, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Numbers drawn anew at every call, in float32 where `x` is narrower: places need its digits."""
    kind = torch.promote_types(x.dtype, torch.float32)
    return low + (high - low) * torch.rand(x.shape, dtype=kind, device=x.device)


# ----- shapes


@_is("Reshape")
def reshape(x: Value, shape: Sequence[int]) -> Value:
    """MXNet's codes: 0 keeps a side, -1 is what remains, -2 keeps all that follow, -3 joins two sides, -4
    splits one into the two that are named next."""
    if not isinstance(x, Tensor):
        return x
    sides, old, codes = [], list(x.shape), list(shape) if not isinstance(shape, int) else [shape]
    while codes:
        code = codes.pop(0)
        if code == -2:
            sides += old
            old = []
        elif code == -3:
            sides.append(old.pop(0) * old.pop(0))
        elif code == -4:
            whole, first, second = old.pop(0), codes.pop(0), codes.pop(0)
            first = whole // second if first == -1 else first
            sides += [first, whole // first]
        else:
            side = old.pop(0) if old else 1
            sides.append(side if code == 0 else code)
    return x.reshape(sides)


@_is("reshape_like")
def reshape_like(
    x: Tensor, like: Tensor, lhs_begin: int = 0, lhs_end=None, rhs_begin: int = 0, rhs_end=None
) -> Tensor:
    after = () if lhs_end is None else x.shape[lhs_end:]
    return x.reshape([*x.shape[:lhs_begin], *like.shape[rhs_begin:rhs_end], *after])


@_is("transpose")
def transpose(x: Tensor, axes: Sequence[int] = ()) -> Tensor:
    return x.permute(*(axes or range(x.dim() - 1, -1, -1)))


@_is("SwapAxis")
def swap_axes(x: Tensor, dim1: int = 0, dim2: int = 0) -> Tensor:
    return x.transpose(dim1, dim2)


@_is("expand_dims")
def expand_dims(x: Tensor, axis: int) -> Tensor:
    return x.unsqueeze(axis)


@_is("squeeze")
def squeeze(x: Tensor, axis=None) -> Tensor:
    return x.squeeze() if axis is None else x.squeeze(axis)


@_is("Flatten")
def flatten(x: Tensor) -> Tensor:
    return torch.flatten(x, 1)


@_is("slice")
def slice_(x: Tensor, begin: Sequence, end: Sequence, step: Sequence = ()) -> Tensor:
    return x[tuple(slice(b, e, s) for b, e, s in zip(begin, end, step or (None,) * len(begin)))]


@_is("slice_axis")
def slice_axis(x: Tensor, axis: int, begin: int, end: Optional[int]) -> Tensor:
    start, stop, _ = slice(begin, end).indices(x.shape[axis])
    return x.narrow(axis, start, stop - start)


@_is("slice_like")
def slice_like(x: Tensor, like: Tensor, axes=()) -> Tensor:
    for axis in _axes(axes, x.dim()):
        x = x.narrow(axis, 0, like.shape[axis])
    return x


@_is("SliceChannel")
def split(x: Tensor, num_outputs: int, axis: int = 1, squeeze_axis: bool = False) -> List[Tensor]:
    parts = torch.split(x, x.shape[axis] // num_outputs, axis)
    return [part.squeeze(axis) for part in parts] if squeeze_axis else list(parts)


@_is("Concat")
def concat(*inputs: Tensor, dim: int = 1) -> Tensor:
    # Of mixed memory formats PyTorch makes a map that the next convolution would copy. Sampled maps and those
    # resized from one pixel have forgotten that they were channels-last.
    if any(_channels_last(x) for x in inputs):
        inputs = tuple(x.contiguous(memory_format=torch.channels_last) for x in inputs)
    return torch.cat(inputs, dim)


def _channels_last(x: Tensor) -> bool:
    return x.dim() == 4 and not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)


@_is("stack")
def stack(*inputs: Tensor, axis: int = 0) -> Tensor:
    return torch.stack(inputs, axis)


@_is("take")
def take(x: Tensor, indices: Tensor, axis: int = 0, mode: str = "clip") -> Tensor:
    if mode != "clip":
        raise ConfigError(f"operator take with mode {mode!r} has no PyTorch form")
    places = indices.long().clamp(0, x.shape[axis] - 1)
    found = x.index_select(axis, places.reshape(-1))
    return found.reshape([*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]])


@_is("tile")
def tile(x: Tensor, reps) -> Tensor:
    return torch.tile(x, _axes(reps, 0))


@_is("Pad")
def pad(x: Tensor, mode: str, pad_width: Sequence[int], constant_value: float = 0.0) -> Tensor:
    widths = list(zip(pad_width[::2], pad_width[1::2]))
    if mode == "constant":
        return F.pad(x, [n for pair in reversed(widths) for n in pair], value=constant_value)
    # Of the other kinds PyTorch pads the last two axes, which is all that MXNet does to a map too.
    return F.pad(x, [n for pair in widths[:1:-1] for n in pair], {"edge": "replicate"}.get(mode, mode))


@_is("reverse")
def reverse(x: Tensor, axis) -> Tensor:
    return torch.flip(x, _axes(axis, x.dim()))


@_is("broadcast_like")
def broadcast_like(x: Tensor, like: Tensor, lhs_axes=None, rhs_axes=None) -> Tensor:
    sides = list(like.shape) if lhs_axes is None else list(x.shape)
    for mine, other in zip(lhs_axes or (), rhs_axes or ()):
        sides[mine] = like.shape[other]
    return x.expand(sides)


@_is("_copy", "identity")
def copy(x: Value) -> Value:
    return x


@_is("BlockGrad")
def block_gradient(x: Value) -> Value:
    return x.detach() if isinstance(x, Tensor) else x


@_is("Cast")
def cast(x: Value, dtype: str) -> Value:
    if isinstance(x, Tensor):
        return x.to(getattr(torch, dtype))
    return int(x) if dtype.startswith("int") else x


# ----- counting


def last_index(x: Tensor, axis: int) -> int:
    """What `max(arange_like(x, axis))` is, as a number."""
    return x.shape[axis] - 1


@_is("_contrib_arange_like")
def arange_like(x: Tensor, axis: int) -> Tensor:
    # Under autocast x may be in half precision, in which places above 2048 (or 256) do not exist.
    kind = torch.promote_types(x.dtype, torch.float32)
    return torch.arange(x.shape[axis], dtype=kind, device=x.device)


@_is("ones_like")
def ones_like(x: Value) -> Value:
    return torch.ones_like(x) if isinstance(x, Tensor) else 1.0


@_is("zeros_like")
def zeros_like(x: Value) -> Value:
    return torch.zeros_like(x) if isinstance(x, Tensor) else 0.0


@_is("_ones")
def ones(data: Tensor, shape, dtype: str = "float32") -> Tensor:
    return torch.ones(shape, dtype=data.dtype, device=data.device)


@_is("_zeros")
def zeros(data: Tensor, shape, dtype: str = "float32") -> Tensor:
    return torch.zeros(shape, dtype=data.dtype, device=data.device)
