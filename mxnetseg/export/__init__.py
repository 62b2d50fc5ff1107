"""Networks outside MXNet: ONNX files for other engines."""

from __future__ import annotations

from typing import Any, Dict

from mxnetseg.errors import EngineError


def to_onnx(net: Any, path: Any, size: Any = None, **options: Any) -> Dict[str, float]:
    """Write a network as an ONNX file: see `mxnetseg.export.onnx_model.to_onnx`.

    `size`: fixed height and width, or None for any. Raises EngineError where the onnx package is missing.
    """
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise EngineError("the onnx package is not installed: pip install -r requirements.txt") from error
    from mxnetseg.export.onnx_model import to_onnx as write

    return write(net, path, size, **options)
