"""Every architecture of the zoo: one file each, found by name."""

from __future__ import annotations

import importlib
import pkgutil

from mxnetseg.models.base import MODELS, Segmentor, create_model, model_info

for _module in pkgutil.iter_modules(__path__):
    if _module.name != "__main__":
        importlib.import_module(f"{__name__}.{_module.name}")


def list_models(pattern="*"):
    """Registered architecture names matching a shell pattern."""
    return MODELS.names(pattern)


__all__ = ["MODELS", "Segmentor", "create_model", "list_models", "model_info"]
