"""STDC (Fan et al., Rethinking BiSeNet, CVPR 2021, arXiv 2104.13188): short-term dense concatenation.

A block of width n holds convolutions of n/2, n/4, n/8, n/8 channels, each reading the one before, and
returns them side by side; there is no residual sum.
"""

from __future__ import annotations

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.backbones.naming import ImageNetNames, stdc
from mxnetseg.backbones.published_names import stdc_features
from mxnetseg.nn.layers import ConvUnit

WIDTHS = (256, 512, 1024)
BLOCKS = {1: (2, 2, 2), 2: (4, 5, 3)}


class STDCBlock(HybridBlock):
    """`(N, in, H, W)` to `(N, channels, H/stride, W/stride)`. At stride 2 the first part is average-pooled
    for the output and goes on through a strided depthwise convolution."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        half, quarter, eighth = channels // 2, channels // 4, channels // 8
        self.units = nn.HybridSequential()
        self.units.add(
            ConvUnit(in_channels, half, 1),
            ConvUnit(half, quarter),
            ConvUnit(quarter, eighth),
            ConvUnit(eighth, eighth),
        )
        self.down = ConvUnit(half, half, strides=2, groups=half, act=None) if stride == 2 else None

    def hybrid_forward(self, F, x):
        x = self.units[0](x)
        parts = [x]
        if self.down is not None:
            # The padding counts: border averages are over nine values too.
            parts = [
                F.Pooling(
                    x, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="avg", count_include_pad=True
                )
            ]
            x = self.down(x)
        for i in range(1, 4):
            x = self.units[i](x)
            parts.append(x)
        return F.concat(*parts, dim=1)


class STDC(Backbone):
    """Maps of 64, 256, 512, 1024 channels at strides 4, 8, 16, 32."""

    family = "stdc"
    c0_channels = 32

    def __init__(self, version: int) -> None:
        super().__init__(channels=(64, *WIDTHS), strides=(4, 8, 16, 32))
        self.imagenet = ImageNetNames(stdc(version), layouts=[stdc_features(version)])
        # Zero input channels: the image's are inferred when the backbone is created.
        self.stem = nn.HybridSequential()
        self.stem.add(ConvUnit(0, 32, strides=2), ConvUnit(32, 64, strides=2))
        self.stages = nn.HybridSequential()
        before = 64
        for width, blocks in zip(WIDTHS, BLOCKS[version]):
            stage = nn.HybridSequential()
            for index in range(blocks):
                stage.add(STDCBlock(before, width, 2 if index == 0 else 1))
                before = width
            self.stages.add(stage)

    def hybrid_forward(self, F, x):
        c0 = self.stem[0](x)
        c1 = self.stem[1](c0)
        c2 = self.stages[0](c1)
        c3 = self.stages[1](c2)
        c4 = self.stages[2](c3)
        return self._levels(c0, c1, c2, c3, c4)


@BACKBONES.register("stdc1")
def stdc1() -> STDC:
    return STDC(1)


@BACKBONES.register("stdc2")
def stdc2() -> STDC:
    return STDC(2)
