"""Depthwise separable convolution."""

from __future__ import annotations

from typing import Optional

from mxnet.gluon import HybridBlock, nn

from mxnetseg.nn.layers import ConvUnit


class SeparableUnit(HybridBlock):
    """Depthwise 3x3, batch norm, (`inner_act`), pointwise 1x1, batch norm, ReLU:
    `(N, in, H, W)` to `(N, channels, H, W)` at stride 1. `inner_norm=False` leaves norm and activation
    between both out."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        dilation: int = 1,
        inner_act: Optional[str] = None,
        strides: int = 1,
        inner_norm: bool = True,
    ) -> None:
        super().__init__()
        if inner_norm:
            self.depthwise: HybridBlock = ConvUnit(
                in_channels,
                in_channels,
                strides=strides,
                dilation=dilation,
                groups=in_channels,
                act=inner_act,
            )
        else:
            self.depthwise = nn.Conv2D(
                in_channels,
                3,
                strides,
                dilation,
                dilation,
                groups=in_channels,
                use_bias=False,
                in_channels=in_channels,
            )
        self.pointwise = ConvUnit(in_channels, channels, 1)

    def hybrid_forward(self, F, x):
        return self.pointwise(self.depthwise(x))
