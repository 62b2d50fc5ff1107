"""Bilinear resizing, the only place that calls MXNet's operator for it.

`align_corners=True` maps corner pixel centres onto each other (source = i * (in-1)/(out-1));
False maps pixel areas (source = (i + 0.5) * in/out - 0.5, clamped at the border), as PyTorch does.
All take and return `(N, C, H, W)` and work on NDArrays and symbols alike. None of them bakes a size
that was read from an input into the graph, so a hybridized network serves any input size.
"""

from __future__ import annotations

from mxnetseg.nn.binning import apply_rows_columns, cubic_weights
from mxnetseg.nn.grid import steps


def resize_like(F, x, like, align_corners=True):
    """`x` at the height and width of `like`; nothing flows back into `like`."""
    # The operator says so too, but where both sizes agree it leaves the gradient of `like` unwritten:
    # whatever stood in that memory would flow back.
    return F.contrib.BilinearResize2D(x, F.BlockGrad(like), mode="like", align_corners=align_corners)


def resize_by(F, x, factor, align_corners=True):
    """`x` with both sides multiplied by `factor` (results are truncated to whole pixels)."""
    return F.contrib.BilinearResize2D(
        x, scale_height=factor, scale_width=factor, align_corners=align_corners
    )


def resize_to(F, x, size, align_corners=True):
    """`x` at a size `(height, width)` that belongs to the architecture, never to an earlier input."""
    return F.contrib.BilinearResize2D(x, height=size[0], width=size[1], align_corners=align_corners)


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
    planes = F.Convolution(planes, kernel, kernel=(4, 4), stride=(2 * times, 2 * times),
                           num_filter=1, no_bias=True)
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
