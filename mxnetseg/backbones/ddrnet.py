"""The two branches of DDRNet (Hong et al., arXiv 2101.06085): detail at stride 8 beside context down to 64.

Twice the branches exchange what they have; at the end pooled context comes up and joins the detail.
"""

from __future__ import annotations

from mxnet.gluon import nn

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.backbones.naming import DDRNET, ImageNetNames
from mxnetseg.nn.dappm import WindowPooling
from mxnetseg.nn.layers import ConvUnit
from mxnetseg.nn.residual import BasicUnit, BottleneckUnit, residual_stage
from mxnetseg.nn.resize import resize_like


class DDRNet(Backbone):
    """Stem at stride 4; stem at 8; detail after the first exchange; detail and context joined, at 8."""

    imagenet = ImageNetNames(DDRNET)

    def __init__(self, width: int) -> None:
        w = width
        super().__init__(channels=(w, 2 * w, 2 * w, 4 * w), strides=(4, 8, 8, 8))
        self.stem = nn.HybridSequential()
        # Zero input channels: the image's are inferred when the backbone is created.
        self.stem.add(
            ConvUnit(0, w, strides=2),
            ConvUnit(w, w, strides=2),
            residual_stage(BasicUnit, w, w, 2, rectify_last=True),
        )
        self.stem_down = residual_stage(BasicUnit, w, 2 * w, 2, strides=2, rectify_last=True)
        self.context, self.detail = nn.HybridSequential(), nn.HybridSequential()
        self.context.add(
            residual_stage(BasicUnit, 2 * w, 4 * w, 2, strides=2),
            residual_stage(BasicUnit, 4 * w, 8 * w, 2, strides=2),
            residual_stage(BottleneckUnit, 8 * w, 8 * w, 1, strides=2),
        )
        self.detail.add(
            residual_stage(BasicUnit, 2 * w, 2 * w, 2),
            residual_stage(BasicUnit, 2 * w, 2 * w, 2),
            residual_stage(BottleneckUnit, 2 * w, 2 * w, 1),
        )
        self.up, self.down = nn.HybridSequential(), nn.HybridSequential()
        self.up.add(ConvUnit(4 * w, 2 * w, 1, act=None), ConvUnit(8 * w, 2 * w, 1, act=None))
        twice = nn.HybridSequential()
        twice.add(ConvUnit(2 * w, 4 * w, strides=2), ConvUnit(4 * w, 8 * w, strides=2, act=None))
        self.down.add(ConvUnit(2 * w, 4 * w, strides=2, act=None), twice)
        self.pooling = WindowPooling(16 * w, 128, 4 * w)

    def hybrid_forward(self, F, x):
        c1 = self.stem(x)
        c2 = self.stem_down(c1)
        context, detail, first = c2, c2, None
        for stage in range(2):
            context, detail = self.context[stage](context), self.detail[stage](detail)
            rising = resize_like(F, self.up[stage](F.relu(context)), detail, align_corners=False)
            context = F.relu(context + self.down[stage](F.relu(detail)))
            detail = detail + rising
            first = detail if first is None else first
            detail = F.relu(detail)
        context = self.pooling(self.context[2](context))
        detail = self.detail[2](detail)
        return c1, c2, first, detail + resize_like(F, context, detail, align_corners=False)


@BACKBONES.register("ddrnet23_slim", output_strides=(8,))
def ddrnet23_slim() -> DDRNet:
    return DDRNet(32)


@BACKBONES.register("ddrnet23", output_strides=(8,))
def ddrnet23() -> DDRNet:
    return DDRNet(64)
