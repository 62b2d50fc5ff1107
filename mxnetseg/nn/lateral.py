"""The ladder's rung: a coarse map brought to a finer one and blended with it."""

from __future__ import annotations

from typing import Callable

from mxnet.gluon import HybridBlock

from mxnetseg.nn.layers import ConvUnit
from mxnetseg.nn.resize import resize_like


class LateralFusion(HybridBlock):
    """`(high, low)` to a map of `channels` at low's size: 3x3 unit of resized high + 1x1 unit of low.

    `unit(in_channels, channels, kernel)` builds the units: `ConvUnit`, or `PreActUnit` for networks that
    normalize before they convolve.
    """

    def __init__(
        self,
        low_channels: int,
        channels: int,
        unit: Callable[[int, int, int], HybridBlock] = ConvUnit,
        align_corners: bool = True,
    ) -> None:
        super().__init__()
        self._align_corners = align_corners
        self.lateral = unit(low_channels, channels, 1)
        self.blend = unit(channels, channels, 3)

    def hybrid_forward(self, F, high, low):
        low = self.lateral(low)
        return self.blend(resize_like(F, high, low, self._align_corners) + low)
