"""AttaNet: Attention-Augmented Network for Fast and Accurate Scene Parsing (Song et al., AAAI 2021,
arXiv 2103.05930).

Attention fusion weighs the deepest map against the one before it, channel by channel; strip attention
then lets every pixel attend to the columns of the image, each squeezed to its mean over the height, which
makes the affinity `HW x W` instead of `HW x HW`. The authors enlarge by nearest pixels and classify at the
size of c2; MXNetSeg (`variant="mxnetseg"`) is bilinear, classifies at the size of c3 and supervises c3 alone.
"""

from __future__ import annotations

from typing import Callable, Literal, Sequence

from mxnet.gluon import HybridBlock

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Aux, Head, Segmentor, aux_on_c3
from mxnetseg.nn.layers import ConvUnit, FCNHead
from mxnetseg.nn.pool import adaptive_avg_pool
from mxnetseg.nn.resize import nearest_like, resize_like

Variant = Literal["paper", "mxnetseg"]
FORMS = {"paper": {}, "mxnetseg": {"variant": "mxnetseg"}}


class AttentionFusion(HybridBlock):
    """`(high, low)` to a map of `width` channels at low's size, and to the share that high has in it."""

    def __init__(self, high_channels: int, low_channels: int, width: int, resize: Callable) -> None:
        super().__init__()
        self._resize = resize
        self.reduce_high = ConvUnit(high_channels, width)
        self.reduce_low = ConvUnit(low_channels, width)
        self.squeeze = ConvUnit(high_channels + width, width, 1)
        self.weigh = ConvUnit(width, width, 1, act="sigmoid")

    def hybrid_forward(self, F, high, low):
        low = self.reduce_low(low)
        both = F.concat(self._resize(F, high, low), low, dim=1)
        weight = self.weigh(adaptive_avg_pool(F, self.squeeze(both), 1))
        high = self._resize(F, F.broadcast_mul(self.reduce_high(high), weight), low)
        return high + F.broadcast_mul(low, 1 - weight), high


class StripAttention(HybridBlock):
    """`(N, C, H, W)` to the same: each pixel adds what it reads from the mean pixels of the columns."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = ConvUnit(channels, channels // 2, 1)
        self.key = ConvUnit(channels, channels // 2, 1)
        self.value = ConvUnit(channels, channels, 1)

    def hybrid_forward(self, F, x):
        query = F.reshape(self.query(x), (0, 0, -1))
        key, value = F.mean(self.key(x), axis=2), F.mean(self.value(x), axis=2)
        affinity = F.softmax(F.batch_dot(query, key, transpose_a=True), axis=-1)
        return F.reshape_like(F.batch_dot(value, affinity, transpose_b=True), x) + x


class AttaNetHead(Head):
    """c3 and c4 fused, strip attention, a unit at the size of c2, classifier: logits, then c4's share in the
    fusion. MXNetSeg classifies at the size of c3."""

    def __init__(self, channels: Sequence[int], nclass: int, width: int, variant: Variant) -> None:
        super().__init__()
        paper = variant == "paper"
        self.fusion = AttentionFusion(channels[3], channels[2], width, nearest_like if paper else resize_like)
        self.refine = ConvUnit(width, width)
        self.strip = StripAttention(width)
        self.finer = ConvUnit(width, width) if paper else None
        self.classifier = _classifier(width, nclass, width, variant)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        fused, share = self.fusion(c4, c3)
        x = self.strip(self.refine(fused))
        if self.finer is not None:
            x = self.finer(nearest_like(F, x, c2))
        return self.classifier(x), share


def _classifier(in_channels, nclass, width, variant):
    if variant == "paper":
        return FCNHead(in_channels, nclass, width, dropout=0.0, classifier_bias=False)
    return FCNHead(in_channels, nclass, width, dropped="elements")


@MODELS.register(
    "attanet",
    forms=FORMS,
    paper="AttaNet: Attention-Augmented Network for Fast and Accurate Scene Parsing",
    venue="AAAI 2021",
    year=2021,
    link="https://arxiv.org/abs/2103.05930",
    backbone="resnet18",
    output_stride=32,
    scores=[
        ("Cityscapes test", "the model of 71 FPS on GTX 1080 Ti", 79.9, "the authors"),
        ("Cityscapes test", "the model of 130 FPS", 78.5, "the authors"),
        ("Cityscapes test", "the model of 180 FPS", 70.1, "the authors"),
    ],
)
def attanet(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    width: int = 128,
    variant: Variant = "paper",
) -> Segmentor:
    """`width`: channels of the head. `variant`: see the module. `aux`: heads on c4's share in the fusion and
    on c2, or MXNetSeg's on c3."""
    head = AttaNetHead(backbone.channels, nclass, width, variant)
    if variant == "paper":
        supervised = [
            Aux(_classifier(width, nclass, width // 2, variant), "head", 1),
            Aux(_classifier(backbone.channels[1], nclass, width // 2, variant), "backbone", 1),
        ]
    else:
        supervised = aux_on_c3(backbone, nclass, dropped="elements")
    return Segmentor(backbone, head, supervised if aux else ())
