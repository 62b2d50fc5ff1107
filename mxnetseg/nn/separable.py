"""Depthwise separable convolution."""

from __future__ import annotations

from typing import Optional

from mxnet.gluon import HybridBlock

from mxnetseg.nn.layers import ConvUnit


class SeparableUnit(HybridBlock):
    """Depthwise 3x3, batch norm, (`inner_act`), pointwise 1x1, batch norm, ReLU:
    `(N, in, H, W)` to `(N, channels, H, W)` at stride 1."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        dilation: int = 1,
        inner_act: Optional[str] = None,
        strides: int = 1,
    ) -> None:
        super().__init__()
        self.depthwise = ConvUnit(
            in_channels, in_channels, strides=strides, dilation=dilation, groups=in_channels, act=inner_act
        )
        self.pointwise = ConvUnit(in_channels, channels, 1)

    def hybrid_forward(self, F, x):
        return self.pointwise(self.depthwise(x))
