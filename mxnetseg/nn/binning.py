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
    return _hats(F, bins, F.broadcast_mul(pixels, step))


def _hats(F, places, source):
    """`(len(places), len(source))`: 1 where a source position is a place, falling to 0 at its neighbours."""
    distance = F.broadcast_sub(F.reshape(places, (-1, 1)), F.reshape(source, (1, -1)))
    return F.relu(1 - F.abs(distance))


def apply_rows_columns(F, x, rows, columns):
    """`x` `(N, C, H, W)` times `rows` `(H, h)` and `columns` `(W, w)`: `(N, C, h, w)`."""
    x = F.dot(F.transpose(x, (0, 1, 3, 2)), rows)
    return F.dot(F.transpose(x, (0, 1, 3, 2)), columns)


def linear_weights(F, x, like, axis, align_corners):
    """`(side of x, side of like)`: the share of each pixel of `x` in each pixel of `like` along an axis."""
    old, new = F.contrib.arange_like(x, axis=axis), F.contrib.arange_like(like, axis=axis)
    last, last_new = F.max(old), F.max(new)
    if align_corners:
        step = F.broadcast_div(last, F.broadcast_maximum(last_new, F.ones_like(last_new)))
        source = F.broadcast_mul(new, step)
    else:
        scale = F.broadcast_div(last + 1, last_new + 1)
        source = F.broadcast_minimum(F.relu(F.broadcast_mul(new + 0.5, scale) - 0.5), last)
        # MXNet's operator, which computes the same outside training, takes the first pixel for a single one.
        source = F.broadcast_mul(source, last_new > 0)
    return _hats(F, old, source)


def cubic_weights(F, x, like, axis):
    """`(side of x, side of like)`: the share of each pixel of `x` in each pixel of `like` along an axis."""
    old, new = F.contrib.arange_like(x, axis=axis), F.contrib.arange_like(like, axis=axis)
    last = F.max(old)
    scale = F.broadcast_div(last + 1, F.max(new) + 1)
    source = F.broadcast_mul(new + 0.5, scale) - 0.5
    before = F.floor(source)
    shares = 0
    for tap in (-1, 0, 1, 2):
        read = F.broadcast_minimum(F.relu(before + tap), last)
        weight = _cubic(F, F.abs(source - before - tap))
        same = F.broadcast_equal(F.reshape(old, (-1, 1)), F.reshape(read, (1, -1)))
        shares = F.broadcast_mul(same, F.reshape(weight, (1, -1))) + shares
    return shares


def _cubic(F, distance, a=-0.75):
    near = ((a + 2) * distance - (a + 3)) * distance * distance + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return F.where(distance <= 1, near, far)
