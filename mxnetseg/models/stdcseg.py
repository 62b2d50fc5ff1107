"""STDC-Seg: Rethinking BiSeNet for Real-time Semantic Segmentation (Fan et al., CVPR 2021, arXiv 2104.13188).

BiSeNet without its spatial path: stage 3 of the backbone (stride 8) takes that place, taught detail in
training by an extra head. The context path is BiSeNet's with nearest upsampling; its two maps have auxiliary
heads. The detail head predicts boundaries, not classes, so it is built on request only (`detail`): its
output needs a loss of its own.
"""

from __future__ import annotations

from typing import Literal

import mxnet as mx

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Aux, Head, Neck, Segmentor
from mxnetseg.nn.initial import draw, draw_as_pytorch
from mxnetseg.nn.layers import FCNHead
from mxnetseg.nn.twopath import ContextPath, FeatureFusion

FORMS = {
    "paper": {},
    "mmseg": {"detail": 2, "context_corners": False, "dropout": 0.1, "drawn": "mmcv"},
    "sfsegnets": {"classifier_bias": False, "drawn": "sfsegnets"},
}
Drawn = Literal["authors", "mmcv", "sfsegnets"]
# What the authors draw all but the backbone by.
AUTHORS = mx.init.MSRAPrelu("in", slope=1)


class ContextOnDetail(Neck):
    """Pyramid to (fused map at stride 8, context at 8, context at 16)."""

    def __init__(self, backbone: Backbone, width: int) -> None:
        super().__init__()
        c2, c3, c4 = backbone.channels[1:]
        s2, s3, s4 = backbone.strides[1:]
        steps = None if backbone.rounds_down else (s4 // s3, s3 // s2)
        self.context_path = ContextPath(c3, c4, width, steps, ("nearest", "nearest"))
        self.fusion = FeatureFusion(c2 + width, 2 * width, reduction=4)

    def hybrid_forward(self, F, image, c1, c2, c3, c4):
        context8, context16 = self.context_path(c3, c4, c2)
        return self.fusion(c2, context8), context8, context16


class STDCSegHead(Head):
    """The fused map to logits at stride 8."""

    def __init__(self, channels: int, nclass: int, bias: bool, dropout: float) -> None:
        super().__init__()
        self.classifier = FCNHead(channels, nclass, channels, dropout=dropout, classifier_bias=bias)

    def hybrid_forward(self, F, fused, *context):
        return self.classifier(fused)


@MODELS.register(
    "stdcseg",
    forms=FORMS,
    paper="Rethinking BiSeNet For Real-time Semantic Segmentation",
    venue="CVPR 2021",
    year=2021,
    link="https://arxiv.org/abs/2104.13188",
    backbone="stdc1",
    output_stride=32,
    scores=[
        ("Cityscapes val", "stdc1, 512x1024, 80k", 74.94, "mmsegmentation"),
        ("Cityscapes val", "stdc2, 512x1024, 80k", 76.67, "mmsegmentation"),
    ],
)
def stdcseg(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    width: int = 128,
    detail: int = 0,
    classifier_bias: bool = True,
    context_corners: bool = True,
    dropout: float = 0.0,
    drawn: Drawn = "authors",
) -> Segmentor:
    """`width`: channels of the context path. `aux`: heads on the context at strides 8 and 16. `detail`:
    channels of a boundary head on c2, 0 for none. `classifier_bias`: of every classifier. `context_corners`:
    whether the logits of the context are resized with aligned corners, as all others are. `dropout`: of
    channels, before every classifier. `drawn`: by whose initializers."""
    neck = ContextOnDetail(backbone, width)
    head = STDCSegHead(2 * width, nclass, classifier_bias, dropout)
    heads = [
        Aux(
            FCNHead(width, nclass, 64, dropout=dropout, classifier_bias=classifier_bias),
            "neck",
            index,
            corners=context_corners,
        )
        for index in (1, 2)
    ]
    if detail:
        edges = FCNHead(backbone.channels[1], detail, 64, dropout=dropout)
        heads.append(Aux(edges, "backbone", 1, "detail"))
    if drawn == "mmcv":
        # mmsegmentation gives the classifiers of several auxiliary heads no start of their own.
        draw_as_pytorch(*(one.block.classifier for one in heads))
    else:
        for block in (neck, head, *(one.block for one in heads)):
            draw(block, AUTHORS)
    if drawn == "sfsegnets":
        draw_as_pytorch(backbone)
    return Segmentor(backbone, head, heads if aux else (), neck=neck)
