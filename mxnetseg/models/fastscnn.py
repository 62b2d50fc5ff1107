"""Fast-SCNN: Fast Semantic Segmentation Network (Poudel et al., BMVC 2019, arXiv 1902.04502).

The encoder's first steps (`backbones/fastscnn.py`, stride 8) are kept as detail; pyramid pooling on the
deepest map is brought up, convolved depthwise and added to them. Published forms differ in the pooling's last
unit (`ppm_kernel`), in the dilation of the depthwise convolution (4 in the paper, 1 elsewhere), in biases and
resizing. Pooling and fusion stand in `net.backbone`, above the encoder (`net.backbone.context`).
"""

from __future__ import annotations

from mxnet.gluon import nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.errors import ConfigError
from mxnetseg.models.base import MODELS, Head, Segmentor
from mxnetseg.nn.layers import ConvUnit, FCNHead
from mxnetseg.nn.ppm import PyramidPooling
from mxnetseg.nn.resize import resize_like
from mxnetseg.nn.separable import SeparableUnit


class DetailAndContext(Backbone):
    """Image to (c2, pooled deepest map, fused map at the size of c2)."""

    def __init__(self, context, width, ppm_kernel, dilation, bias, align_corners):
        fine, deepest = context.channels[1], context.channels[3]
        super().__init__(
            channels=(fine, width, width),
            strides=(context.strides[1], context.strides[3], context.strides[1]),
        )
        self._align_corners = align_corners
        self.context = context
        self.ppm = PyramidPooling(deepest, width // 4, align_corners=align_corners)
        self.ppm_fuse = ConvUnit(self.ppm.out_channels, width, ppm_kernel)
        self.smooth = ConvUnit(width, width, dilation=dilation, groups=width)
        self.coarse = ConvUnit(width, width, 1, bias=bias, act=None)
        self.fine = ConvUnit(fine, width, 1, bias=bias, act=None)

    def hybrid_forward(self, F, x):
        fine, deepest = self.context(x)[1::2]
        pooled = self.ppm_fuse(self.ppm(deepest))
        coarse = self.coarse(self.smooth(resize_like(F, pooled, fine, self._align_corners)))
        return fine, pooled, F.relu(coarse + self.fine(fine))


class FastSCNNHead(Head):
    """The fused map, the last one, to logits through two separable convolutions."""

    def __init__(self, width, nclass, inner_act):
        super().__init__()
        self.units = nn.HybridSequential()
        self.units.add(
            SeparableUnit(width, width, inner_act=inner_act), SeparableUnit(width, width, inner_act=inner_act)
        )
        self.drop = nn.Dropout(0.1)
        self.classifier = nn.Conv2D(nclass, 1, in_channels=width)

    def hybrid_forward(self, F, *maps):
        return self.classifier(self.drop(self.units(maps[-1])))


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
    aux=True,
    width=128,
    ppm_kernel=3,
    dilation=4,
    bias=False,
    inner_act=None,
    aux_on="both",
    aux_width=32,
    align_corners=False,
):
    """`width`: channels of the fused map. `ppm_kernel`: side of the unit after pyramid pooling. `dilation`,
    `bias`: of the fusion's depthwise and of its pointwise convolutions. `inner_act`: between the halves of
    separable convolutions. `aux_on`: auxiliary heads of `aux_width` on the pooled map and on c2 (`both`),
    or on c2 only (`fine`)."""
    if aux_on not in ("both", "fine"):
        raise ConfigError(f"fastscnn aux_on must be both or fine, not {aux_on!r}")
    branches = DetailAndContext(backbone, width, ppm_kernel, dilation, bias, align_corners)
    head = FastSCNNHead(width, nclass, inner_act)
    sources = (("c2", width), ("c1", branches.channels[0]))
    heads = [(source, FCNHead(n, nclass, aux_width)) for source, n in sources[aux_on == "fine" :]]
    return Segmentor(branches, head, heads if aux else (), align_corners)
