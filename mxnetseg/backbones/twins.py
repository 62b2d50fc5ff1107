"""Twins (Chu et al., NeurIPS 2021, arXiv 2104.13840): PCPVT and SVT.

Four stages, strides 4, 8, 16, 32. A depthwise convolution behind the first block of each stage tells
positions, so any image of at least 32 x 32 pixels fits. In PCPVT all tokens attend to a map that a strided
convolution made smaller; in SVT every other block attends inside windows of 7 x 7 tokens instead, and each
stage ends with a layer norm.
"""

from __future__ import annotations

from typing import Dict, Sequence

import mxnet as mx
import numpy as np
from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.backbones.hierarchical_names import TWINS
from mxnetseg.backbones.naming import ImageNetNames, split_projections
from mxnetseg.nn.initial import FAN_OUT
from mxnetseg.nn.reduced_attention import ReducedAttention
from mxnetseg.nn.tokens import TokenMLP, rising, to_map, to_tokens
from mxnetseg.nn.windows import WindowAttention, apart, fill_windows, filled, whole_windows

# Widths, heads, blocks of each stage.
PCPVT = {
    "small": ((64, 128, 320, 512), (1, 2, 5, 8), (3, 4, 6, 3)),
    "base": ((64, 128, 320, 512), (1, 2, 5, 8), (3, 4, 18, 3)),
    "large": ((64, 128, 320, 512), (1, 2, 5, 8), (3, 8, 27, 3)),
}
SVT = {
    "small": ((64, 128, 256, 512), (2, 4, 8, 16), (2, 2, 10, 4)),
    "base": ((96, 192, 384, 768), (3, 6, 12, 24), (2, 2, 18, 2)),
    "large": ((128, 256, 512, 1024), (4, 8, 16, 32), (2, 2, 18, 2)),
}
REDUCTIONS = (8, 4, 2, 1)
WINDOW = 7


class LocalAttention(WindowAttention):
    """Attention of tokens `(N, H * W, C)` inside windows; `like` has the map's size."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads, WINDOW, positions=False)

    def hybrid_forward(self, F, tokens, like):
        x = F.reshape_like(tokens, like, lhs_begin=1, lhs_end=2, rhs_begin=2, rhs_end=4)
        whole = whole_windows(F, x, WINDOW)
        # Where one direction needs no filling, published code takes everything for filled: nothing is apart.
        mask = apart(F, filled(F, whole, like), WINDOW, 1000.0)
        y = super().hybrid_forward(F, fill_windows(F, x, whole, WINDOW), mask)
        return F.reshape(F.slice_like(y, x, axes=(1, 2)), (0, -3, 0))


class TwinsBlock(HybridBlock):
    """Pre-norm block of tokens. `skip`: chance that a sample passes a residual branch by while training."""

    def __init__(self, width: int, attention: HybridBlock, hidden: int, skip: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(in_channels=width)
        self.attn = attention
        self.norm2 = nn.LayerNorm(in_channels=width)
        self.mlp = TokenMLP(width, hidden)
        self.skip = nn.Dropout(skip, axes=(1, 2))

    def hybrid_forward(self, F, x, like):
        x = x + self.skip(self.attn(self.norm1(x), like))
        return x + self.skip(self.mlp(self.norm2(x)))


class Stage(HybridBlock):
    """Patches, blocks, positions behind the first: a map to one of half (first: a quarter of) its size."""

    def __init__(
        self, before: int, width: int, patch: int, blocks: Sequence[HybridBlock], norm: bool
    ) -> None:
        super().__init__()
        self._patch = patch
        self.patch = nn.Conv2D(width, patch, patch, in_channels=before, weight_initializer=FAN_OUT)
        self.patch_norm = nn.LayerNorm(in_channels=width)
        self.blocks = nn.HybridSequential()
        self.blocks.add(*blocks)
        # Each filter counts its own nine weights.
        apart = mx.init.Normal((2 / 9) ** 0.5)
        self.position = nn.Conv2D(
            width, 3, padding=1, groups=width, in_channels=width, weight_initializer=apart
        )
        self.norm = nn.LayerNorm(in_channels=width) if norm else None

    def hybrid_forward(self, F, x):
        # Images and maps are filled up to whole patches.
        widths = (0, 0, 0, 0, 0, self._patch - 1, 0, self._patch - 1)
        x = self.patch(F.pad(x, mode="constant", constant_value=0, pad_width=widths))
        tokens = self.patch_norm(to_tokens(F, x))
        for index, block in enumerate(self.blocks):
            tokens = block(tokens, x)
            if index == 0:
                tokens = tokens + to_tokens(F, self.position(to_map(F, tokens, x)))
        return to_map(F, tokens if self.norm is None else self.norm(tokens), x)


class Twins(Backbone):
    """`local`: whether every other block, from the first, attends inside windows, and stages are normed
    (SVT). `skip`: stochastic depth of the last block; it grows linearly from 0 at the first."""

    # ImageNet's classifiers norm the last map only, and by a layer of their own.
    imagenet = ImageNetNames(TWINS, fresh=(r"^stages\.\d\.norm\.",))

    def __init__(
        self,
        widths: Sequence[int],
        heads: Sequence[int],
        depths: Sequence[int],
        ratios: Sequence[int],
        local: bool,
        skip: float,
    ) -> None:
        super().__init__(widths, (4, 8, 16, 32))
        self.stages = nn.HybridSequential()
        rates, before = iter(rising(skip, sum(depths))), 0
        for level, (width, depth) in enumerate(zip(widths, depths)):
            blocks = []
            for index in range(depth):
                if local and index % 2 == 0:
                    attention = LocalAttention(width, heads[level])
                else:
                    attention = ReducedAttention(width, heads[level], REDUCTIONS[level], 1e-5)
                blocks.append(TwinsBlock(width, attention, ratios[level] * width, next(rates)))
            self.stages.add(Stage(before, width, 2 if level else 4, blocks, norm=local))
            before = width

    def rearrange(self, tensors: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
        return split_projections(tensors)

    def hybrid_forward(self, F, x):
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return tuple(maps)


def _register(name, sizes, local):
    @BACKBONES.register(name, output_strides=(32,))
    def build(skip: float = 0.2) -> Twins:
        return Twins(*sizes, (4, 4, 4, 4) if local else (8, 8, 4, 4), local, skip)


for _size in PCPVT:
    _register(f"twins_pcpvt_{_size}", PCPVT[_size], False)
for _size in SVT:
    _register(f"twins_svt_{_size}", SVT[_size], True)
