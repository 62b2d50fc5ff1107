"""MobileViTv2 (Mehta and Rastegari, TMLR 2023, arXiv 2206.02680): MobileViT with attention of linear cost.

Pixels at each of the four places of 2 x 2 patches share one context vector: the sum of their keys, weighed
by a softmax of one score for each patch. It scales their rectified values. Group norm of a single group takes
the place of layer norm. An odd side's last row or column takes no part: zeros stand there behind the blocks.
"""

from __future__ import annotations

from typing import Dict

import numpy as np
from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.backbones.mobilevit import InvertedResidual, SiLU, SiLUUnit, eights
from mxnetseg.backbones.naming import MOBILEVITV2, ImageNetNames, mobilevit_in_rgb
from mxnetseg.nn.layers import ConvUnit
from mxnetseg.nn.norm import ChannelGroupNorm
from mxnetseg.nn.patches import put_together, take_apart, whole_patches

# At width 1: channels of the five levels, widths of attention and blocks in the last three.
CHANNELS, WIDTHS, BLOCKS = (64, 128, 256, 384, 512), (128, 192, 256), (2, 4, 3)
EXPANSION = 2


class LinearAttention(HybridBlock):
    """Pre-norm block of `(N, width, 4, patches)`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self._width = width
        self.norm1 = ChannelGroupNorm(width, 1, 1e-5)
        self.qkv = nn.Conv2D(1 + 2 * width, 1, in_channels=width)
        self.proj = nn.Conv2D(width, 1, in_channels=width)
        self.norm2 = ChannelGroupNorm(width, 1, 1e-5)
        hidden = 2 * width // 16 * 16
        self.fc1 = nn.Conv2D(hidden, 1, in_channels=width)
        self.fc2 = nn.Conv2D(width, 1, in_channels=hidden)
        self.act = SiLU()

    def hybrid_forward(self, F, x):
        scores, key, value = (
            F.slice_axis(self.qkv(self.norm1(x)), axis=1, begin=a, end=b) for a, b in self._parts()
        )
        context = F.sum(F.broadcast_mul(key, F.softmax(scores, axis=-1)), axis=3, keepdims=True)
        x = x + self.proj(F.broadcast_mul(F.relu(value), context))
        return x + self.fc2(self.act(self.fc1(self.norm2(x))))

    def _parts(self):
        return (0, 1), (1, 1 + self._width), (1 + self._width, None)


class LinearStage(HybridBlock):
    """An inverted residual, a local unit, blocks between patches, and back to `channels`."""

    def __init__(
        self, in_channels: int, channels: int, width: int, blocks: int, strides: int, dilation: int
    ) -> None:
        super().__init__()
        self.down = InvertedResidual(in_channels, channels, EXPANSION, strides, dilation)
        self.local = SiLUUnit(channels, channels, groups=channels)
        self.mix = nn.Conv2D(width, 1, use_bias=False, in_channels=channels)
        self.blocks = nn.HybridSequential()
        for _ in range(blocks):
            self.blocks.add(LinearAttention(width))
        self.norm = ChannelGroupNorm(width, 1, 1e-5)
        self.out = ConvUnit(width, channels, 1, act=None)

    def hybrid_forward(self, F, x):
        y = self.mix(self.local(self.down(x)))
        whole = whole_patches(F, y, more=False)
        parts = take_apart(F, F.slice_like(y, whole, axes=(2, 3)))
        parts = self.norm(self.blocks(parts))
        filled = F.pad(
            put_together(F, parts, whole),
            mode="constant",
            constant_value=0,
            pad_width=(0, 0, 0, 0, 0, 1, 0, 1),
        )
        return self.out(F.slice_like(filled, y, axes=(2, 3)))


class MobileViTV2(Backbone):
    """Levels at strides 4 to 32; c0 is the first inverted residual's map."""

    imagenet = ImageNetNames(MOBILEVITV2)

    def __init__(self, multiplier: float, output_stride: int) -> None:
        channels = [eights(n * multiplier) for n in CHANNELS]
        # The first goes by 16.
        channels[0] = max(16, int(CHANNELS[0] * multiplier + 8) // 16 * 16)
        stem = max(16, eights(min(max(32 * multiplier, 16), 64)))
        super().__init__(channels[1:], [min(s, output_stride) for s in (4, 8, 16, 32)])
        self.c0_channels = channels[0]
        # Zero input channels: the image's are inferred when the backbone is created.
        self.stem = SiLUUnit(0, stem, strides=2)
        self.level0 = InvertedResidual(stem, channels[0], EXPANSION)
        self.level1 = nn.HybridSequential()
        self.level1.add(
            InvertedResidual(channels[0], channels[1], EXPANSION, 2),
            InvertedResidual(channels[1], channels[1], EXPANSION),
        )
        self.stages = nn.HybridSequential()
        rate = 1
        for index, (width, blocks) in enumerate(zip(WIDTHS, BLOCKS)):
            held = 8 << index > output_stride
            before, after = channels[index + 1 : index + 3]
            width, strides = eights(width * multiplier), 1 if held else 2
            self.stages.add(LinearStage(before, after, width, blocks, strides, rate))
            rate *= 2 if held else 1

    def rearrange(self, tensors: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
        return mobilevit_in_rgb(tensors)

    def hybrid_forward(self, F, x):
        c0 = self.level0(self.stem(x))
        maps = [self.level1(c0)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return self._levels(c0, *maps)


def _register(multiplier):
    name = f"mobilevitv2_{multiplier}"

    @BACKBONES.register(name, output_strides=(8, 16, 32))
    def build(output_stride: int = 32) -> MobileViTV2:
        return MobileViTV2(multiplier, output_stride)


for _multiplier in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0):
    _register(_multiplier)
