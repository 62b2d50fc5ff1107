"""DeepLabv3: Rethinking Atrous Convolution for Semantic Image Segmentation (Chen et al., arXiv 1706.05587).

Atrous spatial pyramid pooling on the deepest map, then a 1x1 classifier. Rates follow the output stride:
6, 12, 18 at 16, doubled at 8. Published implementations differ: GluonCV, MXNetSeg and AceCoooool put one
more 3x3 unit under the classifier (`units=1`); MXNetSeg keeps 6, 12, 18 at output stride 8; mmsegmentation
joins the pooled map first and projects with a 3x3 unit, twice as wide; torchvision and
segmentation_models.pytorch drop nothing under the classifier; transformers has a form on MobileNetV2 without
dilated branches, and others on MobileViT. `jpu` puts joint pyramid upsampling
(FastFCN, arXiv 1903.11816) under it, for a backbone at output stride 32.
"""

from __future__ import annotations

from typing import Any, Literal, Optional, Sequence

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Head, Segmentor, aux_on_c3
from mxnetseg.nn.aspp import ASPP, rates_for
from mxnetseg.nn.jpu import JPUOrder, jpu_neck
from mxnetseg.nn.layers import Dropped, FCNHead

MMSEG = {
    "width": 512,
    "pool_first": True,
    "project": "3x3",
    "capped": False,
    "align_corners": False,
}
ELEMENTS = {"units": 1, "aspp_dropout": 0.5, "dropped": "elements"}
MOBILE = {"aux": False, "aspp_dropout": 0.1, "align_corners": False}
UNIT = {"units": 1, "aspp_dropout": 0.5, "dropout": 0.0}
TORCHVISION = {"aux_width": None, "align_corners": False, "dropped": "elements", "drawn": "pytorch", **UNIT}
FORMS = {
    "paper": {},
    "transformers_mobilenet": {
        "backbone": "mobilenetv2_1.0",
        "backbone_options": {"padding": "same", "epsilon": 1e-3},
        "aux": False,
        "rates": (),
        "pool_first": True,
        "dropout": 0.8,
        "align_corners": False,
    },
    "transformers_mobilevit": {"backbone": "mobilevit_s", "output_stride": 16, **MOBILE},
    "transformers_mobilevitv2": {
        "backbone": "mobilevitv2_1.0",
        "output_stride": 16,
        "width": 512,
        **MOBILE,
    },
    "mmseg": {
        "backbone": "resnet101_v1c",
        "backbone_options": {"dilation": "contracted_conv1"},
        **MMSEG,
    },
    "mmseg_jpu": {
        "backbone": "resnet50_v1c",
        "output_stride": 32,
        "backbone_options": {"dilation": "strided_contracted"},
        "jpu": "fine_first",
        **MMSEG,
    },
    "gluoncv": {"backbone": "resnet101_v1s", **ELEMENTS},
    "mxnetseg": {"backbone": "resnet101_v1s", "rates": (6, 12, 18), **ELEMENTS},
    "torchvision": {"backbone": "resnet50", **TORCHVISION},
    "torchvision_mobilenet": {
        "backbone": "mobilenetv3_large",
        "output_stride": 16,
        "backbone_options": {
            "dilated": "with",
            "closing": True,
            "taps": "first",
            "epsilon": 1e-3,
            "momentum": 0.99,
        },
        "rates": (12, 24, 36),
        "aux_level": 1,
        **TORCHVISION,
    },
    "smp": {
        "backbone": "resnet34",
        "backbone_options": {"dilation": "everywhere"},
        "aux": False,
        "drawn": "pytorch",
        **UNIT,
    },
    "ace_jpu": {"backbone": "resnet101_v1s", "output_stride": 32, "jpu": True, **ELEMENTS},
}


class DeepLabV3Head(Head):
    """ASPP and classifier on the deepest map: `(N, c4, h, w)` to `(N, nclass, h, w)`."""

    def __init__(
        self,
        channels: Sequence[int],
        nclass: int,
        units: int,
        jpu: JPUOrder,
        last_dropout: float,
        dropped: Dropped,
        align_corners: bool,
        **aspp: Any,
    ) -> None:
        super().__init__()
        self.jpu, deepest = jpu_neck(jpu, channels, align_corners)
        self.aspp = ASPP(deepest, align_corners=align_corners, **aspp)
        width = aspp["width"]
        self.classifier = FCNHead(width, nclass, width, units, dropout=last_dropout, dropped=dropped)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        if self.jpu is not None:
            c4 = self.jpu(c2, c3, c4)
        return self.classifier(self.aspp(c4))


@MODELS.register(
    "deeplabv3",
    forms=FORMS,
    paper="Rethinking Atrous Convolution for Semantic Image Segmentation",
    venue="arXiv",
    year=2017,
    link="https://arxiv.org/abs/1706.05587",
    backbone="resnet101",
    output_stride=8,
    scores=[
        ("Cityscapes val", "resnet101, 512x1024, 80k", 80.2, "mmsegmentation"),
        ("Cityscapes val", "resnet50, 512x1024, 80k", 79.32, "mmsegmentation"),
        ("Cityscapes val", "resnet50 with JPU, 512x1024, 80k", 79.12, "mmsegmentation"),
        ("ADE20K val", "resnet101, 512x512, 160k", 45.0, "mmsegmentation"),
    ],
)
def deeplabv3(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    width: int = 256,
    rates: Optional[Sequence[int]] = None,
    units: int = 0,
    pool_first: bool = False,
    project: Literal["1x1", "3x3", "linear"] = "1x1",
    aspp_dropout: float = 0.0,
    aux_width: Optional[int] = 256,
    aux_level: int = 2,
    jpu: JPUOrder = False,
    dropout: float = 0.1,
    dropped: Dropped = "channels",
    capped: bool = True,
    align_corners: bool = True,
) -> Segmentor:
    """`rates`: dilation of the three 3x3 branches, by default the paper's for the stride of the map they
    read. `units`: 3x3 units under the classifier. `width`, `pool_first`, `project`, `aspp_dropout`: of the
    ASPP. `dropout`: rate under the classifier, `dropped`: what it drops. `aux`: a plain head on the map
    `aux_level`, counted from 0 for c1, if `capped` at most as wide as that. `jpu`: see `jpu_neck`."""
    stride = backbone.strides[1 if jpu else -1]
    head = DeepLabV3Head(
        backbone.channels,
        nclass,
        units,
        jpu,
        dropout,
        dropped,
        align_corners,
        width=width,
        rates=tuple(rates_for(stride) if rates is None else rates),
        pool_first=pool_first,
        project=project,
        dropout=aspp_dropout,
    )
    supervised = aux_on_c3(backbone, nclass, aux_width, dropped, capped, level=aux_level) if aux else ()
    return Segmentor(backbone, head, supervised, align_corners=align_corners)
