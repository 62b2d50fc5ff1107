"""Image to feature pyramid: every backbone behind one call.

A backbone maps `(N, 3, H, W)` to four maps, shallow to deep, at strides 4, 8, 16, 32; the deep ones
are held at the output stride by dilation. `.channels` and `.strides` say what they are.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, List

if TYPE_CHECKING:
    from mxnetseg.backbones.base import BACKBONES, Backbone, create_backbone

__all__ = ["BACKBONES", "Backbone", "create_backbone", "list_backbones"]


def list_backbones(pattern: str = "*") -> List[str]:
    """Registered backbone names matching a shell pattern, sorted."""
    from mxnetseg.backbones.base import BACKBONES

    return BACKBONES.names(pattern)


def __getattr__(name: str) -> Any:
    # MXNet is loaded with the first of these, not by those who only read tensor names.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("mxnetseg.backbones.base"), name)
