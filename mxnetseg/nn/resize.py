"""Bilinear resizing, the only place where networks call MXNet's operator for it.

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

from mxnetseg.nn.binning import apply_rows_columns, cubic_weights, linear_weights
from mxnetseg.nn.grid import steps

_here = threading.local()


@contextmanager
def for_training():
    """Networks called or traced inside resize in the form whose gradient is quick. Values are the same but
    for rounding."""
    before = getattr(_here, "by_matrices", False)
    _here.by_matrices = True
    try:
        yield
    finally:
        _here.by_matrices = before


def _resize(F, x, align_corners, like=None, **size):
    """`x` at the size of `like`, or what `size` says in the operator's words."""
    if not getattr(_here, "by_matrices", False):
        return _operator(F, x, align_corners, like, **size)
    if like is None:
        # The operator knows how to round: what it makes of one map tells the size.
        down, across = (F.contrib.arange_like(x, axis=axis) for axis in (2, 3))
        plane = F.broadcast_mul(F.reshape(down, (1, 1, -1, 1)), F.reshape(across, (1, 1, 1, -1)))
        like = _operator(F, plane, align_corners, **size)
    rows, columns = (F.BlockGrad(linear_weights(F, x, like, axis, align_corners)) for axis in (2, 3))
    return apply_rows_columns(F, x, rows, columns)


def _operator(F, x, align_corners, like=None, **size):
    if like is None:
        return F.contrib.BilinearResize2D(x, align_corners=align_corners, **size)
    # The operator says so too, but where both sizes agree it leaves the gradient of `like` unwritten:
    # whatever stood in that memory would flow back.
    return F.contrib.BilinearResize2D(x, F.BlockGrad(like), mode="like", align_corners=align_corners)


def resize_like(F, x, like, align_corners=True):
    """`x` at the height and width of `like`; nothing flows back into `like`."""
    return _resize(F, x, align_corners, like)


def resize_by(F, x, factor, align_corners=True):
    """`x` with both sides multiplied by `factor` (results are truncated to whole pixels)."""
    return _resize(F, x, align_corners, scale_height=factor, scale_width=factor)


def resize_to(F, x, size, align_corners=True):
    """`x` at a size `(height, width)` that belongs to the architecture, never to an earlier input."""
    return _resize(F, x, align_corners, height=size[0], width=size[1])


def halve_bicubic(F, x, times=1):
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


def nearest_like(F, x, like):
    """`x` at the height and width of `like`: pixel i is floor(i * in / out), as PyTorch's nearest."""
    for axis in (2, 3):
        source, target = (F.max(F.contrib.arange_like(y, axis=axis)) + 1 for y in (x, like))
        index = F.broadcast_mul(F.contrib.arange_like(like, axis=axis), source)
        x = F.take(x, F.floor(F.broadcast_div(index, target)), axis=axis)
    return x


def resize_bicubic_like(F, x, like, align_corners=False):
    """`x` at the height and width of `like` by bicubic interpolation (a = -0.75, borders repeat, no
    antialiasing); only with unaligned corners. For small maps: it is done by matrices."""
    if align_corners:
        raise NotImplementedError("bicubic resizing has unaligned corners only")
    rows, columns = (cubic_weights(F, x, like, axis) for axis in (2, 3))
    return apply_rows_columns(F, x, rows, columns)
