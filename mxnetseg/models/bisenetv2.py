"""BiSeNetV2: Bilateral Network with Guided Aggregation for Real-time Semantic Segmentation (Yu et al.,
IJCV 2021, arXiv 2004.02147).

A wide and shallow detail branch at stride 8 beside a thin and deep semantic one (`backbones/bisenetv2.py`),
whose deepest map takes in its global average. Guided aggregation lets each gate the other, at its own size.
Heads on every stage of the semantic branch boost training.
"""

from __future__ import annotations

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Aux, Head, Neck, Segmentor
from mxnetseg.nn.initial import draw_as_pytorch
from mxnetseg.nn.layers import ConvUnit, FCNHead
from mxnetseg.nn.pool import adaptive_avg_pool
from mxnetseg.nn.resize import resize_like

FORMS = {"paper": {}, "mmseg": {}}


AUX_WIDTHS = (16, 64, 256, 1024)


class ContextEmbedding(HybridBlock):
    """The normed, mixed global average added to every pixel, then a 3x3 unit."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm(in_channels=channels)
        self.mix = ConvUnit(channels, channels, 1)
        self.smooth = ConvUnit(channels, channels)

    def hybrid_forward(self, F, x):
        pooled = self.mix(self.bn(adaptive_avg_pool(F, x, 1)))
        return self.smooth(F.broadcast_add(x, pooled))


class GuidedAggregation(HybridBlock):
    """`(detail, semantic)` of `channels`, four times apart in stride, to one map at detail's size."""

    def __init__(self, channels: int, semantic_channels: int) -> None:
        super().__init__()
        self.detail_keep = _separable(channels, channels)
        self.detail_down = ConvUnit(channels, channels, strides=2, act=None)
        self.semantic_up = ConvUnit(semantic_channels, channels, act=None)
        self.semantic_keep = _separable(semantic_channels, channels)
        self.blend = ConvUnit(channels, channels)

    def hybrid_forward(self, F, detail, semantic):
        # The padding counts: border averages are over nine values too.
        down = F.Pooling(
            self.detail_down(detail),
            kernel=(3, 3),
            stride=(2, 2),
            pad=(1, 1),
            pool_type="avg",
            count_include_pad=True,
        )
        down = resize_like(F, down, semantic, align_corners=False)
        up = resize_like(F, self.semantic_up(semantic), detail, align_corners=False)
        fine = self.detail_keep(detail) * F.sigmoid(up)
        coarse = down * F.sigmoid(self.semantic_keep(semantic))
        return self.blend(fine + resize_like(F, coarse, detail, align_corners=False))


def _separable(in_channels, channels):
    block = nn.HybridSequential()
    block.add(
        ConvUnit(in_channels, in_channels, groups=in_channels, act=None),
        nn.Conv2D(channels, 1, in_channels=in_channels),
    )
    return block


class DetailAndSemantics(Neck):
    """Image and semantic pyramid to the map of 128 channels, at stride 8, that both branches give."""

    def __init__(self, deepest: int) -> None:
        super().__init__()
        self.detail = nn.HybridSequential()
        before = 0  # the image's channels are inferred when the network is created
        for width, units in ((64, 2), (64, 3), (128, 3)):
            for index in range(units):
                self.detail.add(ConvUnit(before, width, strides=2 if index == 0 else 1))
                before = width
        self.embed = ContextEmbedding(deepest)
        self.aggregate = GuidedAggregation(128, deepest)

    def hybrid_forward(self, F, image, c1, c2, c3, c4):
        return self.aggregate(self.detail(image), self.embed(c4))


class BiSeNetV2Head(Head):
    """The fused map to logits at stride 8."""

    def __init__(self, in_channels: int, nclass: int, width: int) -> None:
        super().__init__()
        self.classifier = FCNHead(in_channels, nclass, width)

    def hybrid_forward(self, F, fused):
        return self.classifier(fused)


@MODELS.register(
    "bisenetv2",
    forms=FORMS,
    paper="BiSeNet V2: Bilateral Network with Guided Aggregation for Real-time Semantic Segmentation",
    venue="IJCV 2021",
    year=2021,
    link="https://arxiv.org/abs/2004.02147",
    backbone="bisenetv2",
    output_stride=32,
    scores=[
        ("Cityscapes val", "1024x1024, 160k", 73.21, "mmsegmentation"),
        ("Cityscapes val", "1024x1024, 160k, batch 32", 75.76, "mmsegmentation"),
    ],
)
def bisenetv2(
    nclass: int, backbone: Backbone, aux: bool = True, width: int = 1024, align_corners: bool = False
) -> Segmentor:
    """`width`: channels of the head. `aux`: heads on c1 to c4, the last before its context embedding."""
    neck = DetailAndSemantics(backbone.channels[3])
    head = BiSeNetV2Head(128, nclass, width)
    heads = []
    for index, (channels, aux_width) in enumerate(zip(backbone.channels, AUX_WIDTHS)):
        block = FCNHead(channels, nclass, aux_width, units=2)
        draw_as_pytorch(block.classifier)
        heads.append(Aux(block, "backbone", index))
    return Segmentor(backbone, head, heads if aux else (), neck=neck, align_corners=align_corners)
