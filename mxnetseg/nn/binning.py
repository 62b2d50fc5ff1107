"""Pooling and interpolation as matrices, for grids whose size is computed from the input in the graph.

MXNet's operators for both need their sizes when the graph is made. Lengths, counts and indices here are
one-element arrays and vectors.
"""
from __future__ import annotations


def bin_weights(F, bins, count, pixels, length):
    """`(length, len(bins))`: the share of each pixel in the average of each of `bins` out of `count`.

    Bin i covers pixels floor(i * length / count) to ceil((i + 1) * length / count), as adaptive pooling.
    """
    begin = F.floor(F.broadcast_div(F.broadcast_mul(bins, length), count))
    end = F.ceil(F.broadcast_div(F.broadcast_mul(bins + 1, length), count))
    begin, end, pixels = F.reshape(begin, (1, -1)), F.reshape(end, (1, -1)), F.reshape(pixels, (-1, 1))
    inside = F.broadcast_greater_equal(pixels, begin) * F.broadcast_lesser(pixels, end)
    return F.broadcast_div(inside, end - begin)


def interpolation_weights(F, bins, count, pixels, length):
    """`(len(bins), length)`: the share of each of the first `count` bins in each pixel, linear and
    corner-aligned; later bins have none."""
    ones = F.ones_like(count)
    step = F.broadcast_div(count - 1, F.broadcast_maximum(length - 1, ones))
    source = F.reshape(F.broadcast_mul(pixels, step), (1, -1))
    return F.relu(1 - F.abs(F.broadcast_sub(F.reshape(bins, (-1, 1)), source)))


def apply_rows_columns(F, x, rows, columns):
    """`x` `(N, C, H, W)` times `rows` `(H, h)` and `columns` `(W, w)`: `(N, C, h, w)`."""
    x = F.dot(F.transpose(x, (0, 1, 3, 2)), rows)
    return F.dot(F.transpose(x, (0, 1, 3, 2)), columns)
