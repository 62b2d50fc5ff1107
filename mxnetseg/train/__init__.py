"""Training: from a recipe to a folder with weights, numbers, pictures and a state to resume from."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mxnetseg.compute.mxnet_step import one_step

__all__ = ["one_step"]


def __getattr__(name: str) -> Any:
    if name != "one_step":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module("mxnetseg.compute.mxnet_step").one_step
