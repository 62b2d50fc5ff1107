"""SwiftNet: In Defense of Pre-trained ImageNet Architectures for Real-time Semantic Segmentation of
Road-driving Images (Orsic et al., CVPR 2019, arXiv 1903.08469), single scale.

An ImageNet ResNet, spatial pyramid pooling on its deepest map, and a ladder of lateral fusions up to
stride 4. As in the paper laterals carry the sums before each stage's last ReLU; in the authors' own network
that ReLU works in place, so that their checkpoints have learned from rectified laterals (backbone option
`rectified`).

Variants: `authors`, units that normalize before they convolve, 128 channels, pooling grids that follow the
aspect of the map; `mxnetseg`, units that convolve first, PSPNet's pooling grids, corner-aligned resizing.
"""

from __future__ import annotations

from typing import Literal, Sequence

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.backbones.standardize import Standardize
from mxnetseg.models.base import MODELS, Head, Segmentor, aux_on_c3
from mxnetseg.nn.grid import side, steps
from mxnetseg.nn.initial import draw_as_pytorch
from mxnetseg.nn.lateral import LateralFusion
from mxnetseg.nn.layers import ConvUnit, Dropped, FCNHead
from mxnetseg.nn.pool import bin_weights
from mxnetseg.nn.ppm import PyramidPooling
from mxnetseg.nn.preact import PreActUnit
from mxnetseg.nn.resize import resize_like

# Of Cityscapes' images, 0..255 RGB: the SwiftNet authors' networks normalize their input themselves.
AUTHORS_STATISTICS = ((73.15, 82.90, 72.3), (47.67, 48.49, 47.73))
FORMS = {
    "paper": {},
    # Their checkpoints.
    "authors": {"own_statistics": True, "backbone_options": {"rectified": True}},
    "mxnetseg": {
        "variant": "mxnetseg",
        "aux": True,
        "width": 256,
        "backbone_options": {"rectified": True},
        "dropped": "elements",
    },
}
Variant = Literal["authors", "mxnetseg"]
GRIDS = (8, 4, 2)
MOMENTUM = 0.995


class AspectPooling(HybridBlock):
    """One level of SwiftNet's pyramid: `(N, in, H, W)` to `(N, channels, H, W)`.

    Averages over `rows` x round(rows * W / H) bins (at least one column, halves to even), a unit,
    bilinear resizing back. The number of columns is a function of the input, which no MXNet operator
    has; so the pooling and the columns' interpolation are matrices made in the graph: the unit sees, for
    each column of the map, the two bins that it lies between, and their interpolation follows.
    """

    def __init__(self, in_channels: int, channels: int, rows: int) -> None:
        super().__init__()
        self._rows = rows
        self.unit = PreActUnit(in_channels, channels, 1, momentum=MOMENTUM)

    def hybrid_forward(self, F, x):
        height, width = side(F, x, 2), side(F, x, 3)
        columns = _round_half_even(F, self._rows * width / height)
        columns = F.broadcast_maximum(columns, F.ones_like(columns))
        by_rows = bin_weights(
            F,
            steps(F, x, self._rows),
            F.ones_like(height) * self._rows,
            F.contrib.arange_like(x, axis=2),
            height,
        )
        pooled_rows = F.dot(F.transpose(x, (0, 1, 3, 2)), by_rows)
        pixels = F.contrib.arange_like(x, axis=3)
        source = F.relu(F.broadcast_mul(pixels + 0.5, columns / width) - 0.5)
        left = F.floor(source)
        right = F.broadcast_minimum(left + 1, columns - 1)
        between = F.dot(
            F.transpose(pooled_rows, (0, 1, 3, 2)),
            bin_weights(F, F.concat(left, right, dim=0), columns, pixels, width),
        )
        at_left, at_right = F.split(self.unit(between), num_outputs=2, axis=3)
        share = F.reshape(source - left, (1, 1, 1, -1))
        return resize_like(F, at_left + F.broadcast_mul(at_right - at_left, share), x, align_corners=False)


def _round_half_even(F, x):
    below = F.floor(x)
    rest = x - below
    return below + (rest > 0.5) + (rest == 0.5) * (below - 2 * F.floor(below / 2))


class AspectPyramid(HybridBlock):
    """SwiftNet's spatial pyramid pooling: `(N, in, H, W)` to `(N, width, H, W)`."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        level = width // len(GRIDS)
        self.reduce = PreActUnit(in_channels, width, 1, momentum=MOMENTUM)
        self.levels = nn.HybridSequential()
        for rows in GRIDS:
            self.levels.add(AspectPooling(width, level, rows))
        self.fuse = PreActUnit(width + len(GRIDS) * level, width, 1, momentum=MOMENTUM)

    def hybrid_forward(self, F, x):
        x = self.reduce(x)
        return self.fuse(F.concat(x, *[level(x) for level in self.levels], dim=1))


class SwiftNetHead(Head):
    """Pyramid maps to logits at c1's size."""

    def __init__(
        self,
        channels: Sequence[int],
        nclass: int,
        width: int,
        variant: Variant,
        dropped: Dropped,
        align_corners: bool,
    ) -> None:
        super().__init__()
        *finer, deepest = channels
        unit = PreActUnit if variant == "authors" else ConvUnit
        if variant == "authors":
            self.context = AspectPyramid(deepest, width)
            self.classifier = PreActUnit(width, nclass, 1, bias=True)
            draw_as_pytorch(self.classifier)
        else:
            self.context = nn.HybridSequential()
            pyramid = PyramidPooling(deepest, deepest // 4)
            self.context.add(pyramid, ConvUnit(pyramid.out_channels, width, 1))
            self.classifier = FCNHead(width, nclass, width, dropped=dropped)
        self.rungs = nn.HybridSequential()
        for n in reversed(finer):
            self.rungs.add(LateralFusion(n, width, unit, align_corners))

    def hybrid_forward(self, F, c1, c2, c3, c4):
        x = self.context(c4)
        for rung, low in zip(self.rungs, (c3, c2, c1)):
            x = rung(x, low)
        return self.classifier(x)


@MODELS.register(
    "swiftnet",
    forms=FORMS,
    paper="In Defense of Pre-trained ImageNet Architectures for Real-time Semantic Segmentation of"
    " Road-driving Images",
    venue="CVPR 2019",
    year=2019,
    link="https://arxiv.org/abs/1903.08469",
    backbone="resnet18",
    output_stride=32,
    backbone_options={"rectified": False},
    scores=[("Cityscapes test", "resnet18, 1024x2048", 75.5, "the paper")],
)
def swiftnet(
    nclass: int,
    backbone: Backbone,
    aux: bool = False,
    width: int = 128,
    variant: Variant = "authors",
    own_statistics: bool = False,
    dropped: Dropped = "channels",
) -> Segmentor:
    """`width`: channels of the ladder. `variant`: see above. `own_statistics`: the network normalizes
    0..255 images itself, as the authors' checkpoints do. `aux`: a plain head on c3. `dropped`: what dropout
    drops, which only the auxiliary head and MXNetSeg's have."""
    align_corners = variant == "mxnetseg"
    head = SwiftNetHead(backbone.channels, nclass, width, variant, dropped, align_corners)
    supervised = aux_on_c3(backbone, nclass, dropped=dropped) if aux else ()
    if own_statistics:
        backbone = Standardize(backbone, *AUTHORS_STATISTICS)
    return Segmentor(backbone, head, supervised, align_corners=align_corners)
