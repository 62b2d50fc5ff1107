"""Fast-SCNN: Fast Semantic Segmentation Network (Poudel et al., BMVC 2019, arXiv 1902.04502).

The encoder's first steps (`backbones/fastscnn.py`, stride 8) are kept as detail; pyramid pooling on the
deepest map is brought up, convolved depthwise and added to them. Published forms differ in the pooling's last
unit (`ppm_kernel`), in the dilation of the depthwise convolution (4 in the paper, 1 elsewhere), in biases and
resizing.
"""

from __future__ import annotations

from typing import Literal, Optional, Sequence

from mxnet.gluon import nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Aux, Head, Neck, Segmentor
from mxnetseg.nn.initial import draw_as_pytorch
from mxnetseg.nn.layers import ConvUnit, Dropped, FCNHead, classifier, dropout_layer
from mxnetseg.nn.ppm import PyramidPooling
from mxnetseg.nn.resize import resize_like
from mxnetseg.nn.separable import SeparableUnit

FORMS = {
    "paper": {},
    "mmseg": {"ppm_kernel": 3, "dilation": 1},
    "gluoncv": {
        "backbone_options": {"padded": False, "inner_act": "relu"},
        "dilation": 1,
        "bias": True,
        "inner_act": "relu",
        "aux_on": "fine",
        "aux_width": 64,
        "dropped": "elements",
        "align_corners": True,
    },
}


class DetailAndContext(Neck):
    """Pyramid to (fused map at the size of c2, pooled deepest map)."""

    def __init__(
        self,
        channels: Sequence[int],
        width: int,
        ppm_kernel: int,
        dilation: int,
        bias: bool,
        align_corners: bool,
    ) -> None:
        super().__init__()
        fine, deepest = channels[1], channels[3]
        self._align_corners = align_corners
        self.ppm = PyramidPooling(deepest, width // 4, align_corners=align_corners)
        self.ppm_fuse = ConvUnit(self.ppm.out_channels, width, ppm_kernel)
        self.smooth = ConvUnit(width, width, dilation=dilation, groups=width)
        self.coarse = ConvUnit(width, width, 1, bias=bias, act=None)
        self.fine = ConvUnit(fine, width, 1, bias=bias, act=None)

    def hybrid_forward(self, F, image, c1, c2, c3, c4):
        pooled = self.ppm_fuse(self.ppm(c4))
        coarse = self.coarse(self.smooth(resize_like(F, pooled, c2, self._align_corners)))
        return F.relu(coarse + self.fine(c2)), pooled


class FastSCNNHead(Head):
    """The fused map to logits through two separable convolutions."""

    def __init__(
        self, width: int, nclass: int, inner_act: Optional[Literal["relu"]], dropped: Dropped
    ) -> None:
        super().__init__()
        self.units = nn.HybridSequential()
        self.units.add(
            SeparableUnit(width, width, inner_act=inner_act), SeparableUnit(width, width, inner_act=inner_act)
        )
        self.drop = dropout_layer(0.1, dropped)
        self.classifier = classifier(width, nclass)

    def hybrid_forward(self, F, fused, pooled):
        return self.classifier(self.drop(self.units(fused)))


@MODELS.register(
    "fastscnn",
    forms=FORMS,
    paper="Fast-SCNN: Fast Semantic Segmentation Network",
    venue="BMVC 2019",
    year=2019,
    link="https://arxiv.org/abs/1902.04502",
    backbone="fastscnn",
    output_stride=32,
    scores=[("Cityscapes val", "512x1024, 160k", 70.96, "mmsegmentation")],
)
def fastscnn(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    width: int = 128,
    ppm_kernel: int = 1,
    dilation: int = 4,
    bias: bool = False,
    inner_act: Optional[Literal["relu"]] = None,
    aux_on: Literal["both", "fine"] = "both",
    aux_width: int = 32,
    dropped: Dropped = "channels",
    align_corners: bool = False,
) -> Segmentor:
    """`width`: channels of the fused map. `ppm_kernel`: side of the unit after pyramid pooling. `dilation`,
    `bias`: of the fusion's depthwise and of its pointwise convolutions. `inner_act`: between the halves of
    separable convolutions. `aux_on`: auxiliary heads of `aux_width` on the pooled map and on c2 (`both`),
    or on c2 only (`fine`). `dropped`: what dropout drops."""
    neck = DetailAndContext(backbone.channels, width, ppm_kernel, dilation, bias, align_corners)
    head = FastSCNNHead(width, nclass, inner_act, dropped)
    heads = []
    for channels, of in ((width, "neck"), (backbone.channels[1], "backbone")):
        if of == "backbone" or aux_on == "both":
            block = FCNHead(channels, nclass, aux_width, dropped=dropped)
            draw_as_pytorch(block.classifier)
            heads.append(Aux(block, of, 1))
    return Segmentor(backbone, head, heads if aux else (), neck=neck, align_corners=align_corners)
