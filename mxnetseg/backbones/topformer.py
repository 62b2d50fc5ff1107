"""TopFormer (Zhang et al., CVPR 2022, arXiv 2204.05525): a transformer over the tokens of all levels at once.

Inverted residuals give maps at strides 4, 8, 16, 32. All are pooled to half of the deepest's size and joined;
four blocks of attention and depthwise convolution mix these tokens of stride 64, with batch norms throughout.
Each level's share of the tokens then weighs its map at every position and is added to it: those maps, of one
width, are c2 to c4, while c1 is the plain map. Queries are not scaled before the softmax, as in the authors'
network.
"""

from __future__ import annotations

from typing import Sequence, Tuple

import mxnet as mx
from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.backbones.hierarchical_names import TOPFORMER
from mxnetseg.nn.layers import ConvUnit, hard_sigmoid
from mxnetseg.nn.pool import adaptive_avg_pool_half
from mxnetseg.nn.resize import resize_like
from mxnetseg.nn.tokens import rising

# Widths of the four levels, width of the maps with tokens, heads.
SIZES = {
    "tiny": ((16, 32, 64, 96), 128, 4),
    "small": ((24, 48, 96, 128), 192, 6),
    "base": ((32, 64, 128, 160), 256, 8),
}
# Kernels of the blocks of each level (the tiny network has one block less), how much they widen: the first,
# which halves the map, and the others.
LEVELS = (((3, 3), (4, 3)), ((5, 5), (3, 3)), ((3, 3), (3, 3)), ((5, 5, 3), (6, 6)))
HALF = 16
DEPTH = 4
# Channels of a head's queries and keys, and of its values; how much feed-forward blocks widen.
KEY, VALUE, RATIO = 16, 32, 2


def depthwise(kernel: int) -> mx.init.Initializer:
    """Each filter counts its own weights."""
    return mx.init.Normal((2 / kernel**2) ** 0.5)


class InvertedResidual(HybridBlock):
    """1x1 unit to `widen` times the channels (none for 1), depthwise unit, linear 1x1 unit; what came in is
    added where it fits."""

    def __init__(self, in_channels: int, channels: int, kernel: int, stride: int, widen: int) -> None:
        super().__init__()
        hidden = widen * in_channels
        self._adds = stride == 1 and in_channels == channels
        self.units = nn.HybridSequential()
        if widen != 1:
            self.units.add(ConvUnit(in_channels, hidden, 1))
        spread = ConvUnit(hidden, hidden, kernel, stride, groups=hidden)
        spread.conv.weight.init = depthwise(kernel)
        self.units.add(spread, ConvUnit(hidden, channels, 1, act=None))

    def hybrid_forward(self, F, x):
        return x + self.units(x) if self._adds else self.units(x)


class Attention(HybridBlock):
    """Multi-head attention between all positions of a map `(N, C, H, W)`, to the same shape."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self._heads = heads
        self.q = ConvUnit(width, heads * KEY, 1, act=None)
        self.k = ConvUnit(width, heads * KEY, 1, act=None)
        self.v = ConvUnit(width, heads * VALUE, 1, act=None)
        self.proj = ConvUnit(heads * VALUE, width, 1, act=None)

    def hybrid_forward(self, F, x):
        split = (0, -4, self._heads, -1, -3)
        q, k, v = (F.reshape(F.reshape(of(x), split), (-3, 0, 0)) for of in (self.q, self.k, self.v))
        affinity = F.softmax(F.batch_dot(q, k, transpose_a=True), axis=-1)
        read = F.reshape(F.batch_dot(v, affinity, transpose_b=True), (-4, -1, self._heads, 0, 0))
        read = F.reshape(read, (0, -3, 0))
        read = F.reshape_like(read, x, lhs_begin=2, lhs_end=3, rhs_begin=2, rhs_end=4)
        return self.proj(F.clip(read, 0, 6))


class TokenBlock(HybridBlock):
    """`attention` of `(N, width, H, W)` and a feed-forward block with a depthwise convolution between `ratio`
    times the channels, both residual. `skip`: chance that a sample passes one of them by while training."""

    def __init__(self, attention: HybridBlock, width: int, ratio: int, skip: float) -> None:
        super().__init__()
        hidden = ratio * width
        self.attn = attention
        self.fc1 = ConvUnit(width, hidden, 1, act=None)
        self.depthwise = nn.Conv2D(
            hidden, 3, padding=1, groups=hidden, in_channels=hidden, weight_initializer=depthwise(3)
        )
        self.fc2 = ConvUnit(hidden, width, 1, act=None)
        self.skip = nn.Dropout(skip, axes=(1, 2, 3))

    def hybrid_forward(self, F, x):
        x = x + self.skip(self.attn(x))
        return x + self.skip(self.fc2(F.clip(self.depthwise(self.fc1(x)), 0, 6)))


class Injection(HybridBlock):
    """`(map, tokens)`, both of `in_channels`, to `channels` at the map's size."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.local = ConvUnit(in_channels, channels, 1, act=None)
        self.semantics = ConvUnit(in_channels, channels, 1, act=None)
        self.gate = ConvUnit(in_channels, channels, 1, act=None)

    def hybrid_forward(self, F, x, tokens):
        gate = hard_sigmoid(F, self.gate(tokens))
        gate, semantics = (resize_like(F, y, x, align_corners=False) for y in (gate, self.semantics(tokens)))
        return self.local(x) * gate + semantics


class TopFormer(Backbone):
    """`widths`: of the levels; `width`: of the maps that tokens were added to."""

    family = "topformer"
    c0_channels = HALF
    imagenet = TOPFORMER

    def __init__(
        self, widths: Sequence[int], width: int, heads: int, blocks: Tuple[int, ...], skip: float
    ) -> None:
        super().__init__(channels=(widths[0], width, width, width), strides=(4, 8, 16, 32))
        self._widths = tuple(widths)
        # Zero input channels: the image's are inferred when the backbone is created.
        self.stem = nn.HybridSequential()
        self.stem.add(ConvUnit(0, HALF, strides=2), InvertedResidual(HALF, HALF, 3, 1, 1))
        self.levels = nn.HybridSequential()
        before = HALF
        for own, count, (kernels, (first, later)) in zip(widths, blocks, LEVELS):
            level = nn.HybridSequential()
            for index, kernel in enumerate(kernels[:count]):
                stride, widen = (1, later) if index else (2, first)
                level.add(InvertedResidual(before, own, kernel, stride, widen))
                before = own
            self.levels.add(level)
        self.transformer = nn.HybridSequential()
        tokens = sum(widths)
        for rate in rising(skip, DEPTH):
            self.transformer.add(TokenBlock(Attention(tokens, heads), tokens, RATIO, rate))
        self.injections = nn.HybridSequential()
        for own in widths[1:]:
            self.injections.add(Injection(own, width))

    def hybrid_forward(self, F, x):
        c0 = x = self.stem(x)
        maps = []
        for level in self.levels:
            x = level(x)
            maps.append(x)
        tokens = self.transformer(F.concat(*(adaptive_avg_pool_half(F, y, x) for y in maps), dim=1))
        begin, injected = self._widths[0], []
        for own, y, injection in zip(self._widths[1:], maps[1:], self.injections):
            share = F.slice_axis(tokens, axis=1, begin=begin, end=begin + own)
            injected.append(injection(y, share))
            begin += own
        return self._levels(c0, maps[0], *injected)


def _register(size):
    @BACKBONES.register(f"topformer_{size}")
    def build(skip: float = 0.1) -> TopFormer:
        """`skip`: stochastic depth of the last of its transformer's blocks."""
        blocks = (2, 2, 2, 2 if size == "tiny" else 3)
        return TopFormer(*SIZES[size], blocks, skip)


for _size in SIZES:
    _register(_size)
