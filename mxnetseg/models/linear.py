"""A linear head on a pretrained backbone, as DINOv2 (Oquab et al., TMLR 2024, arXiv 2304.07193) evaluates its
features: batch norm and a 1x1 classifier on the last map, or on all four joined (`maps=4`).
"""

from __future__ import annotations

from typing import Literal, Sequence

from mxnet.gluon import nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Head, Segmentor
from mxnetseg.nn.gather import gather_maps
from mxnetseg.nn.layers import classifier

FORMS = {"paper": {}, "hf": {"cut": False}}


class LinearHead(Head):
    """The last `maps` of four, joined at the size of the finest, to logits of that size."""

    def __init__(self, channels: Sequence[int], nclass: int, maps: int) -> None:
        super().__init__()
        self._maps = maps
        width = sum(channels[-maps:])
        self.bn = nn.BatchNorm(in_channels=width)
        self.classifier = classifier(width, nclass)

    def hybrid_forward(self, F, *features):
        x = gather_maps(F, features[-self._maps :], align_corners=False)
        return self.classifier(self.bn(x))


@MODELS.register(
    "linear",
    forms=FORMS,
    paper="DINOv2: Learning Robust Visual Features without Supervision",
    venue="TMLR 2024",
    year=2024,
    link="https://arxiv.org/abs/2304.07193",
    backbone="dinov2_small",
    output_stride=16,
    one_stride=True,
    scores=[
        ("ADE20K val", "dinov2_giant, linear", 49.0, "paper"),
        ("ADE20K val", "dinov2_small, linear", 44.3, "paper"),
        ("Cityscapes val", "dinov2_giant, linear", 71.3, "paper"),
    ],
)
def linear(
    nclass: int,
    backbone: Backbone,
    maps: Literal[1, 4] = 1,
    cut: bool = True,
) -> Segmentor:
    """`maps`: how many of the backbone's maps are read, the deepest first. `cut`: logits are cut to images
    whose sides are no multiples of a patch; else the padding is squeezed into them."""
    head = LinearHead(backbone.channels, nclass, maps)
    return Segmentor(backbone, head, align_corners=False, patch=None if cut else 1)
