"""DDRNet: Deep Dual-resolution Networks for Real-time and Accurate Semantic Segmentation of Road Scenes
(Hong et al., arXiv 2101.06085, T-ITS 2022).

All the work is in its backbone (`backbones/ddrnet.py`); heads are a normalized 3x3 convolution and a
classifier, the auxiliary one on the detail branch after its last exchange but one with the context.

Form `mmseg` differs in where training starts: convolutions of shortcuts are drawn as PyTorch creates them.
"""

from __future__ import annotations

from typing import Optional

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Aux, Head, Segmentor
from mxnetseg.nn.initial import draw_as_pytorch
from mxnetseg.nn.preact import PreActHead
from mxnetseg.nn.residual import BasicUnit, BottleneckUnit
from mxnetseg.nn.surgery import layers

FORMS = {"paper": {}, "mmseg": {"plain_shortcuts": True}}


class DDRNetHead(Head):
    """Classifier on the last map."""

    def __init__(self, in_channels: int, nclass: int, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.classifier = PreActHead(in_channels, nclass, width, dropout)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        return self.classifier(c4)


@MODELS.register(
    "ddrnet",
    forms=FORMS,
    paper="Deep Dual-resolution Networks for Real-time and Accurate Semantic Segmentation of Road Scenes",
    venue="T-ITS 2022",
    year=2022,
    link="https://arxiv.org/abs/2101.06085",
    backbone="ddrnet23_slim",
    output_stride=8,
    scores=[
        ("Cityscapes val", "ddrnet23_slim, 1024x1024, 120k", 77.84, "mmsegmentation"),
        ("Cityscapes val", "ddrnet23, 1024x1024, 120k", 79.99, "mmsegmentation"),
    ],
)
def ddrnet(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    width: Optional[int] = None,
    align_corners: bool = False,
    plain_shortcuts: bool = False,
) -> Segmentor:
    """`width`: channels of the heads' convolutions; None is half of c4's, on ddrnet39 as many. `aux`: a head
    on c3. `plain_shortcuts`: see above."""
    if plain_shortcuts:
        units = (*layers(backbone, BasicUnit), *layers(backbone, BottleneckUnit))
        draw_as_pytorch(*(unit.down for unit in units if unit.down is not None))
    width = width or max(backbone.channels[3] // (1 if backbone.registered_name == "ddrnet39" else 2), 1)
    head = DDRNetHead(backbone.channels[3], nclass, width)
    heads = [Aux(PreActHead(backbone.channels[2], nclass, width), "backbone", 2)]
    return Segmentor(backbone, head, heads if aux else (), align_corners=align_corners)
