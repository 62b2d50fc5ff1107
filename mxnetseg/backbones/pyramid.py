"""A pyramid from the maps of a vision transformer, which all have one stride: what every head can read."""

from __future__ import annotations

from typing import Dict, Literal, Optional

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone, Wrapper
from mxnetseg.nn.initial import PYTORCH, XAVIER, PytorchBias
from mxnetseg.nn.layers import GELU
from mxnetseg.nn.resize import resize_by

Kind = Literal["multilevel", "multilevel_truncated", "transposed"]


class Level(HybridBlock):
    """A 1x1 convolution, resizing by `factor`, a 3x3 convolution. `truncated`: half of an odd side is rounded
    down, not up."""

    def __init__(self, channels: int, factor: float, truncated: bool) -> None:
        super().__init__()
        self._factor = factor
        self._halving = "valid" if truncated else "full"
        self.reduce = nn.Conv2D(channels, 1, in_channels=channels, weight_initializer=XAVIER)
        self.smooth = nn.Conv2D(channels, 3, padding=1, in_channels=channels, weight_initializer=XAVIER)

    def hybrid_forward(self, F, x):
        x = self.reduce(x)
        if self._factor < 1:
            # What bilinear interpolation at exactly half the scale is, also for odd sides.
            window = dict(kernel=(2, 2), stride=(2, 2), pooling_convention=self._halving)
            x = F.Pooling(x, pool_type="avg", count_include_pad=False, **window)
        elif self._factor > 1:
            x = resize_by(F, x, self._factor, align_corners=False)
        return self.smooth(x)


def _transposed(channels: int) -> nn.Conv2DTranspose:
    layer = nn.Conv2DTranspose(channels, 2, 2, in_channels=channels, weight_initializer=PYTORCH)
    layer.bias.init = PytorchBias(layer.weight)
    return layer


def _transposed_levels(channels: int) -> nn.HybridSequential:
    """BEiT's: transposed convolutions up, the map itself, pooling down."""
    quarter, half, whole, double = (nn.HybridSequential() for _ in range(4))
    quarter.add(_transposed(channels), nn.BatchNorm(in_channels=channels), GELU(), _transposed(channels))
    half.add(_transposed(channels))
    double.add(nn.MaxPool2D(2, 2, ceil_mode=True))
    levels = nn.HybridSequential()
    levels.add(quarter, half, whole, double)
    return levels


class Pyramid(Wrapper):
    """The four maps of `net` at strides of a quarter, a half, one and two of its patches, counted as 4, 8, 16
    and 32: a patch of 14 pixels gives 3.5, 7, 14 and 28.

    `kind`: `multilevel` is mmsegmentation's neck for ViT (`multilevel_truncated` also where sides are odd, as
    no other backbone rounds), `transposed` BEiT's. Its layers are no part of what pretraining gives.
    """

    def __init__(self, net: Backbone, kind: Kind) -> None:
        super().__init__(net, strides=(4, 8, 16, 32))
        channels = net.channels[0]
        if kind == "transposed":
            self.levels = _transposed_levels(channels)
        else:
            self.levels = nn.HybridSequential()
            for factor in (4, 2, 1, 0.5):
                self.levels.add(Level(channels, factor, kind == "multilevel_truncated"))

    def parameter_depths(self) -> Dict[str, int]:
        return self.net.parameter_depths()

    def hybrid_forward(self, F, x):
        return tuple(level(tap) for level, tap in zip(self.levels, self.net(x)))


def with_pyramid(net: Backbone, kind: Optional[Kind]) -> Backbone:
    """`net`, or the `Pyramid` of a `kind` on it."""
    return net if kind is None else Pyramid(net, kind)
