"""SegFormer: Simple and Efficient Design for Semantic Segmentation with Transformers (Xie et al.,
NeurIPS 2021, arXiv 2105.15203).

Mix transformers (`mit_b0` to `mit_b5`) with a head of pointwise layers only: every level is brought to
the same channels and to stride 4, and all are fused. In the paper (`variant="paper"`) the levels' layers are
bare linear ones; mmsegmentation's are units with batch norm and ReLU (`variant="units"`).
"""

from __future__ import annotations

from typing import Literal

from mxnet.gluon import nn

from mxnetseg.models.base import MODELS, Head, Segmentor
from mxnetseg.nn.layers import ConvUnit
from mxnetseg.nn.resize import resize_like

FORMS = {"paper": {}, "mmseg": {"variant": "units"}}


class PointwiseHead(Head):
    """Logits at c1's size."""

    def __init__(self, channels, nclass, width, variant):
        super().__init__()
        self.levels = nn.HybridSequential()
        for n in channels:
            unit = variant == "units"
            self.levels.add(ConvUnit(n, width, 1) if unit else nn.Conv2D(width, 1, in_channels=n))
        self.fuse = ConvUnit(width * len(channels), width, 1)
        self.drop = nn.Dropout(0.1)
        self.classifier = nn.Conv2D(nclass, 1, in_channels=width)

    def hybrid_forward(self, F, *features):
        maps = [level(x) for level, x in zip(self.levels, features)]
        maps = [maps[0]] + [resize_like(F, x, maps[0], align_corners=False) for x in maps[1:]]
        return self.classifier(self.drop(self.fuse(F.concat(*maps, dim=1))))


@MODELS.register(
    "segformer",
    forms=FORMS,
    paper="SegFormer: Simple and Efficient Design for Semantic Segmentation with Transformers",
    venue="NeurIPS 2021",
    year=2021,
    link="https://arxiv.org/abs/2105.15203",
    backbone="mit_b0",
    output_stride=32,
    scores=[
        ("Cityscapes val", "mit_b0, 1024x1024, 160k", 76.54, "mmsegmentation"),
        ("Cityscapes val", "mit_b1, 1024x1024, 160k", 78.56, "mmsegmentation"),
        ("Cityscapes val", "mit_b2, 1024x1024, 160k", 81.08, "mmsegmentation"),
        ("Cityscapes val", "mit_b3, 1024x1024, 160k", 81.94, "mmsegmentation"),
        ("Cityscapes val", "mit_b4, 1024x1024, 160k", 81.89, "mmsegmentation"),
        ("Cityscapes val", "mit_b5, 1024x1024, 160k", 82.25, "mmsegmentation"),
    ],
)
def segformer(nclass, backbone, width=256, variant: Literal["paper", "units"] = "paper"):
    """`width`: channels of the head (the paper has 768 from mit_b2 on). `variant`: see above."""
    return Segmentor(backbone, PointwiseHead(backbone.channels, nclass, width, variant), align_corners=False)
