"""All maps of a pyramid side by side, as HRNet's heads read them (arXiv 1908.07919)."""

from __future__ import annotations

from mxnetseg.nn.resize import resize_like


def gather_maps(F, maps, align_corners=True):
    """Maps of several sizes to one of all their channels, at the size of the first."""
    finest, *others = maps
    return F.concat(finest, *[resize_like(F, x, finest, align_corners) for x in others], dim=1)


def gathers(backbone):
    """Whether a backbone's levels belong together: HRNet's are parallel branches of one depth."""
    return backbone.registered_name.startswith("hrnet")
