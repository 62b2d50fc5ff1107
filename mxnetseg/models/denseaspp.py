"""DenseASPP for Semantic Segmentation in Street Scenes (Yang et al., CVPR 2018).

Atrous units with rates 3, 6, 12, 18, 24, each reading the backbone map joined with the outputs of all
before it, so that receptive fields add up. The authors stand on a DenseNet, whose order of norm, ReLU and
convolution they keep, and classify all outputs joined. MXNetSeg (`norm_first=False`) normalizes after
convolving, projects the joined outputs and ends in a unit and a classifier.
"""

from __future__ import annotations

from typing import Sequence

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Head, Segmentor, aux_on_c3
from mxnetseg.nn.layers import ConvUnit, Dropped, FCNHead, Identity, dropout_layer
from mxnetseg.nn.preact import PreActUnit

FORMS = {
    "paper": {},
    "mxnetseg": {
        "backbone": "resnet101_v1s",
        "aux": True,
        "width": 256,
        "reduced": 1024,
        "norm_first": False,
        "dropped": "elements",
    },
}


class DensePreActASPP(HybridBlock):
    """`(N, in, H, W)` to the map joined with every atrous output, `in + width * len(rates)` channels.

    Before each atrous unit a 1x1 reduces what is there so far to `reduced` channels; after it channels are
    dropped.
    """

    def __init__(
        self, in_channels: int, width: int, reduced: int, rates: Sequence[int], dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.norm = nn.BatchNorm(in_channels=in_channels)
        self.norms, self.reduce = nn.HybridSequential(), nn.HybridSequential()
        self.atrous, self.drops = nn.HybridSequential(), nn.HybridSequential()
        for i, rate in enumerate(rates):
            joined = in_channels + i * width
            self.norms.add(nn.BatchNorm(in_channels=joined) if i else Identity())
            self.reduce.add(nn.Conv2D(reduced, 1, in_channels=joined))
            self.atrous.add(PreActUnit(reduced, width, dilation=rate, bias=True))
            self.drops.add(dropout_layer(dropout))
        self.out_channels = in_channels + len(rates) * width

    def hybrid_forward(self, F, x):
        x = self.norm(x)
        for norm, reduce, atrous, drop in zip(self.norms, self.reduce, self.atrous, self.drops):
            x = F.concat(x, drop(atrous(reduce(F.relu(norm(x))))), dim=1)
        return x


class DenseASPP(HybridBlock):
    """MXNetSeg's: `(N, in, H, W)` to the map joined with every atrous output, `in + width * len(rates)`
    channels.

    All but the first atrous unit read a 1x1 reduction (`reduced` channels) of what is there so far.
    """

    def __init__(self, in_channels: int, width: int, reduced: int, rates: Sequence[int]) -> None:
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
    """Dense ASPP on the deepest map, classifier."""

    def __init__(
        self,
        in_channels: int,
        nclass: int,
        width: int,
        reduced: int,
        rates: Sequence[int],
        norm_first: bool,
        dropped: Dropped,
    ) -> None:
        super().__init__()
        self.project = nn.HybridSequential()
        if norm_first:
            self.dense_aspp = DensePreActASPP(in_channels, width, reduced, rates)
            joined = self.dense_aspp.out_channels
            self.classifier = FCNHead(joined, nclass, joined, units=0)
        else:
            self.dense_aspp = DenseASPP(in_channels, width, reduced, rates)
            self.project.add(ConvUnit(self.dense_aspp.out_channels, width, 1), dropout_layer(0.5, dropped))
            self.classifier = FCNHead(width, nclass, width, dropped=dropped)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        return self.classifier(self.project(self.dense_aspp(c4)))


@MODELS.register(
    "denseaspp",
    forms=FORMS,
    paper="DenseASPP for Semantic Segmentation in Street Scenes",
    venue="CVPR 2018",
    year=2018,
    link="https://openaccess.thecvf.com/content_cvpr_2018/html/Yang_DenseASPP_for_Semantic_CVPR_2018_paper.html",
    backbone="densenet161",
    output_stride=8,
    scores=[
        ("Cityscapes val", "resnet101, output stride 8", 78.7, "MXNetSeg"),
        ("Cityscapes val", "densenet161", 78.8, "the authors"),
        ("Cityscapes test", "densenet161", 80.6, "the paper"),
    ],
)
def denseaspp(
    nclass: int,
    backbone: Backbone,
    aux: bool = False,
    width: int = 128,
    reduced: int = 512,
    rates: Sequence[int] = (3, 6, 12, 18, 24),
    norm_first: bool = True,
    dropped: Dropped = "channels",
) -> Segmentor:
    """`width`: channels of an atrous unit; `reduced`: of the 1x1 before it; `rates`: dilations. `norm_first`:
    see the module. `aux`: a plain head on c3. `dropped`: what dropout drops."""
    head = DenseASPPHead(backbone.channels[-1], nclass, width, reduced, rates, norm_first, dropped)
    return Segmentor(backbone, head, aux_on_c3(backbone, nclass, dropped=dropped) if aux else ())
