"""Published checkpoints of other repositories, loaded into the networks of this one.

`references()` lists the published networks this package knows; `load` builds one and fills it from the
reference's own tensor names. The rename tables are in `mxnetseg.weights.tables`, a file for each
architecture. `dump` is the way back, `recipe` how a reference was trained. MXNet is
imported with the first two, not before.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, List

from mxnetseg.weights.rename import REFERENCES, Reference, reference_info

if TYPE_CHECKING:
    from mxnetseg.weights.dumping import dump
    from mxnetseg.weights.loading import load
    from mxnetseg.weights.recipes import recipe

__all__ = ["REFERENCES", "Reference", "dump", "load", "recipe", "reference_info", "references"]
# Functions imported when they are first asked for, by the module they are in.
_LAZY = {"dump": "dumping", "load": "loading", "recipe": "recipes"}


def references(pattern: str = "*") -> List[str]:
    """Ids of known published networks matching a shell pattern."""
    return REFERENCES.names(pattern)


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"mxnetseg.weights.{_LAZY[name]}"), name)
