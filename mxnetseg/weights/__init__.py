"""Published checkpoints of other repositories, loaded into the networks of this one.

`references()` lists the published networks this package knows; `load` builds one and fills it from the
reference's own tensor names. The rename tables are in `mxnetseg.weights.tables`, a file for each
architecture. MXNet is imported with `load`, not before.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, List

from mxnetseg.weights.rename import REFERENCES, Reference, reference_info

if TYPE_CHECKING:
    from mxnetseg.weights.loading import load

__all__ = ["REFERENCES", "Reference", "load", "reference_info", "references"]


def references(pattern: str = "*") -> List[str]:
    """Ids of known published networks matching a shell pattern."""
    return REFERENCES.names(pattern)


def __getattr__(name: str) -> Any:
    if name != "load":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module("mxnetseg.weights.loading").load
