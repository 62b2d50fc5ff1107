"""TopFormer: Token Pyramid Transformer for Mobile Semantic Segmentation (Zhang et al., CVPR 2022,
arXiv 2204.05525).

The work is in its backbone (`backbones/topformer.py`), whose maps at strides 8, 16, 32 hold tokens of all
levels and have one width; the head adds them up and classifies.
"""

from __future__ import annotations

from typing import Optional

from mxnetseg.backbones.base import Backbone
from mxnetseg.errors import ConfigError
from mxnetseg.models.base import MODELS, Head, Segmentor
from mxnetseg.nn.layers import ConvUnit, classifier, dropout_layer
from mxnetseg.nn.resize import resize_like


class TopFormerHead(Head):
    """Logits at c2's size; c1 is not read."""

    def __init__(self, channels: int, nclass: int, depthwise: bool) -> None:
        super().__init__()
        self.fuse = ConvUnit(channels, channels, 1, groups=channels if depthwise else 1)
        self.drop = dropout_layer(0.1)
        self.classifier = classifier(channels, nclass)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        x = c2 + resize_like(F, c3, c2, align_corners=False) + resize_like(F, c4, c2, align_corners=False)
        return self.classifier(self.drop(self.fuse(x)))


@MODELS.register(
    "topformer",
    paper="TopFormer: Token Pyramid Transformer for Mobile Semantic Segmentation",
    venue="CVPR 2022",
    year=2022,
    link="https://arxiv.org/abs/2204.05525",
    backbone="topformer_tiny",
    output_stride=32,
    scores=[
        ("ADE20K val", "topformer_tiny, 512x512, 160k, batch 16", 33.6, "the authors"),
        ("ADE20K val", "topformer_small, 512x512, 160k, batch 16", 36.5, "the authors"),
        ("ADE20K val", "topformer_base, 512x512, 160k, batch 16", 38.3, "the authors"),
    ],
)
def topformer(nclass: int, backbone: Backbone, depthwise: Optional[bool] = None) -> Segmentor:
    """`depthwise`: whether the head's unit keeps channels apart; None is what was published with the
    backbone (the tiny one alone does)."""
    width, *others = backbone.channels[1:]
    if others != [width, width]:
        raise ConfigError(
            "model 'topformer' adds maps of one width, and those of backbone "
            f"{backbone.registered_name!r} have {', '.join(map(str, backbone.channels[1:]))} channels; "
            "topformer_tiny, topformer_small and topformer_base are its own"
        )
    if depthwise is None:
        depthwise = backbone.registered_name == "topformer_tiny"
    return Segmentor(backbone, TopFormerHead(width, nclass, depthwise), align_corners=False)
