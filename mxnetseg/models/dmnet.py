"""DMNet: Dynamic Multi-Scale Filters for Semantic Segmentation (He et al., ICCV 2019).

At several sizes, a filter for every image and channel is predicted from the pooled map and run over it.
"""

from __future__ import annotations

from typing import Optional, Sequence

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Head, Segmentor, aux_on_c3
from mxnetseg.nn.initial import draw_as_pytorch
from mxnetseg.nn.layers import ConvUnit, classifier, dropout_layer
from mxnetseg.nn.pool import adaptive_avg_pool

FORMS = {"paper": {}, "mmseg": {"backbone": "resnet101_v1c", "align_corners": False}}


class DynamicFilter(HybridBlock):
    """`(N, in, H, W)` to `(N, width, H, W)`: reduced, then filtered by a predicted `size` x `size` kernel."""

    def __init__(self, in_channels: int, width: int, size: int) -> None:
        super().__init__()
        self._size = size
        self.filter = nn.Conv2D(width, 1, in_channels=in_channels)
        self.reduce = ConvUnit(in_channels, width, 1)
        self.norm = nn.BatchNorm(in_channels=width)
        draw_as_pytorch(self.filter)

    def hybrid_forward(self, F, x):
        kernel = self.filter(adaptive_avg_pool(F, x, self._size))
        return F.relu(self.norm(_filter_each(F, self.reduce(x), kernel, self._size)))


def _filter_each(F, x, kernel, size):
    """Depthwise convolution with a kernel `(N, C, size, size)` of each sample's own, zeros around."""
    # A grouped convolution would need N * C groups written into the graph; shifted copies need neither.
    around = size // 2
    padded = F.pad(x, mode="constant", pad_width=(0, 0, 0, 0, *[around] * 4)) if around else x
    total = 0
    for row in range(size):
        rows = F.slice_axis(padded, axis=2, begin=row, end=row - size + 1 or None)
        weights = F.slice_axis(kernel, axis=2, begin=row, end=row + 1)
        for column in range(size):
            shifted = F.slice_axis(rows, axis=3, begin=column, end=column - size + 1 or None)
            weight = F.slice_axis(weights, axis=3, begin=column, end=column + 1)
            total = total + F.broadcast_mul(shifted, weight)
    return total


class DMHead(Head):
    """c4 beside its filtered forms, classified: `(N, c4, h, w)` to `(N, nclass, h, w)`."""

    def __init__(self, channels: Sequence[int], nclass: int, width: int, sizes: Sequence[int]) -> None:
        super().__init__()
        self.filters = nn.HybridSequential()
        for size in sizes:
            self.filters.add(DynamicFilter(channels[-1], width, size))
        self.fuse = ConvUnit(channels[-1] + width * len(sizes), width)
        self.drop = dropout_layer(0.1)
        self.classifier = classifier(width, nclass)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        x = self.fuse(F.concat(c4, *[filtered(c4) for filtered in self.filters], dim=1))
        return self.classifier(self.drop(x))


@MODELS.register(
    "dmnet",
    forms=FORMS,
    paper="Dynamic Multi-Scale Filters for Semantic Segmentation",
    venue="ICCV 2019",
    year=2019,
    link="https://openaccess.thecvf.com/content_ICCV_2019/html/"
    "He_Dynamic_Multi-Scale_Filters_for_Semantic_Segmentation_ICCV_2019_paper.html",
    backbone="resnet101",
    output_stride=8,
    scores=[
        ("Cityscapes val", "resnet101, 512x1024, 80k", 79.64, "mmsegmentation"),
        ("Cityscapes val", "resnet50, 512x1024, 80k", 79.07, "mmsegmentation"),
        ("ADE20K val", "resnet101, 512x512, 160k", 45.42, "mmsegmentation"),
    ],
)
def dmnet(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    width: Optional[int] = None,
    sizes: Sequence[int] = (1, 3, 5, 7),
    aux_width: Optional[int] = None,
    align_corners: bool = True,
) -> Segmentor:
    """`width`, `aux_width`: by default a quarter of c4 and c3. `sizes`: sides of the filters, odd."""
    head = DMHead(backbone.channels, nclass, width or backbone.channels[-1] // 4, tuple(sizes))
    return Segmentor(
        backbone, head, aux_on_c3(backbone, nclass, aux_width) if aux else (), align_corners=align_corners
    )
