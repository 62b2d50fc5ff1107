"""EDANet: Efficient Dense Modules of Asymmetric Convolution for Real-Time Semantic Segmentation (Lo et al.,
ACM MM Asia 2019, arXiv 1809.06323).

All the work is in its trunk (`backbones/edanet.py`); a classifier on its last map, at stride 8, no decoder.
"""

from __future__ import annotations

from mxnet.gluon import nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Head, Segmentor
from mxnetseg.nn.initial import draw_as_pytorch


class EDANetHead(Head):
    """Classifier on c4."""

    def __init__(self, in_channels: int, nclass: int) -> None:
        super().__init__()
        self.classifier = nn.Conv2D(nclass, 1, in_channels=in_channels)
        draw_as_pytorch(self.classifier)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        return self.classifier(c4)


@MODELS.register(
    "edanet",
    paper="Efficient Dense Modules of Asymmetric Convolution for Real-Time Semantic Segmentation",
    venue="ACM MM Asia 2019",
    year=2019,
    link="https://arxiv.org/abs/1809.06323",
    backbone="edanet",
    output_stride=8,
    scores=[("Cityscapes test", "512x1024, from scratch", 67.3, "the paper")],
)
def edanet(nclass: int, backbone: Backbone, align_corners: bool = False) -> Segmentor:
    head = EDANetHead(backbone.channels[3], nclass)
    return Segmentor(backbone, head, align_corners=align_corners)
