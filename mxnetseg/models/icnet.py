"""ICNet for Real-Time Semantic Segmentation on High-Resolution Images (Zhao et al., ECCV 2018,
arXiv 1704.08545).

The heavy layers see little: the halved image passes a ResNet's first two stages, that map is halved again for
the last two and pyramid pooling, and the full image passes three strided convolutions only. Two cascade
fusions bring the branches together, each low branch with a classifier of its own in training.

Published forms differ in how things are halved and resized (`corners`), in the pooling (`ppm_act`,
`ppm_first`, `ppm_kernel`), in an early ReLU of the fusions (`early_act`), in the classifiers and in which
outputs are supervised. SFSegNets drops channels after the pooling, GluonCV elements; mmsegmentation drops
channels before the side classifiers alone (`aux_dropout`).

Backbones that cannot be run in two parts see the halved image in one piece, without the second halving.
"""

from __future__ import annotations

from typing import Literal, Optional, Sequence

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone, TwoPartBackbone, Wrapper
from mxnetseg.models.base import MODELS, Aux, Head, Neck, Segmentor
from mxnetseg.nn.initial import draw_as_pytorch
from mxnetseg.nn.layers import ConvUnit, Dropped, FCNHead, Identity, dropout_layer
from mxnetseg.nn.ppm import PyramidPooling
from mxnetseg.nn.resize import resize_by, resize_like
from mxnetseg.nn.tensor import Ops, Tensor

FORMS = {
    "paper": {},
    "mmseg": {
        "backbone": "resnet50_v1c",
        "backbone_options": {"dilation": "contracted_conv1", "ceil_pool": True},
        "corners": False,
        "ppm_first": False,
        "early_act": True,
        "units": 1,
        "aux_dropout": 0.1,
    },
    "gluoncv": {
        "backbone": "resnet50_v1s",
        "supervise_main": True,
        "fine_first": True,
        "dropout": 0.1,
        "dropped": "elements",
    },
    "sfsegnets": {
        "backbone": "resnet50_v1s",
        "output_stride": 32,
        "ppm_act": None,
        "ppm_first": False,
        "ppm_kernel": 1,
        "supervise_main": True,
        "dropout": 0.1,
    },
}


class CascadeFusion(HybridBlock):
    """`(low, high)` to (their sum at high's size, low's part of it)."""

    def __init__(self, low: int, high: int, channels: int, corners: bool, early_act: bool) -> None:
        super().__init__()
        self._corners = corners
        act = "relu" if early_act else None
        self.low = ConvUnit(low, channels, dilation=2, act=act)
        self.high = ConvUnit(high, channels, 1, act=act)

    def hybrid_forward(self, F, low, high):
        low = self.low(resize_like(F, low, high, self._corners))
        return F.relu(low + self.high(high)), low


class TwiceHalved(Wrapper):
    """Image to (c2 of the halved image, c4 of that map halved again)."""

    def __init__(self, net: Backbone, corners: bool) -> None:
        in_two_parts = isinstance(net, TwoPartBackbone)
        again = 2 if in_two_parts else 1
        super().__init__(net, net.channels[1::2], (2 * net.strides[1], 2 * again * net.strides[3]))
        self._in_two_parts = in_two_parts
        self._corners = corners

    def hybrid_forward(self, F, x):
        half = halve(F, x, self._corners)
        if not self._in_two_parts:
            return self.net(half)[1::2]
        c2 = self.net.first_part(F, half)[1]
        return c2, self.net.second_part(F, halve(F, c2, self._corners))[1]


class ThreeResolutions(Neck):
    """Image and the two lower branches to (fused map at stride 8; low part of the first fusion, at 16; of the
    second, at 8)."""

    def __init__(
        self,
        channels: Sequence[int],
        width: int,
        corners: bool,
        ppm_act: Optional[Literal["relu"]],
        ppm_first: bool,
        ppm_kernel: int,
        early_act: bool,
        dropout: float,
        dropped: Dropped,
    ) -> None:
        super().__init__()
        half, quarter = channels
        deepest = 2 * width
        # Zero input channels: the image's are inferred when the network is created.
        self.full = nn.HybridSequential()
        self.full.add(ConvUnit(0, 32, strides=2), ConvUnit(32, 32, strides=2), ConvUnit(32, 64, strides=2))
        self.ppm = PyramidPooling(quarter, deepest, act=ppm_act, align_corners=corners, input_first=ppm_first)
        self.ppm_fuse = ConvUnit(self.ppm.out_channels, deepest, ppm_kernel)
        self.drop = dropout_layer(dropout, dropped)
        self.reduce_quarter = ConvUnit(deepest, width, 1)
        self.reduce_half = ConvUnit(half, width, 1)
        self.fuse_half = CascadeFusion(width, width, width // 2, corners, early_act)
        self.fuse_full = CascadeFusion(width // 2, 64, width // 2, corners, early_act)

    def hybrid_forward(self, F, image, half, quarter):
        quarter = self.reduce_quarter(self.drop(self.ppm_fuse(self.ppm(quarter))))
        fused, low16 = self.fuse_half(quarter, self.reduce_half(half))
        fused, low8 = self.fuse_full(fused, self.full(image))
        return fused, low16, low8


class ICNetHead(Head):
    """The fused map to logits: bare classifier on the map brought to stride 4, or a plain head at 8."""

    def __init__(self, channels: int, nclass: int, units: int) -> None:
        super().__init__()
        self._at_quarter = units == 0
        self.classifier = _classifier(channels, nclass, units)

    def hybrid_forward(self, F, fused, low16, low8):
        return self.classifier(resize_by(F, fused, 2) if self._at_quarter else fused)


def halve(F: Ops, x: Tensor, corners: bool) -> Tensor:
    """Both sides halved and rounded down, bilinearly. Without corner alignment the four pixels of each
    2x2 square have equal weight, odd borders left out: an average pool."""
    if corners:
        return resize_by(F, x, 0.5)
    return F.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="avg")


def _classifier(channels, nclass, units, dropout=0.0):
    return FCNHead(channels, nclass, channels, units=units, dropout=dropout, classifier_bias=units > 0)


@MODELS.register(
    "icnet",
    forms=FORMS,
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
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    width: int = 256,
    corners: bool = True,
    ppm_act: Optional[Literal["relu"]] = "relu",
    ppm_first: bool = True,
    ppm_kernel: int = 3,
    early_act: bool = False,
    units: int = 0,
    supervise_main: bool = False,
    fine_first: bool = False,
    dropout: float = 0.0,
    dropped: Dropped = "channels",
    aux_dropout: float = 0.0,
) -> Segmentor:
    """`width`: channels of the reduced branches. `corners`: all resizing aligns corners. `ppm_act`,
    `ppm_first`, `ppm_kernel`: pyramid pooling's activation, whether its input is joined first, side of the
    convolution after it. `early_act`: ReLU inside the fusions too.
    `units`: 3x3 units of the classifiers, 0 for bare ones without bias. `aux`: classifiers of the low parts,
    stride 16 before 8. `supervise_main`: then the main logits once more. `fine_first`: in reverse order.
    `dropout`: rate after the pooling, `dropped`: of what. `aux_dropout`: rate before the side classifiers."""
    backbone = TwiceHalved(backbone, corners)
    neck = ThreeResolutions(
        backbone.channels, width, corners, ppm_act, ppm_first, ppm_kernel, early_act, dropout, dropped
    )
    head = ICNetHead(width // 2, nclass, units)
    heads = [Aux(_classifier(width // 2, nclass, units, aux_dropout), "neck", index) for index in (1, 2)]
    # Where classifiers are bare all is drawn as PyTorch draws it; mmsegmentation's rule spares the side ones.
    draw_as_pytorch(*(one.block.classifier for one in heads), *((neck, head) if units == 0 else ()))
    if supervise_main:
        heads.append(Aux(Identity(), "head", 0))
    if fine_first:
        heads.reverse()
    return Segmentor(backbone, head, heads if aux else (), neck=neck, align_corners=corners)
