"""ERFNet: Efficient Residual Factorized ConvNet for Real-time Semantic Segmentation (Romera et al.,
T-ITS 2018).

The encoder (`backbones/erfnet.py`) ends at stride 8; two transposed convolutions, each with two factorized
blocks, bring it to stride 2, where a unit and a classifier end the network (mmsegmentation's form; the
authors' ends in a third transposed convolution).
"""

from __future__ import annotations

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.erfnet import EPSILON, NonBottleneck1D
from mxnetseg.models.base import MODELS, Head, Segmentor
from mxnetseg.nn.layers import FCNHead


class Upsampler(HybridBlock):
    """Transposed convolution to twice the size, batch norm, ReLU."""

    def __init__(self, in_channels, channels):
        super().__init__()
        self.conv = nn.Conv2DTranspose(channels, 3, 2, 1, output_padding=1, in_channels=in_channels)
        self.bn = nn.BatchNorm(in_channels=channels, epsilon=EPSILON)

    def hybrid_forward(self, F, x):
        return F.relu(self.bn(self.conv(x)))


class ERFNetHead(Head):
    """c4 to logits four times finer."""

    def __init__(self, in_channels, nclass, width):
        super().__init__()
        self.decoder = nn.HybridSequential()
        for channels in (64, 16):
            self.decoder.add(
                Upsampler(in_channels, channels), NonBottleneck1D(channels), NonBottleneck1D(channels)
            )
            in_channels = channels
        self.classifier = FCNHead(in_channels, nclass, width)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        return self.classifier(self.decoder(c4))


@MODELS.register(
    "erfnet",
    paper="ERFNet: Efficient Residual Factorized ConvNet for Real-time Semantic Segmentation",
    venue="T-ITS 2018",
    year=2018,
    link="https://doi.org/10.1109/TITS.2017.2750080",
    backbone="erfnet",
    output_stride=8,
    scores=[("Cityscapes val", "512x1024, 160k", 72.5, "mmsegmentation")],
)
def erfnet(nclass, backbone, width: int = 128, align_corners: bool = False):
    """`width`: channels of the head's unit."""
    return Segmentor(backbone, ERFNetHead(backbone.channels[3], nclass, width), align_corners=align_corners)
