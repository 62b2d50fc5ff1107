"""Sampling a feature map along a flow field (SFNet and its family), shape-free.

MXNet's BilinearSampler takes grid values in [-1, 1] between the centres of the corner pixels and reads
zero outside. What differs between the published networks is how a flow becomes a grid; the
conversions are here and nowhere else.
"""

from __future__ import annotations

from typing import Tuple

from mxnetseg.nn.grid import side
from mxnetseg.nn.tensor import Ops, Tensor


def base_grid(F: Ops, like: Tensor) -> Tuple[Tensor, Tensor]:
    """Corner-aligned coordinates of `like`'s pixels: x `(1, 1, 1, W)`, y `(1, 1, H, 1)`, in [-1, 1].

    A side of one pixel has the coordinate -1, like a linear space of one point.
    """
    return (
        F.reshape(_line(F, like, 3), (1, 1, 1, -1)),
        F.reshape(_line(F, like, 2), (1, 1, -1, 1)),
    )


def flow_grid(F: Ops, flow: Tensor, size_of: Tensor) -> Tensor:
    """Grid for `sample`: the base grid plus `flow` measured in fractions of `size_of`'s sides.

    `flow` is `(N, 2, H, W)`, channel 0 along x. A flow equal to the side moves by one unit of the
    [-1, 1] range, which is how SFNet (arXiv 2002.10120) normalizes it.
    """
    x, y = base_grid(F, flow)
    dx = F.broadcast_div(F.slice_axis(flow, axis=1, begin=0, end=1), _scalar(F, side(F, size_of, 3)))
    dy = F.broadcast_div(F.slice_axis(flow, axis=1, begin=1, end=2), _scalar(F, side(F, size_of, 2)))
    return F.concat(F.broadcast_add(dx, x), F.broadcast_add(dy, y), dim=1)


def pixel_grid(F: Ops, flow: Tensor) -> Tensor:
    """Grid for `sample`: the base grid plus `flow` `(N, 2, H, W)` measured in pixels of its own size."""
    x, y = base_grid(F, flow)
    dx, dy = F.split(flow, num_outputs=2, axis=1)
    return F.concat(F.broadcast_add(_in_units(F, dx, 3), x), F.broadcast_add(_in_units(F, dy, 2), y), dim=1)


def sample(F: Ops, x: Tensor, grid: Tensor, align_corners: bool = True) -> Tensor:
    """`x` `(N, C, h, w)` read at `grid` `(N, 2, H, W)` in [-1, 1]: bilinear, zero outside.

    With `align_corners=False` -1 and 1 are the outer edges of the corner pixels instead of their
    centres (PyTorch's other convention); the grid is converted.
    """
    if not align_corners:
        columns = F.slice_axis(grid, axis=1, begin=0, end=1)
        rows = F.slice_axis(grid, axis=1, begin=1, end=2)
        grid = F.concat(_edge_to_centre(F, columns, x, 3), _edge_to_centre(F, rows, x, 2), dim=1)
    return F.BilinearSampler(x, grid)


def _line(F, like, axis):
    steps = F.contrib.arange_like(like, axis=axis)
    last = F.max(steps)
    span = F.broadcast_maximum(last, F.ones_like(last))
    return F.broadcast_div(steps * 2, span) - 1


def _scalar(F, value):
    return F.reshape(value, (1, 1, 1, 1))


def _edge_to_centre(F, coordinate, x, axis):
    # pixel = ((g + 1) * n - 1) / 2, and the sampler reads pixel = (g' + 1) * (n - 1) / 2.
    n = side(F, x, axis)
    span = F.broadcast_maximum(n - 1, F.ones_like(n))
    scaled = F.broadcast_mul(coordinate + 1, _scalar(F, n)) - 1
    return F.broadcast_div(scaled, _scalar(F, span)) - 1


def _in_units(F, pixels, axis):
    n = side(F, pixels, axis)
    span = F.broadcast_maximum(n - 1, F.ones_like(n))
    return F.broadcast_div(pixels * 2, _scalar(F, span))
