"""Xception-65 and -71 (Chollet, CVPR 2017, arXiv 1610.02357), aligned and modified for DeepLabv3+
(arXiv 1802.02611), on GluonCV's networks.

Output strides 16 and 8 hold the exit flow, and then the middle flow too, by dilation. Strides and dilations
are set here, which no parameter depends on: GluonCV's Xception-71 has one stride too many in its entry flow
(64 in all, where the paper's network has 32) and loses a shortcut's parameters at output stride 8.
"""

from __future__ import annotations

from typing import Iterable, List

from gluoncv.model_zoo import xception
from mxnet.gluon import HybridBlock

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.nn.surgery import set_dilation, set_stride

PARTS = (
    *("conv1", "bn1", "relu", "conv2", "bn2", "block1", "block2", "block3", "midflow", "block20"),
    *("conv3", "bn3", "conv4", "bn4", "conv5", "bn5"),
)


class Xception(Backbone):
    """GluonCV's network without its classifier; children keep GluonCV's names.

    c1 is the first block's output after its ReLU, c2 and c3 the raw outputs of the entry block at stride 8
    and of the middle flow, c4 the exit flow's.
    """

    c0_channels = 64

    def __init__(self, depth: int, output_stride: int) -> None:
        super().__init__(
            channels=(128, 256, 728, 2048), strides=[min(s, output_stride) for s in (4, 8, 16, 32)]
        )
        whole = {65: xception.Xception65, 71: xception.Xception71}[depth](output_stride=32)
        for name in PARTS:
            setattr(self, name, getattr(whole, name))
        self._deep_entry = depth == 71
        if self._deep_entry:
            _hold(self.block2[2])
        if output_stride <= 16:
            _hold(self.block20)
        if output_stride == 8:
            _hold(self.block3)
            for block in (*self.midflow, self.block20):
                _dilate(block.rep, 2)
        _dilate((self.conv3, self.conv4, self.conv5), 32 // output_stride)

    def hybrid_forward(self, F, x):
        x = self.relu(self.bn1(self.conv1(x)))
        c0 = self.relu(self.bn2(self.conv2(x)))
        c1 = self.relu(self.block1(c0))
        if self._deep_entry:
            c2 = self.block2[1](self.block2[0](c1))
            x = self.block2[2](c2)
        else:
            x = c2 = self.block2(c1)
        c3 = self.midflow(self.block3(x))
        x = self.relu(self.block20(c3))
        x = self.relu(self.bn3(self.conv3(x)))
        x = self.relu(self.bn4(self.conv4(x)))
        c4 = self.relu(self.bn5(self.conv5(x)))
        return self._levels(c0, c1, c2, c3, c4)


def _separable(layers: Iterable[HybridBlock]) -> List[xception.SeparableConv2d]:
    return [layer for layer in layers if isinstance(layer, xception.SeparableConv2d)]


def _hold(block: HybridBlock) -> None:
    """Take the stride, which is on the last separable convolution and the shortcut, from a block."""
    set_stride(block.skip, 1)
    set_stride(_separable(block.rep)[-1].conv1, 1)


def _dilate(layers: Iterable[HybridBlock], rate: int) -> None:
    for layer in _separable(layers):
        # GluonCV pads the input by this before it convolves.
        layer.dilation = rate
        set_dilation(layer.conv1, rate, pad=False)


@BACKBONES.register("xception65", output_strides=(8, 16, 32))
def xception65(output_stride: int = 32) -> Xception:
    return Xception(65, output_stride)


@BACKBONES.register("xception71", output_strides=(8, 16, 32))
def xception71(output_stride: int = 32) -> Xception:
    return Xception(71, output_stride)
