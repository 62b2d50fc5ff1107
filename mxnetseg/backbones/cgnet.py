"""The trunk of CGNet (Wu et al., TIP 2021, arXiv 1811.08201): context guided blocks at three strides.

A block looks at its surroundings and at its neighbourhood, joins both and weighs channels by the whole image.
The shrunken image itself is joined in after the stem and after the first level.
"""

from __future__ import annotations

from typing import Sequence

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.nn.pool import adaptive_avg_pool
from mxnetseg.nn.prelu import PReLU

EPSILON = 1e-3


class NormAct(HybridBlock):
    """Batch norm and a PReLU with a slope for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm(in_channels=channels, epsilon=EPSILON)
        # A ReLU to begin with, as in mmsegmentation.
        self.act = PReLU(channels, slope=0.0)

    def hybrid_forward(self, F, x):
        return self.act(self.bn(x))


class Unit(HybridBlock):
    """Convolution, batch norm, PReLU."""

    def __init__(self, in_channels: int, channels: int, kernel: int = 3, strides: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2D(channels, kernel, strides, kernel // 2, use_bias=False, in_channels=in_channels)
        self.norm = NormAct(channels)

    def hybrid_forward(self, F, x):
        return self.norm(self.conv(x))


class ContextGuided(HybridBlock):
    """`(N, in, H, W)` to `(N, channels, ...)`: at half the size with `down`, else beside a shortcut."""

    def __init__(self, in_channels: int, channels: int, dilation: int, reduction: int, down: bool) -> None:
        super().__init__()
        self._down = down
        inner = channels if down else channels // 2
        self.reduce = Unit(in_channels, inner, 3 if down else 1, 2 if down else 1)
        self.local = nn.Conv2D(inner, 3, padding=1, groups=inner, use_bias=False, in_channels=inner)
        self.surround = nn.Conv2D(
            inner, 3, padding=dilation, dilation=dilation, groups=inner, use_bias=False, in_channels=inner
        )
        self.norm = NormAct(2 * inner)
        self.project = nn.Conv2D(channels, 1, use_bias=False, in_channels=2 * inner) if down else None
        self.squeeze = nn.Conv2D(channels // reduction, 1, in_channels=channels, activation="relu")
        self.excite = nn.Conv2D(channels, 1, in_channels=channels // reduction, activation="sigmoid")

    def hybrid_forward(self, F, x):
        y = self.reduce(x)
        y = self.norm(F.concat(self.local(y), self.surround(y), dim=1))
        if self._down:
            y = self.project(y)
        y = F.broadcast_mul(y, self.excite(self.squeeze(adaptive_avg_pool(F, y, 1))))
        return y if self._down else y + x


class CGNet(Backbone):
    """First level joined with the image at stride 4; first block, last block and the join of the second
    level, all at 8."""

    def __init__(self, blocks: Sequence[int], image_channels: int) -> None:
        super().__init__(channels=(128 + image_channels, 128, 128, 256), strides=(4, 8, 8, 8))
        self.stem = nn.HybridSequential()
        self.stem.add(Unit(image_channels, 32, strides=2), Unit(32, 32), Unit(32, 32))
        self.join_stem = NormAct(32 + image_channels)
        self.level1 = _level(32 + image_channels, 64, blocks[0], dilation=2, reduction=8)
        self.join1 = NormAct(2 * 64 + image_channels)
        self.level2 = _level(2 * 64 + image_channels, 128, blocks[1], dilation=4, reduction=16)
        self.join2 = NormAct(2 * 128)

    def hybrid_forward(self, F, x):
        half = _shrink(F, x)
        y = self.join_stem(F.concat(self.stem(x), half, dim=1))
        first = self.level1[0](y)
        last = first
        for block in self.level1[1:]:
            last = block(last)
        c1 = self.join1(F.concat(last, first, _shrink(F, half), dim=1))
        first = self.level2[0](c1)
        last = first
        for block in self.level2[1:]:
            last = block(last)
        return c1, first, last, self.join2(F.concat(first, last, dim=1))


def _level(in_channels, channels, blocks, dilation, reduction):
    level = nn.HybridSequential()
    for index in range(blocks):
        level.add(
            ContextGuided(
                in_channels if index == 0 else channels, channels, dilation, reduction, down=index == 0
            )
        )
    return level


def _shrink(F, x):
    # The padding counts: border averages are over nine values too.
    return F.Pooling(x, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="avg", count_include_pad=True)


@BACKBONES.register("cgnet", output_strides=(8,))
def cgnet(blocks: Sequence[int] = (3, 21), image_channels: int = 3) -> CGNet:
    """`blocks`: of the two levels. `image_channels`: of the images, which several layers see."""
    return CGNet(blocks, image_channels)
