"""DFSegNet: Partial Order Pruning (Li et al., CVPR 2019, arXiv 1903.03777), the decoder made for DFNet.

Pyramid pooling on the deepest map, then twice: resize, join with the next finer map, blend by one 3x3
convolution. There is neither norm nor activation between the blends.
"""

from __future__ import annotations

from typing import Sequence

from mxnet import autograd
from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone, Wrapper
from mxnetseg.models.base import MODELS, Head, Segmentor, aux_on_c3
from mxnetseg.nn.initial import draw_as_pytorch
from mxnetseg.nn.layers import ConvUnit, FCNHead, dropout_layer
from mxnetseg.nn.ppm import PyramidPooling
from mxnetseg.nn.resize import resize_by, resize_like

FORMS = {"paper": {}, "sfsegnets": {"half_size": True}}


class HalfSize(Wrapper):
    """A backbone that sees the image at half its size, but in training at its own."""

    differs_in_training = True

    def __init__(self, net: Backbone) -> None:
        super().__init__(net, strides=[2 * s for s in net.strides])

    def hybrid_forward(self, F, x):
        return self.net(x if autograd.is_training() else resize_by(F, x, 0.5))


class FusionNode(HybridBlock):
    """`(high, low)` joined at low's size and blended to as many channels as each has."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.blend = nn.Conv2D(channels, 3, padding=1, use_bias=False, in_channels=2 * channels)

    def hybrid_forward(self, F, high, low):
        return self.blend(F.concat(resize_like(F, high, low), low, dim=1))


class DFSegHead(Head):
    """c2, c3, c4 to logits at the stride of c2."""

    def __init__(self, channels: Sequence[int], nclass: int, width: int) -> None:
        super().__init__()
        self.ppm = PyramidPooling(channels[3], width, act=None, input_first=False)
        self.ppm_fuse = ConvUnit(self.ppm.out_channels, width, 1)
        self.drop = dropout_layer(0.1)
        self.laterals, self.fusions = nn.HybridSequential(), nn.HybridSequential()
        for n in (*channels[1:3], width):
            self.laterals.add(nn.Conv2D(width, 1, in_channels=n))
        for _ in channels[1:3]:
            self.fusions.add(FusionNode(width))
        self.classifier = FCNHead(width, nclass, 2 * width, unit_bias=True)
        draw_as_pytorch(self)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        pooled = self.drop(self.ppm_fuse(self.ppm(c4)))
        fine, middle, coarse = (self.laterals[i](x) for i, x in enumerate((c2, c3, pooled)))
        x = self.fusions[1](coarse, middle)
        x = self.fusions[0](x, fine)
        return self.classifier(x)


@MODELS.register(
    "dfseg",
    forms=FORMS,
    paper="Partial Order Pruning: for Best Speed/Accuracy Trade-off in Neural Architecture Search",
    venue="CVPR 2019",
    year=2019,
    link="https://arxiv.org/abs/1903.03777",
    backbone="dfnetv2",
    output_stride=32,
    backbone_options={"widening": True},
    scores=[
        ("Cityscapes val", "dfnetv1, DF1-Seg", 74.1, "the authors"),
        ("Cityscapes val", "dfnetv2, DF2-Seg1", 75.9, "the authors"),
        ("Cityscapes val", "dfnetv2, DF2-Seg2", 76.9, "the authors"),
    ],
)
def dfseg(
    nclass: int, backbone: Backbone, aux: bool = False, width: int = 128, half_size: bool = False
) -> Segmentor:
    """`width`: channels of the decoder. `half_size`: the backbone sees the image halved, but not in training,
    as the authors have it. `aux`: a plain head on c3."""
    backbone = HalfSize(backbone) if half_size else backbone
    head = DFSegHead(backbone.channels, nclass, width)
    return Segmentor(backbone, head, aux_on_c3(backbone, nclass) if aux else ())
