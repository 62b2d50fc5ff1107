"""One file per data set. Every module here is imported when the registry is first asked."""

from __future__ import annotations

import importlib
import pkgutil

_imported = False


def import_all() -> None:
    """Import every module of this package once, so that each has registered its data set."""
    global _imported
    if not _imported:
        for module in sorted(info.name for info in pkgutil.iter_modules(__path__)):
            importlib.import_module(f"{__name__}.{module}")
        _imported = True
