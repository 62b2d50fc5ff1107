"""Fast-SCNN: Fast Semantic Segmentation Network (Poudel et al., BMVC 2019, arXiv 1902.04502).

The encoder's first steps (`backbones/fastscnn.py`, stride 8) are kept as detail; pyramid pooling on the
deepest map is brought up, convolved depthwise and added to them. Published forms differ in the pooling's last
unit (`ppm_kernel`), in the dilation of the depthwise convolution (4 in the paper, 1 elsewhere), in biases and
resizing.
"""

from __future__ import annotations

from typing import Literal, Optional

from mxnet.gluon import nn

from mxnetseg.models.base import MODELS, Aux, Head, Neck, Segmentor
from mxnetseg.nn.layers import ConvUnit, FCNHead
from mxnetseg.nn.ppm import PyramidPooling
from mxnetseg.nn.resize import resize_like
from mxnetseg.nn.separable import SeparableUnit


class DetailAndContext(Neck):
    """Pyramid to (fused map at the size of c2, pooled deepest map)."""

    def __init__(self, channels, width, ppm_kernel, dilation, bias, align_corners):
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

    def __init__(self, width, nclass, inner_act):
        super().__init__()
        self.units = nn.HybridSequential()
        self.units.add(
            SeparableUnit(width, width, inner_act=inner_act), SeparableUnit(width, width, inner_act=inner_act)
        )
        self.drop = nn.Dropout(0.1)
        self.classifier = nn.Conv2D(nclass, 1, in_channels=width)

    def hybrid_forward(self, F, fused, pooled):
        return self.classifier(self.drop(self.units(fused)))


@MODELS.register(
    "fastscnn",
    paper="Fast-SCNN: Fast Semantic Segmentation Network",
    venue="BMVC 2019",
    year=2019,
    link="https://arxiv.org/abs/1902.04502",
    backbone="fastscnn",
    output_stride=32,
    scores=[("Cityscapes val", "512x1024, 160k", 70.96, "mmsegmentation")],
)
def fastscnn(
    nclass,
    backbone,
    aux: bool = True,
    width: int = 128,
    ppm_kernel: int = 3,
    dilation: int = 4,
    bias: bool = False,
    inner_act: Optional[Literal["relu"]] = None,
    aux_on: Literal["both", "fine"] = "both",
    aux_width: int = 32,
    align_corners: bool = False,
):
    """`width`: channels of the fused map. `ppm_kernel`: side of the unit after pyramid pooling. `dilation`,
    `bias`: of the fusion's depthwise and of its pointwise convolutions. `inner_act`: between the halves of
    separable convolutions. `aux_on`: auxiliary heads of `aux_width` on the pooled map and on c2 (`both`),
    or on c2 only (`fine`)."""
    neck = DetailAndContext(backbone.channels, width, ppm_kernel, dilation, bias, align_corners)
    head = FastSCNNHead(width, nclass, inner_act)
    heads = [Aux(FCNHead(backbone.channels[1], nclass, aux_width), "backbone", 1)]
    if aux_on == "both":
        heads.insert(0, Aux(FCNHead(width, nclass, aux_width), "neck", 1))
    return Segmentor(backbone, head, heads if aux else (), neck=neck, align_corners=align_corners)
