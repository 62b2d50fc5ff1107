"""AlignSeg: Feature-Aligned Segmentation Networks (Huang et al., TPAMI 2021, arXiv 2003.00872).

Resized maps do not lie exactly over the finer ones they meet. Aligned context modelling warps coarse context
(a 3x3 grid of averages) onto the map it describes; aligned feature aggregation predicts two flows for
each pair of levels, one for either map, warps both and adds them. Levels are merged shallow to deep, always
at stride 4.
"""

from __future__ import annotations

from mxnet.gluon import HybridBlock, nn

from mxnetseg.models.base import MODELS, Aux, Head, Segmentor, head_width
from mxnetseg.nn.layers import ConvUnit, FCNHead
from mxnetseg.nn.pool import adaptive_avg_pool
from mxnetseg.nn.resize import resize_like
from mxnetseg.nn.warp import pixel_grid, sample


def warp(F, x, flow):
    """`x` read `flow` pixels away, channel 0 along x; zero outside."""
    return sample(F, x, pixel_grid(F, flow))


class FlowPredictor(HybridBlock):
    """Two maps of `width` channels and one size, joined, to `flows` flows: `(N, 2 * flows, H, W)`."""

    def __init__(self, width, flows):
        super().__init__()
        self.reduce = ConvUnit(2 * width, width, 1)
        self.flow = nn.Conv2D(2 * flows, 3, padding=1, use_bias=False, in_channels=width)

    def hybrid_forward(self, F, high, low):
        return self.flow(self.reduce(F.concat(high, low, dim=1)))


class AlignedContext(HybridBlock):
    """`(N, in, H, W)` to `(N, 2 * width, H, W)`: warped context beside the map it was taken from."""

    def __init__(self, in_channels, width, bins=3):
        super().__init__()
        self._bins = bins
        self.context = ConvUnit(in_channels, width, 1)
        self.local = ConvUnit(in_channels, width)
        self.predict = FlowPredictor(width, 1)

    def hybrid_forward(self, F, x):
        low = self.local(x)
        high = resize_like(F, self.context(adaptive_avg_pool(F, x, self._bins)), low)
        return F.concat(warp(F, high, self.predict(high, low)), low, dim=1)


class ResidualUnit(HybridBlock):
    """1x1 convolution, then a 3x3 bottleneck around it; batch norm and ReLU after the sum."""

    def __init__(self, in_channels, channels):
        super().__init__()
        self.reduce = nn.Conv2D(channels, 1, use_bias=False, in_channels=in_channels)
        self.inner = ConvUnit(channels, channels // 4)
        self.outer = nn.Conv2D(channels, 3, padding=1, use_bias=False, in_channels=channels // 4)
        self.bn = nn.BatchNorm(in_channels=channels)

    def hybrid_forward(self, F, x):
        x = self.reduce(x)
        return F.relu(self.bn(self.outer(self.inner(x)) + x))


class AlignedAggregation(HybridBlock):
    """`(high, low)` to their sum at low's size, either warped along a flow of its own."""

    def __init__(self, high_channels, low_channels, width):
        super().__init__()
        self.high_unit = ResidualUnit(high_channels, width)
        self.low_unit = ResidualUnit(low_channels, width)
        self.predict = FlowPredictor(width, 2)

    def hybrid_forward(self, F, high, low):
        low = self.low_unit(low)
        high = resize_like(F, self.high_unit(high), low)
        low_flow, high_flow = F.split(self.predict(high, low), num_outputs=2, axis=1)
        return warp(F, high, high_flow) + warp(F, low, low_flow)


class AlignSegHead(Head):
    """c1 takes up c2, c3, c4 and the aligned context, in this order."""

    def __init__(self, channels, nclass, width):
        super().__init__()
        n1, *deeper = channels
        self.context = AlignedContext(channels[-1], width)
        self.aggregate = nn.HybridSequential()
        low = n1
        for high in (*deeper, 2 * width):
            self.aggregate.add(AlignedAggregation(high, low, width))
            low = width
        self.refine = ResidualUnit(width, width)
        self.classifier = FCNHead(width, nclass, width)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        x = c1
        for aggregate, high in zip(self.aggregate, (c2, c3, c4, self.context(c4))):
            x = aggregate(high, x)
        return self.classifier(self.refine(x))


@MODELS.register(
    "alignseg",
    paper="AlignSeg: Feature-Aligned Segmentation Networks",
    venue="TPAMI 2021",
    year=2021,
    link="https://arxiv.org/abs/2003.00872",
    backbone="resnet101_v1s",
    output_stride=32,
    scores=[
        ("Cityscapes", "split not named in the abstract", 82.6, "the paper"),
        ("ADE20K", "split not named in the abstract", 45.95, "the paper"),
    ],
)
def alignseg(nclass, backbone, aux=True, width=256):
    """`width`: channels of the head. `aux`: a plain head on c4."""
    deepest = backbone.channels[-1]
    head = AlignSegHead(backbone.channels, nclass, width)
    supervised = [Aux(FCNHead(deepest, nclass, head_width(256, deepest)), "backbone", 3)] if aux else ()
    return Segmentor(backbone, head, supervised)
