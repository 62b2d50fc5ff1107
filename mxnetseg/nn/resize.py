"""Bilinear resizing, the only place that calls MXNet's operator for it.

`align_corners=True` maps corner pixel centres onto each other (source = i * (in-1)/(out-1));
False maps pixel areas (source = (i + 0.5) * in/out - 0.5, clamped at the border), as PyTorch does.
All take and return `(N, C, H, W)` and work on NDArrays and symbols alike. None of them bakes a size
that was read from an input into the graph, so a hybridized network serves any input size.
"""

from __future__ import annotations


def resize_like(F, x, like, align_corners=True):
    """`x` at the height and width of `like`; nothing flows back into `like`."""
    return F.contrib.BilinearResize2D(x, like, mode="like", align_corners=align_corners)


def resize_by(F, x, factor, align_corners=True):
    """`x` with both sides multiplied by `factor` (results are truncated to whole pixels)."""
    return F.contrib.BilinearResize2D(
        x, scale_height=factor, scale_width=factor, align_corners=align_corners
    )


def resize_to(F, x, size, align_corners=True):
    """`x` at a size `(height, width)` that belongs to the architecture, never to an earlier input."""
    return F.contrib.BilinearResize2D(x, height=size[0], width=size[1], align_corners=align_corners)
