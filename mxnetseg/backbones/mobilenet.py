"""MobileNetV2 (Sandler et al., CVPR 2018, arXiv 1801.04381), V3 (Howard et al., ICCV 2019, arXiv 1905.02244).

GluonCV's networks cut after the last block of each stride; their closing 1x1 convolution (1280 channels in
V2, 960 or 576 in V3) is left out. Output strides 8 and 16 dilate the depthwise convolutions.
"""

from __future__ import annotations

from typing import Sequence

from gluoncv.model_zoo import mobilenet, mobilenetv3
from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.backbones.naming import MOBILENETV2, ImageNetNames
from mxnetseg.backbones.slicing import cut, hold_stride
from mxnetseg.nn.surgery import layers


class MobileNet(Backbone):
    """The `features` of a GluonCV MobileNet in four levels, `layer1` with the stem."""

    def __init__(
        self,
        features: HybridBlock,
        ends: Sequence[int],
        channels: Sequence[int],
        output_stride: int,
        imagenet: ImageNetNames = ImageNetNames(),
    ) -> None:
        super().__init__(channels, [min(s, output_stride) for s in (4, 8, 16, 32)])
        self.imagenet = imagenet
        starts = (0, *ends[:-1])
        cut(self, features, {f"layer{i + 1}": span for i, span in enumerate(zip(starts, ends))})
        hold_stride(layers(self, nn.Conv2D), 1, output_stride)

    def hybrid_forward(self, F, x):
        c1 = self.layer1(x)
        c2 = self.layer2(c1)
        c3 = self.layer3(c2)
        c4 = self.layer4(c3)
        return c1, c2, c3, c4


def _register_v2(multiplier):
    name = f"mobilenetv2_{multiplier}"

    @BACKBONES.register(name, output_strides=(8, 16, 32))
    def build(output_stride: int = 32) -> MobileNet:
        channels = [int(n * multiplier) for n in (24, 32, 96, 320)]
        whole = mobilenet.MobileNetV2(multiplier)
        return MobileNet(whole.features, (6, 9, 16, 20), channels, output_stride, MOBILENETV2)


def _register_v3(size, ends, channels):
    name = f"mobilenetv3_{size}"

    @BACKBONES.register(name, output_strides=(8, 16, 32))
    def build(output_stride: int = 32) -> MobileNet:
        return MobileNet(mobilenetv3.get_mobilenet_v3(size).features, ends, channels, output_stride)


for _multiplier in (1.0, 0.75, 0.5, 0.25):
    _register_v2(_multiplier)
_register_v3("large", (6, 9, 15, 18), (24, 40, 112, 160))
_register_v3("small", (4, 6, 11, 14), (16, 24, 48, 96))
