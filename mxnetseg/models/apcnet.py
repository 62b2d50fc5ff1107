"""APCNet: Adaptive Pyramid Context Network (He et al., CVPR 2019).

At several grids, every position decides how much it takes from each of the grid's averages: the affinity is
predicted from the position's feature and a global one.
"""

from __future__ import annotations

from typing import Optional, Sequence

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Head, Segmentor, aux_on_c3
from mxnetseg.nn.attention import like_map, positions
from mxnetseg.nn.initial import draw_as_pytorch
from mxnetseg.nn.layers import ConvUnit, classifier, dropout_layer
from mxnetseg.nn.pool import adaptive_avg_pool

FORMS = {"paper": {}, "mmseg": {"backbone": "resnet101_v1c", "align_corners": False}}


class AdaptiveContext(HybridBlock):
    """`(N, in, H, W)` to `(N, width, H, W)` through the averages over a grid of `bins` a side."""

    def __init__(self, in_channels: int, width: int, bins: int) -> None:
        super().__init__()
        self._bins = bins
        self.reduce = ConvUnit(in_channels, width, 1)
        self.pooled = ConvUnit(in_channels, width, 1)
        self.whole = ConvUnit(width, width, 1)
        self.affinity = nn.Conv2D(bins * bins, 1, in_channels=width)
        self.residual = ConvUnit(width, width, 1)
        self.fuse = ConvUnit(width, width, 1)
        draw_as_pytorch(self.affinity)

    def hybrid_forward(self, F, x):
        pooled = positions(F, self.pooled(adaptive_avg_pool(F, x, self._bins)))
        x = self.reduce(x)
        guided = F.broadcast_add(x, self.whole(adaptive_avg_pool(F, x, 1)))
        affinity = F.sigmoid(positions(F, self.affinity(guided)))
        context = self.residual(like_map(F, F.batch_dot(pooled, affinity), x))
        return self.fuse(F.relu(context + x))


class APCHead(Head):
    """c4 beside its adaptive contexts, classified: `(N, c4, h, w)` to `(N, nclass, h, w)`."""

    def __init__(self, channels: Sequence[int], nclass: int, width: int, bins: Sequence[int]) -> None:
        super().__init__()
        self.contexts = nn.HybridSequential()
        for n in bins:
            self.contexts.add(AdaptiveContext(channels[-1], width, n))
        self.fuse = ConvUnit(channels[-1] + width * len(bins), width)
        self.drop = dropout_layer(0.1)
        self.classifier = classifier(width, nclass)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        x = self.fuse(F.concat(c4, *[context(c4) for context in self.contexts], dim=1))
        return self.classifier(self.drop(x))


@MODELS.register(
    "apcnet",
    forms=FORMS,
    paper="Adaptive Pyramid Context Network for Semantic Segmentation",
    venue="CVPR 2019",
    year=2019,
    link="https://openaccess.thecvf.com/content_CVPR_2019/html/"
    "He_Adaptive_Pyramid_Context_Network_for_Semantic_Segmentation_CVPR_2019_paper.html",
    backbone="resnet101",
    output_stride=8,
    scores=[
        ("Cityscapes val", "resnet101, 512x1024, 80k", 79.64, "mmsegmentation"),
        ("Cityscapes val", "resnet50, 512x1024, 80k", 78.96, "mmsegmentation"),
        ("ADE20K val", "resnet101, 512x512, 160k", 45.41, "mmsegmentation"),
    ],
)
def apcnet(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    width: Optional[int] = None,
    bins: Sequence[int] = (1, 2, 3, 6),
    aux_width: Optional[int] = None,
    align_corners: bool = True,
) -> Segmentor:
    """`width`, `aux_width`: by default a quarter of c4 and c3. `bins`: sides of the grids."""
    head = APCHead(backbone.channels, nclass, width or backbone.channels[-1] // 4, tuple(bins))
    return Segmentor(
        backbone, head, aux_on_c3(backbone, nclass, aux_width) if aux else (), align_corners=align_corners
    )
