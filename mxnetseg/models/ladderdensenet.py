"""LadderDenseNet: Ladder-style DenseNets for Semantic Segmentation of Large Natural Images (Kreso et al.,
ICCVW 2017).

A DenseNet at output stride 32 whose deepest map climbs a ladder: at each rung it is resized to the next finer
level, added to a 1x1 projection of it and blended by a 3x3 unit. The auxiliary head reads the projection of
the deepest map, before the ladder.
"""

from __future__ import annotations

from typing import Sequence

from mxnet.gluon import nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Aux, Head, Segmentor
from mxnetseg.nn.lateral import LateralFusion
from mxnetseg.nn.layers import ConvUnit, Dropped, FCNHead

FORMS = {"paper": {}, "mxnetseg": {"dropped": "elements"}}


class LadderHead(Head):
    """Logits at c1's size, then the projection of c4 that the auxiliary head taps."""

    def __init__(self, channels: Sequence[int], nclass: int, width: int, dropped: Dropped) -> None:
        super().__init__()
        *finer, deepest = channels
        self.project = ConvUnit(deepest, width, 1)
        self.rungs = nn.HybridSequential()
        for n in reversed(finer):
            self.rungs.add(LateralFusion(n, width))
        self.classifier = FCNHead(width, nclass, width, dropped=dropped)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        deepest = x = self.project(c4)
        for rung, low in zip(self.rungs, (c3, c2, c1)):
            x = rung(x, low)
        return self.classifier(x), deepest


@MODELS.register(
    "ladderdensenet",
    forms=FORMS,
    paper="Ladder-style DenseNets for Semantic Segmentation of Large Natural Images",
    venue="ICCVW 2017",
    year=2017,
    link="https://openaccess.thecvf.com/content_ICCV_2017_workshops/w3/html/"
    "Kreso_Ladder-Style_DenseNets_for_ICCV_2017_paper.html",
    backbone="densenet121",
    output_stride=32,
    scores=[],
)
def ladderdensenet(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    width: int = 128,
    dropped: Dropped = "channels",
) -> Segmentor:
    """`width`: channels of the ladder. `dropped`: what dropout drops."""
    head = LadderHead(backbone.channels, nclass, width, dropped)
    supervised = [Aux(FCNHead(width, nclass, width, dropped=dropped), "head", 1)]
    return Segmentor(backbone, head, supervised if aux else ())
