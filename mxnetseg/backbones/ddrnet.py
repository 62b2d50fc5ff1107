"""The two branches of DDRNet (Hong et al., arXiv 2101.06085): detail at stride 8 beside context down to 64.

Twice (in DDRNet-39 three times) the branches exchange what they have; at the end pooled context comes up and
joins the detail.
"""

from __future__ import annotations

from typing import Dict, Sequence, Tuple

import numpy as np
from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.backbones.branch_names import FRESH_DDRNET, UNUSED, ddrnet, without_stem_biases
from mxnetseg.backbones.naming import CLASSIFIER, DDRNET, ImageNetNames
from mxnetseg.nn.dappm import WindowPooling
from mxnetseg.nn.layers import ConvUnit
from mxnetseg.nn.residual import BasicUnit, BottleneckUnit, residual_stage
from mxnetseg.nn.resize import resize_like

# (context's channels in widths, its stride, blocks of either branch) before each exchange.
EXCHANGES_23 = ((4, 2, 2), (8, 2, 2))
EXCHANGES_39 = ((4, 2, 3), (4, 1, 3), (8, 2, 3))


class DDRNet(Backbone):
    """Stem at stride 4; stem at 8; detail after the last exchange but one; detail and context joined, at 8.

    `stem_blocks`: of either of the stem's stages.
    """

    def __init__(
        self,
        width: int,
        stem_blocks: Tuple[int, int] = (2, 2),
        exchanges: Sequence[Tuple[int, int, int]] = EXCHANGES_23,
    ) -> None:
        w = width
        tables = [ddrnet(deep=len(exchanges) > 2)]
        self.imagenet = ImageNetNames(DDRNET, (*CLASSIFIER, *UNUSED), FRESH_DDRNET, tables)
        super().__init__(channels=(w, 2 * w, 2 * w, 4 * w), strides=(4, 8, 8, 8))
        self.stem = nn.HybridSequential()
        # Zero input channels: the image's are inferred when the backbone is created.
        self.stem.add(
            ConvUnit(0, w, strides=2),
            ConvUnit(w, w, strides=2),
            residual_stage(BasicUnit, w, w, stem_blocks[0], rectify_last=True),
        )
        self.stem_down = residual_stage(BasicUnit, w, 2 * w, stem_blocks[1], strides=2, rectify_last=True)
        self.context, self.detail, self.up, self.down = (nn.HybridSequential() for _ in range(4))
        channels, apart = 2 * w, 1
        for widths, stride, blocks in exchanges:
            self.context.add(residual_stage(BasicUnit, channels, widths * w, blocks, strides=stride))
            self.detail.add(residual_stage(BasicUnit, 2 * w, 2 * w, blocks))
            channels, apart = widths * w, apart * stride
            self.up.add(ConvUnit(channels, 2 * w, 1, act=None))
            self.down.add(_descent(2 * w, channels, apart))
        self.context.add(residual_stage(BottleneckUnit, 8 * w, 8 * w, 1, strides=2))
        self.detail.add(residual_stage(BottleneckUnit, 2 * w, 2 * w, 1))
        self._exchanges = len(exchanges)
        self.pooling = WindowPooling(16 * w, 128, 4 * w)

    def rearrange(self, tensors: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
        return without_stem_biases(tensors)

    def hybrid_forward(self, F, x):
        c1 = self.stem(x)
        c2 = self.stem_down(c1)
        context, detail, early = c2, c2, None
        for stage in range(self._exchanges):
            context, detail = self.context[stage](context), self.detail[stage](detail)
            rising = resize_like(F, self.up[stage](F.relu(context)), detail, align_corners=False)
            context = F.relu(context + self.down[stage](F.relu(detail)))
            detail = detail + rising
            if stage == self._exchanges - 2:
                early = detail
            detail = F.relu(detail)
        context = self.pooling(self.context[self._exchanges](context))
        detail = self.detail[self._exchanges](detail)
        return c1, c2, early, detail + resize_like(F, context, detail, align_corners=False)


def _descent(in_channels: int, channels: int, factor: int) -> HybridBlock:
    """Detail to context's channels and size, `factor` times smaller: 2 or 4."""
    if factor == 2:
        return ConvUnit(in_channels, channels, strides=2, act=None)
    twice = nn.HybridSequential()
    twice.add(
        ConvUnit(in_channels, channels // 2, strides=2),
        ConvUnit(channels // 2, channels, strides=2, act=None),
    )
    return twice


@BACKBONES.register("ddrnet23_slim", output_strides=(8,))
def ddrnet23_slim() -> DDRNet:
    return DDRNet(32)


@BACKBONES.register("ddrnet23", output_strides=(8,))
def ddrnet23() -> DDRNet:
    return DDRNet(64)


@BACKBONES.register("ddrnet39", output_strides=(8,))
def ddrnet39() -> DDRNet:
    return DDRNet(64, (3, 4), EXCHANGES_39)
