"""SFNet-Lite: Faster and Stronger (Li et al., IJCV 2023, arXiv 2207.04415).

SFNet's pyramid cut to one alignment: the pooled deepest map and the finest map are warped towards each
other along two flows, and a gate chooses between them pixel by pixel. The stride-16 map joins by plain
resizing. In the authors' code the gate reads summaries of both maps over channels (`gate="statistics"`), or
what the flow itself is predicted from (`gate="features"`).
"""

from __future__ import annotations

from typing import Literal, Sequence

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Aux, Head, Segmentor
from mxnetseg.nn.initial import draw_as_pytorch
from mxnetseg.nn.layers import ConvUnit, FCNHead, classifier, dropout_layer
from mxnetseg.nn.narrow import NarrowConv2D
from mxnetseg.nn.ppm import PyramidPooling
from mxnetseg.nn.resize import resize_like
from mxnetseg.nn.warp import flow_grid, sample

Gate = Literal["statistics", "features"]


class GatedDualFlowAlign(HybridBlock):
    """`(high, low)`, coarse and fine, `channels` each, to their gated mixture at low's size."""

    def __init__(self, channels: int, gate: Gate) -> None:
        super().__init__()
        self._gate = gate
        reduced = channels // 2
        self.reduce_high = nn.Conv2D(reduced, 1, use_bias=False, in_channels=channels)
        self.reduce_low = nn.Conv2D(reduced, 1, use_bias=False, in_channels=channels)
        self.flow = NarrowConv2D(4, 3, 2 * reduced, padding=1)
        self.gate = nn.Conv2D(
            1, 3, padding=1, use_bias=False, in_channels=4 if gate == "statistics" else 2 * reduced
        )

    def hybrid_forward(self, F, high, low):
        fine = self.reduce_low(low)
        coarse = resize_like(F, self.reduce_high(high), fine)
        both = F.concat(coarse, fine, dim=1)
        flow = self.flow(both)
        high_flow = F.slice_axis(flow, axis=1, begin=0, end=2)
        low_flow = F.slice_axis(flow, axis=1, begin=2, end=4)
        warped_high = sample(F, high, flow_grid(F, high_flow, high_flow))
        warped_low = sample(F, low, flow_grid(F, low_flow, low_flow))
        if self._gate == "statistics":
            both = F.concat(
                coarse.mean(axis=1, keepdims=True),
                low.mean(axis=1, keepdims=True),
                coarse.max(axis=1, keepdims=True),
                low.max(axis=1, keepdims=True),
                dim=1,
            )
        gate = F.sigmoid(self.gate(both))
        return F.broadcast_mul(warped_high, gate) + F.broadcast_mul(warped_low, 1 - gate)


class SFNetLiteHead(Head):
    """c1, c3 and the pooled c4 to logits at stride 4, then the gated mixture for the auxiliary head."""

    def __init__(self, channels: Sequence[int], nclass: int, width: int, gate: Gate) -> None:
        super().__init__()
        self.ppm = PyramidPooling(channels[3], width, act=None, input_first=False)
        self.ppm_fuse = ConvUnit(self.ppm.out_channels, width, 1)
        self.drop = dropout_layer(0.1)
        self.lateral_fine = ConvUnit(channels[0], width, 1, bias=True)
        self.lateral_middle = ConvUnit(channels[2], width, 1, bias=True)
        self.align = GatedDualFlowAlign(width, gate)
        self.fuse = ConvUnit(2 * width, width)
        self.classifier = classifier(width, nclass)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        pooled = self.drop(self.ppm_fuse(self.ppm(c4)))
        aligned = self.align(pooled, self.lateral_fine(c1))
        middle = resize_like(F, self.lateral_middle(c3), aligned)
        logits = self.classifier(self.fuse(F.concat(aligned, middle, dim=1)))
        return logits, aligned


@MODELS.register(
    "sfnetlite",
    paper="SFNet: Faster and Accurate Semantic Segmentation via Semantic Flow",
    venue="IJCV 2023",
    year=2023,
    link="https://arxiv.org/abs/2207.04415",
    backbone="resnet18",
    output_stride=32,
    backbone_options={"stem": "deep", "dilation": "strided"},
    scores=[
        ("Cityscapes test", "an STDC backbone, 120 FPS on RTX 3090", 78.8, "the paper"),
        ("Cityscapes test", "resnet18, 60 FPS on RTX 3090", 80.1, "the paper"),
    ],
)
def sfnetlite(
    nclass: int,
    backbone: Backbone,
    aux: bool = False,
    width: int = 128,
    gate: Gate = "statistics",
) -> Segmentor:
    """`width`: channels of the head. `gate`: see the module. `aux`: supervise the gated mixture too; the
    authors' files hold such a head, which their code never runs or trains."""
    head = SFNetLiteHead(backbone.channels, nclass, width, gate)
    supervised = [Aux(FCNHead(width, nclass, width, unit_bias=True), "head", 1)]
    draw_as_pytorch(backbone, head, *(one.block for one in supervised))
    return Segmentor(backbone, head, supervised if aux else ())
