"""Units that normalize before they convolve."""
from __future__ import annotations

from mxnet.gluon import HybridBlock, nn


class PreActUnit(HybridBlock):
    """Batch norm (`.bn`), ReLU, convolution (`.conv`): `(N, in, H, W)` to `(N, channels, H, W)`."""

    def __init__(self, in_channels, channels, kernel=3, bias=False, momentum=0.9):
        super().__init__()
        self.bn = nn.BatchNorm(in_channels=in_channels, momentum=momentum)
        self.conv = nn.Conv2D(channels, kernel, padding=kernel // 2, use_bias=bias, in_channels=in_channels)

    def hybrid_forward(self, F, x):
        return self.conv(F.relu(self.bn(x)))
