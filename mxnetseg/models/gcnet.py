"""GCNet: Non-local Networks Meet Squeeze-Excitation Networks and Beyond (Cao et al., ICCVW 2019,
arXiv 1904.11492).

One context vector for the whole map, an attention-weighted mean of its positions, goes through a small
bottleneck and is added everywhere.
"""

from __future__ import annotations

from typing import Optional, Sequence

import mxnet as mx
from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Head, Segmentor, aux_on_c3
from mxnetseg.nn.attention import positions
from mxnetseg.nn.context_head import ContextHead
from mxnetseg.nn.initial import FAN_IN, draw_as_pytorch

FORMS = {"paper": {}, "mmseg": {"backbone": "resnet101_v1c", "align_corners": False}}


class GlobalContext(HybridBlock):
    """`x + transform(weighted mean of x)`; the bottleneck is a quarter of the channels, layer-normalized. At
    the start nothing is added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 4
        self.mask = nn.Conv2D(1, 1, in_channels=channels, weight_initializer=FAN_IN)
        self.squeeze = nn.Conv2D(inner, 1, in_channels=channels)
        self.norm = nn.LayerNorm(axis=1, epsilon=1e-5, in_channels=inner)
        self.expand = nn.Conv2D(channels, 1, in_channels=inner, weight_initializer=mx.init.Zero())
        draw_as_pytorch(self.squeeze)

    def hybrid_forward(self, F, x):
        weights = F.softmax(positions(F, self.mask(x)), axis=-1)
        context = F.batch_dot(positions(F, x), weights, transpose_b=True)
        context = self.squeeze(F.expand_dims(context, axis=3))
        context = self.expand(F.relu(self.norm(context)))
        return F.broadcast_add(x, context)


class GCNetHead(Head):
    """A global context block between two units on c4: `(N, c4, h, w)` to `(N, nclass, h, w)`."""

    def __init__(self, channels: Sequence[int], nclass: int, width: int) -> None:
        super().__init__()
        self.context = ContextHead(channels[-1], nclass, width, GlobalContext(width))

    def hybrid_forward(self, F, c1, c2, c3, c4):
        return self.context(c4)


@MODELS.register(
    "gcnet",
    forms=FORMS,
    paper="GCNet: Non-local Networks Meet Squeeze-Excitation Networks and Beyond",
    venue="ICCVW 2019",
    year=2019,
    link="https://arxiv.org/abs/1904.11492",
    backbone="resnet101",
    output_stride=8,
    scores=[
        ("Cityscapes val", "resnet101, 512x1024, 80k", 79.03, "mmsegmentation"),
        ("Cityscapes val", "resnet50, 512x1024, 80k", 78.48, "mmsegmentation"),
        ("ADE20K val", "resnet101, 512x512, 160k", 43.69, "mmsegmentation"),
    ],
)
def gcnet(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    width: Optional[int] = None,
    aux_width: Optional[int] = None,
    align_corners: bool = True,
) -> Segmentor:
    """`width`, `aux_width`: by default a quarter of c4 and c3."""
    head = GCNetHead(backbone.channels, nclass, width or backbone.channels[-1] // 4)
    return Segmentor(
        backbone, head, aux_on_c3(backbone, nclass, aux_width) if aux else (), align_corners=align_corners
    )
