"""Activations with a learned slope."""

from __future__ import annotations

from typing import Any

import mxnet as mx
from mxnet.gluon import HybridBlock

from mxnetseg.nn.layers import ConvUnit


class PReLU(HybridBlock):
    """`x` above 0 and `alpha * x` below; `alpha` is learned, one for each channel of `(N, channels, H, W)` or
    one for all (`channels=1`), and starts at `slope`.

    In place of Gluon's layer: hybridized, that one writes its result over its input and takes the slope's
    gradient from there, so that it comes out multiplied by the slope (a quarter of it at the start).
    """

    def __init__(self, channels: int = 1, slope: float = 0.25) -> None:
        super().__init__()
        self.alpha = self.params.get("alpha", shape=(channels,), init=mx.init.Constant(slope))

    def hybrid_forward(self, F, x, alpha):
        below = F.broadcast_mul(F.minimum(x, 0), F.reshape(alpha, (1, -1, 1, 1)))
        return F.broadcast_add(F.relu(x), below)


class PReLUUnit(ConvUnit):
    """A `ConvUnit` that ends in a PReLU with one slope for all channels (`.act`)."""

    def __init__(self, in_channels: int, channels: int, kernel: int = 3, **options: Any) -> None:
        super().__init__(in_channels, channels, kernel, act=None, **options)
        self.act = PReLU()

    def hybrid_forward(self, F, x):
        return self.act(super().hybrid_forward(F, x))
