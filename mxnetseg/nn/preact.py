"""Units that normalize before they convolve."""

from __future__ import annotations

from mxnet.gluon import HybridBlock, nn

from mxnetseg.nn.initial import FAN_OUT, PytorchBias
from mxnetseg.nn.layers import dropout_layer


class PreActUnit(HybridBlock):
    """Batch norm (`.bn`), ReLU, convolution (`.conv`): `(N, in, H, W)` to `(N, channels, H, W)`."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel: int = 3,
        bias: bool = False,
        momentum: float = 0.9,
        groups: int = 1,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        self.bn = nn.BatchNorm(in_channels=in_channels, momentum=momentum)
        self.conv = nn.Conv2D(
            channels,
            kernel,
            padding=dilation * (kernel // 2),
            dilation=dilation,
            groups=groups,
            use_bias=bias,
            in_channels=in_channels,
        )

    def hybrid_forward(self, F, x):
        return self.conv(F.relu(self.bn(x)))


class PreActHead(HybridBlock):
    """Batch norm, ReLU, 3x3 convolution, the same two again, dropout of channels, classifier (DDRNet,
    PIDNet)."""

    def __init__(self, in_channels: int, nclass: int, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.unit = PreActUnit(in_channels, width)
        self.bn = nn.BatchNorm(in_channels=width)
        self.drop = dropout_layer(dropout)
        # Drawn like the units, its bias as PyTorch's.
        self.classifier = nn.Conv2D(nclass, 1, in_channels=width, weight_initializer=FAN_OUT)
        self.classifier.bias.init = PytorchBias(self.classifier.weight)

    def hybrid_forward(self, F, x):
        return self.classifier(self.drop(F.relu(self.bn(self.unit(x)))))
