"""Image to feature pyramid: every backbone behind one call.

A backbone maps `(N, 3, H, W)` to four maps, shallow to deep, at strides 4, 8, 16, 32; the deep ones
are held at the output stride by dilation. `.channels` and `.strides` say what they are.
"""

from __future__ import annotations

from mxnetseg.backbones.base import BACKBONES, create_backbone


def list_backbones(pattern="*"):
    """Registered backbone names matching a shell pattern."""
    return BACKBONES.names(pattern)


__all__ = ["BACKBONES", "create_backbone", "list_backbones"]
