"""LinkNet: Exploiting Encoder Representations for Efficient Semantic Segmentation (Chaurasia and Culurciello,
VCIP 2017, arXiv 1707.03718).

Each step up squeezes the map to a quarter of its channels, enlarges it by a transposed convolution and
gives it the channels of the encoder's map of that size, which is added. The paper begins at ResNet-18's
stride 4 and ends in two transposed convolutions; segmentation_models.pytorch goes on in the same steps to
the image's size, adding the map at stride 2 (`smp`).
"""

from __future__ import annotations

from typing import Literal

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Head, Segmentor
from mxnetseg.nn.initial import FAN_IN_UNIFORM, draw, draw_as_pytorch
from mxnetseg.nn.layers import ConvUnit
from mxnetseg.nn.resize import nearest_like
from mxnetseg.nn.upward import Step, drawn_classifier, steps_up

FORMS = {
    "paper": {"backbone": "resnet18", "c0": False},
    "smp": {"backbone": "resnet34", "end": "blocks"},
}
End = Literal["transposed", "blocks"]


class TransposedUnit(HybridBlock):
    """Transposed convolution (`.conv`), batch norm, ReLU: sides grow `factor` times (1: not at all)."""

    def __init__(self, in_channels: int, channels: int, factor: int) -> None:
        super().__init__()
        if factor == 1:
            self.conv = nn.Conv2D(channels, 3, padding=1, in_channels=in_channels)
        else:
            self.conv = nn.Conv2DTranspose(channels, 2 * factor, factor, factor // 2, in_channels=in_channels)
        self.bn = nn.BatchNorm(in_channels=channels)

    def hybrid_forward(self, F, x):
        return F.relu(self.bn(self.conv(x)))


class UpStep(HybridBlock):
    """`(x)` or `(x, skip)`: squeezed, enlarged, widened to `channels`, plus the skip."""

    def __init__(self, in_channels: int, channels: int, factor: int, rounded_down: bool) -> None:
        super().__init__()
        self._rounded_down = rounded_down
        squeezed = max(1, in_channels // 4)
        self.squeeze = ConvUnit(in_channels, squeezed, 1)
        self.up = TransposedUnit(squeezed, squeezed, factor)
        self.widen = ConvUnit(squeezed, channels, 1)

    def hybrid_forward(self, F, x, *skips):
        x = self.widen(self.up(self.squeeze(x)))
        for skip in skips:
            same = nearest_like(F, x, skip) if self._rounded_down else F.slice_like(x, skip, axes=(2, 3))
            x = same + skip
        return x


class LinkNetHead(Head):
    """The maps of a backbone, shallow to deep, to logits at the image's size."""

    def __init__(self, backbone: Backbone, nclass: int, width: int, end: End) -> None:
        super().__init__()
        before, down = backbone.channels[-1], backbone.rounds_down
        steps = steps_up(backbone.channels, backbone.strides)
        self.blocks, self.ending = nn.HybridSequential(), nn.HybridSequential()
        left = sum(not step.skip for step in steps)
        if end == "transposed":
            steps = [*(step for step in steps if step.skip), Step(1, 0)]
        for index, (factor, skip) in enumerate(steps):
            last = index == len(steps) - 1 and end == "blocks"
            channels = skip or (width if last else before)
            self.blocks.add(UpStep(before, channels, factor, down))
            before = channels
        if end == "blocks" or not left:
            self.classifier = drawn_classifier(before, nclass, 1)
        else:
            for _ in range(left - 1):
                self.ending.add(TransposedUnit(before, width, 2), ConvUnit(width, width))
                before = width
            self.classifier = nn.Conv2DTranspose(nclass, 2, 2, in_channels=before)
        # PyTorch's own draw for what segmentation_models.pytorch leaves as it is.
        for block in self.blocks:
            draw_as_pytorch(block.up)
        draw(self.blocks, FAN_IN_UNIFORM)

    def hybrid_forward(self, F, *features):
        x, *skips = features[::-1]
        for index, block in enumerate(self.blocks):
            x = block(x, *skips[index : index + 1])
        return self.classifier(self.ending(x))


@MODELS.register(
    "linknet",
    forms=FORMS,
    paper="LinkNet: Exploiting Encoder Representations for Efficient Semantic Segmentation",
    venue="VCIP 2017",
    year=2017,
    link="https://arxiv.org/abs/1707.03718",
    backbone="resnet18",
    output_stride=32,
    c0=True,
)
def linknet(nclass: int, backbone: Backbone, width: int = 32, end: End = "transposed") -> Segmentor:
    """`width`: channels at the image's size (`blocks`) or half of it. `end`: how the last steps, where the
    encoder has no map, are done; see the module."""
    head = LinkNetHead(backbone, nclass, width, end)
    return Segmentor(backbone, head, align_corners=False, full_size=True)
