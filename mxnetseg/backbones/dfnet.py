"""DFNet (Li et al., Partial Order Pruning, CVPR 2019, arXiv 1903.03777): narrow ResNets found by search.

Two strided convolutions, then stages of basic blocks (GluonCV's). DFNet v1 widens to 512 channels in a stage
of its own at stride 32; v2 widens inside every stage.
"""

from __future__ import annotations

from typing import Sequence

from gluoncv.model_zoo.resnetv1b import BasicBlockV1b
from mxnet.gluon import nn

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.nn.initial import draw_as_pytorch

# Version -> (stage name, channels, blocks, stride of the first one), as published checkpoints call them.
STAGES = {
    1: (("stage2", 64, 3, 2), ("stage3", 128, 3, 2), ("stage4", 256, 3, 2), ("stage5", 512, 1, 1)),
    2: (
        ("stage2_1", 64, 2, 2),
        ("stage2_2", 128, 1, 1),
        ("stage3_1", 128, 10, 2),
        ("stage3_2", 256, 1, 1),
        ("stage4_1", 256, 4, 2),
        ("stage4_2", 512, 2, 1),
    ),
}


class DFNet(Backbone):
    """Maps at strides 4, 8, 16, 32.

    `taps` names the stages whose outputs are c2, c3 and c4; c1 is the stem's.
    """

    family = "dfnet"
    c0_channels = 32

    def __init__(self, version: int, taps: Sequence[str]) -> None:
        facts, stride = {}, 4
        for name, width, _, step in STAGES[version]:
            stride *= step
            facts[name] = (width, stride)
        super().__init__(
            channels=[64, *(facts[tap][0] for tap in taps)], strides=[4, *(facts[tap][1] for tap in taps)]
        )
        self._taps = tuple(taps)
        self._names = list(facts)
        self.stage1 = nn.HybridSequential()
        # Zero input channels: the image's are inferred when the backbone is created.
        for before, width in ((0, 32), (32, 64)):
            self.stage1.add(
                nn.Conv2D(width, 3, 2, 1, use_bias=False, in_channels=before),
                nn.BatchNorm(in_channels=width),
                nn.Activation("relu"),
            )
        before = 64
        for name, width, blocks, step in STAGES[version]:
            setattr(self, name, _stage(before, width, blocks, step))
            before = width
        draw_as_pytorch(self)

    def hybrid_forward(self, F, x):
        convolution, norm, activation, *rest = self.stage1
        c0 = x = activation(norm(convolution(x)))
        for layer in rest:
            x = layer(x)
        maps = [x]
        for name in self._names:
            x = getattr(self, name)(x)
            if name in self._taps:
                maps.append(x)
        return self._levels(c0, *maps)


def _stage(before, width, blocks, step):
    stage = nn.HybridSequential()
    for index in range(blocks):
        first = index == 0
        shortcut = None
        if first and (step != 1 or before != width):
            shortcut = nn.HybridSequential()
            shortcut.add(
                nn.Conv2D(width, 1, step, use_bias=False, in_channels=before), nn.BatchNorm(in_channels=width)
            )
        stage.add(BasicBlockV1b(width, step if first else 1, downsample=shortcut, norm_layer=nn.BatchNorm))
    return stage


@BACKBONES.register("dfnetv1")
def dfnetv1(widening: bool = False) -> DFNet:
    """`widening=True` gives c3 and c4 before and after the last widening, both at stride 32, and c2 at
    stride 16: what SFNet's authors feed their heads. False is the plain pyramid."""
    return DFNet(1, ("stage3", "stage4", "stage5") if widening else ("stage2", "stage3", "stage5"))


@BACKBONES.register("dfnetv2")
def dfnetv2() -> DFNet:
    return DFNet(2, ("stage2_2", "stage3_2", "stage4_2"))
