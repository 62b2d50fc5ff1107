"""Resizing maps, the only place where networks call MXNet's operators for it.

`align_corners=True` maps corner pixel centres onto each other (source = i * (in-1)/(out-1));
False maps pixel areas (source = (i + 0.5) * in/out - 0.5, clamped at the border), as PyTorch does.
All take and return `(N, C, H, W)` and work on NDArrays and symbols alike. None of them bakes a size
that was read from an input into the graph, so a hybridized network serves any input size.

The operator's gradient is slow on the CPU and adds in changing order on GPUs. Inside `for_training` the same
interpolation is done by two products with matrices, whose gradient is two more: the operator takes 28 ms and
42 ms for its gradient where the products take 6 ms and 6 ms (19 channels, 32 x 64 to 128 x 256, batch 4, one
core, `benchmarks/resizing.py`); a step of SFNet-18 with four crops of 128 x 256 fell from 0.65 s to 0.39 s.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import Iterator, Optional, Tuple

from mxnetseg.nn.grid import side, steps
from mxnetseg.nn.tensor import Ops, Tensor

_here = threading.local()


@contextmanager
def for_training() -> Iterator[None]:
    """Networks called or traced inside resize in the form whose gradient is quick. Values are the same but
    for rounding."""
    before = in_training_form()
    _here.by_matrices = True
    try:
        yield
    finally:
        _here.by_matrices = before


def in_training_form() -> bool:
    """Whether a network called or traced here is inside `for_training`."""
    return getattr(_here, "by_matrices", False)


def resize_like(F: Ops, x: Tensor, like: Tensor, align_corners: bool = True) -> Tensor:
    """`x` at the height and width of `like`; nothing flows back into `like`."""
    return _resize(F, x, align_corners, like)


def resize_by(F: Ops, x: Tensor, factor: float, align_corners: bool = True) -> Tensor:
    """`x` with both sides multiplied by `factor` (results are truncated to whole pixels)."""
    return _resize(F, x, align_corners, scale_height=factor, scale_width=factor)


def resize_to(F: Ops, x: Tensor, size: Tuple[int, int], align_corners: bool = True) -> Tensor:
    """`x` at a size `(height, width)` that belongs to the architecture, never to an earlier input."""
    return _resize(F, x, align_corners, height=size[0], width=size[1])


def resize_bicubic_like(F: Ops, x: Tensor, like: Tensor, antialias: bool = False) -> Tensor:
    """`x` at the height and width of `like` by bicubic interpolation with unaligned corners (a = -0.75,
    borders repeat). `antialias`: as PyTorch does it then, with a = -0.5, a kernel that widens where the map
    shrinks, and what lies beyond the border left out. For small maps: it is done by matrices."""
    weights = _wide_cubic_weights if antialias else _cubic_weights
    rows, columns = (weights(F, x, like, axis) for axis in (2, 3))
    return apply_rows_columns(F, x, rows, columns)


def resize_along(F: Ops, x: Tensor, like: Tensor) -> Tensor:
    """`x` `(N, C, L)` at the length of `like` `(N, C, l)`, linearly and with unaligned corners."""
    old, new = F.contrib.arange_like(x, axis=2), F.contrib.arange_like(like, axis=2)
    return F.dot(x, F.BlockGrad(_hats(F, old, _sources(F, old, new))))


def halve_bicubic(F: Ops, x: Tensor, times: int = 1) -> Tensor:
    """`x` with both sides halved (`times=1`) or quartered (2) by bicubic interpolation, sides truncated.

    As PyTorch's scale factors 0.5 and 0.25 without antialiasing (a = -0.75): an output pixel lies in the
    middle of four inputs, so that the kernel is the same everywhere and at both factors; borders repeat.
    """
    if times == 1:
        x = F.pad(x, mode="edge", pad_width=(0, 0, 0, 0, 1, 1, 1, 1))
    # The four weights along a side: -3/32, 19/32, 19/32, -3/32.
    distance = F.abs(steps(F, x, 4) - 1.5)
    weights = F.reshape(19 / 32 - 22 / 32 * (distance > 1), (1, 1, 1, 4))
    kernel = F.broadcast_mul(F.transpose(weights, (0, 1, 3, 2)), weights)
    planes = F.expand_dims(F.reshape(x, (-3, 0, 0)), axis=1)
    planes = F.Convolution(
        planes, kernel, kernel=(4, 4), stride=(2 * times, 2 * times), num_filter=1, no_bias=True
    )
    return F.reshape_like(planes, x, lhs_begin=0, lhs_end=2, rhs_begin=0, rhs_end=2)


def nearest_like(F: Ops, x: Tensor, like: Tensor, factor: Optional[int] = None) -> Tensor:
    """`x` at the height and width of `like`: pixel i is floor(i * in / out), as PyTorch's nearest.

    `factor`, where the strides of both maps tell it, says how many times as many pixels `like` has (or one
    fewer, for an odd side): pixels are then repeated, which is quicker and gives the same.
    """
    if factor is not None:
        x = F.UpSampling(x, scale=factor, sample_type="nearest") if factor > 1 else x
        return F.slice_like(x, like, axes=(2, 3))
    for axis in (2, 3):
        index = F.broadcast_mul(F.contrib.arange_like(like, axis=axis), side(F, x, axis))
        x = F.take(x, F.floor(F.broadcast_div(index, side(F, like, axis))), axis=axis)
    return x


def apply_rows_columns(F: Ops, x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """`x` `(N, C, H, W)` times `rows` `(H, h)` and `columns` `(W, w)`: `(N, C, h, w)`."""
    x = F.dot(F.transpose(x, (0, 1, 3, 2)), rows)
    return F.dot(F.transpose(x, (0, 1, 3, 2)), columns)


def interpolation_weights(F: Ops, bins: Tensor, count: Tensor, pixels: Tensor, length: Tensor) -> Tensor:
    """`(len(bins), length)`: the share of each of the first `count` bins in each pixel, linear and
    corner-aligned; later bins have none. `bins`, `pixels`: indices from 0; `count`, `length`: one element."""
    ones = F.ones_like(count)
    step = F.broadcast_div(count - 1, F.broadcast_maximum(length - 1, ones))
    return _hats(F, bins, F.broadcast_mul(pixels, step))


def _resize(F, x, align_corners, like=None, **size):
    """`x` at the size of `like`, or what `size` says in the operator's words."""
    if not in_training_form():
        return _operator(F, x, align_corners, like, **size)
    if like is None:
        # The operator knows how to round: what it makes of one map tells the size.
        down, across = (F.contrib.arange_like(x, axis=axis) for axis in (2, 3))
        plane = F.broadcast_mul(F.reshape(down, (1, 1, -1, 1)), F.reshape(across, (1, 1, 1, -1)))
        like = _operator(F, plane, align_corners, **size)
    rows, columns = (F.BlockGrad(_linear_weights(F, x, like, axis, align_corners)) for axis in (2, 3))
    return apply_rows_columns(F, x, rows, columns)


def _operator(F, x, align_corners, like=None, **size):
    if like is None:
        return F.contrib.BilinearResize2D(x, align_corners=align_corners, **size)
    # The operator says so too, but where both sizes agree it leaves the gradient of `like` unwritten:
    # whatever stood in that memory would flow back.
    return F.contrib.BilinearResize2D(x, F.BlockGrad(like), mode="like", align_corners=align_corners)


def _linear_weights(F, x, like, axis, align_corners):
    """`(side of x, side of like)`: the share of each pixel of `x` in each pixel of `like` along an axis."""
    old, new = F.contrib.arange_like(x, axis=axis), F.contrib.arange_like(like, axis=axis)
    last, last_new = F.max(old), F.max(new)
    if align_corners:
        step = F.broadcast_div(last, F.broadcast_maximum(last_new, F.ones_like(last_new)))
        source = F.broadcast_mul(new, step)
    else:
        source = _sources(F, old, new)
        # MXNet's operator, which computes the same outside training, takes the first pixel for a single one.
        source = F.broadcast_mul(source, last_new > 0)
    return _hats(F, old, source)


def _sources(F, old, new):
    """Where each of the pixels `new` lies among `old`, both counted from 0, corners unaligned."""
    last = F.max(old)
    scale = F.broadcast_div(last + 1, F.max(new) + 1)
    return F.broadcast_minimum(F.relu(F.broadcast_mul(new + 0.5, scale) - 0.5), last)


def _hats(F, places, source):
    """`(len(places), len(source))`: 1 where a source position is a place, falling to 0 at its neighbours."""
    distance = F.broadcast_sub(F.reshape(places, (-1, 1)), F.reshape(source, (1, -1)))
    return F.relu(1 - F.abs(distance))


def _cubic_weights(F, x, like, axis):
    """`(side of x, side of like)`: the share of each pixel of `x` in each pixel of `like` along an axis."""
    old, new = F.contrib.arange_like(x, axis=axis), F.contrib.arange_like(like, axis=axis)
    last = F.max(old)
    scale = F.broadcast_div(last + 1, F.max(new) + 1)
    source = F.broadcast_mul(new + 0.5, scale) - 0.5
    before = F.floor(source)
    shares = 0
    for tap in (-1, 0, 1, 2):
        read = F.broadcast_minimum(F.relu(before + tap), last)
        weight = _cubic(F, F.abs(source - before - tap), -0.75)  # PyTorch's and OpenCV's
        same = F.broadcast_equal(F.reshape(old, (-1, 1)), F.reshape(read, (1, -1)))
        shares = F.broadcast_mul(same, F.reshape(weight, (1, -1))) + shares
    return shares


def _wide_cubic_weights(F, x, like, axis):
    old, new = F.contrib.arange_like(x, axis=axis), F.contrib.arange_like(like, axis=axis)
    scale = F.broadcast_div(F.max(old) + 1, F.max(new) + 1)
    middle = F.broadcast_mul(new + 0.5, scale) - 0.5
    distance = F.abs(F.broadcast_sub(F.reshape(old, (-1, 1)), F.reshape(middle, (1, -1))))
    distance = F.broadcast_div(distance, F.broadcast_maximum(scale, F.ones_like(scale)))
    shares = _cubic(F, distance, -0.5) * (distance < 2)
    return F.broadcast_div(shares, F.sum(shares, axis=0, keepdims=True))


def _cubic(F, distance, a):
    near = ((a + 2) * distance - (a + 3)) * distance * distance + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return F.where(distance <= 1, near, far)
