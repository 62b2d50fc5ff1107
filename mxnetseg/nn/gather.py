"""All maps of a pyramid side by side, as heads on HRNet read them (arXiv 1908.07919)."""

from __future__ import annotations

from typing import Sequence

from mxnetseg.nn.resize import resize_like
from mxnetseg.nn.tensor import Ops, Tensor


def gather_maps(F: Ops, maps: Sequence[Tensor], align_corners: bool = True) -> Tensor:
    """Maps of several sizes to one of all their channels, at the size of the first."""
    finest, *others = maps
    return F.concat(finest, *[resize_like(F, x, finest, align_corners) for x in others], dim=1)
