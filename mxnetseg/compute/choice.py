"""Which engine computes: what was asked for, or the one that can use the devices. Imports none of them."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from typing import Any, NamedTuple, Optional, Sequence

from mxnetseg.compat import mxnet_distribution
from mxnetseg.compute.workers import started_by_torchrun
from mxnetseg.doctor.gpus import gpu_support, list_gpus
from mxnetseg.errors import EngineError

AUTO = "auto"
ONNX = ".onnx"
_ONNX_ENGINES = ("onnxruntime", "openvino")


class Choice(NamedTuple):
    """An engine, and why it was chosen where that is worth a line."""

    engine: str
    note: Optional[str] = None


# What engines predict in, apart from float32.
PRECISIONS = {"torch": ("bf16", "fp16"), "openvino": ("bf16",)}


def choose_engine(
    wanted: str, devices: Optional[Sequence[str]] = None, checkpoint: Any = None, asked: Sequence[str] = ()
) -> Choice:
    """The engine for `devices` (names as `--ctx` takes them) and `checkpoint`; `wanted` itself unless it is
    `auto`.

    `auto` is MXNet where it can compute on the devices, else PyTorch where that is installed; an exported
    network (.onnx) runs on ONNX Runtime. What is `asked` for of the recipe's `compute` group is PyTorch's.
    Raises EngineError for an exported network and an engine that reads none.
    """
    exported = checkpoint is not None and os.fspath(checkpoint).endswith(ONNX)
    if exported and wanted not in (AUTO, *_ONNX_ENGINES):
        raise EngineError(
            f"{checkpoint}: the {wanted} engine reads no ONNX files: take {' or '.join(_ONNX_ENGINES)}"
        )
    if wanted != AUTO:
        return Choice(wanted)
    if exported:
        return Choice("onnxruntime")
    if started_by_torchrun():
        return Choice("torch")
    if asked:
        return Choice("torch", f"the torch engine computes: mxnet has no {asked[0]}")
    names = [str(name).lower() for name in devices or ()]
    if (names and all(name.startswith("cpu") for name in names)) or not _torch_has_cuda():
        return Choice("mxnet")
    gpus, _ = list_gpus()
    asked = [gpu for gpu in gpus if not names or any(name.endswith(str(gpu["index"])) for name in names)]
    if not asked:
        return Choice("mxnet")
    if (mxnet_distribution() or ("mxnet",))[0] == "mxnet":
        return Choice("torch", "the torch engine computes: MXNet is the CPU build here")
    for gpu in asked:
        runs, reason = gpu_support(gpu["compute_capability"])
        if not runs:
            return Choice("torch", f"the torch engine computes: MXNet cannot use {gpu['name']} ({reason})")
    return Choice("mxnet")


def _torch_has_cuda() -> bool:
    """Whether a PyTorch is installed that is not the CPU build; it is not imported."""
    if importlib.util.find_spec("torch") is None:
        return False
    try:
        return not importlib.metadata.version("torch").endswith("+cpu")
    except importlib.metadata.PackageNotFoundError:
        return False
