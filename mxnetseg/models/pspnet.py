"""PSPNet: Pyramid Scene Parsing Network (Zhao et al., CVPR 2017, arXiv 1612.01105).

Averages of the deepest map over grids of 1, 2, 3 and 6 bins, each reduced to a quarter of its channels,
stand beside it before the classifier. Published implementations differ in the classifier's width
(MXNetSeg 256, the paper 512), in the finest grid (AceCoooool has 4 bins where the paper has 6) and, in the
SFNet authors' repository, in pooled units without activation, the map last in the concatenation, a 1x1
unit before the classifier and no bias at its end (`reduce`). segmentation_models.pytorch reads c2, at
stride 8 without dilation, has the map last too, and swaps the kernels of unit and classifier. `jpu` puts
joint pyramid upsampling (FastFCN, arXiv 1903.11816) under it, for a backbone at output stride 32. Dropout
is of channels but in GluonCV, MXNetSeg and AceCoooool.
"""

from __future__ import annotations

from typing import Any, Optional, Sequence

from mxnet.gluon import nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Head, Segmentor, aux_on_c3
from mxnetseg.nn.initial import FAN_IN, draw
from mxnetseg.nn.jpu import JPUOrder, jpu_neck
from mxnetseg.nn.layers import ConvUnit, Dropped, FCNHead, dropout_layer
from mxnetseg.nn.ppm import PyramidPooling

ELEMENTS = {"dropped": "elements"}
MMSEG = {"capped": False, "align_corners": False}
# Measured: AceCoooool's outputs agree with grids of 1, 2, 3 and 4 bins.
ACE = {"backbone": "resnet50_v1s", "bins": (1, 2, 3, 4), **ELEMENTS}
FORMS = {
    "paper": {},
    "mmseg": {
        "backbone": "resnet101_v1c",
        "backbone_options": {"dilation": "contracted_conv1"},
        **MMSEG,
    },
    "mmseg_jpu": {
        "backbone": "resnet50_v1c",
        "output_stride": 32,
        "backbone_options": {"dilation": "strided_contracted"},
        "jpu": "fine_first",
        **MMSEG,
    },
    "gluoncv": {"backbone": "resnet101_v1s", **ELEMENTS},
    "mxnetseg": {"backbone": "resnet101_v1s", "width": 256, **ELEMENTS},
    "ace": ACE,
    "ace_jpu": {"output_stride": 32, "jpu": True, **ACE},
    "smp": {
        "backbone": "resnet34",
        "backbone_options": {"stem": "7x7"},
        "output_stride": 32,
        "aux": False,
        "level": 1,
        "input_first": False,
        "bare_mean": True,
        "width": 512,
        "unit_kernel": 1,
        "classifier_kernel": 3,
        "dropout": 0.2,
        "drawn": "smp",
    },
    "sfsegnets": {
        "backbone": "resnet50_v1s",
        "backbone_options": {"dilation": "uniform"},
        "aux": False,
        "width": 256,
        "reduce": True,
    },
}


class PSPHead(Head):
    """Pyramid pooling and classifier on the map `level`, the deepest, or on what `jpu` makes of the maps:
    `(N, C, h, w)` to `(N, nclass, h, w)`. `classifier`: options of its plain head."""

    def __init__(
        self,
        channels: Sequence[int],
        nclass: int,
        width: Optional[int],
        pooled_width: Optional[int],
        bins: Sequence[int],
        reduce: bool,
        jpu: JPUOrder,
        align_corners: bool,
        level: int,
        input_first: bool,
        bare_mean: bool,
        **classifier: Any,
    ) -> None:
        super().__init__()
        self._level = level
        self.jpu, deepest = jpu_neck(jpu, channels, align_corners)
        deepest = deepest if jpu else channels[level]
        summary = pooled_width or deepest // 4
        self.ppm = PyramidPooling(
            deepest,
            summary,
            bins,
            act=None if reduce else "relu",
            align_corners=align_corners,
            input_first=input_first,
            bare_mean=bare_mean,
        )
        joined = self.ppm.out_channels
        self.reduce = nn.HybridSequential()
        if reduce:
            self.reduce.add(ConvUnit(joined, summary, 1), dropout_layer(0.1))
            joined = summary
        self.classifier = FCNHead(
            joined,
            nclass,
            width or summary,
            classifier_bias=not reduce,
            **classifier,
        )
        if reduce:
            draw(self, FAN_IN)

    def hybrid_forward(self, F, *features):
        x = features[self._level]
        if self.jpu is not None:
            x = self.jpu(*features[1:])
        return self.classifier(self.reduce(self.ppm(x)))


@MODELS.register(
    "pspnet",
    forms=FORMS,
    paper="Pyramid Scene Parsing Network",
    venue="CVPR 2017",
    year=2017,
    link="https://arxiv.org/abs/1612.01105",
    backbone="resnet101",
    output_stride=8,
    backbone_options=dict(stem="deep"),
    scores=[
        ("Cityscapes val", "resnet101, 512x1024, 80k", 79.76, "mmsegmentation"),
        ("Cityscapes val", "resnet50, 512x1024, 80k", 78.55, "mmsegmentation"),
        ("Cityscapes val", "resnet18, 512x1024, 80k", 74.87, "mmsegmentation"),
        ("Cityscapes val", "resnet50 with JPU, 512x1024, 80k", 79.26, "mmsegmentation"),
        ("ADE20K val", "resnet101, 512x512, 160k", 44.39, "mmsegmentation"),
    ],
)
def pspnet(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    width: Optional[int] = None,
    aux_width: Optional[int] = None,
    pooled_width: Optional[int] = None,
    bins: Sequence[int] = (1, 2, 3, 6),
    reduce: bool = False,
    jpu: JPUOrder = False,
    level: int = 3,
    input_first: Optional[bool] = None,
    bare_mean: bool = False,
    unit_kernel: int = 3,
    classifier_kernel: int = 1,
    dropout: Optional[float] = None,
    dropped: Dropped = "channels",
    capped: bool = True,
    align_corners: bool = True,
) -> Segmentor:
    """`width`, `aux_width`, `pooled_width`: channels of the classifiers' 3x3 units and of a pooled map, by
    default a quarter of the map they stand on (512, 256 and 512 on a ResNet-50); `capped`: the auxiliary
    one has at most its map's. `bins`: sides of the pooling grids. `reduce`: the SFNet authors'
    form, see the module. `jpu`: see `jpu_neck`. `level`: the map that is read, counted from 0 for c1.
    `input_first`: whether it stands before the averages; None does but with `reduce`. `bare_mean`: the
    average over all of the map has no batch norm. `unit_kernel`, `classifier_kernel`: sides of the
    classifier's two filters. `dropout`: rate between them, by default 0.1 and 0 with `reduce`; `dropped`:
    of what."""
    head = PSPHead(
        backbone.channels,
        nclass,
        width,
        pooled_width,
        tuple(bins),
        reduce,
        jpu,
        align_corners,
        level,
        not reduce if input_first is None else input_first,
        bare_mean,
        kernel=unit_kernel,
        classifier_kernel=classifier_kernel,
        dropout=(0.0 if reduce else 0.1) if dropout is None else dropout,
        dropped=dropped,
    )
    return Segmentor(
        backbone,
        head,
        aux_on_c3(backbone, nclass, aux_width, dropped, capped) if aux else (),
        align_corners=align_corners,
    )
