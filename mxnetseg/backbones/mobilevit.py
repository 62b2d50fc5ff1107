"""MobileViT (Mehta and Rastegari, ICLR 2022, arXiv 2110.02178): inverted residuals and attention of patches.

From stride 8 on, every level takes its map apart into 2 x 2 patches and lets the pixels at each of the four
places attend to those at the same place of all other patches, between a 3x3 unit and another that joins the
result with what came in. Maps of odd sides are resized to even ones for that, and back.
"""

from __future__ import annotations

from typing import Dict, Sequence

import numpy as np
from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.backbones.naming import MOBILEVIT, ImageNetNames, mobilevit_in_rgb
from mxnetseg.nn.layers import ConvUnit
from mxnetseg.nn.patches import put_together, take_apart, whole_patches
from mxnetseg.nn.resize import resize_like
from mxnetseg.nn.tokens import token_dense

# Channels of the stem and of the five levels, width of attention in the last three, expansion.
SIZES = {
    "xxs": (16, (16, 24, 48, 64, 80), (64, 80, 96), 2),
    "xs": (16, (32, 48, 64, 80, 96), (96, 120, 144), 4),
    "s": (16, (32, 64, 96, 128, 160), (144, 192, 240), 4),
}
BLOCKS = (2, 4, 3)
HEADS = 4


class SiLU(HybridBlock):
    """x times its sigmoid."""

    def hybrid_forward(self, F, x):
        return x * F.sigmoid(x)


class SiLUUnit(HybridBlock):
    """Convolution, batch norm, SiLU."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel: int = 3,
        strides: int = 1,
        dilation: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.unit = ConvUnit(
            in_channels, channels, kernel, strides, dilation=dilation, groups=groups, act=None
        )
        self.act = SiLU()

    def hybrid_forward(self, F, x):
        return self.act(self.unit(x))


class InvertedResidual(HybridBlock):
    """Widen by `expansion`, convolve each channel, narrow; added to what came in where sizes agree."""

    def __init__(
        self, in_channels: int, channels: int, expansion: int, strides: int = 1, dilation: int = 1
    ) -> None:
        super().__init__()
        wide = eights(in_channels * expansion)
        self._residual = strides == 1 and in_channels == channels
        self.expand = SiLUUnit(in_channels, wide, 1)
        self.depthwise = SiLUUnit(wide, wide, strides=strides, dilation=dilation, groups=wide)
        self.reduce = ConvUnit(wide, channels, 1, act=None)

    def hybrid_forward(self, F, x):
        y = self.reduce(self.depthwise(self.expand(x)))
        return x + y if self._residual else y


class PatchAttention(HybridBlock):
    """Pre-norm transformer block of tokens `(N, L, width)`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self._scale = (width // HEADS) ** -0.5
        self.norm1 = nn.LayerNorm(epsilon=1e-5, in_channels=width)
        self.query, self.key, self.value, self.proj = (token_dense(width, width) for _ in range(4))
        self.norm2 = nn.LayerNorm(epsilon=1e-5, in_channels=width)
        self.fc1, self.fc2 = token_dense(2 * width, width), token_dense(width, 2 * width)
        self.act, self.drop = SiLU(), nn.Dropout(0.1)

    def hybrid_forward(self, F, x):
        normed = self.norm1(x)
        query, key, value = (self._heads(F, layer(normed)) for layer in (self.query, self.key, self.value))
        affinity = F.softmax(F.batch_dot(query * self._scale, key, transpose_b=True), axis=-1)
        read = F.reshape(F.batch_dot(affinity, value), (-4, -1, HEADS, 0, 0))
        x = x + self.drop(self.proj(F.reshape(F.transpose(read, (0, 2, 1, 3)), (0, 0, -3))))
        return x + self.drop(self.fc2(self.act(self.fc1(self.norm2(x)))))

    def _heads(self, F, x):
        parts = F.transpose(F.reshape(x, (0, 0, -4, HEADS, -1)), (0, 2, 1, 3))
        return F.reshape(parts, (-3, 0, 0))


class AttentiveStage(HybridBlock):
    """An inverted residual, then the block of the paper: local, between patches, joined."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        expansion: int,
        width: int,
        blocks: int,
        strides: int,
        dilation: int,
    ) -> None:
        super().__init__()
        self.down = InvertedResidual(in_channels, channels, expansion, strides, dilation)
        self.local = SiLUUnit(channels, channels)
        self.widen = nn.Conv2D(width, 1, use_bias=False, in_channels=channels)
        self.blocks = nn.HybridSequential()
        for _ in range(blocks):
            self.blocks.add(PatchAttention(width))
        self.norm = nn.LayerNorm(epsilon=1e-5, in_channels=width)
        self.narrow = SiLUUnit(width, channels, 1)
        self.join = SiLUUnit(2 * channels, channels)

    def hybrid_forward(self, F, x):
        x = self.down(x)
        y = self.widen(self.local(x))
        whole = whole_patches(F, y, more=True)
        parts = take_apart(F, resize_like(F, y, whole, align_corners=False))
        tokens = F.reshape(F.transpose(parts, (0, 2, 3, 1)), (-3, 0, 0))
        tokens = self.norm(self.blocks(tokens))
        parts = F.transpose(F.reshape(tokens, (-4, -1, 4, 0, 0)), (0, 3, 1, 2))
        y = resize_like(F, put_together(F, parts, whole), x, align_corners=False)
        return self.join(F.concat(x, self.narrow(y), dim=1))


class MobileViT(Backbone):
    """Levels at strides 4 to 32; c0 is the first inverted residual's map."""

    imagenet = ImageNetNames(MOBILEVIT)

    def __init__(
        self,
        stem: int,
        channels: Sequence[int],
        widths: Sequence[int],
        expansion: int,
        output_stride: int,
    ) -> None:
        super().__init__(channels[1:], [min(s, output_stride) for s in (4, 8, 16, 32)])
        self.c0_channels = channels[0]
        # Zero input channels: the image's are inferred when the backbone is created.
        self.stem = SiLUUnit(0, stem, strides=2)
        self.level0 = InvertedResidual(stem, channels[0], expansion)
        self.level1 = nn.HybridSequential()
        for index, before in enumerate((channels[0], channels[1], channels[1])):
            self.level1.add(InvertedResidual(before, channels[1], expansion, 1 if index else 2))
        self.stages = nn.HybridSequential()
        rate = 1
        for index, (width, blocks) in enumerate(zip(widths, BLOCKS)):
            held = 8 << index > output_stride
            before, after = channels[index + 1 : index + 3]
            strides = 1 if held else 2
            self.stages.add(AttentiveStage(before, after, expansion, width, blocks, strides, rate))
            rate *= 2 if held else 1

    def rearrange(self, tensors: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
        return mobilevit_in_rgb(tensors)

    def hybrid_forward(self, F, x):
        c0 = self.level0(self.stem(x))
        maps = [self.level1(c0)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return self._levels(c0, *maps)


def eights(channels: float) -> int:
    """The nearest multiple of 8 that is not less than nine tenths of `channels`."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def _register(size):
    name = f"mobilevit_{size}"

    @BACKBONES.register(name, output_strides=(8, 16, 32))
    def build(output_stride: int = 32) -> MobileViT:
        return MobileViT(*SIZES[size], output_stride)


for _size in SIZES:
    _register(_size)
