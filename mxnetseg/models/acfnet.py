"""ACFNet: Attentional Class Feature Network for Semantic Segmentation (Zhang et al., ICCV 2019,
arXiv 1909.09408).

A coarse segmentation of the image says which pixels make up each class; the mean feature of those is the
class's centre, and every pixel reads the centres back in proportion to its own coarse scores. What it
reads is joined with the ASPP map that both started from.

MXNetSeg's network attends over channels instead (`attention="channels"`): it has no class centres.
"""

from __future__ import annotations

from typing import Literal, Sequence

from mxnet.gluon import HybridBlock

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Aux, Head, Segmentor, aux_on_c3
from mxnetseg.nn.aspp import ASPP
from mxnetseg.nn.layers import ConvUnit, Dropped, FCNHead, Identity

FORMS = {"paper": {}, "mxnetseg": {"attention": "channels", "dropped": "elements"}}


class ClassFeature(HybridBlock):
    """`(map (N, C, H, W), coarse scores (N, K, H, W))` to the class feature of each pixel, `(N, C, H, W)`."""

    def __init__(self, channels: int, attention: str) -> None:
        super().__init__()
        self._attention = attention
        self.reduce = ConvUnit(channels, channels, 1)
        self.refine = ConvUnit(channels, channels, 1)

    def hybrid_forward(self, F, x, coarse):
        x = self.reduce(x)
        pixels = F.reshape(x, (0, 0, -1))
        scores = F.reshape(coarse, (0, 0, -1))
        if self._attention == "classes":
            belongs = F.softmax(scores, axis=1)
            sums = F.sum(belongs, axis=2, keepdims=True)
            centres = F.broadcast_div(F.batch_dot(belongs, pixels, transpose_b=True), sums)
            read = F.batch_dot(centres, belongs, transpose_a=True)
        else:
            energy = F.batch_dot(scores, pixels, transpose_b=True)
            energy = F.broadcast_sub(F.max(energy, axis=-1, keepdims=True), energy)
            read = F.batch_dot(F.softmax(energy), scores, transpose_a=True)
        return self.refine(F.reshape_like(read, x))


class ACFNetHead(Head):
    """ASPP, coarse and fine classifier: logits, then the coarse logits, which are supervised."""

    def __init__(
        self,
        in_channels: int,
        nclass: int,
        width: int,
        rates: Sequence[int],
        attention: str,
        dropped: Dropped,
    ) -> None:
        super().__init__()
        self.aspp = ASPP(in_channels, width, rates, image_pool=False)
        self.coarse = FCNHead(width, nclass, width // 2, dropped=dropped)
        self.class_feature = ClassFeature(width, attention)
        self.classifier = FCNHead(2 * width, nclass, width // 2, dropped=dropped)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        x = self.aspp(c4)
        coarse = self.coarse(x)
        return self.classifier(F.concat(x, self.class_feature(x, coarse), dim=1)), coarse


@MODELS.register(
    "acfnet",
    forms=FORMS,
    paper="ACFNet: Attentional Class Feature Network for Semantic Segmentation",
    venue="ICCV 2019",
    year=2019,
    link="https://arxiv.org/abs/1909.09408",
    backbone="resnet101_v1s",
    output_stride=8,
    scores=[("Cityscapes test", "fine labels only", 81.85, "the paper")],
)
def acfnet(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    width: int = 512,
    rates: Sequence[int] = (12, 24, 36),
    attention: Literal["classes", "channels"] = "classes",
    dropped: Dropped = "channels",
) -> Segmentor:
    """`width`: channels of the ASPP map; `rates`: its dilations. `attention`: over `classes`, or over
    `channels` as in MXNetSeg. `aux`: supervision of the coarse logits and of a plain head on c3.
    `dropped`: what dropout drops."""
    head = ACFNetHead(backbone.channels[-1], nclass, width, tuple(rates), attention, dropped)
    supervised = [Aux(Identity(), "head", 1), *aux_on_c3(backbone, nclass, dropped=dropped)]
    return Segmentor(backbone, head, supervised if aux else ())
