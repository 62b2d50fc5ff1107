"""ResNeSt: Split-Attention Networks (Zhang et al., CVPRW 2022, arXiv 2004.08955) on GluonCV's networks.

Output strides 16 and 8 hold stages 4 and 3 by dilation, the first block of a stage at half of it. Every stage
averages in its first block, there instead of striding; mmsegmentation does so only where it strides
(`averages="strided"`). GluonCV's DropBlock layers are left out: they are built for one size of image.
"""

from __future__ import annotations

from typing import Literal

from gluoncv.model_zoo import resnest

from mxnetseg.backbones.base import BACKBONES, TwoPartBackbone
from mxnetseg.backbones.naming import ImageNetNames
from mxnetseg.backbones.published_names import RESNEST
from mxnetseg.nn.layers import Identity
from mxnetseg.nn.surgery import exchange, settings
from mxnetseg.nn.surgery import layers as layers_of

Averages = Literal["all", "strided"]

# Blocks in each stage and the width of the stem's first two convolutions.
DEPTHS = {
    14: ((1, 1, 1, 1), 32),
    26: ((2, 2, 2, 2), 32),
    50: ((3, 4, 6, 3), 32),
    101: ((3, 4, 23, 3), 64),
    200: ((3, 24, 36, 3), 64),
    269: ((3, 30, 48, 8), 64),
}


class ResNeSt(TwoPartBackbone):
    """GluonCV's network without its classifier; children keep GluonCV's names."""

    imagenet = ImageNetNames(RESNEST)

    def __init__(self, depth: int, output_stride: int, averages: Averages) -> None:
        layers, stem_width = DEPTHS[depth]
        super().__init__(
            channels=(256, 512, 1024, 2048), strides=[min(s, output_stride) for s in (4, 8, 16, 32)]
        )
        self.c0_channels = 2 * stem_width
        whole = resnest.ResNeSt(
            resnest.Bottleneck,
            layers,
            dilation=32 // output_stride,
            deep_stem=True,
            stem_width=stem_width,
            avg_down=True,
            avd=True,
            use_splat=True,
        )
        for name in ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"):
            setattr(self, name, getattr(whole, name))
        if averages == "strided":
            for block in layers_of(self, resnest.Bottleneck):
                if block.avd and settings(block.avd_layer)["stride"] == (1, 1):
                    exchange(block, "avd_layer", Identity())

    def begin(self, F, x):
        return self.relu(self.bn1(self.conv1(x)))

    def proceed(self, F, c0):
        c1 = self.layer1(self.maxpool(c0))
        return c1, self.layer2(c1)

    def second_part(self, F, c2):
        c3 = self.layer3(c2)
        return c3, self.layer4(c3)


def _register(depth):
    name = f"resnest{depth}"

    @BACKBONES.register(name, output_strides=(8, 16, 32))
    def build(output_stride: int = 32, averages: Averages = "all") -> ResNeSt:
        return ResNeSt(depth, output_stride, averages)


for _depth in DEPTHS:
    _register(_depth)
