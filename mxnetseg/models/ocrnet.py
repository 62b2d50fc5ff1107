"""OCRNet: Object-Contextual Representations for Semantic Segmentation (Yuan et al., ECCV 2020,
arXiv 1909.11065).

A first classifier on c3 outlines soft regions, one for each class. The features of a region are averaged by
its outline, pixels attend to regions, and what they read is joined to their own features. The first
classifier's logits are the auxiliary output, but it is part of the head: without it there are no regions. On
HRNet both classifiers read all branches joined (`gather`).

Published forms differ in whether the units outside the attention are rectified (`act`; not in SFSegNets), in
biases before batch norms (`unit_bias`), and in the first classifier's width and kernel.
"""

from __future__ import annotations

from typing import Literal, Optional, Sequence

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Aux, Head, Segmentor
from mxnetseg.nn.gather import gather_maps
from mxnetseg.nn.initial import FAN_IN, draw_as_pytorch
from mxnetseg.nn.layers import ConvUnit, Identity, dropout_layer
from mxnetseg.nn.norm import count_twice
from mxnetseg.nn.resize import resize_like
from mxnetseg.nn.tensor import Ops, Tensor

FORMS = {
    "paper": {},
    "mmseg": {
        "backbone": "resnet101_v1c",
        "region_width": 256,
        "dropout": 0.1,
        "align_corners": False,
        "cascade": True,
    },
    "mmseg_hrnet": {
        "backbone": "hrnet_w48",
        "cascade": True,
        "dropout": 0.0,
        "align_corners": False,
        "backbone_options": {"by_factor": True},
    },
    "sfsegnets": {
        "backbone": "resnet50_v1s",
        "backbone_options": {"dilation": "uniform"},
        "act": None,
        "unit_bias": True,
    },
}


def region_features(F: Ops, x: Tensor, logits: Tensor) -> Tensor:
    """`(N, C, H, W)` and logits `(N, K, H, W)` to `(N, C, K, 1)`: the average of x over each soft region."""
    outlines = F.softmax(F.reshape(logits, (0, 0, -1)), axis=2)
    regions = F.batch_dot(F.reshape(x, (0, 0, -1)), outlines, transpose_b=True)
    return F.expand_dims(regions, axis=3)


class ObjectAttention(HybridBlock):
    """`(x (N, C, H, W), regions (N, C, K, 1))` to what each pixel reads from the regions, `(N, C, H, W)`."""

    def __init__(self, channels: int, inner: int, unit_bias: bool) -> None:
        super().__init__()
        self._scale = inner**-0.5
        self.query, self.key = nn.HybridSequential(), nn.HybridSequential()
        for projection in (self.query, self.key):
            projection.add(
                ConvUnit(channels, inner, 1, bias=unit_bias), ConvUnit(inner, inner, 1, bias=unit_bias)
            )
        self.value = ConvUnit(channels, inner, 1, bias=unit_bias)
        self.out = ConvUnit(inner, channels, 1, bias=unit_bias)

    def hybrid_forward(self, F, x, regions):
        query = self.query(x)
        key = F.reshape(self.key(regions), (0, 0, -1))
        value = F.reshape(self.value(regions), (0, 0, -1))
        scores = F.batch_dot(F.reshape(query, (0, 0, -1)), key, transpose_a=True) * self._scale
        read = F.batch_dot(value, F.softmax(scores, axis=2), transpose_b=True)
        return self.out(F.reshape_like(read, query))


class OCRHead(Head):
    """Pyramid to (logits, logits of the regions). `apart`: c4 is coarser than c3 and comes up to its size."""

    def __init__(
        self,
        channels: Sequence[int],
        nclass: int,
        width: int,
        inner: int,
        region_width: int,
        region_kernel: int,
        act: Optional[str],
        unit_bias: bool,
        dropout: float,
        gather: bool,
        apart: bool,
        align_corners: bool,
        cascade: bool,
    ) -> None:
        super().__init__()
        self._apart = apart
        self._gather, self._align_corners = gather, align_corners
        middle, deepest = (sum(channels),) * 2 if gather else channels[2:]
        self.region_unit = ConvUnit(middle, region_width, region_kernel, bias=unit_bias, act=act)
        if cascade:
            count_twice(self.region_unit)
        self.region_drop = dropout_layer(dropout)
        self.region_classifier = nn.Conv2D(nclass, 1, in_channels=region_width)
        self.reduce = ConvUnit(deepest, width, bias=unit_bias, act=act)
        self.attention = ObjectAttention(width, inner, unit_bias)
        self.join = ConvUnit(2 * width, width, 1, bias=unit_bias, act=act)
        self.drop = dropout_layer(dropout)
        self.classifier = nn.Conv2D(nclass, 1, in_channels=width)
        # mmsegmentation gives the classifiers of a cascade no start of their own, SFSegNets the last alone.
        if unit_bias:
            self.classifier.weight.init = FAN_IN
        draw_as_pytorch(*((self,) if unit_bias else (self.region_classifier, self.classifier)))

    def hybrid_forward(self, F, c1, c2, c3, c4):
        if self._gather:
            c3 = c4 = gather_maps(F, (c1, c2, c3, c4), self._align_corners)
        outlines = self.region_classifier(self.region_drop(self.region_unit(c3)))
        x = self.reduce(c4)
        if self._apart:
            x = resize_like(F, x, outlines, self._align_corners)
        context = self.attention(x, region_features(F, x, outlines))
        joined = self.join(F.concat(context, x, dim=1))
        return self.classifier(self.drop(joined)), outlines


@MODELS.register(
    "ocrnet",
    forms=FORMS,
    paper="Object-Contextual Representations for Semantic Segmentation",
    venue="ECCV 2020",
    year=2020,
    link="https://arxiv.org/abs/1909.11065",
    backbone="resnet101",
    output_stride=8,
    backbone_options={"stem": "deep"},
    scores=[
        ("Cityscapes val", "resnet101_v1c, 512x1024, 80k, batch 16", 80.81, "mmsegmentation"),
        ("Cityscapes val", "hrnet_w18, 512x1024, 160k", 79.47, "mmsegmentation"),
        ("Cityscapes val", "hrnet_w48, 512x1024, 160k", 81.35, "mmsegmentation"),
    ],
)
def ocrnet(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    width: int = 512,
    inner: int = 256,
    region_width: Optional[int] = None,
    region_kernel: Optional[int] = None,
    act: Optional[Literal["relu"]] = "relu",
    unit_bias: bool = False,
    dropout: float = 0.05,
    gather: Optional[bool] = None,
    align_corners: bool = True,
    cascade: bool = False,
) -> Segmentor:
    """`width`: channels of pixels and regions, `inner`: of the attention. `region_width`, `region_kernel`:
    the first classifier's unit; None is `width` and 3, on joined maps their channels and 1. `act`,
    `unit_bias`: see the module. `dropout`: of channels, before either classifier. `gather`: None joins all
    maps on HRNet only. `aux`: the region logits. `cascade`: running statistics of the first classifier move
    as where a step runs it twice, for its loss and for the second."""
    gather = backbone.parallel_branches if gather is None else gather
    region_width = region_width or (sum(backbone.channels) if gather else width)
    region_kernel = region_kernel or (1 if gather else 3)
    apart = not gather and backbone.strides[2] != backbone.strides[3]
    head = OCRHead(
        backbone.channels,
        nclass,
        width,
        inner,
        region_width,
        region_kernel,
        act,
        unit_bias,
        dropout,
        gather,
        apart,
        align_corners,
        cascade,
    )
    return Segmentor(backbone, head, [Aux(Identity(), "head", 1)] if aux else (), align_corners=align_corners)
