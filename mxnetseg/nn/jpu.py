"""Joint pyramid upsampling (FastFCN, arXiv 1903.11816): stride-32 features brought to stride 8."""

from __future__ import annotations

from mxnet.gluon import HybridBlock, nn

from mxnetseg.nn.layers import ConvUnit
from mxnetseg.nn.resize import resize_like


class SeparableUnit(HybridBlock):
    """Depthwise 3x3, batch norm, pointwise 1x1, batch norm, ReLU; no activation in between."""

    def __init__(self, in_channels, channels, dilation):
        super().__init__()
        self.depthwise = ConvUnit(
            in_channels, in_channels, dilation=dilation, groups=in_channels, act=None
        )
        self.pointwise = ConvUnit(in_channels, channels, 1)

    def hybrid_forward(self, F, x):
        return self.pointwise(self.depthwise(x))


class JPU(HybridBlock):
    """Maps at strides 8, 16, 32 to one of `4 * width` channels at stride 8."""

    def __init__(self, channels, width=512, dilations=(1, 2, 4, 8), align_corners=True):
        super().__init__()
        self._align_corners = align_corners
        self.out_channels = width * len(dilations)
        self.reduce = nn.HybridSequential()
        for n in channels:
            self.reduce.add(ConvUnit(n, width))
        self.branches = nn.HybridSequential()
        for dilation in dilations:
            self.branches.add(SeparableUnit(width * len(channels), width, dilation))

    def hybrid_forward(self, F, c2, c3, c4):
        fine, middle, coarse = (unit(x) for unit, x in zip(self.reduce, (c2, c3, c4)))
        middle = resize_like(F, middle, fine, self._align_corners)
        coarse = resize_like(F, coarse, fine, self._align_corners)
        joined = F.concat(coarse, middle, fine, dim=1)
        return F.concat(*[branch(joined) for branch in self.branches], dim=1)
