"""Atrous spatial pyramid pooling (DeepLabv3, arXiv 1706.05587)."""

from __future__ import annotations

from typing import Literal, Sequence, Tuple

from mxnet.gluon import HybridBlock, nn

from mxnetseg.errors import ConfigError
from mxnetseg.nn.layers import ConvUnit
from mxnetseg.nn.pool import adaptive_avg_pool
from mxnetseg.nn.resize import resize_like
from mxnetseg.nn.separable import SeparableUnit


def rates_for(stride: int) -> Tuple[int, int, int]:
    """The paper's dilation rates: 6, 12, 18 at output stride 16, twice that at 8, half at 32."""
    return tuple(max(1, rate * 16 // stride) for rate in (6, 12, 18))


class ASPP(HybridBlock):
    """`(N, in, H, W)` to `(N, width, H, W)`: a 1x1 unit, dilated 3x3 units and the pooled map, projected.

    `separable`: the dilated units are depthwise separable (DeepLabv3+), `inner_norm`: with a norm inside.
    `pool_first`: the pooled map is the
    first in the concatenation, else the last. `project`: `1x1` or `3x3` unit, or `linear`, a 1x1
    convolution alone. `image_pool=False` leaves the pooled map out.
    """

    def __init__(
        self,
        in_channels: int,
        width: int = 256,
        rates: Sequence[int] = (12, 24, 36),
        separable: bool = False,
        pool_first: bool = False,
        project: Literal["1x1", "3x3", "linear"] = "1x1",
        dropout: float = 0.5,
        align_corners: bool = True,
        image_pool: bool = True,
        inner_norm: bool = True,
    ) -> None:
        super().__init__()
        if project not in ("1x1", "3x3", "linear"):
            raise ConfigError(f"ASPP project must be 1x1, 3x3 or linear, not {project!r}")
        self._pool_first = pool_first
        self._align_corners = align_corners
        self.branches = nn.HybridSequential()
        self.branches.add(ConvUnit(in_channels, width, 1))
        for rate in rates:
            if separable:
                self.branches.add(SeparableUnit(in_channels, width, rate, "relu", inner_norm=inner_norm))
            else:
                self.branches.add(ConvUnit(in_channels, width, dilation=rate))
        self.pool = ConvUnit(in_channels, width, 1) if image_pool else None
        joined = width * (1 + len(rates) + image_pool)
        if project == "linear":
            self.project = nn.Conv2D(width, 1, use_bias=False, in_channels=joined)
        else:
            self.project = ConvUnit(joined, width, int(project[0]))
        self.drop = nn.Dropout(dropout)

    def hybrid_forward(self, F, x):
        parts = [branch(x) for branch in self.branches]
        if self.pool is not None:
            pooled = resize_like(F, self.pool(adaptive_avg_pool(F, x, 1)), x, self._align_corners)
            parts.insert(0 if self._pool_first else len(parts), pooled)
        return self.drop(self.project(F.concat(*parts, dim=1)))
