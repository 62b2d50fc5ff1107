"""BiSeNet: Bilateral Segmentation Network for Real-time Semantic Segmentation (Yu et al., ECCV 2018,
arXiv 1808.00897).

A shallow spatial path keeps detail at stride 8; a context path over a fast backbone gathers the global
average and refined maps at strides 32 and 16; a gated fusion joins the two. Auxiliary heads supervise the
context path. Published implementations differ in: how context comes up (`merge`: step by step as in the
paper, or one sum at stride 8 in MXNetSeg; `upsample`), the fusion's gate (`gate`, `reduction`), classifiers
that shuffle their channels into pixels (`shuffle`, SFSegNets), and what the auxiliary heads read (`aux_on`).
"""

from __future__ import annotations

from typing import Literal, Optional, Tuple

from mxnet.gluon import HybridBlock

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Aux, Head, Neck, Segmentor
from mxnetseg.nn.initial import FAN_IN_LINEAR, draw, draw_as_pytorch
from mxnetseg.nn.layers import ConvUnit, Dropped, FCNHead
from mxnetseg.nn.pool import adaptive_avg_pool
from mxnetseg.nn.resize import resize_like
from mxnetseg.nn.twopath import AttentionRefinement, ContextPath, FeatureFusion, ShuffleHead, SpatialPath

FORMS = {
    "paper": {},
    "mmseg": {
        "backbone_options": {"zero_residual": True},
        "upsample": ("nearest", "nearest"),
        "gate": "single",
        "dropout": 0.1,
        "align_corners": False,
    },
    "mxnetseg": {
        "width": 128,
        "merge": "sum",
        "gate": "normed",
        "aux_on": "backbone",
        "aux_width": 256,
        "dropout": 0.1,
        "dropped": "elements",
    },
    "sfsegnets": {
        "backbone_options": {"stem": "deep", "dilation": "strided"},
        "upsample": ("bilinear", "nearest"),
        "reduction": 4,
        "shuffle": True,
    },
}


class SummedContext(HybridBlock):
    """MXNetSeg's context: pooled vector and both refinements brought to stride 8 at once and summed."""

    def __init__(self, channels_c3: int, channels_c4: int, channels: int) -> None:
        super().__init__()
        self.pooled = ConvUnit(channels_c4, channels, 1)
        self.refine_c4 = AttentionRefinement(channels_c4, channels)
        self.refine_c3 = AttentionRefinement(channels_c3, channels)
        self.smooth = ConvUnit(channels, channels)

    def hybrid_forward(self, F, c3, c4, like):
        fine = self.refine_c3(c3)
        total = resize_like(F, self.refine_c4(c4), like) + resize_like(F, fine, like)
        total = F.broadcast_add(total, self.pooled(adaptive_avg_pool(F, c4, 1)))
        return self.smooth(total), fine


class TwoPaths(Neck):
    """Image and pyramid to (fused map at stride 8, context at 8, context at 16)."""

    def __init__(
        self,
        backbone: Backbone,
        width: int,
        merge: str,
        upsample: Tuple[Literal["bilinear", "nearest"], ...],
        gate: str,
        reduction: int,
    ) -> None:
        super().__init__()
        c3, c4 = backbone.channels[2:]
        self.spatial_path = SpatialPath(width // 2, width)
        if merge == "progressive":
            s3, s4 = backbone.strides[2:]
            steps = None if backbone.rounds_down else (s4 // s3, s3 // 8)
            self.context_path = ContextPath(c3, c4, width, steps, upsample)
        else:
            self.context_path = SummedContext(c3, c4, width)
        self.fusion = FeatureFusion(2 * width, 2 * width, gate, reduction)

    def hybrid_forward(self, F, image, c1, c2, c3, c4):
        spatial = self.spatial_path(image)
        context8, context16 = self.context_path(c3, c4, spatial)
        return self.fusion(spatial, context8), context8, context16


class BiSeNetHead(Head):
    """Fused map to logits at stride 8, or at stride 1 with a classifier that shuffles by `factor`."""

    def __init__(self, channels: int, nclass: int, factor: int, dropout: float, dropped: Dropped) -> None:
        super().__init__()
        self.classifier = _classifier(channels, nclass, channels, factor, dropout, dropped)

    def hybrid_forward(self, F, fused, *context):
        return self.classifier(fused)


def _classifier(in_channels, nclass, channels, factor, dropout, dropped):
    if factor:
        return ShuffleHead(in_channels, nclass, channels, factor)
    return FCNHead(in_channels, nclass, channels, dropout=dropout, dropped=dropped)


@MODELS.register(
    "bisenet",
    forms=FORMS,
    paper="BiSeNet: Bilateral Segmentation Network for Real-time Semantic Segmentation",
    venue="ECCV 2018",
    year=2018,
    link="https://arxiv.org/abs/1808.00897",
    backbone="resnet18",
    output_stride=32,
    scores=[
        ("Cityscapes val", "resnet18, 1024x1024, 160k", 74.37, "mmsegmentation"),
        ("Cityscapes val", "resnet18, 1024x1024, 160k, batch 32", 75.16, "mmsegmentation"),
        ("Cityscapes val", "resnet50, 1024x1024, 160k", 77.68, "mmsegmentation"),
    ],
)
def bisenet(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    width: Optional[int] = None,
    merge: Literal["progressive", "sum"] = "progressive",
    upsample: Tuple[Literal["bilinear", "nearest"], ...] = ("bilinear", "bilinear"),
    gate: Literal["bottleneck", "normed", "single"] = "bottleneck",
    reduction: int = 1,
    shuffle: bool = False,
    aux_on: Literal["context", "backbone"] = "context",
    aux_width: Optional[int] = None,
    dropout: float = 0.0,
    dropped: Dropped = "channels",
    align_corners: bool = True,
) -> Segmentor:
    """`width`: channels of the two paths, None is a quarter of c4's (128 on ResNet-18) but at least 128.
    `merge`, `upsample`, `gate`, `reduction`: see `ContextPath` and `FeatureFusion`. `shuffle`: classifiers
    write whole blocks of pixels. `aux_on`: auxiliary heads read `context` (strides 8 and 16) or the
    `backbone` (c4, then c3). `aux_width`: channels of these heads, None is half of `width`. `dropout`: rate
    before classifiers that do not shuffle, `dropped`: of what."""
    width = width or max(128, backbone.channels[-1] // 4)
    neck = TwoPaths(backbone, width, merge, tuple(upsample), gate, reduction)
    head = BiSeNetHead(2 * width, nclass, 8 if shuffle else 0, dropout, dropped)
    on_context = aux_on == "context"
    heads = []
    for index, factor in ((1, 8), (2, 16)) if on_context else ((3, 0), (2, 0)):
        channels = width if on_context else backbone.channels[index]
        block = _classifier(
            channels, nclass, aux_width or width // 2, factor if shuffle else 0, dropout, dropped
        )
        if not shuffle:
            draw_as_pytorch(block.classifier)
        heads.append(Aux(block, "neck" if on_context else "backbone", index))
    if shuffle:
        for block in (neck, head, *(one.block for one in heads)):
            draw(block, FAN_IN_LINEAR)
    return Segmentor(backbone, head, heads if aux else (), neck=neck, align_corners=align_corners)
