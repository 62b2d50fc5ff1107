"""An exported network beside MXNet's: the same logits for the same pictures."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import mxnet as mx
import numpy as np

from mxnetseg.errors import ExportError
from mxnetseg.export.form import IMAGE, Form, Input
from mxnetseg.symbols import image_shape


def compare(net, content: bytes, form: Form, statistics: Input) -> Dict[str, float]:
    """ONNX Runtime against MXNet on random pictures, in one fixed size or two free ones.

    Returns {"difference": largest difference of logits over their standard deviation, "labels": share of
    pixels whose label differs}. Raises ExportError where the difference is above 1e-3 and also above ten
    times what rounding the pictures differently makes of MXNet's own logits, and for labels that differ
    where the two best logits are not that close.
    """
    session = open_session(content)
    worst, apart = 0.0, 0.0
    for count, (height, width) in _trials(net, form):
        pictures, x = _pictures(net, form, statistics, (count, height, width))
        expected = net(mx.nd.array(x))[0].asnumpy()
        deviation = float(expected.std()) + 1e-12
        rounded = net(mx.nd.array(x * np.float32(1 + 2**-22)))[0].asnumpy()
        allowed = max(1e-3, 10 * float(np.abs(rounded - expected).max()) / deviation)
        (found,) = session.run([form.output], {IMAGE: pictures})
        if form.argmax:
            differs = found != best_labels(expected)
            margin = _margin(expected) / deviation
            worst = max(worst, float(margin[differs].max(initial=0)))
            apart = max(apart, float(differs.mean()))
        else:
            worst = max(worst, float(np.abs(found - expected).max()) / deviation)
            apart = max(apart, float((best_labels(found) != best_labels(expected)).mean()))
        allowed = max(allowed, 1e-2) if form.half else allowed
        if not worst <= allowed:
            raise ExportError(
                f"the exported network does not give what MXNet gives: logits differ by {worst:.1e} of their "
                f"standard deviation at {height} x {width} (at most {allowed:.1e}); nothing was written"
            )
    return {"difference": worst, "labels": apart}


def open_session(content: bytes) -> Any:
    """An ONNX Runtime session on the CPU; ExportError where there is none or it does not take the file."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ExportError(
            "onnxruntime, which checks exported networks, is not installed: pip install -r requirements.txt"
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ExportError(f"ONNX Runtime does not take the exported network: {error}") from error


def _trials(net, form: Form) -> List[Tuple[int, Tuple[int, int]]]:
    count = form.batch or 1
    if form.size:
        return [(count, form.size)]
    _, _, height, width = image_shape(net)
    return [(count, (height, width + 32)), (form.batch or 2, (height + 33, width + 3))]


def _pictures(net, form: Form, statistics: Input, shape: Tuple[int, int, int]):
    """(what the file takes, what MXNet's network takes) of random pictures."""
    draw = np.random.RandomState(0)
    count, height, width = shape
    channels = image_shape(net)[1]
    if not form.uint8:
        x = draw.standard_normal((count, channels, height, width)).astype(np.float32)
        return x, x
    pictures = draw.randint(0, 256, (count, height, width, channels)).astype(np.uint8)
    mean, std = (np.asarray(v, np.float64) for v in statistics)
    return pictures, ((pictures / 255 - mean) / std).transpose(0, 3, 1, 2).astype(np.float32)


def best_labels(logits: np.ndarray) -> np.ndarray:
    """Labels (N, H, W) of logits (N, nclass, H, W): the best class, or whether the only logit is above 0."""
    return logits[:, 0] > 0 if logits.shape[1] == 1 else logits.argmax(axis=1)


def _margin(logits: np.ndarray) -> np.ndarray:
    """How far the best logit of each pixel is above the second, or the only one from 0."""
    if logits.shape[1] == 1:
        return np.abs(logits[:, 0])
    two = np.partition(logits, -2, axis=1)[:, -2:]
    return two[:, 1] - two[:, 0]
