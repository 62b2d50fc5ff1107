"""Xception-39, the narrow Xception that BiSeNet (ECCV 2018, arXiv 1808.00897) calls its context path.

A strided convolution of 8 channels, a max pool, and residual stages of 4, 8 and 4 blocks. A block is three
separable convolutions in bottleneck form: n, n and 4n channels.
"""

from __future__ import annotations

from typing import Optional

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.nn.layers import ConvUnit

# (bottleneck channels, blocks) of each stage.
STAGES = ((16, 4), (32, 8), (64, 4))
EXPANSION = 4


class SeparableConv(HybridBlock):
    """Depthwise 3x3 with neither norm nor activation, then a pointwise unit."""

    def __init__(
        self, in_channels: int, channels: int, strides: int = 1, act: Optional[str] = "relu"
    ) -> None:
        super().__init__()
        self.depthwise = nn.Conv2D(
            in_channels, 3, strides, 1, groups=in_channels, use_bias=False, in_channels=in_channels
        )
        self.pointwise = ConvUnit(in_channels, channels, 1, act=act)

    def hybrid_forward(self, F, x):
        return self.pointwise(self.depthwise(x))


class Block(HybridBlock):
    """Three separable convolutions beside a shortcut, ReLU after their sum."""

    def __init__(self, in_channels: int, width: int, strides: int) -> None:
        super().__init__()
        out = width * EXPANSION
        self.residual = nn.HybridSequential()
        self.residual.add(
            SeparableConv(in_channels, width, strides),
            SeparableConv(width, width),
            SeparableConv(width, out, act=None),
        )
        self.down = ConvUnit(in_channels, out, 1, strides, act=None) if strides != 1 else None

    def hybrid_forward(self, F, x):
        shortcut = self.down(x) if self.down is not None else x
        return F.relu(self.residual(x) + shortcut)


class Xception39(Backbone):
    """Maps of 8, 64, 128, 256 channels at strides 4, 8, 16, 32."""

    def __init__(self) -> None:
        super().__init__(channels=(8, *(width * EXPANSION for width, _ in STAGES)), strides=(4, 8, 16, 32))
        # Zero input channels: the image's are inferred when the backbone is created.
        self.conv = ConvUnit(0, 8, strides=2)
        before = 8
        for index, (width, blocks) in enumerate(STAGES):
            stage = nn.HybridSequential()
            for b in range(blocks):
                stage.add(Block(before, width, 2 if b == 0 else 1))
                before = width * EXPANSION
            setattr(self, f"layer{index + 1}", stage)

    def hybrid_forward(self, F, x):
        c1 = F.Pooling(self.conv(x), kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max")
        c2 = self.layer1(c1)
        c3 = self.layer2(c2)
        c4 = self.layer3(c3)
        return c1, c2, c3, c4


@BACKBONES.register("xception39")
def xception39() -> Xception39:
    return Xception39()
