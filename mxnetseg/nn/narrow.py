"""Convolutions that give very few channels, such as flows."""

from __future__ import annotations

from mxnet.gluon import nn

from mxnetseg.errors import ConfigError
from mxnetseg.nn.resize import in_training_form

# Channels of a block of oneDNN's layout on AVX-512, of which its quick convolutions give whole ones.
BLOCK = 16


class NarrowConv2D(nn.Conv2D):
    """A convolution without bias that gives `channels`, a divisor of 16.

    In training it computes 16, the others of zero weights, and takes those that are meant: two from 128 at
    2 x 64 x 64, a 1x1 convolution before it, forward and back, take 15 ms of processor time that way and 32
    ms by oneDNN's kernel for any layout, which also has the maps copied into it and out of it.
    """

    def __init__(
        self, channels: int, kernel_size: int, in_channels: int, padding: int = 0, **keywords
    ) -> None:
        if BLOCK % channels:
            raise ConfigError(f"a narrow convolution gives a divisor of {BLOCK} channels, not {channels}")
        super().__init__(
            channels, kernel_size, padding=padding, use_bias=False, in_channels=in_channels, **keywords
        )

    def hybrid_forward(self, F, x, weight):
        if not in_training_form():
            return super().hybrid_forward(F, x, weight)
        zeros = F.zeros_like(weight)
        wide = F.concat(weight, *[zeros] * (BLOCK // self._channels - 1), dim=0)
        y = F.Convolution(x, wide, **{**self._kwargs, "num_filter": BLOCK})
        return F.slice_axis(y, axis=1, begin=0, end=self._channels)
