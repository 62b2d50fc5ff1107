"""Every architecture of the zoo: one file each, found by name.

What is known of them (`list_models`, `model_info`) is read without MXNet; it is loaded with the first of the
other names here.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mxnetseg.facts import default_backbone, form_options, list_models, model_info

if TYPE_CHECKING:
    from mxnetseg.models.base import MODELS, Aux, Head, Neck, Segmentor
    from mxnetseg.models.create import create_model

__all__ = [
    "MODELS",
    "Aux",
    "Head",
    "Neck",
    "Segmentor",
    "create_model",
    "default_backbone",
    "form_options",
    "list_models",
    "model_info",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "create" if name == "create_model" else "base"
    return getattr(importlib.import_module(f"mxnetseg.models.{module}"), name)
