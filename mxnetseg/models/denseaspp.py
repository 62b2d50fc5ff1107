"""DenseASPP for Semantic Segmentation in Street Scenes (Yang et al., CVPR 2018).

Atrous units with rates 3, 6, 12, 18, 24, each reading the backbone map joined with the outputs of all
before it, so that receptive fields add up. Here units normalize after their convolution, as in MXNetSeg; the
authors' code normalizes before it, on a DenseNet (`densenet161`, which is a backbone here too).
"""

from __future__ import annotations

from mxnet.gluon import HybridBlock, nn

from mxnetseg.models.base import MODELS, Head, Segmentor, aux_on_c3
from mxnetseg.nn.layers import ConvUnit, FCNHead


class DenseASPP(HybridBlock):
    """`(N, in, H, W)` to the map joined with every atrous output, `in + 256 * len(rates)` channels.

    All but the first atrous unit read a 1x1 reduction (`reduced` channels) of what is there so far.
    """

    def __init__(self, in_channels, width, reduced, rates):
        super().__init__()
        self.reduce, self.atrous = nn.HybridSequential(), nn.HybridSequential()
        for i, rate in enumerate(rates):
            if i:
                self.reduce.add(ConvUnit(in_channels + i * width, reduced, 1))
            self.atrous.add(ConvUnit(reduced if i else in_channels, width, dilation=rate))
        self.out_channels = in_channels + len(rates) * width

    def hybrid_forward(self, F, x):
        joined = F.concat(x, self.atrous[0](x), dim=1)
        for reduce, atrous in zip(self.reduce, self.atrous[1:]):
            joined = F.concat(joined, atrous(reduce(joined)), dim=1)
        return joined


class DenseASPPHead(Head):
    """Dense ASPP on the deepest map, projection, classifier."""

    def __init__(self, in_channels, nclass, width, reduced, rates):
        super().__init__()
        self.dense_aspp = DenseASPP(in_channels, width, reduced, rates)
        self.project = ConvUnit(self.dense_aspp.out_channels, width, 1)
        self.drop = nn.Dropout(0.5)
        self.classifier = FCNHead(width, nclass, width)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        return self.classifier(self.drop(self.project(self.dense_aspp(c4))))


@MODELS.register(
    "denseaspp",
    paper="DenseASPP for Semantic Segmentation in Street Scenes",
    venue="CVPR 2018",
    year=2018,
    link="https://openaccess.thecvf.com/content_cvpr_2018/html/Yang_DenseASPP_for_Semantic_CVPR_2018_paper.html",
    backbone="resnet101_v1s",
    output_stride=8,
    scores=[
        ("Cityscapes val", "resnet101, output stride 8", 78.7, "MXNetSeg"),
        ("Cityscapes val", "densenet161", 78.8, "the authors"),
        ("Cityscapes test", "densenet161", 80.6, "the paper"),
    ],
)
def denseaspp(nclass, backbone, aux=True, width=256, reduced=1024, rates=(3, 6, 12, 18, 24)):
    """`width`: channels of an atrous unit; `reduced`: of the 1x1 unit before it; `rates`: dilations."""
    head = DenseASPPHead(backbone.channels[-1], nclass, width, reduced, tuple(rates))
    return Segmentor(backbone, head, aux_on_c3(backbone, nclass) if aux else ())
