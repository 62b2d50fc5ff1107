"""DeepLabv3+: Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation
(Chen et al., ECCV 2018, arXiv 1802.02611).

ASPP with separable dilated branches, brought to the stride-4 map, which joins it through a 1x1 unit of 48
channels; two separable 3x3 units and a classifier. The backbone is Xception-65.

Published implementations differ. GluonCV and MXNetSeg use plain convolutions and a 3x3 unit on the fine map;
the SFNet authors and GluonCV's Wide-ResNet form leave batch norm and ReLU out of both projections
(`linear=True`) and the bias out of the classifier; the order of the concatenation differs (`low_first`);
mmsegmentation is 512 channels wide.
"""

from __future__ import annotations

from mxnet.gluon import nn

from mxnetseg.models.base import MODELS, Head, Segmentor, aux_on_c3
from mxnetseg.nn.aspp import ASPP, rates_for
from mxnetseg.nn.layers import ConvUnit
from mxnetseg.nn.resize import resize_like
from mxnetseg.nn.separable import SeparableUnit


class DeepLabV3PlusHead(Head):
    """c1 and c4 to logits at the size of c1."""

    def __init__(
        self,
        channels,
        nclass,
        width,
        separable,
        low_kernel,
        low_first,
        linear,
        dropouts,
        align_corners,
        **aspp,
    ):
        super().__init__()
        self._low_first = low_first
        self._align_corners = align_corners
        self.aspp = ASPP(channels[-1], width, separable=separable, align_corners=align_corners, **aspp)
        if linear:
            self.low = nn.Conv2D(48, 1, use_bias=False, in_channels=channels[0])
        else:
            self.low = ConvUnit(channels[0], 48, low_kernel)
        self.units = nn.HybridSequential()
        for in_channels in (width + 48, width):
            if separable:
                self.units.add(SeparableUnit(in_channels, width, inner_act="relu"))
            else:
                self.units.add(ConvUnit(in_channels, width))
        self.drops = nn.HybridSequential()
        for rate in dropouts:
            self.drops.add(nn.Dropout(rate))
        self.classifier = nn.Conv2D(nclass, 1, use_bias=not linear, in_channels=width)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        deep = resize_like(F, self.aspp(c4), c1, self._align_corners)
        low = self.low(c1)
        x = F.concat(*([low, deep] if self._low_first else [deep, low]), dim=1)
        for unit, drop in zip(self.units, self.drops):
            x = drop(unit(x))
        return self.classifier(x)


@MODELS.register(
    "deeplabv3plus",
    paper="Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation",
    venue="ECCV 2018",
    year=2018,
    link="https://arxiv.org/abs/1802.02611",
    backbone="xception65",
    output_stride=16,
    scores=[
        ("Cityscapes val", "resnet101, 512x1024, 80k", 80.97, "mmsegmentation"),
        ("Cityscapes val", "resnet50, 512x1024, 80k", 80.09, "mmsegmentation"),
        ("ADE20K val", "resnet101, 512x512, 160k", 45.47, "mmsegmentation"),
    ],
)
def deeplabv3plus(
    nclass,
    backbone,
    aux=False,
    width=256,
    rates=None,
    separable=True,
    pool_first=False,
    project="1x1",
    low_kernel=1,
    low_first=False,
    linear=False,
    aspp_dropout=0.5,
    dropouts=(0.5, 0.1),
    aux_width=256,
    align_corners=True,
):
    """`rates`, `width`, `pool_first`, `project`, `aspp_dropout`: of the ASPP (`rates` by default the paper's
    for the output stride). `separable`, `low_kernel`, `low_first`, `linear`: see the module. `dropouts`:
    after the decoder's two units. `aux`: a plain head on c3, which the paper lacks."""
    head = DeepLabV3PlusHead(
        backbone.channels,
        nclass,
        width,
        separable,
        low_kernel,
        low_first,
        linear,
        dropouts,
        align_corners,
        rates=tuple(rates or rates_for(backbone.strides[-1])),
        pool_first=pool_first,
        project="linear" if linear else project,
        dropout=aspp_dropout,
    )
    return Segmentor(
        backbone, head, aux_on_c3(backbone, nclass, aux_width) if aux else (), align_corners=align_corners
    )
