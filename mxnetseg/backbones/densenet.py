"""DenseNet (Huang et al., CVPR 2017, arXiv 1608.06993): GluonCV's 121, 161, 169 and 201.

Levels end before the transition that halves the resolution, so the first three have no closing batch norm and
ReLU; the last has the network's own. Output strides 8 and 16 take the pooling out of the last transitions and
dilate the dense blocks after them, as DenseASPP does.
"""

from __future__ import annotations

from gluoncv.model_zoo import densenet
from mxnet.gluon import nn

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.backbones.naming import DENSENET
from mxnetseg.backbones.slicing import cut
from mxnetseg.nn.layers import Identity
from mxnetseg.nn.surgery import children, exchange, layers, set_dilation, settings

# Children of GluonCV's `features`: 4 of the stem, then blocks and transitions by turns, norm and ReLU.
LEVELS = {"stem": (0, 4), "layer1": (4, 5), "layer2": (5, 7), "layer3": (7, 9), "layer4": (9, 13)}


class DenseNet(Backbone):
    """`(N, 3, H, W)` to the ends of the four dense blocks."""

    imagenet = DENSENET
    rounds_down = True  # its poolings between dense blocks

    def __init__(self, depth: int, output_stride: int = 32) -> None:
        width, growth, blocks = densenet.densenet_spec[depth]
        channels = []
        for count in blocks:
            width += count * growth
            channels.append(width)
            width //= 2
        super().__init__(channels, [min(s, output_stride) for s in (4, 8, 16, 32)])
        self.c0_channels = densenet.densenet_spec[depth][0]
        cut(self, densenet.DenseNet(*densenet.densenet_spec[depth]).features, LEVELS)
        if output_stride < 32:
            _hold(self.layer4, 32 // output_stride)
        if output_stride < 16:
            _hold(self.layer3, 2)

    def hybrid_forward(self, F, x):
        convolution, norm, activation, pool = self.stem
        c0 = activation(norm(convolution(x)))
        c1 = self.layer1(pool(c0))
        c2 = self.layer2(c1)
        c3 = self.layer3(c2)
        c4 = self.layer4(c3)
        return self._levels(c0, c1, c2, c3, c4)


def _hold(level, rate):
    """Keep the resolution in a level's transition and dilate its dense block by `rate`."""
    transition, block = level[0], level[1]
    pool = list(children(transition))[-1]
    exchange(transition, pool, Identity())
    for conv in layers(block, nn.Conv2D):
        if settings(conv)["kernel"] == (3, 3):
            set_dilation(conv, rate)


def _register(depth):
    name = f"densenet{depth}"

    @BACKBONES.register(name, output_strides=(8, 16, 32))
    def build(output_stride: int = 32) -> DenseNet:
        return DenseNet(depth, output_stride)


for _depth in densenet.densenet_spec:
    _register(_depth)
