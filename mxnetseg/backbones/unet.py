"""The encoder of U-Net (Ronneberger et al., MICCAI 2015, arXiv 1505.04597), padded and with batch norm.

Two 3x3 units at each of five resolutions, from the image's own to a sixteenth of it, with 2x2 max pooling
between. c1 stands at stride 2 and the deepest map at 16; c0, at stride 1, is given to decoders that ask for
it. Pooling rounds odd sides up, so that twice a map covers the finer one.
"""

from __future__ import annotations

from mxnet.gluon import nn

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.nn.layers import ConvUnit


class UNetEncoder(Backbone):
    """Maps of `width` times 2, 4, 8 and 16 channels at strides 2, 4, 8, 16."""

    def __init__(self, width: int) -> None:
        super().__init__([width << level for level in (1, 2, 3, 4)], (2, 4, 8, 16))
        self.c0_channels = width
        self.stages = nn.HybridSequential()
        before = 0  # the image's channels are inferred when the backbone is created
        for level in range(5):
            stage = nn.HybridSequential()
            stage.add(ConvUnit(before, width << level), ConvUnit(width << level, width << level))
            self.stages.add(stage)
            before = width << level
        self.pool = nn.MaxPool2D(2, 2, ceil_mode=True)

    def hybrid_forward(self, F, x):
        maps = []
        for level, stage in enumerate(self.stages):
            x = stage(self.pool(x) if level else x)
            maps.append(x)
        return self._levels(*maps)


@BACKBONES.register("unet", output_strides=(16,))
def unet(width: int = 64) -> UNetEncoder:
    """`width`: channels at the image's own resolution."""
    return UNetEncoder(width)
