"""CGNet: A Light-weight Context Guided Network for Semantic Segmentation (Wu et al., TIP 2021,
arXiv 1811.08201).

All the work is in its trunk (`backbones/cgnet.py`, half a million parameters); the head is a bare classifier.
"""

from __future__ import annotations

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Head, Segmentor, aux_on_c3
from mxnetseg.nn.layers import FCNHead

FORMS = {"paper": {}, "mmseg": {}}


class CGNetHead(Head):
    """Classifier on the last map."""

    def __init__(self, in_channels: int, nclass: int) -> None:
        super().__init__()
        self.classifier = FCNHead(in_channels, nclass, in_channels, units=0, dropout=0.0)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        return self.classifier(c4)


@MODELS.register(
    "cgnet",
    forms=FORMS,
    paper="CGNet: A Light-weight Context Guided Network for Semantic Segmentation",
    venue="TIP 2021",
    year=2021,
    link="https://arxiv.org/abs/1811.08201",
    backbone="cgnet",
    output_stride=8,
    scores=[
        ("Cityscapes val", "512x1024, 60k, batch 32", 68.27, "mmsegmentation"),
        ("Cityscapes val", "680x680, 60k, batch 16", 65.63, "mmsegmentation"),
    ],
)
def cgnet(nclass: int, backbone: Backbone, aux: bool = False, align_corners: bool = False) -> Segmentor:
    """`aux`: a plain head on c3."""
    head = CGNetHead(backbone.channels[3], nclass)
    return Segmentor(backbone, head, aux_on_c3(backbone, nclass) if aux else (), align_corners=align_corners)
