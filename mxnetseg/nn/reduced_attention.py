"""Attention of all tokens to a smaller map of the same (PVT, arXiv 2102.12122): what mix transformers, PVT v2
and Twins are made of."""

from __future__ import annotations

import mxnet as mx
from mxnet.gluon import HybridBlock, nn

from mxnetseg.nn.initial import FAN_OUT
from mxnetseg.nn.tokens import to_map, to_tokens, token_dense


class ReducedAttention(HybridBlock):
    """Multi-head attention of tokens `(N, L, C)`; keys and values from a map `reduction` times smaller."""

    def __init__(self, width: int, heads: int, reduction: int, epsilon: float) -> None:
        super().__init__()
        self._heads = heads
        self._scale = (width // heads) ** -0.5
        self._reduced = reduction > 1
        # Drawn as one projection to queries, keys and values, which the two are in mmsegmentation.
        whole = mx.init.Uniform((6 / (4 * width)) ** 0.5)
        self.q = token_dense(width, width, weights=whole)
        self.kv = token_dense(2 * width, width, weights=whole)
        self.proj = token_dense(width, width)
        if self._reduced:
            self.sr = nn.Conv2D(width, reduction, reduction, in_channels=width, weight_initializer=FAN_OUT)
            self.norm = nn.LayerNorm(epsilon=epsilon, in_channels=width)

    def hybrid_forward(self, F, x, like):
        query = F.transpose(F.reshape(self.q(x), (0, 0, -4, self._heads, -1)), (0, 2, 1, 3))
        if self._reduced:
            x = self.norm(to_tokens(F, self.sr(to_map(F, x, like))))
        pairs = F.transpose(F.reshape(self.kv(x), (0, 0, -4, 2 * self._heads, -1)), (0, 2, 1, 3))
        key, value = F.split(pairs, num_outputs=2, axis=1)
        query, key, value = (F.reshape(part, (-3, 0, 0)) for part in (query, key, value))
        affinity = F.softmax(F.batch_dot(query * self._scale, key, transpose_b=True), axis=-1)
        read = F.reshape(F.batch_dot(affinity, value), (-4, -1, self._heads, 0, 0))
        return self.proj(F.reshape(F.transpose(read, (0, 2, 1, 3)), (0, 0, -3)))
