"""U-Net: Convolutional Networks for Biomedical Image Segmentation (Ronneberger et al., MICCAI 2015,
arXiv 1505.04597).

From the deepest map back to the image: each step doubles the sides, joins the encoder's map of that size and
applies two 3x3 units. The paper has its own encoder (the backbone `unet`) and learns to enlarge by transposed
convolutions. Published implementations differ:

* segmentation_models.pytorch (`smp`): any backbone, repeated pixels, fixed widths, a 3x3 classifier;
  `smp_scse` adds gates over channels and pixels (scSE, Roy et al., arXiv 1803.02579);
* mmsegmentation: the paper's encoder, bilinear enlarging with a 1x1 unit, an auxiliary classifier at half the
  size, and above it a plain head (`mmseg`), PSPNet's or DeepLabv3's.

A backbone without maps as fine as the image is brought there by steps without a skip. Logits have the size
of the image; where its sides are odd they are cut to it.
"""

from __future__ import annotations

from typing import Literal, Optional, Sequence

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Aux, Head, Neck, Segmentor
from mxnetseg.nn.aspp import ASPP
from mxnetseg.nn.initial import FAN_IN, FAN_IN_UNIFORM, draw
from mxnetseg.nn.layers import ConvUnit, FCNHead, classifier
from mxnetseg.nn.ppm import PyramidPooling
from mxnetseg.nn.resize import resize_by, resize_like
from mxnetseg.nn.upward import ChannelGate, UpBlock, drawn_classifier, grow, steps_up

SMP = {"backbone": "resnet34", "up": "nearest", "widths": (256, 128, 64, 32, 16), "top": "3x3"}
MMSEG = {"backbone": "unet", "up": "bilinear", "aux": True}
FORMS = {
    "paper": {"backbone": "unet"},
    "smp": SMP,
    "smp_scse": {**SMP, "gate": "scse"},
    "mmseg": {**MMSEG, "top": "fcn"},
    "mmseg_pspnet": {**MMSEG, "top": "pspnet"},
    "mmseg_deeplabv3": {**MMSEG, "top": "deeplabv3"},
}
Up = Literal["transposed", "bilinear", "nearest"]
Top = Literal["1x1", "3x3", "fcn", "pspnet", "deeplabv3"]


class SCSE(HybridBlock):
    """A map weighed by a gate for each channel plus the map weighed by one for each pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channel = ChannelGate(channels)
        self.pixel = nn.Conv2D(1, 1, in_channels=channels)

    def hybrid_forward(self, F, x):
        return F.broadcast_mul(x, self.channel(x)) + F.broadcast_mul(x, F.sigmoid(self.pixel(x)))


class LearntUpBlock(HybridBlock):
    """`(x, *skips)`: x enlarged by a transposed convolution, or bilinearly with a 1x1 unit, behind the
    skip; two 3x3 units."""

    def __init__(self, in_channels: int, skip: int, channels: int, factor: int, up: Up) -> None:
        super().__init__()
        self._factor, self._bilinear = factor, up == "bilinear"
        if self._bilinear or factor != 2:
            self.up = ConvUnit(in_channels, channels, 1)
        else:
            self.up = nn.Conv2DTranspose(channels, 2, 2, in_channels=in_channels)
        self.unit1 = ConvUnit(channels + skip, channels)
        self.unit2 = ConvUnit(channels, channels)

    def hybrid_forward(self, F, x, *skips):
        if self._bilinear:
            x = resize_by(F, x, self._factor, align_corners=False)
        elif self._factor > 2:
            x = grow(F, x, self._factor)
        x = self.up(x)
        if skips:
            # Odd sides: the coarse map covers a pixel more than the fine one, or, in some backbones, less.
            x = F.concat(skips[0], resize_like(F, x, skips[0], align_corners=False), dim=1)
        return self.unit2(self.unit1(x))


class UNetDecoder(Neck):
    """The maps of the decoder, the backbone's deepest first, the finest at the image's size last.

    `widths`: channels after each step; None: those of the skip, half as many where there is none.
    `out_widths` are the channels of all that it returns.
    """

    def __init__(
        self, backbone: Backbone, widths: Optional[Sequence[int]], up: Up, gate: Optional[str]
    ) -> None:
        super().__init__()
        self.blocks = nn.HybridSequential()
        before = backbone.channels[-1]
        out = [before]
        for index, (factor, skip) in enumerate(steps_up(backbone.channels, backbone.strides)):
            width = widths[min(index, len(widths) - 1)] if widths else skip or before // 2
            if up == "nearest":
                gates = SCSE if gate == "scse" else None
                block = UpBlock(before, skip, width, factor, backbone.rounds_down, gates)
            else:
                block = LearntUpBlock(before, skip, width, factor, up)
            self.blocks.add(block)
            before = width
            out.append(width)
        self.out_widths = tuple(out)
        if up != "bilinear":
            draw(self, FAN_IN_UNIFORM if up == "nearest" else FAN_IN)

    def hybrid_forward(self, F, image, *features):
        x, *skips = features[::-1]
        maps = [x]
        for index, block in enumerate(self.blocks):
            x = block(x, *skips[index : index + 1])
            maps.append(x)
        return tuple(maps)


class UNetHead(Head):
    """Logits of the last map: one convolution, or a head of mmsegmentation's with `width` channels."""

    def __init__(self, in_channels: int, nclass: int, top: Top) -> None:
        super().__init__()
        self.context = None
        if top == "pspnet":
            self.context = PyramidPooling(in_channels, 16, align_corners=False)
            self.classifier = FCNHead(self.context.out_channels, nclass, 16)
        elif top == "deeplabv3":
            self.context = ASPP(
                in_channels, 16, pool_first=True, project="3x3", dropout=0.0, align_corners=False
            )
            self.classifier = FCNHead(16, nclass, 16, units=0)
        elif top == "fcn":
            self.classifier = FCNHead(in_channels, nclass, 64)
        elif top == "3x3":
            self.classifier = drawn_classifier(in_channels, nclass)
        else:
            self.classifier = classifier(in_channels, nclass)

    def hybrid_forward(self, F, *maps):
        x = maps[-1]
        return self.classifier(x if self.context is None else self.context(x))


@MODELS.register(
    "unet",
    forms=FORMS,
    paper="U-Net: Convolutional Networks for Biomedical Image Segmentation",
    venue="MICCAI 2015",
    year=2015,
    link="https://arxiv.org/abs/1505.04597",
    backbone="resnet34",
    output_stride=32,
    c0=True,
    scores=[("Cityscapes val", "unet (S5-D16) with FCN head, 512x1024, 160k", 69.1, "mmsegmentation")],
)
def unet(
    nclass: int,
    backbone: Backbone,
    aux: bool = False,
    widths: Optional[Sequence[int]] = None,
    up: Up = "transposed",
    gate: Optional[Literal["scse"]] = None,
    top: Top = "1x1",
) -> Segmentor:
    """`widths`: channels after each step of the decoder, deepest first; None takes the skips'. `up`: how maps
    are enlarged, `gate`: what weighs them where pixels are repeated, `top`: what stands on the decoder; see
    the module. `aux`: a plain head on the decoder's map before the last."""
    neck = UNetDecoder(backbone, widths, up, gate)
    *_, half, finest = neck.out_widths
    side = [Aux(FCNHead(half, nclass, 64), "neck", len(neck.out_widths) - 2)] if aux else ()
    head = UNetHead(finest, nclass, top)
    return Segmentor(backbone, head, side, neck=neck, align_corners=False, full_size=True)
