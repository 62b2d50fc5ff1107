"""Convolution units with a learned slope."""

from __future__ import annotations

from typing import Any

from mxnet.gluon import nn

from mxnetseg.nn.layers import ConvUnit


class PReLUUnit(ConvUnit):
    """A `ConvUnit` that ends in a PReLU with one slope for all channels (`.act`)."""

    def __init__(self, in_channels: int, channels: int, kernel: int = 3, **options: Any) -> None:
        super().__init__(in_channels, channels, kernel, act=None, **options)
        self.act = nn.PReLU()

    def hybrid_forward(self, F, x):
        return self.act(super().hybrid_forward(F, x))
