"""Attention that reads a few points of several maps, found by each token for itself (Deformable DETR,
arXiv 2010.04159), by bilinear sampling."""

from __future__ import annotations

import math
from typing import List, Sequence

import mxnet as mx
import numpy as np
from mxnet.gluon import HybridBlock, nn

from mxnetseg.nn.grid import side
from mxnetseg.nn.initial import XAVIER
from mxnetseg.nn.queries import QueryFFN
from mxnetseg.nn.tensor import Ops, Tensor
from mxnetseg.nn.tokens import to_map, token_dense


@mx.init.register
class Rays(mx.init.Initializer):
    """Offsets of a point for each head in a direction of its own, farther with every point."""

    def __init__(self, heads: int = 8, levels: int = 3, points: int = 4) -> None:
        super().__init__(heads=heads, levels=levels, points=points)
        self._shape = (heads, levels, points)

    def _init_weight(self, _, array):
        heads, levels, points = self._shape
        angles = np.arange(heads) * (2 * math.pi / heads)
        rays = np.stack([np.cos(angles), np.sin(angles)], -1)
        rays /= np.abs(rays).max(-1, keepdims=True)
        far = np.arange(1, points + 1).reshape((1, 1, points, 1))
        array[:] = np.tile(rays[:, None, None] * far, (1, levels, 1, 1)).ravel()


class DeformableAttention(HybridBlock):
    """`(queries, x, y, *tokens, *maps)` to `(N, L, width)`.

    `queries` `(N, L, width)`; `x`, `y` `(1, L, 1)`, their places in fractions of the picture; then for each
    level its tokens `(N, h * w, width)`, and any map of its size.
    """

    def __init__(self, width: int, heads: int = 8, levels: int = 3, points: int = 4) -> None:
        super().__init__()
        self._heads, self._levels, self._points = heads, levels, points
        samples = heads * levels * points
        self.offsets = token_dense(2 * samples, width, weights="zeros", biases=Rays(heads, levels, points))
        self.weights = token_dense(samples, width, weights="zeros")
        self.value, self.proj = (token_dense(width, width, weights=XAVIER) for _ in range(2))

    def hybrid_forward(self, F, queries, x, y, *levels):
        offsets = self._of_heads(F, self.offsets(queries))
        shares = F.softmax(self._of_heads(F, self.weights(queries)), axis=-1)
        total = 0
        for level, (tokens, like) in enumerate(zip(levels[: self._levels], levels[self._levels :])):
            value = F.reshape(to_map(F, self.value(tokens), like), (0, -4, self._heads, -1, 0, 0))
            value = F.reshape(value, (-3, 0, 0, 0))
            first = level * self._points
            own = F.slice_axis(offsets, axis=2, begin=2 * first, end=2 * (first + self._points))
            own = F.reshape(own, (0, 0, -4, -1, 2))
            grid = [
                self._grid(F, place, F.slice_axis(own, axis=3, begin=k, end=k + 1), like, axis)
                for k, (place, axis) in enumerate(((x, 3), (y, 2)))
            ]
            read = F.BilinearSampler(value, F.stack(*grid, axis=1))
            share = F.slice_axis(shares, axis=2, begin=first, end=first + self._points)
            total = F.sum(read * self._for_channels(F, share, value), axis=3) + total
        total = F.transpose(F.reshape(total, (-4, -1, self._heads, 0, 0)), (0, 3, 1, 2))
        return self.proj(F.reshape(total, (0, 0, -3)))

    def _of_heads(self, F, x):
        """`(N, L, heads * k)` to `(N * heads, L, k)`."""
        parts = F.transpose(F.reshape(x, (0, 0, -4, self._heads, -1)), (0, 2, 1, 3))
        return F.reshape(parts, (-3, 0, 0))

    def _for_channels(self, F, share, value):
        """Shares `(N * heads, L, points)` as `(N * heads, C, L, points)`, one for all channels of a head;
        a product, since the gradient of `broadcast_mul` takes ten times as long on CPUs."""
        ones = F.ones_like(F.slice_axis(F.reshape(value, (0, 0, -1)), axis=2, begin=0, end=1))
        spread = F.batch_dot(ones, F.reshape(share, (0, 1, -1)))
        return F.reshape(spread, (0, 0, -4, -1, self._points))

    def _grid(self, F, place, offset, like, axis):
        """Where the sampler reads: -1 and 1 are the centres of the first and last pixel of `like`."""
        length = side(F, like, axis)
        span = F.broadcast_maximum(length - 1, F.ones_like(length))
        length, span = (F.reshape(one, (1, 1, 1)) for one in (length, span))
        pixel = F.broadcast_add(F.reshape(offset, (0, 0, 0)), F.broadcast_mul(place, length) - 0.5)
        return F.broadcast_div(pixel * 2, span) - 1


class DeformableLayer(HybridBlock):
    """`(x, positions, x, y, *tokens, *maps)`: attention and dense layers around shortcuts, norms after."""

    def __init__(self, width: int, hidden: int = 1024) -> None:
        super().__init__()
        self.attention = DeformableAttention(width)
        self.attention_norm = nn.LayerNorm(epsilon=1e-5, in_channels=width)
        self.ffn = QueryFFN(width, hidden)
        self.ffn_norm = nn.LayerNorm(epsilon=1e-5, in_channels=width)

    def hybrid_forward(self, F, tokens, positions, x, y, *levels):
        placed = F.broadcast_add(tokens, positions)
        tokens = self.attention_norm(tokens + self.attention(placed, x, y, *levels))
        return self.ffn_norm(tokens + self.ffn(tokens))


def places(F: Ops, like: Tensor) -> List[Tensor]:
    """Columns and rows `(1, H * W, 1)` of the pixels of a map, in fractions of its sides."""
    column, row = (
        F.broadcast_div(F.contrib.arange_like(like, axis=axis) + 0.5, side(F, like, axis)) for axis in (3, 2)
    )
    column, row = F.reshape(column, (1, -1)), F.reshape(row, (-1, 1))
    planes = F.broadcast_add(F.zeros_like(row), column), F.broadcast_add(row, F.zeros_like(column))
    return [F.BlockGrad(F.reshape(plane, (1, -1, 1))) for plane in planes]


def split_tokens(F: Ops, x: Tensor, parts: Sequence[Tensor]) -> List[Tensor]:
    """`(N, L1 + L2 + .., C)` in parts as long as `parts` `(N, Li, C)`."""
    found = []
    for index, part in enumerate(parts[:-1]):
        rest = F.concat(*parts[index + 1 :], dim=1) if index + 2 < len(parts) else parts[-1]
        found.append(F.slice_like(x, part, axes=(1,)))
        x = F.reverse(F.slice_like(F.reverse(x, axis=1), rest, axes=(1,)), axis=1)
    return [*found, x]
