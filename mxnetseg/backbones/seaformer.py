"""SeaFormer (Wan et al., ICLR 2023, arXiv 2301.13156): attention between the means of rows, and of columns.

Inverted residuals give maps at strides 4 to 64. At the coarsest two (three in the large network) follow
blocks in which the mean of each row attends to those of all rows, and likewise for columns; both are spread
over the map again and gate what a depthwise convolution makes of queries, keys and values, which keeps the
details. Places are 16 learnt vectors a side, interpolated to the map's.
"""

from __future__ import annotations

from typing import NamedTuple, Sequence, Tuple

import mxnet as mx
from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.backbones.hierarchical_names import SEAFORMER
from mxnetseg.backbones.topformer import InvertedResidual, TokenBlock, depthwise
from mxnetseg.nn.layers import ConvUnit, hard_sigmoid
from mxnetseg.nn.resize import resize_along
from mxnetseg.nn.tokens import rising

PLACES = 16
# Kernels of the two blocks of each level, the deepest two have one; how much they widen.
KERNELS = ((3, 3), (5, 5), (3, 3), (5,), (3,))


class Size(NamedTuple):
    """`widths` of the stem and the five levels; `widen` for each level, its first block and its second;
    `stem_widen` of the stem's block; attention of the last levels: `heads`, channels of a head's queries
    (`keys`), `blocks` of each level, how much their feed-forward layers widen (`ratios`)."""

    widths: Tuple[int, ...]
    widen: Tuple[Tuple[int, ...], ...]
    stem_widen: int
    heads: int
    keys: Tuple[int, ...]
    blocks: int
    ratios: Tuple[int, ...]


_WIDEN = ((4, 3), (3, 3), (3, 3), (4,), (6,))
SIZES = {
    "tiny": Size((16, 16, 32, 64, 128, 160), ((4, 3), (3, 3), (3, 3), (3,), (6,)), 1, 4, (16, 24), 2, (2, 4)),
    "small": Size((16, 24, 48, 96, 160, 192), _WIDEN, 1, 6, (16, 24), 3, (2, 4)),
    "base": Size((16, 32, 64, 128, 192, 256), _WIDEN, 1, 8, (16, 24), 4, (2, 4)),
    "large": Size(
        (32, 64, 128, 192, 256, 320),
        ((4, 4), (4, 4), (4, 4), (4,), (6,)),
        3,
        8,
        (16, 20, 24),
        3,
        (2, 4, 6),
    ),
}


class Places(HybridBlock):
    """A learnt vector for each place along a side, added to `(N, C, L)`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pos_embed = self.params.get("pos_embed", shape=(1, channels, PLACES), init=mx.init.Normal(1.0))

    def hybrid_forward(self, F, x, pos_embed):
        return F.broadcast_add(x, resize_along(F, pos_embed, x))


class AxialAttention(HybridBlock):
    """Multi-head attention between the rows, or the columns: `(queries, keys, values)`, `(N, C, L)` each, to
    the values' shape."""

    def __init__(self, heads: int, width: int, values: int) -> None:
        super().__init__()
        self._heads, self._scale = heads, (width // heads) ** -0.5
        self.place_q, self.place_k = Places(width), Places(width)
        self.project = ConvUnit(values, values, 1, act=None)

    def hybrid_forward(self, F, q, k, v):
        q, k = self.place_q(q), self.place_k(k)
        q, k, v = (F.reshape(F.reshape(y, (0, -4, self._heads, -1, 0)), (-3, 0, 0)) for y in (q, k, v))
        affinity = F.softmax(F.batch_dot(q, k, transpose_a=True) * self._scale, axis=-1)
        read = F.reshape(F.batch_dot(v, affinity, transpose_b=True), (-4, -1, self._heads, 0, 0))
        read = F.expand_dims(F.reshape(read, (0, -3, 0)), axis=3)
        return F.squeeze(self.project(F.clip(read, 0, 6)), axis=3)


class SeaAttention(HybridBlock):
    """`(N, C, H, W)` to the same shape: details gated by what rows and columns read of one another."""

    def __init__(self, width: int, heads: int, key: int) -> None:
        super().__init__()
        keys, values = heads * key, 2 * heads * key
        joined = 2 * keys + values
        self.q = ConvUnit(width, keys, 1, act=None)
        self.k = ConvUnit(width, keys, 1, act=None)
        self.v = ConvUnit(width, values, 1, act=None)
        self.rows, self.columns = (AxialAttention(heads, keys, values) for _ in range(2))
        self.proj = ConvUnit(values, width, 1, act=None)
        self.depthwise = ConvUnit(joined, joined, groups=joined, act=None)
        self.depthwise.conv.weight.init = depthwise(3)
        self.pointwise = ConvUnit(joined, width, 1, act=None)

    def hybrid_forward(self, F, x):
        q, k, v = self.q(x), self.k(x), self.v(x)
        details = self.pointwise(F.clip(self.depthwise(F.concat(q, k, v, dim=1)), 0, 6))
        rows = self.rows(*(F.mean(y, axis=3) for y in (q, k, v)))
        columns = self.columns(*(F.mean(y, axis=2) for y in (q, k, v)))
        read = F.broadcast_add(v, F.expand_dims(rows, axis=3))
        read = F.broadcast_add(read, F.expand_dims(columns, axis=2))
        return hard_sigmoid(F, self.proj(F.clip(read, 0, 6))) * details


class SeaFormer(Backbone):
    """Maps at strides 8, 16, 32, 64; c0 is that at stride 4."""

    family = "seaformer"
    imagenet = SEAFORMER

    def __init__(self, size: Size, skip: float) -> None:
        half, self.c0_channels, *widths = size.widths
        super().__init__(channels=widths, strides=(8, 16, 32, 64))
        # Zero input channels: the image's are inferred when the backbone is created.
        self.stem = nn.HybridSequential()
        self.stem.add(ConvUnit(0, half, strides=2), InvertedResidual(half, half, 3, 1, size.stem_widen))
        self.levels = nn.HybridSequential()
        before = half
        for own, kernels, widen in zip(size.widths[1:], KERNELS, size.widen):
            level = nn.HybridSequential()
            for index, (kernel, factor) in enumerate(zip(kernels, widen)):
                level.add(InvertedResidual(before, own, kernel, 1 if index else 2, factor))
                before = own
            self.levels.add(level)
        self.transformers = nn.HybridSequential()
        for own, key, ratio in zip(widths[-len(size.keys) :], size.keys, size.ratios):
            self.transformers.add(_transformer(own, size, key, ratio, skip))

    def hybrid_forward(self, F, x):
        x = self.stem(x)
        maps = []
        without = len(self.levels) - len(self.transformers)
        for index, level in enumerate(self.levels):
            x = level(x)
            if index >= without:
                x = self.transformers[index - without](x)
            maps.append(x)
        return self._levels(*maps)


def _transformer(width: int, size: Size, key: int, ratio: int, skip: float) -> Sequence[HybridBlock]:
    blocks = nn.HybridSequential()
    for rate in rising(skip, size.blocks):
        blocks.add(TokenBlock(SeaAttention(width, size.heads, key), width, ratio, rate))
    return blocks


def _register(size):
    @BACKBONES.register(f"seaformer_{size}")
    def build(skip: float = 0.1) -> SeaFormer:
        """`skip`: stochastic depth of the last block of each level with attention."""
        return SeaFormer(SIZES[size], skip)


for _size in SIZES:
    _register(_size)
