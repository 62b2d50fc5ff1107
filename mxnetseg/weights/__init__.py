"""Published checkpoints of other repositories, loaded into the networks of this one.

`references()` lists the published networks this package knows; `load` builds one and fills it from the
reference's own tensor names. The rename tables are in `mxnetseg.weights.tables`, a file for each
architecture.
"""

from __future__ import annotations

import importlib
import pkgutil

from mxnetseg.weights import tables
from mxnetseg.weights.rename import REFERENCES, Reference, load, reference_info

for _module in pkgutil.iter_modules(tables.__path__):
    importlib.import_module(f"{tables.__name__}.{_module.name}")


def references(pattern="*"):
    """Ids of known published networks matching a shell pattern."""
    return REFERENCES.names(pattern)


__all__ = ["REFERENCES", "Reference", "load", "reference_info", "references"]
