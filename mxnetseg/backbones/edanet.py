"""The trunk of EDANet (Lo et al., ACM MM Asia 2019, arXiv 1809.06323): dense modules of columns and rows.

A module gives 40 channels, joined with all that came in: a pointwise convolution, then two 3x3 ones as a
column and a row each, the second dilated. Sizes are halved by a strided convolution, beside a max pool where
it widens.
"""

from __future__ import annotations

from typing import Sequence

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.backbones.erfnet import Downsampler
from mxnetseg.nn.initial import draw_as_pytorch
from mxnetseg.nn.layers import ConvUnit

GROWTH = 40
DILATIONS = ((1, 1, 1, 2, 2), (2, 2, 4, 4, 8, 8, 16, 16))


class DenseModule(HybridBlock):
    """`(N, C, H, W)` to `(N, C + GROWTH, H, W)`."""

    def __init__(self, in_channels: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.reduce = ConvUnit(in_channels, GROWTH, 1, bias=True)
        self.convs, self.bns = nn.HybridSequential(), nn.HybridSequential()
        for rate in (1, dilation):
            self.convs.add(
                nn.Conv2D(GROWTH, (3, 1), padding=(rate, 0), dilation=(rate, 1), in_channels=GROWTH),
                nn.Conv2D(GROWTH, (1, 3), padding=(0, rate), dilation=(1, rate), in_channels=GROWTH),
            )
            self.bns.add(nn.BatchNorm(in_channels=GROWTH))
        self.drop = nn.Dropout(dropout, axes=(2, 3))

    def hybrid_forward(self, F, x):
        y = self.reduce(x)
        for k in range(2):
            y = F.relu(self.bns[k](self.convs[2 * k + 1](self.convs[2 * k](y))))
        return F.concat(self.drop(y), x, dim=1)


class EDANet(Backbone):
    """60 channels at stride 4; 260 there after the first block; 130 at stride 8; 450 after the second."""

    def __init__(self, dropout: float, image_channels: int) -> None:
        super().__init__(channels=(60, 260, 130, 450), strides=(4, 4, 8, 8))
        self.first, self.second = Downsampler(image_channels, 15), Downsampler(15, 60)
        self.block1 = _modules(60, DILATIONS[0], dropout)
        self.third = ConvUnit(260, 130, strides=2, bias=True)
        self.block2 = _modules(130, DILATIONS[1], dropout)
        draw_as_pytorch(self)

    def hybrid_forward(self, F, x):
        c1 = self.second(self.first(x))
        c2 = self.block1(c1)
        c3 = self.third(c2)
        return c1, c2, c3, self.block2(c3)


def _modules(channels: int, dilations: Sequence[int], dropout: float) -> nn.HybridSequential:
    block = nn.HybridSequential()
    for dilation in dilations:
        block.add(DenseModule(channels, dilation, dropout))
        channels += GROWTH
    return block


@BACKBONES.register("edanet", output_strides=(8,))
def edanet(dropout: float = 0.02, image_channels: int = 3) -> EDANet:
    """`dropout`: rate of dropped channels in the modules. `image_channels`: of the images."""
    return EDANet(dropout, image_channels)
