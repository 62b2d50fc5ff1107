"""The semantic branch of BiSeNetV2 (Yu et al., IJCV 2021, arXiv 2004.02147): thin, and quick to go down.

A stem joins a strided convolution and a pool; gather-and-expansion layers widen in a depthwise convolution
of several filters for each channel.
"""

from __future__ import annotations

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.nn.layers import ConvUnit

# (channels, layers) of the stages after the stem.
STAGES = ((32, 2), (64, 2), (128, 4))
EXPANSION = 6


class Stem(HybridBlock):
    """Image to `channels` at stride 4."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # Zero input channels: the image's are inferred when the backbone is created.
        self.first = ConvUnit(0, channels, strides=2)
        self.convolved = nn.HybridSequential()
        self.convolved.add(ConvUnit(channels, channels // 2, 1), ConvUnit(channels // 2, channels, strides=2))
        self.join = ConvUnit(2 * channels, channels)

    def hybrid_forward(self, F, x):
        x = self.first(x)
        pooled = F.Pooling(x, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max")
        return self.join(F.concat(self.convolved(x), pooled, dim=1))


class GatherExpansion(HybridBlock):
    """Gather by a 3x3 unit, expand depthwise, project, add to the input. At stride 2 the expansion is
    strided, with another depthwise unit after it, and the shortcut is a separable convolution."""

    def __init__(self, in_channels: int, channels: int, strides: int) -> None:
        super().__init__()
        wide = in_channels * EXPANSION
        self.gather = ConvUnit(in_channels, in_channels)
        self.expand = nn.HybridSequential()
        if strides == 1:
            self.expand.add(ConvUnit(in_channels, wide, groups=in_channels))
        else:
            self.expand.add(
                ConvUnit(in_channels, wide, strides=strides, groups=in_channels, act=None),
                ConvUnit(wide, wide, groups=wide),
            )
        self.project = ConvUnit(wide, channels, 1, act=None)
        self.shortcut = None
        if strides != 1:
            self.shortcut = nn.HybridSequential()
            self.shortcut.add(
                ConvUnit(in_channels, in_channels, strides=strides, groups=in_channels, act=None),
                ConvUnit(in_channels, channels, 1, act=None),
            )

    def hybrid_forward(self, F, x):
        y = self.project(self.expand(self.gather(x)))
        return F.relu(y + (self.shortcut(x) if self.shortcut is not None else x))


class BiSeNetV2(Backbone):
    """Maps of 16, 32, 64, 128 channels at strides 4, 8, 16, 32."""

    def __init__(self) -> None:
        super().__init__(channels=(16, *(width for width, _ in STAGES)), strides=(4, 8, 16, 32))
        self.stem = Stem(16)
        self.stages = nn.HybridSequential()
        before = 16
        for width, layers in STAGES:
            stage = nn.HybridSequential()
            for index in range(layers):
                stage.add(GatherExpansion(before, width, 2 if index == 0 else 1))
                before = width
            self.stages.add(stage)

    def hybrid_forward(self, F, x):
        c1 = self.stem(x)
        c2 = self.stages[0](c1)
        c3 = self.stages[1](c2)
        return c1, c2, c3, self.stages[2](c3)


@BACKBONES.register("bisenetv2")
def bisenetv2() -> BiSeNetV2:
    return BiSeNetV2()
