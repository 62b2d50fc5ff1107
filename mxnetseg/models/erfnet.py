"""ERFNet: Efficient Residual Factorized ConvNet for Real-time Semantic Segmentation (Romera et al.,
T-ITS 2018).

The encoder (`backbones/erfnet.py`) ends at stride 8; two transposed convolutions, each with two factorized
blocks, bring it to stride 2, where a unit and a classifier end the network (mmsegmentation's form; the
authors' ends in a third transposed convolution). The decoder stands in `net.backbone`, above the encoder
(`net.backbone.context`).
"""

from __future__ import annotations

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
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


class EncoderDecoder(Backbone):
    """Image to one map of 16 channels, four times finer than c4."""

    def __init__(self, context):
        super().__init__(channels=(16,), strides=(max(1, context.strides[3] // 4),))
        self.context = context
        self.decoder = nn.HybridSequential()
        before = context.channels[3]
        for width in (64, 16):
            self.decoder.add(Upsampler(before, width), NonBottleneck1D(width), NonBottleneck1D(width))
            before = width

    def hybrid_forward(self, F, x):
        return (self.decoder(self.context(x)[3]),)


class ERFNetHead(Head):
    """The decoded map to logits."""

    def __init__(self, in_channels, nclass, width):
        super().__init__()
        self.classifier = FCNHead(in_channels, nclass, width)

    def hybrid_forward(self, F, *maps):
        return self.classifier(maps[-1])


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
def erfnet(nclass, backbone, width=128, align_corners=False):
    """`width`: channels of the head's unit."""
    return Segmentor(EncoderDecoder(backbone), ERFNetHead(16, nclass, width), (), align_corners)
