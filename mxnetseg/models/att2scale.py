"""Attention to Scale: Scale-Aware Semantic Image Segmentation (Chen et al., CVPR 2016, arXiv 1511.03339).

One network sees the image and its half-size version; an attention head reads both deepest maps and
says, pixel by pixel, how much each scale's scores count. As in the paper the scores of either scale are
supervised too.

MXNetSeg differs: it enlarges the half-size features before scoring them, has a single sigmoid for the two
weights, and supervises two more classifiers on the features (`enlarge`, `gate`, `own_aux_heads`).
"""

from __future__ import annotations

from typing import Literal

from mxnet.gluon import nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.backbones.multiscale import MultiScale
from mxnetseg.models.base import MODELS, Aux, Head, Segmentor
from mxnetseg.nn.layers import ConvUnit, Dropped, FCNHead, Identity
from mxnetseg.nn.resize import resize_like

FORMS = {
    "paper": {},
    "mxnetseg": {"gate": "sigmoid", "enlarge": "features", "own_aux_heads": True, "dropped": "elements"},
}


class AttentionToScale(Head):
    """Maps of both scales to mixed logits at the large c4's size, then the logits of either scale."""

    def __init__(
        self, in_channels: int, nclass: int, width: int, gate: str, enlarge: str, dropped: Dropped
    ) -> None:
        super().__init__()
        self._enlarge = enlarge
        self._gate = gate
        self.classifier = FCNHead(in_channels, nclass, width, dropped=dropped)
        self.attention = nn.HybridSequential()
        self.attention.add(
            ConvUnit(2 * in_channels, 512), nn.Conv2D(2 if gate == "softmax" else 1, 1, in_channels=512)
        )

    def hybrid_forward(self, F, *maps):
        large, small = maps[3], maps[7]
        enlarged = resize_like(F, small, large)
        large_scores = self.classifier(large)
        if self._enlarge == "features":
            small_scores = self.classifier(enlarged)
        else:
            small_scores = resize_like(F, self.classifier(small), large)
        attention = self.attention(F.concat(large, enlarged, dim=1))
        if self._gate == "softmax":
            large_weight, small_weight = F.split(F.softmax(attention, axis=1), num_outputs=2, axis=1)
        else:
            large_weight = F.sigmoid(attention)
            small_weight = 1 - large_weight
        mixed = F.broadcast_mul(large_scores, large_weight) + F.broadcast_mul(small_scores, small_weight)
        return mixed, large_scores, small_scores


@MODELS.register(
    "att2scale",
    forms=FORMS,
    paper="Attention to Scale: Scale-Aware Semantic Image Segmentation",
    venue="CVPR 2016",
    year=2016,
    link="https://arxiv.org/abs/1511.03339",
    backbone="resnet101_v1s",
    output_stride=8,
    scores=[("PASCAL VOC 2012 val", "resnet101, output stride 8, train_aug", 77.1, "MXNetSeg")],
)
def att2scale(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    width: int = 256,
    gate: Literal["softmax", "sigmoid"] = "softmax",
    enlarge: Literal["scores", "features"] = "scores",
    own_aux_heads: bool = False,
    dropped: Dropped = "channels",
) -> Segmentor:
    """`gate`: `softmax` over two attention maps or one `sigmoid`. `enlarge`: `scores` or `features` of the
    small scale. `aux`: supervision of either scale, by its scores or (`own_aux_heads`) by separate heads.
    `dropped`: what dropout drops."""
    channels = backbone.channels[-1]
    head = AttentionToScale(channels, nclass, width, gate, enlarge, dropped)
    supervised = [Aux(Identity(), "head", 1), Aux(Identity(), "head", 2)]
    if own_aux_heads:
        heads = [FCNHead(channels, nclass, width, kernel=1, dropped=dropped) for _ in range(2)]
        supervised = [Aux(block, "backbone", k) for block, k in zip(heads, (3, 7))]
    return Segmentor(MultiScale(backbone), head, supervised if aux else ())
