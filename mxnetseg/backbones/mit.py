"""Mix transformers (SegFormer, Xie et al., NeurIPS 2021, arXiv 2105.15203): a pyramid of attention.

Four stages of overlapping patches, strides 4, 8, 16, 32. Keys and values of a stage come from a map reduced
by a strided convolution (8, 4, 2, 1), so that attention stays affordable on fine maps; a depthwise
convolution inside each feed-forward block tells positions, so there is no position embedding and any image of
at least 32 x 32 pixels fits.
"""

from __future__ import annotations

from typing import Dict, Sequence

import mxnet as mx
import numpy as np
from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.backbones.naming import MIT, ImageNetNames, split_projections
from mxnetseg.nn.initial import FAN_OUT
from mxnetseg.nn.layers import GELU
from mxnetseg.nn.reduced_attention import ReducedAttention
from mxnetseg.nn.tokens import to_map, to_tokens

# Width of the first stage, blocks of each.
SIZES = {
    "b0": (32, (2, 2, 2, 2)),
    "b1": (64, (2, 2, 2, 2)),
    "b2": (64, (3, 4, 6, 3)),
    "b3": (64, (3, 4, 18, 3)),
    "b4": (64, (3, 8, 27, 3)),
    "b5": (64, (3, 6, 40, 3)),
}
WIDTHS, HEADS, REDUCTIONS = (1, 2, 5, 8), (1, 2, 5, 8), (8, 4, 2, 1)


def _norm(width: int, epsilon: float) -> nn.LayerNorm:
    return nn.LayerNorm(epsilon=epsilon, in_channels=width)


class MixFFN(HybridBlock):
    """Feed-forward block of tokens with a depthwise 3x3 convolution between its layers."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2D(hidden, 1, in_channels=width, weight_initializer=FAN_OUT)
        # No norm follows: each filter counts its own nine weights.
        apart = mx.init.Normal((2 / 9) ** 0.5)
        self.dwconv = nn.Conv2D(
            hidden, 3, padding=1, groups=hidden, in_channels=hidden, weight_initializer=apart
        )
        self.act = GELU()
        self.fc2 = nn.Conv2D(width, 1, in_channels=hidden, weight_initializer=FAN_OUT)

    def hybrid_forward(self, F, x, like):
        return to_tokens(F, self.fc2(self.act(self.dwconv(self.fc1(to_map(F, x, like))))))


class MixBlock(HybridBlock):
    """Pre-norm block; `skip` is the chance that a sample passes a residual branch by while training."""

    def __init__(
        self,
        width: int,
        heads: int,
        reduction: int,
        ratio: int,
        skip: float,
        epsilon: float,
        inner_epsilon: float,
    ) -> None:
        super().__init__()
        self.norm1 = _norm(width, epsilon)
        self.attn = ReducedAttention(width, heads, reduction, inner_epsilon)
        self.norm2 = _norm(width, epsilon)
        self.mlp = MixFFN(width, ratio * width)
        self.skip = nn.Dropout(skip, axes=(1, 2))

    def hybrid_forward(self, F, x, like):
        x = x + self.skip(self.attn(self.norm1(x), like))
        return x + self.skip(self.mlp(self.norm2(x), like))


class Stage(HybridBlock):
    """Overlapping patches, blocks, layer norm: a map to one of half (first: a quarter of) its size."""

    def __init__(
        self,
        in_channels: int,
        width: int,
        heads: int,
        reduction: int,
        ratio: int,
        skips: Sequence[float],
        kernel: int,
        stride: int,
        epsilon: float,
        inner_epsilon: float,
    ) -> None:
        super().__init__()
        self.patch = nn.Conv2D(
            width, kernel, stride, kernel // 2, in_channels=in_channels, weight_initializer=FAN_OUT
        )
        self.patch_norm = _norm(width, inner_epsilon)
        self.blocks = nn.HybridSequential()
        for skip in skips:
            self.blocks.add(MixBlock(width, heads, reduction, ratio, skip, epsilon, inner_epsilon))
        self.norm = _norm(width, epsilon)

    def hybrid_forward(self, F, x):
        x = self.patch(x)
        tokens = self.patch_norm(to_tokens(F, x))
        for block in self.blocks:
            tokens = block(tokens, x)
        return to_map(F, self.norm(tokens), x)


class MiT(Backbone):
    """`skip`: stochastic depth of the last block; it grows linearly from 0 at the first. `epsilon`: of the
    layer norms of blocks and stages, `inner_epsilon`: of those after convolutions (patches, reduced keys).
    `ratios`: widths of feed-forward blocks relative to their tokens', stage by stage."""

    imagenet = ImageNetNames(MIT)

    def __init__(
        self,
        width: int,
        depths: Sequence[int],
        skip: float,
        epsilon: float,
        inner_epsilon: float,
        ratios: Sequence[int] = (4, 4, 4, 4),
    ) -> None:
        channels = [width * n for n in WIDTHS]
        super().__init__(channels, (4, 8, 16, 32))
        total, done, before = sum(depths), 0, 0
        self.stages = nn.HybridSequential()
        for i, depth in enumerate(depths):
            skips = [skip * block / (total - 1) for block in range(done, done + depth)]
            kernel, stride = (3, 2) if i else (7, 4)
            self.stages.add(
                Stage(
                    before,
                    channels[i],
                    HEADS[i],
                    REDUCTIONS[i],
                    ratios[i],
                    skips,
                    kernel,
                    stride,
                    epsilon,
                    inner_epsilon,
                )
            )
            done, before = done + depth, channels[i]

    def rearrange(self, tensors: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
        return split_projections(tensors)

    def hybrid_forward(self, F, x):
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return tuple(maps)


def _register(size):
    name = f"mit_{size}"

    @BACKBONES.register(name, output_strides=(32,))
    def build(skip: float = 0.1, epsilon: float = 1e-6, inner_epsilon: float = 1e-6) -> MiT:
        return MiT(*SIZES[size], skip, epsilon, inner_epsilon)


for _size in SIZES:
    _register(_size)
