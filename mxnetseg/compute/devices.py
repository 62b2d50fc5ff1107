"""Which devices a command computes on."""

from __future__ import annotations

import re
from typing import List, Optional, Sequence

import mxnet as mx

from mxnetseg.errors import DeviceError

_NAME = re.compile(r"(?:(cpu|gpu)[:(]?)?(\d+)?\)?")


def contexts(names: Optional[Sequence] = None) -> List[mx.Context]:
    """The contexts that names such as `0`, `1`, `gpu0`, `cpu`, `cpu1` mean.

    None or empty: every GPU there is, else the CPU. `cpu cpu` is two contexts on the CPU (for tests of data
    parallelism). Raises DeviceError for a GPU that is not there, a name that means nothing, or a mix.
    """
    available = gpu_count()
    if not names:
        return [mx.gpu(i) for i in range(available)] or [mx.cpu()]
    if isinstance(names, (str, int)):
        names = [names]
    chosen: List[mx.Context] = []
    for name in names:
        for part in str(name).replace(",", " ").split():
            chosen.append(_one(part, available, chosen))
    kinds = {context.device_type for context in chosen}
    if len(kinds) > 1:
        raise DeviceError(f"devices {_shown(names)}: GPUs and the CPU cannot train or predict together")
    if len({(c.device_type, c.device_id) for c in chosen}) < len(chosen):
        raise DeviceError(f"devices {_shown(names)}: a device is named twice")
    return chosen


def gpu_count() -> int:
    """GPUs that this MXNet can use; 0 for the CPU build or without a driver."""
    try:
        return mx.context.num_gpus()
    except mx.MXNetError:
        return 0


def _one(name: str, available: int, chosen: Sequence[mx.Context]) -> mx.Context:
    match = _NAME.fullmatch(name.lower())
    if not match or not (match[1] or match[2]):
        raise DeviceError(f"{name!r} is not a device: give GPU numbers such as 0 1 2 3, or cpu")
    if match[1] == "cpu":
        taken = sum(c.device_type == "cpu" for c in chosen)
        return mx.cpu(int(match[2]) if match[2] else taken)
    index = int(match[2] or 0)
    if index < available:
        return mx.gpu(index)
    if available:
        have = "GPU 0" if available == 1 else f"GPUs 0 to {available - 1}"
        raise DeviceError(f"device {name}: there is no GPU {index}; this machine has {have}")
    raise DeviceError(f"device {name}: {_why_no_gpu()}; use cpu, or see python -m mxnetseg.doctor")


def _why_no_gpu() -> str:
    if not mx.runtime.Features().is_enabled("CUDA"):
        return "no GPU can be used, since the CPU build of MXNet is installed"
    return "this machine has no GPU that MXNet can use"


def _shown(names) -> str:
    return " ".join(str(name) for name in names)
