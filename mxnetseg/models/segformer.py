"""SegFormer: Simple and Efficient Design for Semantic Segmentation with Transformers (Xie et al.,
NeurIPS 2021, arXiv 2105.15203).

Mix transformers (`mit_b0` to `mit_b5`) with a head of pointwise layers only: every level is brought to
the same channels and to stride 4, and all are fused. In the paper (`variant="paper"`) the levels' layers are
bare linear ones; mmsegmentation's are units with batch norm and ReLU (`variant="units"`);
segmentation_models.pytorch's are linear, too, and take in a map at stride 2 of backbones that have one
(`variant="smp"`).
"""

from __future__ import annotations

from typing import Literal, Optional, Sequence

from mxnet.gluon import nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Head, Segmentor
from mxnetseg.nn.initial import XAVIER, draw_as_pytorch
from mxnetseg.nn.layers import ConvUnit, Dropped, classifier, dropout_layer
from mxnetseg.nn.resize import resize_like

FORMS = {
    "paper": {},
    "mmseg": {"variant": "units", "width": 256},
    "transformers": {
        "dropped": "elements",
        "backbone_options": {"epsilon": 1e-5, "inner_epsilon": 1e-5},
    },
    "smp": {
        "backbone_options": {"inner_epsilon": 1e-5},
        "c0": True,
        "variant": "smp",
        "width": 256,
        "end_corners": True,
        "drawn": "smp",
    },
}
Variant = Literal["paper", "units", "smp"]
# The paper's heads are wider on its larger transformers.
WIDTHS = {"mit_b2": 768, "mit_b3": 768, "mit_b4": 768, "mit_b5": 768}


class PointwiseHead(Head):
    """Four levels, or five with c0, to logits at c1's size."""

    def __init__(
        self, channels: Sequence[int], nclass: int, width: int, variant: Variant, dropped: Dropped
    ) -> None:
        super().__init__()
        self.levels = nn.HybridSequential()
        for n in channels:
            linear = XAVIER if variant == "smp" else None
            self.levels.add(
                ConvUnit(n, width, 1)
                if variant == "units"
                else nn.Conv2D(width, 1, in_channels=n, weight_initializer=linear)
            )
        self.fuse = ConvUnit(width * len(channels), width, 1)
        self.drop = dropout_layer(0.0 if variant == "smp" else 0.1, dropped)
        self.classifier = classifier(width, nclass)
        if variant == "paper":
            draw_as_pytorch(self.levels, self.classifier)

    def hybrid_forward(self, F, *features):
        maps = [level(x) for level, x in zip(self.levels, features)]
        at = len(maps) - 4  # c1
        like = maps[at]
        maps = [x if i == at else resize_like(F, x, like, align_corners=False) for i, x in enumerate(maps)]
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
    end_corners: bool = False,
) -> Segmentor:
    """`width`: channels of the head; None is 768 from mit_b2 on, else 256. `variant`: see above. `dropped`:
    what dropout drops. `end_corners`: whether the resizing to the image aligns corners."""
    width = width or WIDTHS.get(backbone.registered_name, 256)
    head = PointwiseHead(backbone.channels, nclass, width, variant, dropped)
    return Segmentor(backbone, head, align_corners=end_corners)
