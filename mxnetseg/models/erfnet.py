"""ERFNet: Efficient Residual Factorized ConvNet for Real-time Semantic Segmentation (Romera et al.,
T-ITS 2018).

The encoder (`backbones/erfnet.py`) ends at stride 8; two transposed convolutions, each with two factorized
blocks, bring it to stride 2, and a third one to logits at full size. mmsegmentation ends in a 3x3 unit and a
classifier at stride 2 instead (`last="unit"`), and drops elements where the authors drop channels.
"""

from __future__ import annotations

from typing import Literal

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.backbones.erfnet import EPSILON, NonBottleneck1D
from mxnetseg.models.base import MODELS, Head, Segmentor
from mxnetseg.nn.initial import draw_as_pytorch
from mxnetseg.nn.layers import FCNHead

FORMS = {
    "paper": {},
    "mmseg": {"backbone_options": {"dropout": (0.1, 0.1), "dropped": "elements"}, "last": "unit"},
}


class Upsampler(HybridBlock):
    """Transposed convolution to twice the size, batch norm, ReLU."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2DTranspose(channels, 3, 2, 1, output_padding=1, in_channels=in_channels)
        self.bn = nn.BatchNorm(in_channels=channels, epsilon=EPSILON)

    def hybrid_forward(self, F, x):
        return F.relu(self.bn(self.conv(x)))


class ERFNetHead(Head):
    """c4 to logits eight times finer, or four times with a unit at the end."""

    def __init__(self, in_channels: int, nclass: int, last: str, width: int) -> None:
        super().__init__()
        self.decoder = nn.HybridSequential()
        for channels in (64, 16):
            self.decoder.add(
                Upsampler(in_channels, channels), NonBottleneck1D(channels), NonBottleneck1D(channels)
            )
            in_channels = channels
        if last == "unit":
            self.classifier = FCNHead(in_channels, nclass, width)
        else:
            self.classifier = nn.Conv2DTranspose(nclass, 2, 2, in_channels=in_channels)
            draw_as_pytorch(self.classifier)
        draw_as_pytorch(self.decoder)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        return self.classifier(self.decoder(c4))


@MODELS.register(
    "erfnet",
    forms=FORMS,
    paper="ERFNet: Efficient Residual Factorized ConvNet for Real-time Semantic Segmentation",
    venue="T-ITS 2018",
    year=2018,
    link="https://doi.org/10.1109/TITS.2017.2750080",
    backbone="erfnet",
    output_stride=8,
    scores=[("Cityscapes val", "512x1024, 160k", 72.5, "mmsegmentation")],
)
def erfnet(
    nclass: int,
    backbone: Backbone,
    last: Literal["transposed", "unit"] = "transposed",
    width: int = 128,
    align_corners: bool = False,
) -> Segmentor:
    """`last`: what ends the network, see the module. `width`: channels of the unit."""
    head = ERFNetHead(backbone.channels[3], nclass, last, width)
    return Segmentor(backbone, head, align_corners=align_corners)
