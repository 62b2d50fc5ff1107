"""AttaNet: Attention-Augmented Network for Fast and Accurate Scene Parsing (Song et al., AAAI 2021,
arXiv 2103.05930).

Attention fusion weighs the deepest map against the one before it, channel by channel; strip attention
then lets every pixel attend to the columns of the image, each squeezed to its mean over the height, which
makes the affinity `HW x W` instead of `HW x HW`.
"""

from __future__ import annotations

from mxnet.gluon import HybridBlock

from mxnetseg.models.base import MODELS, Head, Segmentor, aux_on_c3
from mxnetseg.nn.layers import ConvUnit, FCNHead
from mxnetseg.nn.pool import adaptive_avg_pool
from mxnetseg.nn.resize import resize_like


class AttentionFusion(HybridBlock):
    """`(high, low)` to a map of `width` channels at low's size."""

    def __init__(self, high_channels, low_channels, width):
        super().__init__()
        self.reduce_high = ConvUnit(high_channels, width)
        self.reduce_low = ConvUnit(low_channels, width)
        self.squeeze = ConvUnit(high_channels + width, width, 1)
        self.weigh = ConvUnit(width, width, 1, act="sigmoid")

    def hybrid_forward(self, F, high, low):
        low = self.reduce_low(low)
        both = F.concat(resize_like(F, high, low), low, dim=1)
        weight = self.weigh(adaptive_avg_pool(F, self.squeeze(both), 1))
        high = resize_like(F, F.broadcast_mul(self.reduce_high(high), weight), low)
        return high + F.broadcast_mul(low, 1 - weight)


class StripAttention(HybridBlock):
    """`(N, C, H, W)` to the same: each pixel adds what it reads from the mean pixels of the columns."""

    def __init__(self, channels):
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
    """c3 and c4 fused, strip attention, classifier at c3's size."""

    def __init__(self, channels, nclass, width):
        super().__init__()
        self.fusion = AttentionFusion(channels[3], channels[2], width)
        self.refine = ConvUnit(width, width)
        self.strip = StripAttention(width)
        self.classifier = FCNHead(width, nclass, width)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        return self.classifier(self.strip(self.refine(self.fusion(c4, c3))))


@MODELS.register(
    "attanet",
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
def attanet(nclass, backbone, aux=True, width=128):
    """`width`: channels of the head."""
    head = AttaNetHead(backbone.channels, nclass, width)
    return Segmentor(backbone, head, aux_on_c3(backbone, nclass) if aux else ())
