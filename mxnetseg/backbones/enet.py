"""The encoder of ENet (Paszke et al., 2016, arXiv 1606.02147): narrow residual blocks, most at stride 8.

A block squeezes the channels, convolves (plainly, dilated, or as a column and a row) and widens them again;
what came in is added. Where the size is halved, a max pool goes along, and channels that it lacks are zero.

Two makes are known. `authors`: of the authors' Torch code; each channel has a slope of its own in the PReLUs,
the convolution in the middle has a bias, nothing rectifies the widened map. `pytorch`: of PyTorch-ENet, whose
weights are published; one slope for all channels, no biases, a PReLU behind every norm.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from mxnet.gluon import HybridBlock, nn

from mxnetseg.backbones.base import BACKBONES, Backbone
from mxnetseg.nn.initial import draw_as_pytorch
from mxnetseg.nn.layers import dropout_layer
from mxnetseg.nn.prelu import PReLU

Make = Literal["authors", "pytorch"]
SQUEEZE = 4
ROWS = 5  # pixels of the column and of the row
# Dilations of the blocks of a stage at stride 8; 0 is one of a column and a row.
DILATIONS = (1, 2, 0, 4, 1, 8, 0, 16)


class Habits(NamedTuple):
    """How a make differs: `slopes`, one for each channel or one for all; `epsilon` of the norms; `biased`,
    whether the convolution in the middle of a block has a bias; `rectified`, whether norm and activation
    stand between column and row, and an activation behind the widened map; `own_width`, whether a block that
    halves or doubles the size squeezes to a share of its output's channels or of its input's."""

    slopes: bool
    epsilon: float
    biased: bool
    rectified: bool
    own_width: bool


HABITS = {
    "authors": Habits(slopes=True, epsilon=1e-3, biased=True, rectified=False, own_width=True),
    "pytorch": Habits(slopes=False, epsilon=1e-5, biased=False, rectified=True, own_width=False),
}


def activation(habits: Habits, channels: int, slopes: bool = True) -> HybridBlock:
    """A PReLU of `channels` channels, or with `slopes=False` a ReLU."""
    if not slopes:
        return nn.Activation("relu")
    return PReLU(channels if habits.slopes else 1)


def unit(
    habits: Habits, *convs: HybridBlock, channels: int, act: bool = True, slopes: bool = True
) -> nn.HybridSequential:
    """Convolutions, a norm of `channels`, and an activation if `act`."""
    layers = nn.HybridSequential()
    layers.add(*convs, nn.BatchNorm(epsilon=habits.epsilon, in_channels=channels))
    if act:
        layers.add(activation(habits, channels, slopes))
    return layers


class Bottleneck(HybridBlock):
    """`(N, in_channels, H, W)` to `(N, channels, H, W)`, or with `halve` to half the size, rounded down.

    `dilation`: of the convolution in the middle; 0 makes it a column and a row. `slopes`: see `activation`.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        habits: Habits,
        dilation: int = 1,
        halve: bool = False,
        dropout: float = 0.0,
        slopes: bool = True,
    ) -> None:
        super().__init__()
        width = (channels if habits.own_width else in_channels) // SQUEEZE
        self._halve, self._passed = halve, in_channels
        side = 2 if halve else 1
        first = nn.Conv2D(width, side, side, use_bias=False, in_channels=in_channels)
        last = nn.Conv2D(channels, 1, use_bias=False, in_channels=width)
        self.units = nn.HybridSequential()
        self.units.add(
            unit(habits, first, channels=width, slopes=slopes),
            _middle(habits, width, dilation, slopes),
            unit(habits, last, channels=channels, act=habits.rectified, slopes=slopes),
        )
        self.drop = dropout_layer(dropout)
        self.act = activation(habits, channels, slopes)

    def hybrid_forward(self, F, x):
        y = self.drop(self.units(x))
        if self._halve:
            x = F.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="max")
            new = F.slice_axis(y, axis=1, begin=self._passed, end=None)
            x = F.concat(x, F.zeros_like(new), dim=1)
        return self.act(x + y)


def _middle(habits, width, dilation, slopes):
    if dilation:
        conv = nn.Conv2D(
            width, 3, padding=dilation, dilation=dilation, use_bias=habits.biased, in_channels=width
        )
        return unit(habits, conv, channels=width, slopes=slopes)
    sides = {
        "column": dict(kernel_size=(ROWS, 1), padding=(ROWS // 2, 0)),
        "row": dict(kernel_size=(1, ROWS), padding=(0, ROWS // 2)),
    }
    # The authors' comes before the column there, which PyTorch-ENet has first.
    order = ("column", "row") if habits.rectified else ("row", "column")
    convs = [
        nn.Conv2D(width, use_bias=habits.biased and side == order[1], in_channels=width, **sides[side])
        for side in order
    ]
    if not habits.rectified:
        return unit(habits, *convs, channels=width, slopes=slopes)
    both = nn.HybridSequential()
    for conv in convs:
        both.add(*unit(habits, conv, channels=width, slopes=slopes))
    return both


class ENet(Backbone):
    """16 channels at stride 2, 64 at stride 4, 128 at stride 8, and 128 there after eight blocks more."""

    rounds_down = True

    def __init__(self, make: Make, image_channels: int) -> None:
        super().__init__(channels=(16, 64, 128, 128), strides=(2, 4, 8, 8))
        habits = HABITS[make]
        # Of an odd side both leave as many pixels as the convolution.
        self._pool = dict(kernel=(2, 2), pooling_convention="full")
        if make == "pytorch":
            self._pool = dict(kernel=(3, 3), pad=(1, 1))
        self.conv = nn.Conv2D(
            16 - image_channels, 3, 2, 1, use_bias=habits.biased, in_channels=image_channels
        )
        self.norm = nn.BatchNorm(epsilon=habits.epsilon, in_channels=16)
        self.act = activation(habits, 16)
        self.stages = nn.HybridSequential()
        for index, (before, channels, dilations, dropout) in enumerate(
            ((16, 64, (1,) * 4, 0.01), (64, 128, DILATIONS, 0.1), (128, 128, DILATIONS, 0.1))
        ):
            stage = nn.HybridSequential()
            if index < 2:
                stage.add(Bottleneck(before, channels, habits, halve=True, dropout=dropout))
            for dilation in dilations:
                stage.add(Bottleneck(channels, channels, habits, dilation, dropout=dropout))
            self.stages.add(stage)
        draw_as_pytorch(self)

    def hybrid_forward(self, F, x):
        pooled = F.Pooling(x, stride=(2, 2), pool_type="max", **self._pool)
        maps = [self.act(self.norm(F.concat(self.conv(x), pooled, dim=1)))]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return tuple(maps)


@BACKBONES.register("enet", output_strides=(8,))
def enet(make: Make = "authors", image_channels: int = 3) -> ENet:
    """`make`: whose, see the module. `image_channels`: of the images."""
    return ENet(make, image_channels)
