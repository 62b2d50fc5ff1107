"""ICNet for Real-Time Semantic Segmentation on High-Resolution Images (Zhao et al., ECCV 2018,
arXiv 1704.08545).

The heavy layers see little: the halved image passes a ResNet's first two stages, that map is halved again for
the last two and pyramid pooling, and the full image passes three strided convolutions only. Two cascade
fusions bring the branches together, each low branch with a classifier of its own in training.

Published forms differ in how things are halved and resized (`corners`), in the pooling (`ppm_act`,
`ppm_first`, `ppm_kernel`, `ceil_pool`), in an early ReLU of the fusions (`early_act`) and in the classifiers.
The branches and fusions stand in `net.backbone`, above the ResNet itself (`net.backbone.context`).
Backbones that cannot be run in two parts see the halved image in one piece, without the second halving.
"""

from __future__ import annotations

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.errors import ConfigError
from mxnetseg.models.base import MODELS, Head, Segmentor
from mxnetseg.nn.layers import ConvUnit, FCNHead, Identity
from mxnetseg.nn.ppm import PyramidPooling
from mxnetseg.nn.resize import resize_by, resize_like
from mxnetseg.nn.surgery import configure

STAGES = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")


class CascadeFusion(HybridBlock):
    """`(low, high)` to (their sum at high's size, low's part of it)."""

    def __init__(self, low, high, channels, corners, early_act):
        super().__init__()
        self._corners = corners
        act = "relu" if early_act else None
        self.low = ConvUnit(low, channels, dilation=2, act=act)
        self.high = ConvUnit(high, channels, 1, act=act)

    def hybrid_forward(self, F, low, high):
        low = self.low(resize_like(F, low, high, self._corners))
        return F.relu(low + self.high(high)), low


class ThreeResolutions(Backbone):
    """Image to (low part of the first fusion, at stride 16; of the second, at 8; the fused map, at 8)."""

    def __init__(self, context, width, corners, ceil_pool, ppm_act, ppm_first, ppm_kernel, early_act):
        super().__init__(channels=(width // 2,) * 3, strides=(16, 8, 8))
        self._corners = corners
        self._in_two_parts = all(hasattr(context, stage) for stage in STAGES)
        self.context = context
        if ceil_pool:
            if not self._in_two_parts:
                raise ConfigError("icnet ceil_pool needs a ResNet")
            configure(context.maxpool, pooling_convention="full")
        deepest = 2 * width
        # Zero input channels: the image's are inferred when the network is created.
        self.full = nn.HybridSequential()
        self.full.add(ConvUnit(0, 32, strides=2), ConvUnit(32, 32, strides=2), ConvUnit(32, 64, strides=2))
        self.ppm = PyramidPooling(
            context.channels[3], deepest, act=ppm_act, align_corners=corners, input_first=ppm_first
        )
        self.ppm_fuse = ConvUnit(self.ppm.out_channels, deepest, ppm_kernel)
        self.reduce_quarter = ConvUnit(deepest, width, 1)
        self.reduce_half = ConvUnit(context.channels[1], width, 1)
        self.fuse_half = CascadeFusion(width, width, width // 2, corners, early_act)
        self.fuse_full = CascadeFusion(width // 2, 64, width // 2, corners, early_act)

    def hybrid_forward(self, F, x):
        net = self.context
        half = halve(F, x, self._corners)
        if self._in_two_parts:
            half = net.maxpool(net.relu(net.bn1(net.conv1(half))))
            half = net.layer2(net.layer1(half))
            quarter = net.layer4(net.layer3(halve(F, half, self._corners)))
        else:
            half, quarter = net(half)[1::2]
        quarter = self.reduce_quarter(self.ppm_fuse(self.ppm(quarter)))
        fused, low16 = self.fuse_half(quarter, self.reduce_half(half))
        fused, low8 = self.fuse_full(fused, self.full(x))
        return low16, low8, fused


class ICNetHead(Head):
    """The fused map to logits: bare classifier on the map brought to stride 4, or a plain head at 8."""

    def __init__(self, channels, nclass, units):
        super().__init__()
        self._at_quarter = units == 0
        self.classifier = _classifier(channels, nclass, units)

    def hybrid_forward(self, F, *maps):
        fused = maps[-1]
        logits = self.classifier(resize_by(F, fused, 2) if self._at_quarter else fused)
        return logits, logits


def halve(F, x, corners):
    """Both sides halved and rounded down, bilinearly. Without corner alignment the four pixels of each
    2x2 square have equal weight, odd borders left out: an average pool."""
    if corners:
        return resize_by(F, x, 0.5)
    return F.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="avg")


def _classifier(channels, nclass, units):
    return FCNHead(channels, nclass, channels, units=units, dropout=0.0, classifier_bias=units > 0)


@MODELS.register(
    "icnet",
    paper="ICNet for Real-Time Semantic Segmentation on High-Resolution Images",
    venue="ECCV 2018",
    year=2018,
    link="https://arxiv.org/abs/1704.08545",
    backbone="resnet50",
    output_stride=8,
    scores=[
        ("Cityscapes val", "resnet18_v1c, 832x832, 160k", 74.43, "mmsegmentation"),
        ("Cityscapes val", "resnet50_v1c, 832x832, 160k", 76.29, "mmsegmentation"),
    ],
)
def icnet(
    nclass,
    backbone,
    aux=True,
    width=256,
    corners=True,
    ceil_pool=False,
    ppm_act="relu",
    ppm_first=True,
    ppm_kernel=3,
    early_act=False,
    units=0,
    supervise_main=False,
    fine_first=False,
):
    """`width`: channels of the reduced branches. `corners`: all resizing aligns corners. `ceil_pool`: the
    ResNet's max pool rounds up. `ppm_act`, `ppm_first`, `ppm_kernel`: pyramid pooling's activation, whether
    its input is joined first, side of the convolution after it. `early_act`: ReLU inside the fusions too.
    `units`: 3x3 units of the classifiers, 0 for bare ones without bias. `aux`: classifiers of the low parts,
    stride 16 before 8. `supervise_main`: then the main logits once more. `fine_first`: in reverse order."""
    paths = ThreeResolutions(backbone, width, corners, ceil_pool, ppm_act, ppm_first, ppm_kernel, early_act)
    head = ICNetHead(width // 2, nclass, units)
    heads = [(source, _classifier(width // 2, nclass, units)) for source in ("c1", "c2")]
    if supervise_main:
        heads.append(("head.0", Identity()))
    if fine_first:
        heads.reverse()
    return Segmentor(paths, head, heads if aux else (), corners)
