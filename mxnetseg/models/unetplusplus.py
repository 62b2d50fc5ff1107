"""U-Net++: Redesigning Skip Connections to Exploit Multiscale Features in Image Segmentation (Zhou et al.,
TMI 2020, arXiv 1912.05074).

Between encoder and decoder stands a triangle of blocks: every map of the encoder is brought up step by step,
and each block joins all maps of its size that there are so far. The paper supervises every map of the finest
row that has a skip; segmentation_models.pytorch the last one alone (`smp`).
"""

from __future__ import annotations

from typing import Sequence

from mxnet.gluon import nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Aux, Head, Neck, Segmentor
from mxnetseg.nn.initial import FAN_IN_UNIFORM, draw
from mxnetseg.nn.upward import UpBlock, drawn_classifier, steps_up

FORMS = {"paper": {"aux": True}, "smp": {"backbone": "resnet34"}}


class NestedDecoder(Neck):
    """The map at the image's size, then the finest row's earlier maps, later ones first.

    Row `r` has the size of the encoder's map `r + 1`, counted from the deepest. Its first block
    (`rows[r][0]`) ends the decoder's own path and is `widths[r]` wide, the others are as wide as that map.
    `last` are the steps without a skip. `row_width`: channels of the finest row's maps but the first.
    """

    def __init__(self, backbone: Backbone, widths: Sequence[int]) -> None:
        super().__init__()
        steps = steps_up(backbone.channels, backbone.strides)
        nested = [step for step in steps if step.skip]
        deep = [backbone.channels[-1], *(step.skip for step in nested)]
        self.rows, self.last = nn.HybridSequential(), nn.HybridSequential()
        for r, (factor, skip) in enumerate(nested):
            row = nn.HybridSequential()
            for place in range(r + 1):
                # The own path reads the own path of the row below; the others what stands below them there,
                # down to the encoder's map.
                before = widths[r - 1] if r and place == 0 else deep[r]
                channels = skip if place else widths[r]
                joined = skip * (r + 1 - place)
                row.add(UpBlock(before, joined, channels, factor, backbone.rounds_down))
            self.rows.add(row)
        before = widths[len(nested) - 1]
        for width, (factor, _) in zip(widths[len(nested) :], steps[len(nested) :]):
            self.last.add(UpBlock(before, 0, width, factor))
            before = width
        self.out_width, self.row_width, self.side_maps = before, nested[-1].skip, len(nested) - 1
        draw(self, FAN_IN_UNIFORM)

    def hybrid_forward(self, F, image, *features):
        x, *skips = features[::-1]
        below = [x]
        for row, skip in zip(self.rows, skips):
            here = [skip]
            # From the encoder's side to the decoder's: each block sees all maps of its row before it.
            for place in reversed(range(len(row))):
                here.insert(0, row[place](below[place], *here))
            below = here
        x, *row = below
        for block in self.last:
            x = block(x)
        return (x, *row[:-1])


class LastMap(Head):
    """One 3x3 convolution of the first map of the decoder, which is at the image's size."""

    def __init__(self, in_channels: int, nclass: int) -> None:
        super().__init__()
        self.classifier = drawn_classifier(in_channels, nclass)

    def hybrid_forward(self, F, x, *rest):
        return self.classifier(x)


@MODELS.register(
    "unetplusplus",
    forms=FORMS,
    paper="UNet++: Redesigning Skip Connections to Exploit Multiscale Features in Image Segmentation",
    venue="TMI 2020",
    year=2020,
    link="https://arxiv.org/abs/1912.05074",
    backbone="resnet34",
    output_stride=32,
    c0=True,
)
def unetplusplus(
    nclass: int,
    backbone: Backbone,
    aux: bool = False,
    widths: Sequence[int] = (256, 128, 64, 32, 16),
) -> Segmentor:
    """`widths`: channels of the decoder's own path after each step, deepest first. `aux`: deep supervision, a
    1x1 classifier on each earlier map of the finest row."""
    neck = NestedDecoder(backbone, widths)
    side = [
        Aux(drawn_classifier(neck.row_width, nclass, 1), "neck", 1 + place)
        for place in range(neck.side_maps if aux else 0)
    ]
    return Segmentor(
        backbone, LastMap(neck.out_width, nclass), side, neck=neck, align_corners=False, full_size=True
    )
