"""AlignSeg: Feature-Aligned Segmentation Networks (Huang et al., TPAMI 2021, arXiv 2003.00872).

Resized maps do not lie exactly over the finer ones they meet. Aligned context modelling warps coarse context
(a 3x3 grid of averages) onto the map it describes; aligned feature aggregation predicts two flows for
each pair of levels, one for either map, warps both and adds them. Levels are merged shallow to deep, always
at stride 4.

MXNetSeg (`variant="mxnetseg"`) predicts both flows by one generator, reduces the context in one unit, joins
it instead of adding it, and supervises c4 where the authors supervise the map that has taken up c3.
"""

from __future__ import annotations

from typing import Literal, Sequence

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Aux, Head, Segmentor, head_width
from mxnetseg.nn.layers import ConvUnit, Dropped, FCNHead
from mxnetseg.nn.narrow import NarrowConv2D
from mxnetseg.nn.pool import adaptive_avg_pool
from mxnetseg.nn.resize import resize_like
from mxnetseg.nn.tensor import Ops, Tensor
from mxnetseg.nn.warp import pixel_grid, sample

Variant = Literal["paper", "mxnetseg"]
FORMS = {"paper": {}, "mxnetseg": {"variant": "mxnetseg", "dropped": "elements"}}


def warp(F: Ops, x: Tensor, flow: Tensor) -> Tensor:
    """`x` read `flow` pixels away, channel 0 along x; zero outside."""
    return sample(F, x, pixel_grid(F, flow))


class FlowPredictor(HybridBlock):
    """Two maps of `width` channels and one size, joined, to `flows` flows, zero at first:
    `(N, 2 * flows, H, W)`."""

    def __init__(self, width: int, flows: int) -> None:
        super().__init__()
        self.reduce = ConvUnit(2 * width, width, 1)
        self.flow = NarrowConv2D(2 * flows, 3, width, padding=1, weight_initializer="zeros")

    def hybrid_forward(self, F, high, low):
        return self.flow(self.reduce(F.concat(high, low, dim=1)))


class AlignedContext(HybridBlock):
    """`(N, in, H, W)` to `(N, out_channels, H, W)`: context warped onto the map it was taken from, and that
    map: their sum, of `width` channels, or MXNetSeg's concatenation."""

    def __init__(self, in_channels: int, width: int, variant: Variant, bins: int = 3) -> None:
        super().__init__()
        self._bins = bins
        self._adds = variant == "paper"
        self.out_channels = width if self._adds else 2 * width
        if self._adds:
            self.context, self.local = nn.HybridSequential(), nn.HybridSequential()
            for path in (self.context, self.local):
                path.add(ConvUnit(in_channels, in_channels, 1), ConvUnit(in_channels, width))
        else:
            self.context = ConvUnit(in_channels, width, 1)
            self.local = ConvUnit(in_channels, width)
        self.predict = FlowPredictor(width, 1)

    def hybrid_forward(self, F, x):
        low = self.local(x)
        high = resize_like(F, self.context(adaptive_avg_pool(F, x, self._bins)), low)
        high = warp(F, high, self.predict(high, low))
        return high + low if self._adds else F.concat(high, low, dim=1)


class ResidualUnit(HybridBlock):
    """1x1 convolution, then a 3x3 bottleneck around it; batch norm and ReLU after the sum."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2D(channels, 1, use_bias=False, in_channels=in_channels)
        self.inner = ConvUnit(channels, channels // 4)
        self.outer = nn.Conv2D(channels, 3, padding=1, use_bias=False, in_channels=channels // 4)
        self.bn = nn.BatchNorm(in_channels=channels)

    def hybrid_forward(self, F, x):
        x = self.reduce(x)
        return F.relu(self.bn(self.outer(self.inner(x)) + x))


class AlignedAggregation(HybridBlock):
    """`(high, low)` to their sum at low's size, either warped along a flow of its own, and to the refined
    low."""

    def __init__(self, high_channels: int, low_channels: int, width: int, variant: Variant) -> None:
        super().__init__()
        self.high_unit = ResidualUnit(high_channels, width)
        self.low_unit = ResidualUnit(low_channels, width)
        self.predict_low = None
        if variant == "paper":
            self.predict, self.predict_low = FlowPredictor(width, 1), FlowPredictor(width, 1)
        else:
            self.predict = FlowPredictor(width, 2)

    def hybrid_forward(self, F, high, low):
        low = self.low_unit(low)
        high = resize_like(F, self.high_unit(high), low)
        if self.predict_low is not None:
            low_flow, high_flow = self.predict_low(high, low), self.predict(high, low)
        else:
            low_flow, high_flow = F.split(self.predict(high, low), num_outputs=2, axis=1)
        return warp(F, high, high_flow) + warp(F, low, low_flow), low


class AlignSegHead(Head):
    """c1 takes up c2, c3, c4 and the aligned context, in this order: the logits, then the map that has taken
    up c3, of `width` channels. All of it is at the size of c1."""

    def __init__(
        self, channels: Sequence[int], nclass: int, width: int, variant: Variant, dropped: Dropped
    ) -> None:
        super().__init__()
        n1, *deeper = channels
        self.context = AlignedContext(channels[-1], width, variant)
        self.aggregate = nn.HybridSequential()
        low = n1
        for high in (*deeper, self.context.out_channels):
            self.aggregate.add(AlignedAggregation(high, low, width, variant))
            low = width
        self.refine = ResidualUnit(width, width)
        self.classifier = FCNHead(width, nclass, width, unit_bias=variant == "paper", dropped=dropped)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        x, refined = c1, []
        for aggregate, high in zip(self.aggregate, (c2, c3, c4, self.context(c4))):
            x, low = aggregate(high, x)
            refined.append(low)
        return self.classifier(self.refine(x)), refined[2]


@MODELS.register(
    "alignseg",
    forms=FORMS,
    paper="AlignSeg: Feature-Aligned Segmentation Networks",
    venue="TPAMI 2021",
    year=2021,
    link="https://arxiv.org/abs/2003.00872",
    backbone="resnet101_v1s",
    output_stride=32,
    scores=[
        ("Cityscapes val", "resnet101, 872x872, 120k", 81.4, "the authors"),
        ("Cityscapes", "split not named in the abstract", 82.6, "the paper"),
        ("ADE20K", "split not named in the abstract", 45.95, "the paper"),
    ],
)
def alignseg(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    width: int = 256,
    variant: Variant = "paper",
    dropped: Dropped = "channels",
) -> Segmentor:
    """`width`: channels of the head. `variant`: see the module. `aux`: a plain head on the map that has taken
    up c3, or MXNetSeg's on c4. `dropped`: what dropout drops."""
    head = AlignSegHead(backbone.channels, nclass, width, variant, dropped)
    if variant == "paper":
        supervised = Aux(FCNHead(width, nclass, width, unit_bias=True, dropped=dropped), "head", 1)
    else:
        deepest = backbone.channels[-1]
        block = FCNHead(deepest, nclass, head_width(256, deepest), dropped=dropped)
        supervised = Aux(block, "backbone", 3)
    return Segmentor(backbone, head, [supervised] if aux else ())
