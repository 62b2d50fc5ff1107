"""STDC-Seg: Rethinking BiSeNet for Real-time Semantic Segmentation (Fan et al., CVPR 2021, arXiv 2104.13188).

BiSeNet without its spatial path: stage 3 of the backbone (stride 8) takes that place, taught detail in
training by an extra head. The context path is BiSeNet's with nearest upsampling; its two maps have auxiliary
heads. The detail head predicts boundaries, not classes, so it is built on request only (`detail`): its
output needs a loss of its own. The paths stand in `net.backbone`, above the pyramid backbone
(`net.backbone.context`).
"""

from __future__ import annotations

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Head, Segmentor
from mxnetseg.nn.layers import FCNHead
from mxnetseg.nn.twopath import ContextPath, FeatureFusion


class ContextOnDetail(Backbone):
    """Image to (c2, context at stride 16, context at 8, fused map at 8)."""

    def __init__(self, context, width):
        c2, c3, c4 = context.channels[1:]
        super().__init__(channels=(c2, width, width, 2 * width), strides=(8, 16, 8, 8))
        s2, s3, s4 = context.strides[1:]
        self.context = context
        self.context_path = ContextPath(c3, c4, width, (s4 // s3, s3 // s2), ("nearest", "nearest"))
        self.fusion = FeatureFusion(c2 + width, 2 * width, reduction=4)

    def hybrid_forward(self, F, x):
        c2, c3, c4 = self.context(x)[1:]
        context8, context16 = self.context_path(c3, c4, c2)
        return c2, context16, context8, self.fusion(c2, context8)


class STDCSegHead(Head):
    """The fused map, the last of four, to logits at stride 8."""

    def __init__(self, channels, nclass, bias):
        super().__init__()
        self.classifier = FCNHead(channels, nclass, channels, dropout=0.0, classifier_bias=bias)

    def hybrid_forward(self, F, detail, context16, context8, fused):
        return self.classifier(fused)


@MODELS.register(
    "stdcseg",
    paper="Rethinking BiSeNet For Real-time Semantic Segmentation",
    venue="CVPR 2021",
    year=2021,
    link="https://arxiv.org/abs/2104.13188",
    backbone="stdc1",
    output_stride=32,
    scores=[
        ("Cityscapes val", "stdc1, 512x1024, 80k", 74.94, "mmsegmentation"),
        ("Cityscapes val", "stdc2, 512x1024, 80k", 76.67, "mmsegmentation"),
    ],
)
def stdcseg(nclass, backbone, aux=True, width=128, detail=0, classifier_bias=True):
    """`width`: channels of the context path. `aux`: heads on the context at strides 8 and 16. `detail`:
    channels of a boundary head on c2, 0 for none. `classifier_bias`: of every classifier."""
    paths = ContextOnDetail(backbone, width)
    head = STDCSegHead(2 * width, nclass, classifier_bias)
    heads = [
        (source, FCNHead(width, nclass, 64, dropout=0.0, classifier_bias=classifier_bias))
        for source in ("c3", "c2")
    ]
    if detail:
        heads.append(("c1", FCNHead(paths.channels[0], detail, 64, dropout=0.0)))
    return Segmentor(paths, head, heads if aux else ())
