"""Residual blocks of units, for networks whose last blocks leave the ReLU to the layers that read them."""

from __future__ import annotations

from typing import Type, Union

from mxnet.gluon import HybridBlock, nn

from mxnetseg.nn.layers import ConvUnit


class BasicUnit(HybridBlock):
    """Two 3x3 units around a shortcut; `rectify=False` leaves out the ReLU after the sum."""

    expansion = 1

    def __init__(self, in_channels: int, channels: int, strides: int = 1, rectify: bool = True) -> None:
        super().__init__()
        self._rectify = rectify
        self.units = nn.HybridSequential()
        self.units.add(
            ConvUnit(in_channels, channels, strides=strides), ConvUnit(channels, channels, act=None)
        )
        self.down = _shortcut(in_channels, channels, strides)

    def hybrid_forward(self, F, x):
        y = self.units(x) + (self.down(x) if self.down is not None else x)
        return F.relu(y) if self._rectify else y


class BottleneckUnit(HybridBlock):
    """1x1, 3x3 and widening 1x1 units around a shortcut: to twice `channels`."""

    expansion = 2

    def __init__(self, in_channels: int, channels: int, strides: int = 1, rectify: bool = True) -> None:
        super().__init__()
        self._rectify = rectify
        out = channels * self.expansion
        self.units = nn.HybridSequential()
        self.units.add(
            ConvUnit(in_channels, channels, 1),
            ConvUnit(channels, channels, strides=strides),
            ConvUnit(channels, out, 1, act=None),
        )
        self.down = _shortcut(in_channels, out, strides)

    def hybrid_forward(self, F, x):
        y = self.units(x) + (self.down(x) if self.down is not None else x)
        return F.relu(y) if self._rectify else y


def _shortcut(in_channels, out, strides):
    if strides == 1 and in_channels == out:
        return None
    return ConvUnit(in_channels, out, 1, strides, act=None)


def residual_stage(
    block: Type[Union[BasicUnit, BottleneckUnit]],
    in_channels: int,
    channels: int,
    blocks: int,
    strides: int = 1,
    rectify_last: bool = False,
) -> nn.HybridSequential:
    """`blocks` of a kind; the first has the strides, the last no ReLU unless `rectify_last`."""
    stage = nn.HybridSequential()
    for index in range(blocks):
        last = index == blocks - 1
        stage.add(
            block(in_channels, channels, strides if index == 0 else 1, rectify=rectify_last or not last)
        )
        in_channels = channels * block.expansion
    return stage
