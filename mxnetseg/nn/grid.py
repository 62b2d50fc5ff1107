"""Counting along axes without fixing a size or a device in the graph."""

from __future__ import annotations

from mxnetseg.nn.tensor import Ops, Tensor


def side(F: Ops, like: Tensor, axis: int) -> Tensor:
    """Length of an axis of `like` as a one-element array."""
    return F.max(F.contrib.arange_like(like, axis=axis)) + 1


def steps(F: Ops, like: Tensor, count: int) -> Tensor:
    """0, 1, .. `count` - 1 as a vector on the device of `like`, a map `(N, C, H, W)` of any size."""
    # Not a slice of the map itself: oneDNN's slice of a convolution's output divides by zero.
    first = F.slice_axis(F.contrib.arange_like(like, axis=2), axis=0, begin=0, end=1)
    return F.contrib.arange_like(F.tile(first, reps=(count,)), axis=0)
