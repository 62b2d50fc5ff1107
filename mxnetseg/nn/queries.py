"""Layers of decoders whose queries `(N, Q, C)` read each other and a picture's tokens `(N, L, C)`."""

from __future__ import annotations

import mxnet as mx
from mxnet.gluon import HybridBlock, nn

from mxnetseg.nn.initial import XAVIER
from mxnetseg.nn.tensor import Ops, Tensor
from mxnetseg.nn.tokens import token_dense

# Added to scores of tokens that a query must not read.
HIDDEN = -1e9


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
    return F.broadcast_add(one * 0, F.expand_dims(table, axis=0))


def masks_of(F: Ops, queries: Tensor, x: Tensor) -> Tensor:
    """Products of queries `(N, Q, C)` with every pixel of `(N, C, H, W)`: `(N, Q, H, W)`."""
    flat = F.batch_dot(queries, F.reshape(x, (0, 0, -1)))
    return F.reshape_like(flat, x, lhs_begin=2, lhs_end=3, rhs_begin=2, rhs_end=4)
