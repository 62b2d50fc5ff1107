"""The second engine: networks of this library computed by PyTorch. Imported only where it is asked for."""

from __future__ import annotations

import importlib.util

from mxnetseg.errors import EngineError


def installed() -> bool:
    """Whether there is a PyTorch to import; it is not imported."""
    return importlib.util.find_spec("torch") is not None


def require_torch() -> None:
    """Raises EngineError in one line where PyTorch is not installed."""
    if not installed():
        raise EngineError(
            "PyTorch is not installed: `pip install -r requirements-torch.txt`, or use engine mxnet"
        )
