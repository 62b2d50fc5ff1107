"""EPRNet's own backbone: Efficient Pyramid Representation Network (Tang et al., T-ITS 2021).

Every module sees several receptive fields at once: depthwise convolutions of three dilations beside a
1x1 unit, joined and compacted with a residual. Output stride 8. The light form sums the dilated branches
and has no 1x1 units.
"""

from __future__ import annotations

from typing import Sequence

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.nn.layers import ConvUnit
from mxnetseg.nn.prelu import PReLU, PReLUUnit

WIDTH = 16
# Channels of a stage and the rates of its modules; the first two stages end in a module of stride 2.
STAGES = (
    (32, ((1, 2, 4),) * 2, 2),
    (64, ((3, 6, 9),) * 4, 2),
    (128, ((7, 13, 19), (13, 25, 37)), 1),
)


class MultiScaleUnit(HybridBlock):
    """`(N, in, H, W)` to `(N, channels, H, W)`: grouped dilated units, and 1x1 units unless `light`."""

    def __init__(self, in_channels: int, channels: int, rates: Sequence[int], light: bool) -> None:
        super().__init__()
        self._light = light
        self.branches = nn.HybridSequential()
        for rate in rates:
            self.branches.add(PReLUUnit(in_channels, channels, dilation=rate, groups=in_channels))
        if light:
            self.project = None
        else:
            self.branches.add(PReLUUnit(in_channels, channels, 1))
            self.project = PReLUUnit(channels * (1 + len(rates)), channels, 1)

    def hybrid_forward(self, F, x):
        parts = [branch(x) for branch in self.branches]
        return sum(parts[1:], parts[0]) if self._light else self.project(F.concat(*parts, dim=1))


class PyramidModule(HybridBlock):
    """Multi-scale unit, 3x3 convolution with the module's stride, shortcut, PReLU."""

    def __init__(
        self, in_channels: int, channels: int, rates: Sequence[int], stride: int, light: bool
    ) -> None:
        super().__init__()
        self.pyramid = MultiScaleUnit(in_channels, channels, rates, light)
        self.compact = ConvUnit(channels, channels, strides=stride, act=None)
        same = in_channels == channels and stride == 1
        self.shortcut = None if same else ConvUnit(in_channels, channels, 1, stride, act=None)
        self.act = PReLU()

    def hybrid_forward(self, F, x):
        residual = x if self.shortcut is None else self.shortcut(x)
        return self.act(self.compact(self.pyramid(x)) + residual)


class EPRNet(Backbone):
    """Maps after stages 1 and 2 (strides 4 and 8) and after either module of stage 3."""

    def __init__(self, light: bool = False) -> None:
        super().__init__(channels=(32, 64, 128, 128), strides=(4, 8, 8, 8))
        self.stem = PReLUUnit(0, WIDTH, strides=2)  # as many channels as the image has
        width = WIDTH
        for index, (channels, rates, last_stride) in enumerate(STAGES, start=1):
            stage = nn.HybridSequential()
            for i, of_module in enumerate(rates, start=1):
                stride = last_stride if i == len(rates) else 1
                stage.add(PyramidModule(width, channels, of_module, stride, light))
                width = channels
            setattr(self, f"layer{index}", stage)

    def hybrid_forward(self, F, x):
        c1 = self.layer1(self.stem(x))
        c2 = self.layer2(c1)
        c3 = self.layer3[0](c2)
        c4 = self.layer3[1](c3)
        return c1, c2, c3, c4


@BACKBONES.register("eprnet", output_strides=(8,))
def eprnet() -> EPRNet:
    return EPRNet()


@BACKBONES.register("eprnet_light", output_strides=(8,))
def eprnet_light() -> EPRNet:
    return EPRNet(light=True)
