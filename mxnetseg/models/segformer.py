"""SegFormer: Simple and Efficient Design for Semantic Segmentation with Transformers (Xie et al.,
NeurIPS 2021, arXiv 2105.15203).

Mix transformers (`mit_b0` to `mit_b5`) with a head of pointwise layers only: every level is brought to
the same channels and to stride 4, and all are fused. In the paper (`variant="paper"`) the levels' layers are
bare linear ones; mmsegmentation's are units with batch norm and ReLU (`variant="units"`).
"""

from __future__ import annotations

from typing import Literal, Optional, Sequence

from mxnet.gluon import nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Head, Segmentor
from mxnetseg.nn.initial import draw_as_pytorch
from mxnetseg.nn.layers import ConvUnit, Dropped, classifier, dropout_layer
from mxnetseg.nn.resize import resize_like

FORMS = {
    "paper": {},
    "mmseg": {"variant": "units", "width": 256},
    "transformers": {
        "dropped": "elements",
        "backbone_options": {"epsilon": 1e-5, "inner_epsilon": 1e-5},
    },
}
Variant = Literal["paper", "units"]
# The paper's heads are wider on its larger transformers.
WIDTHS = {"mit_b2": 768, "mit_b3": 768, "mit_b4": 768, "mit_b5": 768}


class PointwiseHead(Head):
    """Logits at c1's size."""

    def __init__(
        self, channels: Sequence[int], nclass: int, width: int, variant: Variant, dropped: Dropped
    ) -> None:
        super().__init__()
        self.levels = nn.HybridSequential()
        for n in channels:
            unit = variant == "units"
            self.levels.add(ConvUnit(n, width, 1) if unit else nn.Conv2D(width, 1, in_channels=n))
        self.fuse = ConvUnit(width * len(channels), width, 1)
        self.drop = dropout_layer(0.1, dropped)
        self.classifier = classifier(width, nclass)
        if variant == "paper":
            draw_as_pytorch(self.levels, self.classifier)

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
def segformer(
    nclass: int,
    backbone: Backbone,
    width: Optional[int] = None,
    variant: Variant = "paper",
    dropped: Dropped = "channels",
) -> Segmentor:
    """`width`: channels of the head; None is 768 from mit_b2 on, else 256. `variant`: see above. `dropped`:
    what dropout drops."""
    width = width or WIDTHS.get(backbone.registered_name, 256)
    head = PointwiseHead(backbone.channels, nclass, width, variant, dropped)
    return Segmentor(backbone, head, align_corners=False)
