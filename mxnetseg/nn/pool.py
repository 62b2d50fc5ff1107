"""Adaptive average pooling, the only place that calls MXNet's operator for it."""

from __future__ import annotations

from typing import Tuple, Union

from mxnetseg.nn.grid import side
from mxnetseg.nn.resize import apply_rows_columns
from mxnetseg.nn.tensor import Ops, Tensor


def adaptive_avg_pool(F: Ops, x: Tensor, bins: Union[int, Tuple[int, int]]) -> Tensor:
    """Average of `(N, C, H, W)` over a grid of `bins` (an int or `(rows, columns)`).

    Bin i covers rows floor(i*H/rows) to ceil((i+1)*H/rows), as in PyTorch; maps smaller than the
    grid repeat. One bin is written as a global pool, which every exporter understands.
    """
    if bins in (1, (1, 1)):
        return F.Pooling(x, kernel=(1, 1), global_pool=True, pool_type="avg")
    return F.contrib.AdaptiveAvgPooling2D(x, output_size=bins)


def adaptive_avg_pool_half(F: Ops, x: Tensor, like: Tensor) -> Tensor:
    """Average of `(N, C, H, W)` over a grid of half as many bins along each side, rounded up, as `like` has
    pixels, by products with matrices; nothing flows back into `like`."""
    rows, columns = (_half_weights(F, x, like, axis) for axis in (2, 3))
    return apply_rows_columns(F, x, F.BlockGrad(rows), F.BlockGrad(columns))


def _half_weights(F, x, like, axis):
    """`(side of x, half the side of like)`: the share of each pixel in the average of each bin."""
    bins = F.slice(F.contrib.arange_like(like, axis=axis), begin=(None,), end=(None,), step=(2,)) / 2
    return bin_weights(F, bins, F.max(bins) + 1, F.contrib.arange_like(x, axis=axis), side(F, x, axis))


def bin_weights(F: Ops, bins: Tensor, count: Tensor, pixels: Tensor, length: Tensor) -> Tensor:
    """`(length, len(bins))`: the share of each pixel in the average of each of `bins` out of `count`.

    The same bins as a matrix, for grids whose size is computed from the input in the graph, which the
    operator cannot have. `bins`, `pixels`: vectors of indices from 0; `count`, `length`: one element.
    """
    begin = F.floor(F.broadcast_div(F.broadcast_mul(bins, length), count))
    end = F.ceil(F.broadcast_div(F.broadcast_mul(bins + 1, length), count))
    begin, end, pixels = F.reshape(begin, (1, -1)), F.reshape(end, (1, -1)), F.reshape(pixels, (-1, 1))
    inside = F.broadcast_greater_equal(pixels, begin) * F.broadcast_lesser(pixels, end)
    return F.broadcast_div(inside, end - begin)
