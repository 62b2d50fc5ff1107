"""The way back up: what decoders of the U-Net family share."""

from __future__ import annotations

from typing import Callable, List, NamedTuple, Optional, Sequence

from mxnet.gluon import HybridBlock, nn

from mxnetseg.nn.initial import XAVIER
from mxnetseg.nn.layers import ConvUnit
from mxnetseg.nn.resize import nearest_like
from mxnetseg.nn.tensor import Ops, Tensor


class Step(NamedTuple):
    """A step towards the image: by which `factor` sides grow, and the channels of the map of the backbone
    that stands there (`skip`), 0 where the backbone has none so fine."""

    factor: int
    skip: int


def steps_up(channels: Sequence[int], strides: Sequence[int]) -> List[Step]:
    """The steps from the deepest map of a backbone to the image's own size, deepest first.

    `channels`, `strides`: of the maps, shallow to deep.
    """
    levels = list(zip(channels, strides))[::-1]
    steps = [Step(deep // fine, skip) for (_, deep), (skip, fine) in zip(levels, levels[1:])]
    return steps + [Step(2, 0)] * (strides[0].bit_length() - 1)


def grow(F: Ops, x: Tensor, factor: int, like: Optional[Tensor] = None, rounded_down: bool = False) -> Tensor:
    """`x` with its pixels repeated `factor` times both ways and, where `like` is given, at the size of that.

    `rounded_down`: whether `like` may have a pixel more than that (`Backbone.rounds_down`).
    """
    if like is None:
        return F.UpSampling(x, scale=factor, sample_type="nearest")
    return nearest_like(F, x, like, None if rounded_down else factor)


class UpBlock(HybridBlock):
    """`(x, *skips)` to `(N, channels, H, W)` at the size of the skips, or at `factor` times that of x:
    repeated pixels joined with the skips, then two 3x3 units.

    `gate(channels)`: makes a block that weighs what is joined, where there are skips, and another that weighs
    the result.
    """

    def __init__(
        self,
        in_channels: int,
        skip_channels: int,
        channels: int,
        factor: int,
        rounded_down: bool = False,
        gate: Optional[Callable[[int], HybridBlock]] = None,
    ) -> None:
        super().__init__()
        self._factor, self._rounded_down = factor, rounded_down
        joined = in_channels + skip_channels
        self.gate1 = gate(joined) if gate is not None and skip_channels else None
        self.unit1 = ConvUnit(joined, channels)
        self.unit2 = ConvUnit(channels, channels)
        self.gate2 = gate(channels) if gate is not None else None

    def hybrid_forward(self, F, x, *skips):
        x = grow(F, x, self._factor, skips[-1] if skips else None, self._rounded_down)
        if skips:
            x = F.concat(x, *skips, dim=1)
        if self.gate1 is not None:
            x = self.gate1(x)
        x = self.unit2(self.unit1(x))
        return x if self.gate2 is None else self.gate2(x)


class ChannelGate(HybridBlock):
    """Squeeze and excitation (arXiv 1709.01507): `(N, C, H, W)` to weights `(N, C, 1, 1)` between 0 and 1."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        squeezed = max(1, channels // reduction)
        self.squeeze = nn.Conv2D(squeezed, 1, in_channels=channels)
        self.excite = nn.Conv2D(channels, 1, in_channels=squeezed)

    def hybrid_forward(self, F, x):
        means = F.Pooling(x, kernel=(1, 1), global_pool=True, pool_type="avg")
        return F.sigmoid(self.excite(F.relu(self.squeeze(means))))


def drawn_classifier(in_channels: int, nclass: int, kernel: int = 3) -> nn.Conv2D:
    """segmentation_models.pytorch's last convolution, drawn as there."""
    return nn.Conv2D(nclass, kernel, padding=kernel // 2, in_channels=in_channels, weight_initializer=XAVIER)
