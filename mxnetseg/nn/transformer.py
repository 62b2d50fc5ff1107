"""Pre-norm transformer blocks over tokens `(N, L, C)`, as vision transformers and mask decoders share them.

Further arguments of a block's call go to its attention, which uses them for what it knows of places:
`RotaryAttention` a cosine and a sine for every channel of a head, `RelativeAttention` the places of its
table.
"""

from __future__ import annotations

from typing import Any, Literal, Optional, Tuple, Union

import mxnet as mx
from mxnet.gluon import HybridBlock, nn

from mxnetseg.nn.initial import XAVIER
from mxnetseg.nn.layers import GELU
from mxnetseg.nn.resize import resize_like
from mxnetseg.nn.tensor import Ops, Tensor
from mxnetseg.nn.tokens import NARROW, token_dense

Biases = Literal["all", "no_key"]


class Attention(HybridBlock):
    """Multi-head self-attention of tokens. `dropout`: of its weights and of what it gives. `biases`: of
    queries, keys and values, or of queries and values alone. `last`: draws the last projection."""

    def __init__(
        self,
        width: int,
        heads: int,
        dropout: float = 0.0,
        biases: Biases = "all",
        weights: mx.init.Initializer = XAVIER,
        last: mx.init.Initializer = NARROW,
    ) -> None:
        super().__init__()
        self._heads = heads
        self._scale = (width // heads) ** -0.5
        self.qkv = token_dense(3 * width, width, bias=biases == "all", weights=weights)
        if biases == "no_key":
            self.q_bias = self.params.get("q_bias", shape=(width,), init="zeros")
            self.v_bias = self.params.get("v_bias", shape=(width,), init="zeros")
        self.proj = token_dense(width, width, weights=last)
        self.drop = nn.Dropout(dropout)

    def hybrid_forward(self, F, x, *places, q_bias=None, v_bias=None, **tables):
        x = self.qkv(x)
        if q_bias is not None:
            biases = F.concat(q_bias, F.zeros_like(q_bias), v_bias, dim=0)
            x = F.broadcast_add(x, F.reshape(biases, (1, 1, -1)))
        # (N, L, 3 C) to queries, keys and values of (N * heads, L, C / heads).
        parts = F.reshape(x, (0, 0, -4, 3 * self._heads, -1))
        parts = F.split(F.transpose(parts, (0, 2, 1, 3)), num_outputs=3, axis=1)
        query, key, value = (F.reshape(part, (-3, 0, 0)) for part in parts)
        query, key = self.placed(F, query, key, *places)
        scores = F.batch_dot(query * self._scale, key, transpose_b=True)
        affinity = self.drop(F.softmax(self.scored(F, scores, *places, **tables), axis=-1))
        read = F.reshape(F.batch_dot(affinity, value), (-4, -1, self._heads, 0, 0))
        return self.drop(self.proj(F.reshape(F.transpose(read, (0, 2, 1, 3)), (0, 0, -3))))

    def placed(self, F: Ops, query: Tensor, key: Tensor, *places: Tensor) -> Tuple[Tensor, Tensor]:
        """Queries and keys `(N * heads, L, C / heads)` with what tells their places."""
        return query, key

    def scored(self, F: Ops, scores: Tensor, *places: Tensor) -> Tensor:
        """Scores `(N * heads, L, L)` with what the places add to them."""
        return scores


class RotaryAttention(Attention):
    """Attention whose queries and keys are turned by angles that grow along both axes of the image.

    Further arguments: cosines and sines `(L, C / heads)`. The two channels of a plane are half a head apart.
    """

    def placed(
        self, F: Ops, query: Tensor, key: Tensor, cosine: Tensor, sine: Tensor
    ) -> Tuple[Tensor, Tensor]:
        return _turned(F, query, cosine, sine), _turned(F, key, cosine, sine)


def _turned(F, x, cosine, sine):
    first, second = F.split(x, num_outputs=2, axis=2)
    across = F.concat(-second, first, dim=2)
    cosine, sine = F.expand_dims(cosine, axis=0), F.expand_dims(sine, axis=0)
    return F.broadcast_mul(x, cosine) + F.broadcast_mul(across, sine)


class RelativeAttention(Attention):
    """Attention that adds a learned number for every offset between two patches, for each head its own.

    `grid`: rows and columns of patches that the table is for; it is resized to the offsets of other grids.
    The class token, the first, has three numbers instead: to patches, from patches, to itself.
    Further arguments: places in the resized table `(patches, patches)`, and a map as large as that table.
    """

    def __init__(self, width: int, heads: int, grid: Tuple[int, int], **options: Any) -> None:
        super().__init__(width, heads, **options)
        rows, columns = grid
        shape = (1, heads, 2 * rows - 1, 2 * columns - 1)
        self.offsets = self.params.get("offsets", shape=shape, init="zeros")
        self.class_offsets = self.params.get("class_offsets", shape=(3, heads), init="zeros")

    def scored(
        self, F: Ops, scores: Tensor, places: Tensor, like: Tensor, offsets: Tensor, class_offsets: Tensor
    ) -> Tensor:
        table = F.reshape(resize_like(F, offsets, like, align_corners=False), (-3, -1))
        patches = F.take(table, places, axis=1)
        to_patches, from_patches, alone = (
            F.reshape(F.slice_axis(class_offsets, axis=0, begin=k, end=k + 1), (-1, 1, 1)) for k in range(3)
        )
        row = F.zeros_like(F.slice_axis(patches, axis=1, begin=0, end=1))
        first = F.concat(alone, F.broadcast_add(row, to_patches), dim=2)
        column = F.broadcast_add(F.transpose(row, (0, 2, 1)), from_patches)
        added = F.concat(first, F.concat(column, patches, dim=2), dim=1)
        scores = F.reshape(scores, (-4, -1, self._heads, 0, 0))
        return F.reshape(F.broadcast_add(scores, F.expand_dims(added, axis=0)), (-3, 0, 0))


class MLP(HybridBlock):
    """Two dense layers with an exact GELU in between; dropout after either."""

    def __init__(
        self,
        width: int,
        hidden: int,
        dropout: float = 0.0,
        weights: mx.init.Initializer = NARROW,
        last: mx.init.Initializer = NARROW,
        biases: Union[str, mx.init.Initializer] = "zeros",
    ) -> None:
        super().__init__()
        self.fc1 = token_dense(hidden, width, weights=weights, biases=biases)
        self.act = GELU()
        self.fc2 = token_dense(width, hidden, weights=last, biases=biases)
        self.drop = nn.Dropout(dropout)

    def hybrid_forward(self, F, x):
        return self.drop(self.fc2(self.drop(self.act(self.fc1(x)))))


class SwiGLU(HybridBlock):
    """Dense layers with a gate (arXiv 2002.05202): SiLU of one half of `fc1` times the other half."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = token_dense(2 * hidden, width)
        self.fc2 = token_dense(width, hidden)

    def hybrid_forward(self, F, x):
        gate, value = F.split(self.fc1(x), num_outputs=2, axis=2)
        return self.fc2(gate * F.sigmoid(gate) * value)


class Block(HybridBlock):
    """Pre-norm transformer block. `skip`: chance that a sample passes a residual branch by in training;
    `skip_attention`: either branch, or the dense layers alone. `layer_scale`: what the learned factors of
    both branches start at; None has none."""

    def __init__(
        self,
        attention: Attention,
        mlp: HybridBlock,
        width: int,
        epsilon: float = 1e-6,
        skip: float = 0.0,
        skip_attention: bool = True,
        layer_scale: Optional[float] = None,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(epsilon=epsilon, in_channels=width)
        self.attn = attention
        self.norm2 = nn.LayerNorm(epsilon=epsilon, in_channels=width)
        self.mlp = mlp
        if layer_scale is not None:
            start = mx.init.Constant(layer_scale)
            self.scale1 = self.params.get("scale1", shape=(width,), init=start)
            self.scale2 = self.params.get("scale2", shape=(width,), init=start)
        self.skip = nn.Dropout(skip, axes=(1, 2))
        self._skip_attention = skip_attention

    def hybrid_forward(self, F, x, *places, scale1=None, scale2=None):
        read = _scaled(F, self.attn(self.norm1(x), *places), scale1)
        x = x + (self.skip(read) if self._skip_attention else read)
        return x + self.skip(_scaled(F, self.mlp(self.norm2(x)), scale2))


def _scaled(F, x, scale):
    return x if scale is None else F.broadcast_mul(x, F.reshape(scale, (1, 1, -1)))


def plain_block(
    width: int,
    heads: int,
    epsilon: float = 1e-6,
    dropout: float = 0.0,
    skip: float = 0.0,
    skip_attention: bool = True,
    biases: Union[str, mx.init.Initializer] = mx.init.Normal(1e-6),
) -> Block:
    """A block of ViT as mmsegmentation draws it: dense layers four times as wide, `biases` almost zero."""
    mlp = MLP(width, 4 * width, dropout, biases=biases)
    return Block(Attention(width, heads, dropout), mlp, width, epsilon, skip, skip_attention)
