"""DeepLabv3+: Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation
(Chen et al., ECCV 2018, arXiv 1802.02611).

ASPP with separable dilated branches, brought to the stride-4 map, which joins it through a 1x1 unit of 48
channels; two separable 3x3 units and a classifier. The backbone is Xception-65.

Published implementations differ. GluonCV and MXNetSeg use plain convolutions and a 3x3 unit on the fine map;
the SFNet authors and GluonCV's Wide-ResNet form leave batch norm and ReLU out of both projections
(`linear=True`) and the bias out of the classifier; the order of the concatenation differs (`low_first`);
mmsegmentation is 512 channels wide, and with ResNet-18 leaves 12 of the fine map (`low_width`);
segmentation_models.pytorch has no norm inside its separable units, one of them already under the resizing
(`smooth`) and one after it.
"""

from __future__ import annotations

from typing import Any, Literal, Optional, Sequence

from mxnet.gluon import nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Head, Segmentor, aux_on_c3
from mxnetseg.nn.aspp import ASPP, rates_for
from mxnetseg.nn.layers import ConvUnit, Dropped, classifier, dropout_layer
from mxnetseg.nn.resize import resize_like
from mxnetseg.nn.separable import SeparableUnit

PLAIN = {
    "output_stride": 8,
    "separable": False,
    "low_kernel": 3,
    "aspp_dropout": 0.5,
    "dropouts": (0.5, 0.1),
    "dropped": "elements",
}
LINEAR = {
    "output_stride": 8,
    "separable": False,
    "low_first": True,
    "linear": True,
    "pool_first": True,
    "aspp_dropout": 0.0,
}
FORMS = {
    "paper": {},
    "mmseg": {
        "backbone": "resnet101_v1c",
        "output_stride": 8,
        "backbone_options": {"dilation": "contracted_conv1"},
        "aux": True,
        "width": 512,
        "pool_first": True,
        "project": "3x3",
        "aspp_dropout": 0.0,
        "dropouts": (0.0, 0.1),
        "capped": False,
        "align_corners": False,
    },
    "smp": {
        "backbone": "resnet34",
        "backbone_options": {"dilation": "everywhere"},
        "rates": (12, 24, 36),
        "inner_norm": False,
        "smooth": True,
        "dropouts": (0.0,),
        "aspp_dropout": 0.5,
        "drawn": "pytorch",
    },
    "gluoncv": {"aux": True, "aux_width": None, **PLAIN},
    "gluoncv_wide": {"backbone": "wideresnet38", "backbone_options": {"finest": 2}, **LINEAR},
    "mxnetseg": {"low_first": True, **PLAIN},
    "sfsegnets": {"backbone": "resnet50_v1s", "backbone_options": {"dilation": "uniform"}, **LINEAR},
}


class DeepLabV3PlusHead(Head):
    """c1 and c4 to logits at the size of c1."""

    def __init__(
        self,
        channels: Sequence[int],
        nclass: int,
        width: int,
        separable: bool,
        low_width: int,
        low_kernel: int,
        low_first: bool,
        linear: bool,
        inner_norm: bool,
        smooth: bool,
        dropouts: Sequence[float],
        dropped: Dropped,
        align_corners: bool,
        **aspp: Any,
    ) -> None:
        super().__init__()
        self._low_first = low_first
        self._align_corners = align_corners
        self.aspp = ASPP(
            channels[-1],
            width,
            separable=separable,
            inner_norm=inner_norm,
            align_corners=align_corners,
            **aspp,
        )
        self.smooth = SeparableUnit(width, width, inner_norm=inner_norm) if smooth else None
        if linear:
            self.low = nn.Conv2D(low_width, 1, use_bias=False, in_channels=channels[0])
        else:
            self.low = ConvUnit(channels[0], low_width, low_kernel)
        self.units, self.drops = nn.HybridSequential(), nn.HybridSequential()
        for index, rate in enumerate(dropouts):
            before = width if index else width + low_width
            if separable:
                self.units.add(SeparableUnit(before, width, inner_act="relu", inner_norm=inner_norm))
            else:
                self.units.add(ConvUnit(before, width))
            self.drops.add(dropout_layer(rate, dropped))
        self.classifier = classifier(width, nclass, bias=not linear)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        deep = self.aspp(c4)
        if self.smooth is not None:
            deep = self.smooth(deep)
        deep = resize_like(F, deep, c1, self._align_corners)
        low = self.low(c1)
        x = F.concat(*([low, deep] if self._low_first else [deep, low]), dim=1)
        for unit, drop in zip(self.units, self.drops):
            x = drop(unit(x))
        return self.classifier(x)


@MODELS.register(
    "deeplabv3plus",
    forms=FORMS,
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
    nclass: int,
    backbone: Backbone,
    aux: bool = False,
    width: int = 256,
    rates: Optional[Sequence[int]] = None,
    separable: bool = True,
    pool_first: bool = False,
    project: Literal["1x1", "3x3"] = "1x1",
    low_width: int = 48,
    low_kernel: int = 1,
    low_first: bool = False,
    linear: bool = False,
    inner_norm: bool = True,
    smooth: bool = False,
    aspp_dropout: float = 0.1,
    dropouts: Sequence[float] = (0.0, 0.0),
    dropped: Dropped = "channels",
    aux_width: Optional[int] = 256,
    capped: bool = True,
    align_corners: bool = True,
) -> Segmentor:
    """`rates`, `width`, `pool_first`, `project`, `aspp_dropout`: of the ASPP (`rates` by default the paper's
    for the output stride). `separable`, `low_width`, `low_kernel`, `low_first`, `linear`, `inner_norm`,
    `smooth`: see the module. `dropouts`: after each unit of the decoder, as many as it has; `dropped`: of
    what. `aux`: a plain head on c3, which the paper lacks, if `capped` at most as wide."""
    head = DeepLabV3PlusHead(
        backbone.channels,
        nclass,
        width,
        separable,
        low_width,
        low_kernel,
        low_first,
        linear,
        inner_norm,
        smooth,
        dropouts,
        dropped,
        align_corners,
        rates=tuple(rates or rates_for(backbone.strides[-1])),
        pool_first=pool_first,
        project="linear" if linear else project,
        dropout=aspp_dropout,
    )
    supervised = aux_on_c3(backbone, nclass, aux_width, dropped, capped) if aux else ()
    return Segmentor(backbone, head, supervised, align_corners=align_corners)
