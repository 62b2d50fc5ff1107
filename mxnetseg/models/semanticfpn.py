"""Semantic FPN: Panoptic Feature Pyramid Networks, semantic branch (Kirillov et al., CVPR 2019,
arXiv 1901.02446).

A feature pyramid whose levels, 256 channels wide, are each brought to stride 4 by 3x3 units and twofold
resizing and summed. The published pyramid has plain convolutions and repeats pixels on its way down;
MXNetSeg's (`fpn="unit"`) has units with batch norm, resizes bilinearly, and smooths no top level;
segmentation_models.pytorch's FPN smooths no level (`fpn="sums"`) and normalizes the branches by groups.
"""

from __future__ import annotations

from typing import Literal, Sequence

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Head, Segmentor
from mxnetseg.nn.initial import XAVIER, draw
from mxnetseg.nn.layers import ConvUnit, classifier, dropout_layer
from mxnetseg.nn.norm import ChannelGroupNorm
from mxnetseg.nn.resize import nearest_like, resize_by, resize_like
from mxnetseg.nn.surgery import exchange

FORMS = {
    "paper": {},
    "mmseg": {"backbone": "resnet101_v1c", "align_corners": False},
    "mxnetseg": {"backbone": "resnet101_v1s", "fpn": "unit", "dropout": 0.0},
    "smp": {
        "backbone": "resnet34",
        "fpn": "sums",
        "branch_norm": "gn",
        "dropout": 0.2,
        "drawn": "smp",
    },
}
GROUPS = 32
Pyramid = Literal["plain", "unit", "sums"]


class PlainPyramid(HybridBlock):
    """Four levels to four of `width` channels: biased convolutions, top-down sums of nearest neighbours,
    which `smooth` has 3x3 convolutions after."""

    def __init__(self, channels: Sequence[int], width: int, smooth: bool) -> None:
        super().__init__()
        self.laterals, self.outs = nn.HybridSequential(), nn.HybridSequential()
        for n in channels:
            self.laterals.add(nn.Conv2D(width, 1, in_channels=n))
            if smooth:
                self.outs.add(nn.Conv2D(width, 3, padding=1, in_channels=width))
        if smooth:
            draw(self, XAVIER)

    def hybrid_forward(self, F, *features):
        maps = [lateral(x) for lateral, x in zip(self.laterals, features)]
        for i in reversed(range(len(maps) - 1)):
            maps[i] = maps[i] + nearest_like(F, maps[i + 1], maps[i])
        return [out(x) for out, x in zip(self.outs, maps)] if len(self.outs) else maps


class UnitPyramid(HybridBlock):
    """Four levels to four of `width` channels: units throughout, each sum smoothed before it goes on."""

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.laterals, self.outs = nn.HybridSequential(), nn.HybridSequential()
        for i, n in enumerate(channels):
            self.laterals.add(ConvUnit(n, width, 1))
            if i < len(channels) - 1:
                self.outs.add(ConvUnit(width, width))

    def hybrid_forward(self, F, *features):
        maps = [lateral(x) for lateral, x in zip(self.laterals, features)]
        for i in reversed(range(len(maps) - 1)):
            maps[i] = self.outs[i](maps[i] + resize_like(F, maps[i + 1], maps[i]))
        return maps


class SemanticFPNHead(Head):
    """Four levels to (logits at the size of c1, those joined with the finest map of the pyramid). `fpn`: the
    four maps to four of `width` channels."""

    def __init__(
        self,
        fpn: HybridBlock,
        strides: Sequence[int],
        nclass: int,
        width: int,
        branch_width: int,
        dropout: float,
        align_corners: bool,
        branch_norm: Literal["bn", "gn"] = "bn",
    ) -> None:
        super().__init__()
        self._align_corners = align_corners
        self._doublings = [(stride // strides[0]).bit_length() - 1 for stride in strides]
        self.fpn = fpn
        self.branches = nn.HybridSequential()
        for doublings in self._doublings:
            units = nn.HybridSequential()
            for i in range(max(1, doublings)):
                unit = ConvUnit(branch_width if i else width, branch_width)
                if branch_norm == "gn":
                    exchange(unit, "bn", ChannelGroupNorm(branch_width, GROUPS, 1e-5))
                units.add(unit)
            self.branches.add(units)
        self.drop = dropout_layer(dropout)
        self.classifier = classifier(branch_width, nclass)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        total = None
        levels = self.fpn(c1, c2, c3, c4)
        for x, units, doublings in zip(levels, self.branches, self._doublings):
            for unit in units:
                x = unit(x)
                if doublings:
                    x = resize_by(F, x, 2, self._align_corners)
            # Odd sizes: twice the coarse map may be a pixel more than the fine one.
            total = x if total is None else total + resize_like(F, x, total, self._align_corners)
        logits = self.classifier(self.drop(total))
        return logits, F.concat(logits, levels[0], dim=1)


@MODELS.register(
    "semanticfpn",
    forms=FORMS,
    paper="Panoptic Feature Pyramid Networks",
    venue="CVPR 2019",
    year=2019,
    link="https://arxiv.org/abs/1901.02446",
    backbone="resnet101",
    output_stride=32,
    scores=[
        ("Cityscapes val", "resnet101, 512x1024, 80k", 75.8, "mmsegmentation"),
        ("Cityscapes val", "resnet50, 512x1024, 80k", 74.52, "mmsegmentation"),
        ("ADE20K val", "resnet101, 512x512, 160k", 39.35, "mmsegmentation"),
        ("ADE20K val", "twins_pcpvt_small, 512x512, 80k", 43.26, "mmsegmentation"),
        ("ADE20K val", "twins_svt_small, 512x512, 80k", 44.47, "mmsegmentation"),
        ("ADE20K val", "poolformer_s12, 512x512, 40k", 36.68, "mmsegmentation"),
    ],
)
def semanticfpn(
    nclass: int,
    backbone: Backbone,
    width: int = 256,
    branch_width: int = 128,
    fpn: Pyramid = "plain",
    dropout: float = 0.1,
    branch_norm: Literal["bn", "gn"] = "bn",
    align_corners: bool = True,
) -> Segmentor:
    """`width`, `branch_width`: channels of the pyramid and of the summed maps. `fpn`: see the module.
    `branch_norm`: of the branches, by groups in the paper and in segmentation_models.pytorch alone;
    `norm="gn"` of `create_model` has it everywhere."""
    if fpn == "unit":
        pyramid: HybridBlock = UnitPyramid(backbone.channels, width)
    else:
        pyramid = PlainPyramid(backbone.channels, width, smooth=fpn == "plain")
    head = SemanticFPNHead(
        pyramid, backbone.strides, nclass, width, branch_width, dropout, align_corners, branch_norm
    )
    return Segmentor(backbone, head, align_corners=align_corners)
