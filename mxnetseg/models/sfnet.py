"""SFNet: Semantic Flow for Fast and Accurate Scene Parsing (Li et al., ECCV 2020, arXiv 2002.10120).

A feature pyramid whose top-down path aligns each coarse map to the finer one before adding it: a
flow predicted from both says where every fine pixel reads the coarse map. Pyramid pooling stands on
the deepest map; all merged levels are fused at stride 4.

Published implementations differ in small things, all keywords here: the flow unit (`flow_unit`), the
sampler's convention (`sample_corners`), biases of laterals' followers, and deep supervision.
`align="resize"` is the plain pyramid that the paper compares with. ResNets are used with the deep stem,
strides kept and stages 3 and 4 dilated all the same; DFNet v1 before and after its last widening, and
DFNets without their stride 4.
"""

from __future__ import annotations

from typing import Literal, Optional, Sequence, Tuple

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Aux, Head, Segmentor
from mxnetseg.nn.initial import draw_as_pytorch
from mxnetseg.nn.layers import ConvUnit, FCNHead, classifier, dropout_layer
from mxnetseg.nn.narrow import NarrowConv2D
from mxnetseg.nn.ppm import PyramidPooling
from mxnetseg.nn.resize import resize_like
from mxnetseg.nn.warp import flow_grid, sample

FORMS = {
    "paper": {},
    # The authors' port to mmsegmentation.
    "mmsfnet": {
        "flow_unit": "high",
        "sample_corners": False,
        "aux_bias": False,
        "drawn": "mmcv",
    },
}
FlowUnit = Literal["low", "high"]
Align = Literal["flow", "resize"]


class FlowAlign(HybridBlock):
    """`(high, low)` to high at low's size, read along a flow predicted from both.

    `flow_unit`: `low` measures the flow in sides of the fine map (the authors' code), `high` in twice the
    sides of the coarse one (the mmsegmentation port; the same where one is exactly twice the other).
    """

    def __init__(self, channels: int, flow_unit: FlowUnit, sample_corners: bool) -> None:
        super().__init__()
        self._flow_unit = flow_unit
        self._sample_corners = sample_corners
        self.reduce_high = nn.Conv2D(channels // 2, 1, use_bias=False, in_channels=channels)
        self.reduce_low = nn.Conv2D(channels // 2, 1, use_bias=False, in_channels=channels)
        self.flow = NarrowConv2D(2, 3, channels // 2 * 2, padding=1)

    def hybrid_forward(self, F, high, low):
        fine = self.reduce_low(low)
        coarse = resize_like(F, self.reduce_high(high), fine)
        flow = self.flow(F.concat(coarse, fine, dim=1))
        if self._flow_unit == "high":
            grid = flow_grid(F, flow / 2, high)
        else:
            grid = flow_grid(F, flow, flow)
        return sample(F, high, grid, self._sample_corners)


class ResizeAlign(HybridBlock):
    """`(high, low)` to high resized to low: the pyramid without flow."""

    def hybrid_forward(self, F, high, low):
        return resize_like(F, high, low)


class SFNetHead(Head):
    """Pyramid maps to logits at the finest level used, then the merged maps, coarse to fine.

    `channels`: of the backbone's levels; `levels`: which of them (1 to 4, finest first) take part.
    """

    def __init__(
        self,
        channels: Sequence[int],
        nclass: int,
        width: int,
        levels: Sequence[int],
        align: Align,
        flow_unit: FlowUnit,
        sample_corners: bool,
    ) -> None:
        super().__init__()
        self._levels = levels
        *finer, deepest = [channels[level - 1] for level in levels]
        self.ppm = PyramidPooling(deepest, width, act=None, input_first=False)
        self.ppm_fuse = ConvUnit(self.ppm.out_channels, width, 1)
        self.drop = dropout_layer(0.1)
        self.laterals, self.aligns, self.smooths = (nn.HybridSequential() for _ in range(3))
        for n in finer:
            self.laterals.add(ConvUnit(n, width, 1, bias=True))
            self.aligns.add(FlowAlign(width, flow_unit, sample_corners) if align == "flow" else ResizeAlign())
            self.smooths.add(ConvUnit(width, width))
        self.fuse = ConvUnit(width * len(levels), width)
        self.classifier = classifier(width, nclass)

    def hybrid_forward(self, F, *features):
        *finer, deepest = [features[level - 1] for level in self._levels]
        coarse = self.drop(self.ppm_fuse(self.ppm(deepest)))
        merged, smoothed = [], [coarse]
        for i in reversed(range(len(finer))):
            lateral = self.laterals[i](finer[i])
            coarse = lateral + self.aligns[i](coarse, lateral)
            merged.append(coarse)
            smoothed.insert(0, self.smooths[i](coarse))
        finest = smoothed[0]
        joined = [finest] + [resize_like(F, x, finest) for x in smoothed[1:]]
        return (self.classifier(self.fuse(F.concat(*joined, dim=1))), *merged)


@MODELS.register(
    "sfnet",
    forms=FORMS,
    paper="Semantic Flow for Fast and Accurate Scene Parsing",
    venue="ECCV 2020",
    year=2020,
    link="https://arxiv.org/abs/2002.10120",
    backbone="resnet18",
    output_stride=32,
    backbone_options={"stem": "deep", "dilation": "strided", "widening": True},
    scores=[
        ("Cityscapes val", "resnet18, deep stem, class-uniform sampling", 79.0, "the authors"),
        ("Cityscapes val", "resnet18, Mapillary pretraining", 79.9, "the authors"),
        ("Cityscapes val", "resnet50, deep stem", 80.4, "the authors"),
        ("Cityscapes val", "dfnetv1", 72.2, "the authors"),
        ("Cityscapes val", "dfnetv2", 75.8, "the authors"),
    ],
)
def sfnet(
    nclass: int,
    backbone: Backbone,
    aux: bool = False,
    width: Optional[int] = None,
    levels: Optional[Sequence[int]] = None,
    align: Align = "flow",
    flow_unit: FlowUnit = "low",
    sample_corners: bool = True,
    aux_bias: bool = True,
    drawn: Literal["pytorch", "mmcv"] = "pytorch",
) -> Segmentor:
    """`aux`: deep supervision of the merged maps, coarse to fine. `width`: channels of the head and `levels`:
    backbone levels used; None takes the authors' (`published_form`). `align`: `flow`, or `resize` for a
    pyramid without flow. `flow_unit`, `sample_corners`: see `FlowAlign`. `aux_bias`: bias before the
    auxiliary heads' batch norm. `drawn`: by whose initializers, but for backbones with their own."""
    authors_width, authors_levels = published_form(backbone)
    width, levels = width or authors_width, tuple(levels or authors_levels)
    head = SFNetHead(backbone.channels, nclass, width, levels, align, flow_unit, sample_corners)
    supervised = [
        Aux(FCNHead(width, nclass, width, unit_bias=aux_bias), "head", k) for k in range(1, len(levels))
    ]
    if drawn == "pytorch":
        draw_as_pytorch(backbone, head, *(one.block for one in supervised))
    return Segmentor(backbone, head, supervised if aux else ())


def published_form(backbone: Backbone) -> Tuple[int, Tuple[int, ...]]:
    """Width and levels of the authors' head on a backbone: narrow on the two fast families, else 128 on
    backbones that end in 512 channels and 256 on wider ones."""
    if backbone.family == "dfnet":
        return 64, (2, 3, 4)
    if backbone.family == "stdc":
        return 64, (1, 2, 3, 4)
    return (128 if backbone.channels[-1] <= 512 else 256), (1, 2, 3, 4)
