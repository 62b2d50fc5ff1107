"""Layers of decoders whose queries `(N, Q, C)` read each other and a picture's tokens `(N, L, C)`."""

from __future__ import annotations

import math

import mxnet as mx
from mxnet.gluon import HybridBlock, nn

from mxnetseg.nn.grid import side, steps
from mxnetseg.nn.initial import XAVIER, draw_as_pytorch
from mxnetseg.nn.norm import ChannelGroupNorm
from mxnetseg.nn.tensor import Ops, Tensor
from mxnetseg.nn.tokens import token_dense

# Added to scores of tokens that a query must not read.
HIDDEN = -1e9


def decoder_norm(width: int) -> nn.LayerNorm:
    """Layer norm over `width` channels as DETR's decoders have it."""
    return nn.LayerNorm(epsilon=1e-5, in_channels=width)


class QueryAttention(HybridBlock):
    """Multi-head attention `(query, key, value, hidden=None)`: each query reads the values.

    `hidden` `(N, Q, L)`: 1 where a query must not read a token, the same for every head.
    """

    def __init__(self, width: int, heads: int = 8, dropout: float = 0.0) -> None:
        super().__init__()
        self._heads = heads
        self._scale = (width // heads) ** -0.5
        self.q, self.k, self.v, self.proj = (token_dense(width, width, weights=XAVIER) for _ in range(4))
        self.drop = nn.Dropout(dropout)

    def hybrid_forward(self, F, query, key, value, hidden=None):
        query = self._apart(F, self.q(query) * self._scale)
        key, value = self._apart(F, self.k(key)), self._apart(F, self.v(value))
        scores = F.batch_dot(query, key, transpose_b=True)
        if hidden is not None:
            of_heads = F.reshape(scores, (-4, -1, self._heads, 0, 0))
            of_heads = F.broadcast_add(of_heads, F.expand_dims(hidden, axis=1) * HIDDEN)
            scores = F.reshape(of_heads, (-3, 0, 0))
        read = F.batch_dot(self.drop(F.softmax(scores, axis=-1)), value)
        read = F.transpose(F.reshape(read, (-4, -1, self._heads, 0, 0)), (0, 2, 1, 3))
        return self.proj(F.reshape(read, (0, 0, -3)))

    def _apart(self, F, x):
        """`(N, L, C)` to `(N * heads, L, C / heads)`."""
        parts = F.transpose(F.reshape(x, (0, 0, -4, self._heads, -1)), (0, 2, 1, 3))
        return F.reshape(parts, (-3, 0, 0))


class QueryFFN(HybridBlock):
    """Two dense layers with a ReLU in between."""

    def __init__(self, width: int, hidden: int, weights: mx.init.Initializer = XAVIER) -> None:
        super().__init__()
        self.fc1 = token_dense(hidden, width, weights=weights)
        self.fc2 = token_dense(width, hidden, weights=weights)

    def hybrid_forward(self, F, x):
        return self.fc2(F.relu(self.fc1(x)))


def every_sample(F: Ops, table: Tensor, like: Tensor) -> Tensor:
    """A table `(Q, C)` once for every sample of `like` `(N, ...)`: `(N, Q, C)`."""
    one = F.slice_axis(F.reshape(F.BlockGrad(like), (0, -1, 1)), axis=1, begin=0, end=1)
    return F.broadcast_add(F.zeros_like(one), F.expand_dims(table, axis=0))


def masks_of(F: Ops, queries: Tensor, x: Tensor) -> Tensor:
    """Products of queries `(N, Q, C)` with every pixel of `(N, C, H, W)`: `(N, Q, H, W)`."""
    flat = F.batch_dot(queries, F.reshape(x, (0, 0, -1)))
    return F.reshape_like(flat, x, lhs_begin=2, lhs_end=3, rhs_begin=2, rhs_end=4)


def semantic_map(F: Ops, classes: Tensor, masks: Tensor) -> Tensor:
    """`(N, K, H, W)`: for each class the chances of the queries `(N, Q, K + 1)` to be of it, the last class
    being none, weighed at every pixel by the chance of their masks `(N, Q, H, W)`. Not below zero."""
    chances = F.slice_axis(F.softmax(classes, axis=-1), axis=2, begin=0, end=-1)
    flat = F.batch_dot(chances, F.reshape(F.sigmoid(masks), (0, 0, -1)), transpose_a=True)
    return F.reshape_like(flat, masks, lhs_begin=2, lhs_end=3, rhs_begin=2, rhs_end=4)


def sine_positions(F: Ops, like: Tensor, width: int) -> Tensor:
    """`(1, H * W, width)` of a map `(N, C, H, W)`: sines and cosines of a pixel's row and column, counted
    from 1 and scaled to a circle, in falling frequencies (DETR, arXiv 2005.12872)."""
    count = width // 4
    rates = F.reshape(F.exp(steps(F, like, count) * (-math.log(10000) / count)), (1, -1))
    sides = []
    for axis in (2, 3):
        place = F.contrib.arange_like(like, axis=axis) + 1
        turned = F.broadcast_div(place, side(F, like, axis) + 1e-6) * (2 * math.pi)
        angles = F.broadcast_mul(F.reshape(turned, (-1, 1)), rates)
        sides.append(F.reshape(F.stack(F.sin(angles), F.cos(angles), axis=2), (0, -1)))
    rows, columns = F.expand_dims(sides[0], axis=1), F.expand_dims(sides[1], axis=0)
    rows, columns = (
        F.broadcast_add(rows, F.zeros_like(columns)),
        F.broadcast_add(columns, F.zeros_like(rows)),
    )
    flat = F.reshape(F.concat(rows, columns, dim=2), (-3, 0))
    return F.BlockGrad(F.expand_dims(flat, axis=0))


class MaskEmbedding(HybridBlock):
    """Three dense layers: queries to what their masks are products with."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.layers = nn.HybridSequential()
        for channels in (width, width, out):
            self.layers.add(token_dense(channels, width))
        draw_as_pytorch(self)

    def hybrid_forward(self, F, x):
        first, second, last = self.layers
        return last(F.relu(second(F.relu(first(x)))))


class GroupUnit(HybridBlock):
    """Convolution without a bias unless `bias`, group norm of 32 groups, ReLU unless `act=False`."""

    def __init__(
        self, in_channels: int, channels: int, kernel: int = 3, bias: bool = False, act: bool = True
    ) -> None:
        super().__init__()
        self._act = act
        self.conv = nn.Conv2D(
            channels,
            kernel,
            padding=kernel // 2,
            use_bias=bias,
            in_channels=in_channels,
            weight_initializer=XAVIER,
        )
        self.norm = ChannelGroupNorm(channels, 32, 1e-5)

    def hybrid_forward(self, F, x):
        x = self.norm(self.conv(x))
        return F.relu(x) if self._act else x
