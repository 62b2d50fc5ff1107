"""DNLNet: Disentangled Non-Local Neural Networks (Yin et al., ECCV 2020, arXiv 2006.06668).

A non-local block whose attention is split in two: a pairwise part on whitened queries and keys (their
means over positions taken away) and a unary part, one weight a position, the same for every query.
"""

from __future__ import annotations

from typing import Optional, Sequence

import mxnet as mx
from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Head, Segmentor, aux_on_c3
from mxnetseg.nn.attention import attend, positions
from mxnetseg.nn.context_head import ContextHead
from mxnetseg.nn.initial import draw_as_pytorch, start_at_zero
from mxnetseg.nn.layers import ConvUnit

# How mmcv draws queries, keys and values.
NARROW = mx.init.Normal(0.01)
FORMS = {"paper": {}, "mmseg": {"backbone": "resnet101_v1c", "align_corners": False}}


class DisentangledNonLocal(HybridBlock):
    """`x + unit(pairwise + unary)` at half the channels inside; the unit has no activation.

    `temperature` divides the pairwise scores, which are also scaled by the root of the inner channels. At
    the start nothing is added.
    """

    def __init__(self, channels: int, temperature: float = 0.05) -> None:
        super().__init__()
        inner = channels // 2
        self._scale = inner**-0.5 / temperature
        self.theta = nn.Conv2D(inner, 1, in_channels=channels, weight_initializer=NARROW)
        self.phi = nn.Conv2D(inner, 1, in_channels=channels, weight_initializer=NARROW)
        self.g = nn.Conv2D(inner, 1, in_channels=channels, weight_initializer=NARROW)
        self.unary = nn.Conv2D(1, 1, in_channels=channels)
        self.out = ConvUnit(inner, channels, 1, act=None)
        draw_as_pytorch(self.unary)
        start_at_zero(self.out.bn)

    def hybrid_forward(self, F, x):
        value = self.g(x)
        pairwise = attend(F, _whiten(F, self.theta(x)), _whiten(F, self.phi(x)), value, self._scale)
        weights = F.softmax(positions(F, self.unary(x)), axis=-1)
        unary = F.batch_dot(positions(F, value), weights, transpose_b=True)
        return self.out(F.broadcast_add(pairwise, F.expand_dims(unary, axis=3))) + x


def _whiten(F, x):
    return F.broadcast_sub(x, F.mean(x, axis=(2, 3), keepdims=True))


class DNLHead(Head):
    """A disentangled block between two units on c4: `(N, c4, h, w)` to `(N, nclass, h, w)`."""

    def __init__(self, channels: Sequence[int], nclass: int, width: int) -> None:
        super().__init__()
        self.context = ContextHead(channels[-1], nclass, width, DisentangledNonLocal(width))

    def hybrid_forward(self, F, c1, c2, c3, c4):
        return self.context(c4)


@MODELS.register(
    "dnlnet",
    forms=FORMS,
    paper="Disentangled Non-Local Neural Networks",
    venue="ECCV 2020",
    year=2020,
    link="https://arxiv.org/abs/2006.06668",
    backbone="resnet101",
    output_stride=8,
    scores=[
        ("Cityscapes val", "resnet101, 512x1024, 80k", 80.41, "mmsegmentation"),
        ("Cityscapes val", "resnet50, 512x1024, 80k", 79.33, "mmsegmentation"),
        ("ADE20K val", "resnet101, 512x512, 160k", 44.25, "mmsegmentation"),
    ],
)
def dnlnet(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    width: Optional[int] = None,
    aux_width: Optional[int] = None,
    align_corners: bool = True,
) -> Segmentor:
    """`width`, `aux_width`: by default a quarter of c4 and c3."""
    head = DNLHead(backbone.channels, nclass, width or backbone.channels[-1] // 4)
    return Segmentor(
        backbone, head, aux_on_c3(backbone, nclass, aux_width) if aux else (), align_corners=align_corners
    )
