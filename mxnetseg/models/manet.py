"""MA-Net: A Multi-Scale Attention Network for Liver and Tumor Segmentation (Fan et al., IEEE Access 2020,
doi 10.1109/ACCESS.2020.3025372).

A U-Net whose deepest map attends to all of itself and whose steps up weigh the coarse map's channels by
gates of it and of the skip. Built as segmentation_models.pytorch does (`smp`): the attention's softmax runs
over all pairs of positions at once, and what it reads is laid out by positions where the map is by
channels.
"""

from __future__ import annotations

from typing import Sequence

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Head, Segmentor
from mxnetseg.nn.attention import positions
from mxnetseg.nn.initial import FAN_IN_UNIFORM, draw
from mxnetseg.nn.layers import ConvUnit
from mxnetseg.nn.upward import ChannelGate, UpBlock, drawn_classifier, grow, steps_up

FORMS = {"paper": {}, "smp": {"backbone": "resnet34"}}


class PositionAttention(HybridBlock):
    """A map plus sums of it over all positions, then a 3x3 convolution: `(N, C, H, W)` to the same."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.top = nn.Conv2D(width, 1, in_channels=channels)
        self.center = nn.Conv2D(width, 1, in_channels=channels)
        self.bottom = nn.Conv2D(channels, 3, padding=1, in_channels=channels)
        self.out = nn.Conv2D(channels, 3, padding=1, in_channels=channels)

    def hybrid_forward(self, F, x):
        scores = F.batch_dot(positions(F, self.center(x)), positions(F, self.top(x)), transpose_a=True)
        weights = F.reshape_like(F.softmax(F.reshape(scores, (0, -1)), axis=-1), scores)
        # (positions, channels), read row by row as (channels, positions).
        sums = F.batch_dot(weights, positions(F, self.bottom(x)), transpose_b=True)
        return self.out(x + F.reshape_like(sums, x))


class FusionBlock(HybridBlock):
    """`(x, skip)` to `(N, channels, H, W)`: x at the skip's channels and size, its channels weighed by the
    sum of two gates, joined with the skip; two 3x3 units."""

    def __init__(
        self, in_channels: int, skip: int, channels: int, factor: int, rounded_down: bool, reduction: int
    ) -> None:
        super().__init__()
        self._factor, self._rounded_down = factor, rounded_down
        self.smooth = ConvUnit(in_channels, in_channels)
        self.match = ConvUnit(in_channels, skip, 1)
        self.skip_gate = ChannelGate(skip, reduction)
        self.gate = ChannelGate(skip, reduction)
        self.unit1 = ConvUnit(2 * skip, channels)
        self.unit2 = ConvUnit(channels, channels)

    def hybrid_forward(self, F, x, skip):
        x = grow(F, self.match(self.smooth(x)), self._factor, skip, self._rounded_down)
        x = F.broadcast_mul(x, self.gate(x) + self.skip_gate(skip))
        return self.unit2(self.unit1(F.concat(x, skip, dim=1)))


class MANetHead(Head):
    """The maps of a backbone, shallow to deep, to logits at the image's size."""

    def __init__(
        self, backbone: Backbone, nclass: int, widths: Sequence[int], attention: int, reduction: int
    ) -> None:
        super().__init__()
        before, down = backbone.channels[-1], backbone.rounds_down
        self.center = PositionAttention(before, attention)
        self.blocks = nn.HybridSequential()
        for width, (factor, skip) in zip(widths, steps_up(backbone.channels, backbone.strides)):
            if skip:
                self.blocks.add(FusionBlock(before, skip, width, factor, down, reduction))
            else:
                self.blocks.add(UpBlock(before, 0, width, factor))
            before = width
        self.classifier = drawn_classifier(before, nclass)
        draw(self.center, FAN_IN_UNIFORM)
        draw(self.blocks, FAN_IN_UNIFORM)

    def hybrid_forward(self, F, *features):
        x, *skips = features[::-1]
        x = self.center(x)
        for index, block in enumerate(self.blocks):
            x = block(x, *skips[index : index + 1])
        return self.classifier(x)


@MODELS.register(
    "manet",
    forms=FORMS,
    paper="MA-Net: A Multi-Scale Attention Network for Liver and Tumor Segmentation",
    venue="IEEE Access 2020",
    year=2020,
    link="https://doi.org/10.1109/ACCESS.2020.3025372",
    backbone="resnet34",
    output_stride=32,
    c0=True,
)
def manet(
    nclass: int,
    backbone: Backbone,
    widths: Sequence[int] = (256, 128, 64, 32, 16),
    attention: int = 64,
    reduction: int = 16,
) -> Segmentor:
    """`widths`: channels after each step, deepest first. `attention`: channels of queries and keys.
    `reduction`: by which the gates squeeze channels."""
    head = MANetHead(backbone, nclass, widths, attention, reduction)
    return Segmentor(backbone, head, align_corners=False, full_size=True)
