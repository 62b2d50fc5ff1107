"""EPRNet: Efficient Pyramid Representation Network for Real-Time Street Scene Segmentation (Tang et al.,
T-ITS 2021).

All the work is in its backbone (`backbones/eprnet.py`: `eprnet`, `eprnet_light`); the head is one 3x3
unit with a PReLU and a classifier.
"""

from __future__ import annotations

from mxnet.gluon import nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Head, Segmentor
from mxnetseg.nn.layers import classifier
from mxnetseg.nn.prelu import PReLUUnit

FORMS = {"paper": {}, "mxnetseg": {}}


class EPRNetHead(Head):
    """Classifier on the deepest map."""

    def __init__(self, in_channels: int, nclass: int, width: int, dropout: float) -> None:
        super().__init__()
        self.unit = PReLUUnit(in_channels, width)
        self.drop = nn.Dropout(dropout)
        self.classifier = classifier(width, nclass)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        return self.classifier(self.drop(self.unit(c4)))


@MODELS.register(
    "eprnet",
    forms=FORMS,
    paper="EPRNet: Efficient Pyramid Representation Network for Real-Time Street Scene Segmentation",
    venue="T-ITS 2021",
    year=2021,
    link="https://doi.org/10.1109/TITS.2021.3066401",
    backbone="eprnet",
    output_stride=8,
    scores=[("Cityscapes test", "fine labels only", 73.9, "the paper")],
)
def eprnet(nclass: int, backbone: Backbone, width: int = 128, dropout: float = 0.0) -> Segmentor:
    """`width`: channels of the 3x3 unit; `dropout`: rate before the classifier."""
    return Segmentor(backbone, EPRNetHead(backbone.channels[-1], nclass, width, dropout))
