"""Pyramid pooling (PSPNet, arXiv 1612.01105)."""

from __future__ import annotations

from typing import Optional, Sequence

from mxnet.gluon import HybridBlock, nn

from mxnetseg.nn.layers import ConvUnit
from mxnetseg.nn.pool import adaptive_avg_pool
from mxnetseg.nn.resize import resize_like


class PyramidPooling(HybridBlock):
    """`(N, in, H, W)` to `(N, in + len(bins)*channels, H, W)`: the map beside its pooled summaries.

    Each grid of `bins` x `bins` averages goes through a 1x1 unit and back to the map's size.
    `act=None` leaves the ReLU of those units out (SFNet repository); `input_first` is the order of
    the concatenation. `bare_mean`: the average over the whole map, one pixel, has a biased convolution and
    the activation alone.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        bins: Sequence[int] = (1, 2, 3, 6),
        act: Optional[str] = "relu",
        align_corners: bool = True,
        input_first: bool = True,
        bare_mean: bool = False,
    ) -> None:
        super().__init__()
        self._bins = tuple(bins)
        self._align_corners = align_corners
        self._input_first = input_first
        self.out_channels = in_channels + len(self._bins) * channels
        self.stages = nn.HybridSequential()
        for bins in self._bins:
            if bins == 1 and bare_mean:
                self.stages.add(nn.Conv2D(channels, 1, activation=act, in_channels=in_channels))
            else:
                self.stages.add(ConvUnit(in_channels, channels, 1, act=act))

    def hybrid_forward(self, F, x):
        pooled = [
            resize_like(F, stage(adaptive_avg_pool(F, x, bins)), x, self._align_corners)
            for bins, stage in zip(self._bins, self.stages)
        ]
        parts = [x, *pooled] if self._input_first else [*pooled, x]
        return F.concat(*parts, dim=1)
