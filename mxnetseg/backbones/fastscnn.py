"""The encoder of Fast-SCNN (Poudel et al., BMVC 2019, arXiv 1902.04502).

First steps that "learn to downsample", then inverted residuals.
"""

from __future__ import annotations

from typing import Literal, Optional

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.nn.layers import ConvUnit
from mxnetseg.nn.separable import SeparableUnit

# (channels, blocks, stride of the first) of the inverted residuals.
STAGES = ((64, 3, 2), (96, 3, 2), (128, 3, 1))
EXPANSION = 6


class InvertedResidual(HybridBlock):
    """Widen, convolve depthwise, project; plus the input where shapes agree."""

    def __init__(self, in_channels: int, channels: int, strides: int) -> None:
        super().__init__()
        wide = in_channels * EXPANSION
        self._shortcut = strides == 1 and in_channels == channels
        self.units = nn.HybridSequential()
        self.units.add(
            ConvUnit(in_channels, wide, 1),
            ConvUnit(wide, wide, strides=strides, groups=wide),
            ConvUnit(wide, channels, 1, act=None),
        )

    def hybrid_forward(self, F, x):
        return self.units(x) + x if self._shortcut else self.units(x)


class FastSCNN(Backbone):
    """Maps of 48, 64, 64, 128 channels at strides 4, 8, 16, 32."""

    def __init__(self, padded: bool, inner_act: Optional[str]) -> None:
        super().__init__(channels=(48, 64, 64, 128), strides=(4, 8, 16, 32))
        # Zero input channels: the image's are inferred when the backbone is created.
        self.first = ConvUnit(0, 32, strides=2, padding=1 if padded else 0)
        self.second = SeparableUnit(32, 48, strides=2, inner_act=inner_act)
        self.third = SeparableUnit(48, 64, strides=2, inner_act=inner_act)
        self.stages = nn.HybridSequential()
        before = 64
        for width, blocks, strides in STAGES:
            stage = nn.HybridSequential()
            for index in range(blocks):
                stage.add(InvertedResidual(before, width, strides if index == 0 else 1))
                before = width
            self.stages.add(stage)

    def hybrid_forward(self, F, x):
        c1 = self.second(self.first(x))
        c2 = self.third(c1)
        c3 = self.stages[0](c2)
        return c1, c2, c3, self.stages[2](self.stages[1](c3))


@BACKBONES.register("fastscnn")
def fastscnn(padded: bool = True, inner_act: Optional[Literal["relu"]] = None) -> FastSCNN:
    """`padded=False` leaves out the first convolution's padding and `inner_act="relu"` rectifies between
    depthwise and pointwise convolutions, as GluonCV does."""
    return FastSCNN(padded, inner_act)
