"""Attention inside square windows of a map, as Swin and Twins have it (arXiv 2103.14030, 2104.13840).

Maps are `(N, H, W, C)` here, so that layers over channels need no transposition. They are filled with zeros
at the bottom and at the right to whole windows; how many windows that are is an affair of the graph.
"""

from __future__ import annotations

from mxnet.gluon import HybridBlock

from mxnetseg.nn.grid import side, steps
from mxnetseg.nn.tensor import Ops, Tensor
from mxnetseg.nn.tokens import NARROW, token_dense


def to_last(F: Ops, x: Tensor) -> Tensor:
    """`(N, C, H, W)` to `(N, H, W, C)`."""
    return F.transpose(x, (0, 2, 3, 1))


def to_first(F: Ops, x: Tensor) -> Tensor:
    """`(N, H, W, C)` to `(N, C, H, W)`."""
    return F.transpose(x, (0, 3, 1, 2))


def whole_windows(F: Ops, x: Tensor, window: int) -> Tensor:
    """`(N, 1, H', W')`, the sides of `(N, H, W, C)` grown to multiples of `window`: a map to measure by."""
    one = to_first(F, F.slice_axis(F.BlockGrad(x), axis=3, begin=0, end=1))
    # The fewest windows that cover the map.
    widths = (0, 0, 0, 0, 0, window - 1, 0, window - 1)
    longer = F.pad(one, mode="constant", constant_value=0, pad_width=widths)
    counted = F.Pooling(longer, kernel=(window, window), stride=(window, window), pool_type="max")
    return F.BlockGrad(F.UpSampling(counted, scale=window, sample_type="nearest"))


def fill_windows(F: Ops, x: Tensor, whole: Tensor, window: int) -> Tensor:
    """`(N, H, W, C)` with zeros below and to the right, at the sides of `whole`."""
    widths = (0, 0, 0, 0, 0, window - 1, 0, window - 1, 0, 0)
    # Only maps with an axis of depth can be padded in front of their last axis.
    longer = F.pad(F.expand_dims(x, axis=1), mode="constant", constant_value=0, pad_width=widths)
    return F.reshape(F.slice_like(longer, whole, axes=(2, 3)), (-3, 0, 0, 0))


def cut_windows(F: Ops, x: Tensor, window: int) -> Tensor:
    """`(N, H, W, C)`, sides multiples of `window`, to `(N, rows, columns, window * window, C)`."""
    parts = F.reshape(x, (0, -4, -1, window, -4, -1, window, 0))
    return F.reshape(F.transpose(parts, (0, 1, 3, 2, 4, 5)), (0, 0, 0, -3, 0))


def join_windows(F: Ops, x: Tensor, window: int) -> Tensor:
    """`(N, rows, columns, window * window, C)` to `(N, H, W, C)`."""
    parts = F.transpose(F.reshape(x, (0, 0, 0, -4, window, window, 0)), (0, 1, 3, 2, 4, 5))
    return F.reshape(parts, (0, -3, -3, 0))


def roll(F: Ops, x: Tensor, by: int) -> Tensor:
    """`(N, H, W, C)` moved up and left by `by` pixels (down and right where negative); what leaves at one
    end comes in at the other."""
    for axis in (1, 2):
        first = F.slice_axis(x, axis=axis, begin=by, end=None)
        x = F.concat(first, F.slice_axis(x, axis=axis, begin=0, end=by), dim=axis)
    return x


def relative_places(F: Ops, like: Tensor, window: int) -> Tensor:
    """`(window^2, window^2)`: the row of a table of `(2 window - 1)^2` offsets for each pair of places in a
    window: the first's row and column minus the second's. `like`: any `(N, C, H, W)`, for its device."""
    place = steps(F, like, window * window)
    row = F.floor((place + 0.5) / window)
    column = place - row * window
    # One number for both, as the table counts them.
    code = row * (2 * window - 1) + column
    offset = F.broadcast_sub(F.reshape(code, (-1, 1)), F.reshape(code, (1, -1)))
    return offset + (window - 1) * 2 * window


def regions(F: Ops, whole: Tensor, window: int, shift: int) -> Tensor:
    """`(N, H', W', 1)`: a number for each pixel of a rolled map, the same for pixels that were neighbours
    before it was rolled by `shift`: those rolled in are apart from the rest of the last window."""
    codes = []
    for axis in (2, 3):
        place, length = F.contrib.arange_like(whole, axis=axis), side(F, whole, axis)
        codes.append(
            F.broadcast_greater_equal(place, length - window)
            + F.broadcast_greater_equal(place, length - shift)
        )
    rows, columns = F.reshape(codes[0], (1, -1, 1, 1)), F.reshape(codes[1], (1, 1, -1, 1))
    every = F.broadcast_add(rows * 3, columns)
    return F.broadcast_like(every, whole, lhs_axes=(0,), rhs_axes=(0,))


def filled(F: Ops, whole: Tensor, like: Tensor) -> Tensor:
    """`(N, H', W', 1)`: 1 for pixels of `whole` that lie outside of `like`, a map `(N, C, H, W)`; zeros where
    either direction has none such."""
    codes = [
        F.broadcast_greater_equal(F.contrib.arange_like(whole, axis=axis), side(F, like, axis))
        for axis in (2, 3)
    ]
    rows, columns = F.reshape(codes[0], (1, -1, 1, 1)), F.reshape(codes[1], (1, 1, -1, 1))
    both = F.reshape(F.max(codes[0]) * F.max(codes[1]), (1, 1, 1, 1))
    every = F.broadcast_mul(F.broadcast_maximum(rows, columns), both)
    return F.broadcast_like(every, whole, lhs_axes=(0,), rhs_axes=(0,))


def apart(F: Ops, numbers: Tensor, window: int, penalty: float) -> Tensor:
    """`(windows, 1, window^2, window^2)`: -`penalty` for pairs of places in a window whose `numbers`
    `(N, H', W', 1)` differ, else 0."""
    listed = F.reshape(_one_batch(F, cut_windows(F, numbers, window)), (0, -3))
    one, other = F.expand_dims(listed, axis=2), F.expand_dims(listed, axis=1)
    return F.BlockGrad(F.expand_dims((F.broadcast_equal(one, other) - 1) * penalty, axis=1))


class WindowAttention(HybridBlock):
    """Multi-head attention inside windows: `(N, H', W', C)`, sides multiples of `window`, to the same.

    `mask`, where there is one, is added to the scores (`apart`). `positions`: each pair of places in a window
    has a score of its own for each head, read off a table at `places` (`relative_places`).
    """

    def __init__(self, width: int, heads: int, window: int, positions: bool) -> None:
        super().__init__()
        self._window, self._heads = window, heads
        self._scale = (width // heads) ** -0.5
        self.qkv = token_dense(3 * width, width)
        self.proj = token_dense(width, width)
        if positions:
            rows = (2 * window - 1) ** 2
            self.positions = self.params.get("positions", shape=(rows, heads), init=NARROW)

    def hybrid_forward(self, F, x, mask=None, places=None, positions=None):
        windows = cut_windows(F, x, self._window)
        # (windows, L, 3 C) to queries, keys and values of (windows * heads, L, C / heads).
        parts = F.reshape(self.qkv(_one_batch(F, windows)), (0, 0, -4, 3 * self._heads, -1))
        parts = F.split(F.transpose(parts, (0, 2, 1, 3)), num_outputs=3, axis=1)
        query, key, value = (F.reshape(part, (-3, 0, 0)) for part in parts)
        scores = F.batch_dot(query * self._scale, key, transpose_b=True)
        scores = F.reshape(scores, (-4, -1, self._heads, 0, 0))
        if positions is not None:
            of_heads = F.transpose(F.take(positions, places, axis=0), (2, 0, 1))
            scores = F.broadcast_add(scores, F.expand_dims(of_heads, axis=0))
        if mask is not None:
            scores = F.broadcast_add(scores, mask)
        affinity = F.reshape(F.softmax(scores, axis=-1), (-3, 0, 0))
        read = F.reshape(F.batch_dot(affinity, value), (-4, -1, self._heads, 0, 0))
        read = self.proj(F.reshape(F.transpose(read, (0, 2, 1, 3)), (0, 0, -3)))
        read = F.reshape_like(read, windows, lhs_begin=0, lhs_end=1, rhs_begin=0, rhs_end=3)
        return join_windows(F, read, self._window)


def _one_batch(F, x):
    """`(N, rows, columns, L, C)` to `(N * rows * columns, L, C)`."""
    return F.reshape(F.reshape(x, (-3, 0, 0, 0)), (-3, 0, 0))
