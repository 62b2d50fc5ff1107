"""The encoder of ERFNet (Romera et al., T-ITS 2018): residual blocks of one-dimensional convolutions.

Sizes are halved by a strided convolution beside a max pool; blocks factorize two 3x3 convolutions, the second
dilated, into columns and rows.
"""

from __future__ import annotations

from typing import Tuple

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.nn.initial import draw_as_pytorch
from mxnetseg.nn.layers import Dropped, dropout_layer
from mxnetseg.nn.resize import resize_like

EPSILON = 1e-3
DILATIONS = (2, 4, 8, 16)


class Downsampler(HybridBlock):
    """Strided convolution and max pool side by side, batch norm, ReLU: `channels` at half the size."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2D(channels - in_channels, 3, 2, 1, in_channels=in_channels)
        self.bn = nn.BatchNorm(in_channels=channels, epsilon=EPSILON)

    def hybrid_forward(self, F, x):
        convolved = self.conv(x)
        pooled = F.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="max")
        # Of an odd side the convolution keeps one pixel more than the pool.
        pooled = resize_like(F, pooled, convolved, align_corners=False)
        return F.relu(self.bn(F.concat(convolved, pooled, dim=1)))


class NonBottleneck1D(HybridBlock):
    """Column, row, batch norm; column, row, batch norm, dilated; dropout; plus the input."""

    def __init__(
        self, channels: int, dilation: int = 1, dropout: float = 0.0, dropped: Dropped = "channels"
    ) -> None:
        super().__init__()
        self.convs = nn.HybridSequential()
        for rate in (1, dilation):
            self.convs.add(
                nn.Conv2D(channels, (3, 1), padding=(rate, 0), dilation=(rate, 1), in_channels=channels),
                nn.Conv2D(channels, (1, 3), padding=(0, rate), dilation=(1, rate), in_channels=channels),
            )
        self.bns = nn.HybridSequential()
        self.bns.add(
            nn.BatchNorm(in_channels=channels, epsilon=EPSILON),
            nn.BatchNorm(in_channels=channels, epsilon=EPSILON),
        )
        self.drop = dropout_layer(dropout, dropped)

    def hybrid_forward(self, F, x):
        y = F.relu(self.bns[0](self.convs[1](F.relu(self.convs[0](x)))))
        y = self.bns[1](self.convs[3](F.relu(self.convs[2](y))))
        return F.relu(self.drop(y) + x)


class ERFNet(Backbone):
    """64 channels at stride 4; 128 at stride 8: halved, after four dilated blocks, after four more."""

    def __init__(self, dropout: Tuple[float, float], dropped: Dropped, image_channels: int) -> None:
        super().__init__(channels=(64, 128, 128, 128), strides=(4, 8, 8, 8))
        self.first = Downsampler(image_channels, 16)
        self.stage1 = nn.HybridSequential()
        self.stage1.add(Downsampler(16, 64))
        for _ in range(5):
            self.stage1.add(NonBottleneck1D(64, 1, dropout[0], dropped))
        self.stage2 = Downsampler(64, 128)
        self.stage3, self.stage4 = nn.HybridSequential(), nn.HybridSequential()
        for stage in (self.stage3, self.stage4):
            for dilation in DILATIONS:
                stage.add(NonBottleneck1D(128, dilation, dropout[1], dropped))
        draw_as_pytorch(self)

    def hybrid_forward(self, F, x):
        c1 = self.stage1(self.first(x))
        c2 = self.stage2(c1)
        c3 = self.stage3(c2)
        return c1, c2, c3, self.stage4(c3)


@BACKBONES.register("erfnet", output_strides=(8,))
def erfnet(
    dropout: Tuple[float, float] = (0.03, 0.3), dropped: Dropped = "channels", image_channels: int = 3
) -> ERFNet:
    """`dropout`: rates in the blocks of 64 and of 128 channels, `dropped`: of what. `image_channels`: of the
    images."""
    return ERFNet(dropout, dropped, image_channels)
