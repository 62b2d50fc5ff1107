"""GFFNet: Gated Fully Fusion for Semantic Segmentation (Li et al., AAAI 2020, arXiv 1904.01803).

Every level of the pyramid receives what all others send: a gate of each level says where its map is worth
sending, and where it would rather receive. The fused levels, with pyramid pooling, go through a densely
connected pyramid from deep to shallow.

All levels are fused at once. MXNetSeg fuses them one after the other, so that levels 2 to 4 mix maps that
are fused already (`sequential=True`).
"""

from __future__ import annotations

from typing import Sequence

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import Backbone
from mxnetseg.models.base import MODELS, Head, Segmentor, aux_on_c3
from mxnetseg.nn.layers import ConvUnit, Dropped, FCNHead
from mxnetseg.nn.ppm import PyramidPooling
from mxnetseg.nn.resize import resize_like

FORMS = {"paper": {}, "mxnetseg": {"sequential": True, "dropped": "elements"}}


class GatedFusion(HybridBlock):
    """Pyramid maps to as many of `width` channels: x + g x + (1 - g) (sum of what the others send, g' x')."""

    def __init__(self, channels: Sequence[int], width: int, sequential: bool) -> None:
        super().__init__()
        self._sequential = sequential
        self.reduce, self.gates, self.refine = (nn.HybridSequential() for _ in range(3))
        for n in channels:
            self.reduce.add(ConvUnit(n, width, 1))
            self.gates.add(nn.Conv2D(width, 1, in_channels=n))
            refine = nn.HybridSequential()
            refine.add(ConvUnit(width, width), ConvUnit(width, width))
            self.refine.add(refine)

    def hybrid_forward(self, F, *features):
        gates = [F.sigmoid(gate(c)) for gate, c in zip(self.gates, features)]
        maps = [unit(c) for unit, c in zip(self.reduce, features)]
        fused = maps if self._sequential else list(maps)
        for level, (x, gate) in enumerate(zip(list(maps), gates)):
            received = 0
            for other, (y, sent) in enumerate(zip(maps, gates)):
                if other != level:
                    received = resize_like(F, sent * y, x) + received
            fused[level] = x + gate * x + (1 - gate) * received
        return tuple(refine(x) for refine, x in zip(self.refine, fused))


class DensePyramid(HybridBlock):
    """Context and pyramid maps of one size, joined from deep to shallow, each step with all before it."""

    def __init__(self, width: int, levels: int) -> None:
        super().__init__()
        self.out_channels = (1 + levels) * width
        self.units = nn.HybridSequential()
        for step in range(levels):
            self.units.add(ConvUnit((2 + step) * width, width))

    def hybrid_forward(self, F, context, *maps):
        done = []
        for unit, x in zip(self.units, reversed(maps)):
            # The newest first, then the level itself, then older ones from shallow to deep.
            parts = [*done[:1], x, *done[1:], context]
            if not done:
                parts = [context, x]
            done.insert(0, unit(F.concat(*parts, dim=1)))
        return F.concat(context, *reversed(done), dim=1)


class GFFNetHead(Head):
    """Gated fusion, everything resized to c1, dense pyramid, classifier."""

    def __init__(
        self, channels: Sequence[int], nclass: int, width: int, sequential: bool, dropped: Dropped
    ) -> None:
        super().__init__()
        pyramid = PyramidPooling(channels[-1], channels[-1] // 4)
        self.context = nn.HybridSequential()
        self.context.add(pyramid, ConvUnit(pyramid.out_channels, width, 1))
        self.fusion = GatedFusion(channels, width, sequential)
        self.pyramid = DensePyramid(width, len(channels))
        self.classifier = FCNHead(self.pyramid.out_channels, nclass, width, dropped=dropped)

    def hybrid_forward(self, F, c1, c2, c3, c4):
        fused = self.fusion(c1, c2, c3, c4)
        maps = [fused[0]] + [resize_like(F, x, fused[0]) for x in (*fused[1:], self.context(c4))]
        return self.classifier(self.pyramid(maps[-1], *maps[:-1]))


@MODELS.register(
    "gffnet",
    forms=FORMS,
    paper="GFF: Gated Fully Fusion for Semantic Segmentation",
    venue="AAAI 2020",
    year=2020,
    link="https://arxiv.org/abs/1904.01803",
    backbone="resnet101_v1s",
    output_stride=8,
    scores=[("Cityscapes test", "resnet101", 82.3, "the authors")],
)
def gffnet(
    nclass: int,
    backbone: Backbone,
    aux: bool = True,
    width: int = 256,
    sequential: bool = False,
    dropped: Dropped = "channels",
) -> Segmentor:
    """`width`: channels of the head. `sequential`: see above. `dropped`: what dropout drops."""
    head = GFFNetHead(backbone.channels, nclass, width, sequential, dropped)
    return Segmentor(backbone, head, aux_on_c3(backbone, nclass, dropped=dropped) if aux else ())
