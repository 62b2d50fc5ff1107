"""FCN: Fully Convolutional Networks for Semantic Segmentation (Long et al., CVPR 2015, arXiv 1411.4038).

A classifier over the last backbone map, resized to the image: FCN-32s at output stride 32, the dilated
form at 8. Published implementations differ in the classifier only: one 3x3 unit of a fixed width
(MXNetSeg), of a quarter of the input (GluonCV, AceCoooool, torchvision), or two 3x3 units joined with their
input (mmsegmentation). `jpu=True` puts joint pyramid upsampling (FastFCN, arXiv 1903.11816) under it. On
HRNet (arXiv 1908.07919) all branches are joined and the unit is pointwise (`gather`).
"""

from __future__ import annotations

from typing import Optional, Sequence

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Head, Segmentor, aux_on_c3, head_width
from mxnetseg.nn.gather import gather_maps
from mxnetseg.nn.jpu import JPUOrder, jpu_neck
from mxnetseg.nn.layers import Dropped, FCNHead

QUARTER = {"width": None, "aux_width": None, "dropped": "elements"}
FORMS = {
    "paper": {},
    "mmseg": {
        "backbone": "resnet101_v1c",
        "width": 512,
        "units": 2,
        "concat_input": True,
        "capped": False,
        "align_corners": False,
    },
    "mmseg_hrnet": {
        "backbone": "hrnet_w18",
        "align_corners": False,
        "backbone_options": {"by_factor": True},
    },
    "gluoncv": {"backbone": "resnet101_v1s", **QUARTER},
    "mxnetseg": {"backbone": "resnet101_v1s", "dropped": "elements"},
    "ace_jpu": {"backbone": "resnet101_v1s", "output_stride": 32, "jpu": True, **QUARTER},
    "torchvision": {"backbone": "resnet50", "align_corners": False, "drawn": "pytorch", **QUARTER},
}


class FCN(Head):
    """Classifier on the deepest map, or with `gather` on all of them joined at the size of the first."""

    def __init__(
        self,
        channels: Sequence[int],
        nclass: int,
        width: Optional[int],
        units: int,
        concat_input: bool,
        jpu: JPUOrder,
        gather: bool,
        dilation: int,
        dropped: Dropped,
        capped: bool,
        align_corners: bool,
    ) -> None:
        super().__init__()
        self._gather, self._align_corners = gather, align_corners
        self.jpu, deepest = jpu_neck(jpu, channels, align_corners)
        if gather:
            deepest = width = sum(channels)
        self.classifier = FCNHead(
            deepest,
            nclass,
            head_width(width, deepest, capped),
            units,
            concat_input,
            kernel=1 if gather else 3,
            dropped=dropped,
            dilation=dilation,
        )

    def hybrid_forward(self, F, c1, c2, c3, c4):
        if self.jpu is not None:
            c4 = self.jpu(c2, c3, c4)
        elif self._gather:
            c4 = gather_maps(F, (c1, c2, c3, c4), self._align_corners)
        return self.classifier(c4)


@MODELS.register(
    "fcn",
    forms=FORMS,
    paper="Fully Convolutional Networks for Semantic Segmentation",
    venue="CVPR 2015",
    year=2015,
    link="https://arxiv.org/abs/1411.4038",
    backbone="resnet101",
    output_stride=8,
    scores=[("Cityscapes val", "resnet101, 512x1024, 80k", 75.13, "mmsegmentation")],
)
def fcn(
    nclass: int,
    backbone: Backbone,
    aux: Optional[bool] = None,
    width: Optional[int] = 256,
    aux_width: Optional[int] = 256,
    units: int = 1,
    concat_input: bool = False,
    jpu: JPUOrder = False,
    gather: Optional[bool] = None,
    dilation: int = 1,
    dropped: Dropped = "channels",
    capped: bool = True,
    align_corners: bool = True,
) -> Segmentor:
    """`width`, `aux_width`: channels of the classifiers' 3x3 units, if `capped` at most their input's; None
    is a quarter of it. `gather`: classify all maps joined, through a unit of as many channels; None does so
    on HRNet. `dilation`: of both heads' 3x3 units (mmsegmentation's FCN-D6 has 6). `aux`: a plain head on c3;
    None has it where maps are not joined. `dropped`: what dropout drops."""
    channels = backbone.channels
    gather = not jpu and (backbone.parallel_branches if gather is None else gather)
    head = FCN(
        channels, nclass, width, units, concat_input, jpu, gather, dilation, dropped, capped, align_corners
    )
    aux = not gather if aux is None else aux
    supervised = aux_on_c3(backbone, nclass, aux_width, dropped, capped, dilation) if aux else ()
    return Segmentor(backbone, head, supervised, align_corners=align_corners)
