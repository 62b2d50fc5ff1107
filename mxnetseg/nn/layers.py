"""The small units heads are made of."""

from __future__ import annotations

from typing import Literal, Optional, Sequence, Union

import numpy as np
from mxnet.gluon import HybridBlock, nn

from mxnetseg.nn.initial import CLASSIFIER
from mxnetseg.nn.tensor import Ops, Tensor


class ConvUnit(HybridBlock):
    """Convolution (`.conv`), batch norm (`.bn`), activation: `(N, in, H, W)` to `(N, channels, H', W')`.

    `padding=None` keeps the size at stride 1. `act=None` leaves the activation out.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel: Union[int, Sequence[int]] = 3,
        strides: int = 1,
        padding: Optional[int] = None,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = False,
        act: Optional[str] = "relu",
    ) -> None:
        super().__init__()
        if padding is None:
            kernels = kernel if isinstance(kernel, (tuple, list)) else (kernel, kernel)
            padding = tuple(dilation * (k - 1) // 2 for k in kernels)
        self._act = act
        self.conv = nn.Conv2D(
            channels,
            kernel,
            strides,
            padding,
            dilation,
            groups,
            use_bias=bias,
            in_channels=in_channels,
        )
        self.bn = nn.BatchNorm(in_channels=channels)

    def hybrid_forward(self, F, x):
        x = self.bn(self.conv(x))
        return F.Activation(x, act_type=self._act) if self._act else x


class Identity(HybridBlock):
    """What comes in goes out: an auxiliary output that already is logits."""

    def hybrid_forward(self, F, x):
        return F.identity(x)


Dropped = Literal["channels", "elements"]


class GELU(HybridBlock):
    """`x` times the share of a normal distribution below it, exact (arXiv 1606.08415).

    MXNet's operator computes in float32 whatever it is given. Networks that are compared with others in
    double precision put it together from the error function.
    """

    def __init__(self) -> None:
        super().__init__()
        self._double = False

    def cast(self, dtype: str) -> None:
        self._double = np.dtype(dtype) == np.float64
        super().cast(dtype)

    def hybrid_forward(self, F, x):
        if self._double:
            return x * (F.erf(x * 0.5**0.5) + 1) * 0.5
        return F.LeakyReLU(x, act_type="gelu")


def hard_sigmoid(F: Ops, x: Tensor) -> Tensor:
    """0 below -3, 1 above 3, a straight line between (Howard et al., ICCV 2019)."""
    return F.clip(x + 3, 0, 6) / 6


def dropout_layer(rate: float, dropped: Dropped = "channels") -> nn.Dropout:
    """Dropout of `(N, C, H, W)`: of whole channels, as most authors and mmsegmentation have it, or of single
    elements, as GluonCV, MXNetSeg and AceCoooool do."""
    return nn.Dropout(rate, axes=(2, 3) if dropped == "channels" else ())


def classifier(in_channels: int, nclass: int, bias: bool = True, kernel: int = 1) -> nn.Conv2D:
    """The convolution that gives logits, 1x1; drawn narrowly, so that training starts with no preference."""
    return nn.Conv2D(
        nclass,
        kernel,
        padding=kernel // 2,
        use_bias=bias,
        in_channels=in_channels,
        weight_initializer=CLASSIFIER,
    )


class FCNHead(HybridBlock):
    """The field's plain head: 3x3 units, dropout, 1x1 classifier. `(N, in, H, W)` to `(N, nclass, H, W)`.

    `units` counts the 3x3 units; `concat_input=True` adds one more over the input joined with their
    output (mmsegmentation). `unit_bias` gives the 3x3 convolutions a bias before their batch norm
    (deep supervision of the SFNet repository). `dropout`: rate, `dropped`: of what.
    `classifier_bias=False` leaves the classifier's out. `kernel`, `classifier_kernel`: sides of the units'
    filters and the classifier's. `dilation`: the units', but for the one over the joined maps.
    """

    def __init__(
        self,
        in_channels: int,
        nclass: int,
        channels: int,
        units: int = 1,
        concat_input: bool = False,
        dropout: float = 0.1,
        unit_bias: bool = False,
        dropped: Dropped = "channels",
        classifier_bias: bool = True,
        kernel: int = 3,
        classifier_kernel: int = 1,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        self.units = nn.HybridSequential()
        for i in range(units):
            self.units.add(
                ConvUnit(channels if i else in_channels, channels, kernel, dilation=dilation, bias=unit_bias)
            )
        self.join = ConvUnit(in_channels + channels, channels) if concat_input else None
        self.drop = dropout_layer(dropout, dropped)
        width = channels if units else in_channels
        self.classifier = classifier(width, nclass, classifier_bias, classifier_kernel)

    def hybrid_forward(self, F, x):
        y = self.units(x)
        if self.join is not None:
            y = self.join(F.concat(x, y, dim=1))
        return self.classifier(self.drop(y))
