"""Prediction by ONNX Runtime and OpenVINO on the CPU: of an exported file, or of a checkpoint that is
exported in memory."""

from __future__ import annotations

import importlib
import os
import threading
from pathlib import Path
from typing import Any, Callable, List, Optional, Sequence, Tuple

import numpy as np

from mxnetseg.compute.choice import ONNX
from mxnetseg.compute.inference import Inference, Scores
from mxnetseg.errors import DeviceError, EngineError, ExportError

_REQUIREMENTS = {"onnxruntime": "requirements.txt", "openvino": "requirements-export.txt"}


class OnnxInference(Inference):
    """A network in ONNX. `compute`: normalized float32 (N, C, H, W) to logits (N, nclass, H, W)."""

    def __init__(self, engine: str, compute: Callable[[np.ndarray], np.ndarray], devices: Sequence[str]):
        self.engine = engine
        self.devices = list(devices)
        self._compute = compute
        self._lock = threading.Lock()

    def put(self, images: np.ndarray, device: int = 0) -> np.ndarray:
        return np.ascontiguousarray(images, np.float32)

    def forward(self, batch: np.ndarray) -> HostScores:
        with self._lock:
            return HostScores(self._compute(batch))


class HostScores(Scores):
    """Scores that are in the host's memory already."""

    def __init__(self, array: np.ndarray):
        self._array = array

    @property
    def nclass(self) -> int:
        return self._array.shape[1]

    def read(self) -> np.ndarray:
        return self._array if self._array.flags.writeable else self._array.copy()

    def wait(self) -> None:
        """They are computed."""


def open_onnxruntime(
    checkpoint: Any, recipe: Any, nclass: Optional[int] = None, devices: Optional[Sequence[str]] = None
) -> OnnxInference:
    """See `mxnetseg.compute.inference.open_network`. ExportError for an ONNX file of another program."""
    _only_cpu("onnxruntime", devices)
    _installed("onnxruntime")
    return by_onnxruntime(*_content(checkpoint, recipe, nclass))


def by_onnxruntime(content: bytes, where: str) -> OnnxInference:
    """An ONNX file by ONNX Runtime, on `$OMP_NUM_THREADS` threads. `where`: what messages call the file.

    Raises EngineError where ONNX Runtime is not installed, ExportError for a file that it cannot load.
    """
    onnxruntime = _installed("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = _threads()
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has no base class for its errors
        raise ExportError(f"{where}: ONNX Runtime cannot load it ({error})") from error
    (taken,) = session.get_inputs()

    def compute(images: np.ndarray) -> np.ndarray:
        _check_shape(where, taken.shape, images)
        try:
            return session.run(None, {taken.name: images})[0]
        except Exception as error:
            raise ExportError(f"{where}: ONNX Runtime cannot run it on {_size(images)} ({error})") from error

    return OnnxInference(f"ONNX Runtime {onnxruntime.__version__}", compute, ["cpu(0)"])


def open_openvino(
    checkpoint: Any, recipe: Any, nclass: Optional[int] = None, devices: Optional[Sequence[str]] = None
) -> OnnxInference:
    """See `mxnetseg.compute.inference.open_network`. ExportError for an ONNX file of another program.

    Computes in bfloat16 where the recipe's `compute.amp` asks for it; DeviceError on a processor without.
    """
    _only_cpu("openvino", devices)
    _installed("openvino")
    return by_openvino(*_content(checkpoint, recipe, nclass), narrow=recipe.compute.amp == "bf16")


def by_openvino(content: bytes, where: str, narrow: bool = False) -> OnnxInference:
    """An ONNX file by OpenVINO, on `$OMP_NUM_THREADS` threads. `where`: what messages call the file.

    narrow : compute in bfloat16; DeviceError on a processor without

    Raises EngineError where OpenVINO is not installed, ExportError for a file that it cannot load.
    """
    openvino = _installed("openvino")
    core = openvino.Core()
    if narrow and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise DeviceError("this processor does not compute in bf16: set compute.amp to none")
    # Without the hint OpenVINO computes in bfloat16 wherever the processor has it.
    settings = {"INFERENCE_PRECISION_HINT": "bf16" if narrow else "f32", "INFERENCE_NUM_THREADS": _threads()}
    try:
        model = core.compile_model(core.read_model(content), "CPU", settings)
    except RuntimeError as error:
        raise ExportError(f"{where}: OpenVINO cannot load it ({error})") from error
    output = model.output(0)
    sides = [side.get_length() if side.is_static else None for side in model.input(0).partial_shape]

    def compute(images: np.ndarray) -> np.ndarray:
        _check_shape(where, sides, images)
        try:
            return np.array(model([images])[output])
        except RuntimeError as error:
            raise ExportError(f"{where}: OpenVINO cannot run it on {_size(images)} ({error})") from error

    return OnnxInference(f"OpenVINO {openvino.__version__.split('-')[0]}", compute, ["cpu(0)"])


def _installed(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise EngineError(f"{package} is not installed: pip install -r {_REQUIREMENTS[package]}") from error


def _threads() -> int:
    """Both engines would start their own number whatever the variable says; 0 leaves it to them."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdigit() else 0


def _only_cpu(engine: str, devices: Optional[Sequence[str]]) -> None:
    for name in devices or ():
        if not str(name).lower().startswith("cpu"):
            raise DeviceError(f"device {name}: the {engine} engine computes on the CPU only; use cpu")


def _content(checkpoint: Any, recipe: Any, nclass: Optional[int]) -> Tuple[bytes, str]:
    """The ONNX file as bytes, and what messages call it."""
    path = Path(checkpoint)
    if path.suffix == ONNX:
        from mxnetseg.export.description import read_description

        described = read_description(path)
        if described.argmax or described.uint8:
            what = "gives label maps" if described.argmax else "takes pictures as they are"
            raise ExportError(
                f"{path}: {what}; predictions are made from the logits of normalized images: export it once "
                f"more without that"
            )
        return path.read_bytes(), str(path)
    from mxnetseg.export.form import Form, Input
    from mxnetseg.export.onnx_model import build
    from mxnetseg.weights.checkpoint import load_network

    net, _ = load_network(checkpoint, recipe, nclass)
    model = build(net.deploy(), Form(), Input((0.0,), (1.0,)))
    return model.SerializeToString(), str(path)


def _check_shape(where: str, taken: Sequence[Any], images: np.ndarray) -> None:
    """ExportError where the file has other fixed sides. `taken`: its input's sides, numbers where fixed."""
    if all(not isinstance(side, int) or side == given for side, given in zip(taken, images.shape)):
        return
    fixed = " x ".join(str(side) if isinstance(side, int) else "any" for side in taken)
    raise ExportError(
        f"{where}: takes {fixed} only, and was given {_size(images)}: export it once more with free sides"
    )


def _size(images: np.ndarray) -> str:
    sides: List[int] = list(images.shape)
    return " x ".join(map(str, sides))
