"""PAN: Pyramid Attention Network for Semantic Segmentation (Li et al., BMVC 2018, arXiv 1805.10180).

The deepest map is multiplied by a map of one channel that a small pyramid of it gives (feature pyramid
attention); on its way up, its averages weigh the channels of the finer maps, which are added (global
attention upsample). The pyramid is halved by strides here; segmentation_models.pytorch pools (`smp`), which
needs a deepest map of eight pixels a side.
"""

from __future__ import annotations

from typing import Sequence

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Head, Segmentor
from mxnetseg.nn.initial import FAN_IN_UNIFORM, draw
from mxnetseg.nn.layers import ConvUnit
from mxnetseg.nn.pool import adaptive_avg_pool
from mxnetseg.nn.resize import resize_like
from mxnetseg.nn.upward import drawn_classifier

FORMS = {
    "paper": {},
    "smp": {"backbone": "resnet34", "backbone_options": {"dilation": "everywhere"}, "pooled": True},
}
KERNELS = (7, 5, 3)


class PyramidAttention(HybridBlock):
    """`(N, in, H, W)` to `(N, width, H, W)`. `pooled`: whether the pyramid is halved by max pooling, which
    rounds down, or by the strides of its convolutions."""

    def __init__(self, in_channels: int, width: int, pooled: bool) -> None:
        super().__init__()
        self._pooled = pooled
        self.mean = ConvUnit(in_channels, width, 1, bias=True)
        self.middle = ConvUnit(in_channels, width, 1, bias=True)
        self.down, self.across = nn.HybridSequential(), nn.HybridSequential()
        for index, kernel in enumerate(KERNELS):
            before = 1 if index else in_channels
            self.down.add(
                ConvUnit(before, 1, kernel, strides=1 if pooled else 2, padding=kernel // 2, bias=True)
            )
            self.across.add(ConvUnit(1, 1, kernel, bias=True))

    def hybrid_forward(self, F, x):
        levels, y = [], x
        for down, across in zip(self.down, self.across):
            if self._pooled:
                y = F.Pooling(y, kernel=(2, 2), stride=(2, 2), pool_type="max")
            y = down(y)
            levels.append(across(y))
        total = levels.pop()
        for level in reversed(levels):
            total = resize_like(F, total, level) + level
        mean = resize_like(F, self.mean(adaptive_avg_pool(F, x, 1)), x)
        return F.broadcast_mul(self.middle(x), resize_like(F, total, x)) + mean


class AttentionUpsample(HybridBlock):
    """`(deep, fine)` at the size of `fine`: deep enlarged plus fine, weighed by averages of deep."""

    def __init__(self, fine_channels: int, width: int) -> None:
        super().__init__()
        self.gate = ConvUnit(width, width, 1, bias=True, act="sigmoid")
        self.fine = ConvUnit(fine_channels, width, bias=True)

    def hybrid_forward(self, F, deep, fine):
        gate = self.gate(adaptive_avg_pool(F, deep, 1))
        return resize_like(F, deep, fine) + F.broadcast_mul(self.fine(fine), gate)


class PANHead(Head):
    """Four maps to logits at the size of c1."""

    def __init__(self, channels: Sequence[int], nclass: int, width: int, pooled: bool) -> None:
        super().__init__()
        *finer, deepest = channels
        self.attention = PyramidAttention(deepest, width, pooled)
        self.ups = nn.HybridSequential()
        for n in finer:
            self.ups.add(AttentionUpsample(n, width))
        self.classifier = drawn_classifier(width, nclass)
        draw(self.attention, FAN_IN_UNIFORM)
        draw(self.ups, FAN_IN_UNIFORM)

    def hybrid_forward(self, F, *features):
        *finer, deepest = features
        x = self.attention(deepest)
        for up, fine in reversed(list(zip(self.ups, finer))):
            x = up(x, fine)
        return self.classifier(x)


@MODELS.register(
    "pan",
    forms=FORMS,
    paper="Pyramid Attention Network for Semantic Segmentation",
    venue="BMVC 2018",
    year=2018,
    link="https://arxiv.org/abs/1805.10180",
    backbone="resnet101",
    output_stride=16,
)
def pan(nclass: int, backbone: Backbone, width: int = 32, pooled: bool = False) -> Segmentor:
    """`width`: channels of all maps of the head. `pooled`: see the module."""
    if pooled:
        # The pyramid's last map holds a pixel.
        backbone.trace_size = max(backbone.trace_size, 8 * backbone.strides[-1])
    return Segmentor(backbone, PANHead(backbone.channels, nclass, width, pooled))
