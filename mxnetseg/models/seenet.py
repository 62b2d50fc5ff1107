"""SeENet: Towards Bridging Semantic Gap to Improve Semantic Segmentation (Pang et al., ICCV 2019).

Shallow maps are enriched before they are merged: a semantic enhancement module (four branches of
dilated convolutions) runs over c2, then over its output joined with c3, then over that joined with c4, its
rates growing and, at the deepest, with pairs of strip convolutions in each branch. A boundary attention
module then adds c1 where the enhanced map is unsure, which is where objects end.
"""

from __future__ import annotations

from typing import Sequence

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Head, Segmentor, aux_on_c3
from mxnetseg.nn.layers import ConvUnit, Dropped, classifier, dropout_layer
from mxnetseg.nn.resize import resize_like

FORMS = {"paper": {}, "mxnetseg": {"dropped": "elements"}}


class StripPair(HybridBlock):
    """A kernel as two chains of strips: (3 x 1 then 1 x 3) + (1 x 3 then 3 x 1), no norm between."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        tall = dict(kernel_size=(3, 1), padding=(1, 0), in_channels=channels)
        wide = dict(kernel_size=(1, 3), padding=(0, 1), in_channels=channels)
        self.left, self.right = nn.HybridSequential(), nn.HybridSequential()
        self.left.add(nn.Conv2D(channels, **tall), nn.Conv2D(channels, **wide))
        self.right.add(nn.Conv2D(channels, **wide), nn.Conv2D(channels, **tall))

    def hybrid_forward(self, F, x):
        return self.left(x) + self.right(x)


class SemanticEnhancement(HybridBlock):
    """`(N, in, H, W)` to `(N, width, H, W)`: the input joined with four dilated branches, projected."""

    def __init__(self, in_channels: int, width: int, rates: Sequence[int], strips: bool) -> None:
        super().__init__()
        self.branches = nn.HybridSequential()
        for rate in rates:
            branch = nn.HybridSequential()
            branch.add(ConvUnit(in_channels, width, 1))
            if strips:
                branch.add(StripPair(width))
            branch.add(ConvUnit(width, width, dilation=rate))
            self.branches.add(branch)
        self.project = ConvUnit(in_channels + len(rates) * width, width, 1)

    def hybrid_forward(self, F, x):
        return self.project(F.concat(x, *[branch(x) for branch in self.branches], dim=1))


class BoundaryAttention(HybridBlock):
    """`(high, low)` of one size to a map of `width` channels: low enters where high is unsure."""

    def __init__(self, low_channels: int, width: int) -> None:
        super().__init__()
        self.score = ConvUnit(width, low_channels, 1, act="sigmoid")
        self.reduce = ConvUnit(low_channels, width, 1)
        self.refine = ConvUnit(width, width)
        self.fuse = ConvUnit(width, width)

    def hybrid_forward(self, F, high, low):
        low = low * (1 - self.score(high))
        return self.fuse(high + self.refine(self.reduce(low)))


class SeENetHead(Head):
    """Enhancement from c2 to c4, then boundary attention with c1."""

    def __init__(self, channels: Sequence[int], nclass: int, width: int, dropped: Dropped) -> None:
        super().__init__()
        n1, n2, n3, n4 = channels
        self.enhance2 = SemanticEnhancement(n2, width, (1, 2, 4, 8), strips=False)
        self.enhance3 = SemanticEnhancement(width + n3, width, (3, 6, 9, 12), strips=False)
        self.enhance4 = SemanticEnhancement(width + n4, width, (7, 13, 19, 25), strips=True)
        self.boundary = BoundaryAttention(n1, width)
        self.drop = dropout_layer(0.1, dropped)
        self.classifier = classifier(width, nclass)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        x = self.enhance2(c2)
        x = self.enhance3(F.concat(resize_like(F, x, c3), c3, dim=1))
        x = self.enhance4(F.concat(resize_like(F, x, c4), c4, dim=1))
        x = self.boundary(resize_like(F, x, c1), c1)
        return self.classifier(self.drop(x))


@MODELS.register(
    "seenet",
    forms=FORMS,
    paper="Towards Bridging Semantic Gap to Improve Semantic Segmentation",
    venue="ICCV 2019",
    year=2019,
    link="https://doi.org/10.1109/ICCV.2019.00433",
    backbone="resnet101_v1s",
    output_stride=8,
    scores=[],
)
def seenet(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    width: int = 128,
    dropped: Dropped = "channels",
) -> Segmentor:
    """`width`: channels of the enhanced maps. `dropped`: what dropout drops."""
    head = SeENetHead(backbone.channels, nclass, width, dropped)
    return Segmentor(backbone, head, aux_on_c3(backbone, nclass, dropped=dropped) if aux else ())
