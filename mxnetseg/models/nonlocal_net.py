"""Non-local Neural Networks (Wang et al., CVPR 2018, arXiv 1711.07971) as a segmentation head.

One embedded-Gaussian block on the deepest map: every position adds a weighted sum of all others. (The
model is called `nonlocal`; the file cannot be, the word is Python's.)
"""

from __future__ import annotations

from typing import Optional, Sequence

import mxnet as mx
from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Head, Segmentor, aux_on_c3
from mxnetseg.nn.attention import attend
from mxnetseg.nn.context_head import ContextHead
from mxnetseg.nn.initial import start_at_zero
from mxnetseg.nn.layers import ConvUnit

FORMS = {"paper": {}, "mmseg": {"backbone": "resnet101_v1c", "align_corners": False}}


class NonLocal(HybridBlock):
    """`x + unit(attended(x))` at half the channels inside; the unit has no activation and starts at zero."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 2
        self._scale = inner**-0.5
        narrow = mx.init.Normal(0.01)
        self.theta = nn.Conv2D(inner, 1, in_channels=channels, weight_initializer=narrow)
        self.phi = nn.Conv2D(inner, 1, in_channels=channels, weight_initializer=narrow)
        self.g = nn.Conv2D(inner, 1, in_channels=channels, weight_initializer=narrow)
        self.out = ConvUnit(inner, channels, 1, act=None)
        start_at_zero(self.out.bn)

    def hybrid_forward(self, F, x):
        return self.out(attend(F, self.theta(x), self.phi(x), self.g(x), self._scale)) + x


class NonLocalHead(Head):
    """A non-local block between two units on c4: `(N, c4, h, w)` to `(N, nclass, h, w)`."""

    def __init__(self, channels: Sequence[int], nclass: int, width: int) -> None:
        super().__init__()
        self.context = ContextHead(channels[-1], nclass, width, NonLocal(width))

    def hybrid_forward(self, F, c1, c2, c3, c4):
        return self.context(c4)


@MODELS.register(
    "nonlocal",
    forms=FORMS,
    paper="Non-local Neural Networks",
    venue="CVPR 2018",
    year=2018,
    link="https://arxiv.org/abs/1711.07971",
    backbone="resnet101",
    output_stride=8,
    scores=[
        ("Cityscapes val", "resnet101, 512x1024, 80k", 78.93, "mmsegmentation"),
        ("Cityscapes val", "resnet50, 512x1024, 80k", 78.01, "mmsegmentation"),
        ("ADE20K val", "resnet101, 512x512, 160k", 44.63, "mmsegmentation"),
    ],
)
def nonlocal_net(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    width: Optional[int] = None,
    aux_width: Optional[int] = None,
    align_corners: bool = True,
) -> Segmentor:
    """`width`, `aux_width`: by default a quarter of c4 and c3."""
    head = NonLocalHead(backbone.channels, nclass, width or backbone.channels[-1] // 4)
    return Segmentor(
        backbone, head, aux_on_c3(backbone, nclass, aux_width) if aux else (), align_corners=align_corners
    )
