"""Joint pyramid upsampling (FastFCN, arXiv 1903.11816): stride-32 features brought to stride 8."""

from __future__ import annotations

from typing import Literal, Optional, Sequence, Tuple, Union

from mxnet.gluon import HybridBlock, nn

from mxnetseg.errors import ConfigError
from mxnetseg.nn.layers import ConvUnit
from mxnetseg.nn.resize import resize_like
from mxnetseg.nn.separable import SeparableUnit

# Whether a head has the module, and in which order its maps are joined (`jpu_neck`).
JPUOrder = Union[bool, Literal["fine_first"]]
WIDTH = 512
DILATIONS = (1, 2, 4, 8)


class JPU(HybridBlock):
    """Maps at strides 8, 16, 32 to one of 2048 channels at stride 8.

    `coarse_first` is the order in which the three reduced maps are joined (mmsegmentation has the
    finest first).
    """

    def __init__(
        self, channels: Sequence[int], align_corners: bool = True, coarse_first: bool = True
    ) -> None:
        super().__init__()
        self._align_corners = align_corners
        self._coarse_first = coarse_first
        self.out_channels = WIDTH * len(DILATIONS)
        self.reduce = nn.HybridSequential()
        for n in channels:
            self.reduce.add(ConvUnit(n, WIDTH))
        self.branches = nn.HybridSequential()
        for dilation in DILATIONS:
            self.branches.add(SeparableUnit(WIDTH * len(channels), WIDTH, dilation))

    def hybrid_forward(self, F, c2, c3, c4):
        fine, middle, coarse = (unit(x) for unit, x in zip(self.reduce, (c2, c3, c4)))
        middle = resize_like(F, middle, fine, self._align_corners)
        coarse = resize_like(F, coarse, fine, self._align_corners)
        maps = [coarse, middle, fine] if self._coarse_first else [fine, middle, coarse]
        joined = F.concat(*maps, dim=1)
        return F.concat(*[branch(joined) for branch in self.branches], dim=1)


def jpu_neck(jpu: JPUOrder, channels: Sequence[int], align_corners: bool = True) -> Tuple[Optional[JPU], int]:
    """The `jpu` keyword of dilated heads: (neck or None, channels of the deepest map after it).

    `jpu`: False, True, or `fine_first` (mmsegmentation's order of concatenation). `channels`: of the
    backbone's four levels.
    """
    if jpu not in (False, True, "fine_first"):
        raise ConfigError(f"jpu must be true, false or 'fine_first', not {jpu!r}")
    if not jpu:
        return None, channels[-1]
    neck = JPU(channels[1:], align_corners=align_corners, coarse_first=jpu != "fine_first")
    return neck, neck.out_channels
