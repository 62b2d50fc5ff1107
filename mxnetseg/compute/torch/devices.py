"""Which devices PyTorch computes on, by the names that `--ctx` takes."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from typing import Any, List, Optional, Sequence

import numpy as np
import torch
from torch import Tensor

from mxnetseg.compute.torch import precision
from mxnetseg.compute.workers import Workers
from mxnetseg.errors import DeviceError, EngineError

_NAME = re.compile(r"(?:(cpu|gpu)[:(]?)?(\d+)?\)?")


def devices(names: Optional[Sequence] = None) -> List[torch.device]:
    """The devices that names such as `0`, `gpu1` and `cpu` mean; none: every GPU, else the CPU. `cpu cpu` is
    the CPU twice: two threads compute there.

    Raises DeviceError for a GPU that is not there, a name that means nothing, or a GPU named twice.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not names:
        return [torch.device("cuda", k) for k in range(count)] or [torch.device("cpu")]
    chosen: List[torch.device] = []
    shown = " ".join(map(str, [names] if isinstance(names, (str, int)) else names))
    for name in shown.replace(",", " ").split():
        match = _NAME.fullmatch(name.lower())
        if not match or not (match[1] or match[2]):
            raise DeviceError(f"{name!r} is not a device: give GPU numbers such as 0 1 2 3, or cpu")
        index = int(match[2] or 0)
        if match[1] == "cpu":
            device = torch.device("cpu")
        elif index < count:
            device = torch.device("cuda", index)
        else:
            have = f"PyTorch sees {count} of them" if count else "PyTorch sees none"
            raise DeviceError(f"device {name}: there is no GPU {index}; {have}; use cpu")
        if device in chosen and device.type == "cuda":
            raise DeviceError(f"devices {shown}: the torch engine takes each GPU once")
        chosen.append(device)
    if len({device.type for device in chosen}) > 1:
        raise DeviceError(f"devices {shown}: GPUs and the CPU cannot compute together")
    return chosen


def worker_devices(names: Optional[Sequence] = None, workers: int = 1) -> List[torch.device]:
    """The devices of so many workers on this machine, by local rank: those named, one for each; the CPU for
    all of them where it is named; without names every GPU there is, or else the CPU.

    Raises DeviceError where the numbers do not fit, and as `devices` does.
    """
    words = " ".join(map(str, [names] if isinstance(names, (str, int)) else names or ())).split()
    if words and all(word.lower() == "cpu" for word in words) and (workers > 1 or len(words) == 1):
        found = [torch.device("cpu")] * (workers if len(words) == 1 else len(words))
    else:
        found = devices(names)
    if not words and found[0].type == "cpu":
        return found * workers
    if len(found) < workers or (words and len(found) > workers):
        what = f"devices {' '.join(words)}" if words else f"PyTorch sees {len(found)} GPUs"
        many = f"{workers} workers take" if workers > 1 else "1 worker takes"
        raise DeviceError(f"{what}: {many} one each on this machine")
    return found


def name_of_worker_device(names: Optional[Sequence], workers: Workers) -> str:
    """As `devices` takes it, the device of one of several workers: see `worker_devices`."""
    device = worker_devices(names, workers.local_world_size)[workers.local_rank]
    return f"gpu{device.index}" if device.type == "cuda" else "cpu"


def check_compute(compute: Any, devices: Sequence[torch.device]) -> None:
    """Raises DeviceError for a device that cannot do what the recipe's `compute` group asks for, EngineError
    where there is no compiler for `compile`."""
    for device in devices:
        if compute.amp != "none" and not precision.has_amp(compute.amp, device):
            raise DeviceError(
                f"device {device} does not compute in {compute.amp}: set compute.amp to none, or take "
                f"another device"
            )
        if compute.cuda_graphs and device.type != "cuda":
            raise DeviceError(f"device {device} has no CUDA graphs: set compute.cuda_graphs to false")
        if compute.compile and not _has_compiler(device):
            needed = "Triton and a C compiler" if device.type == "cuda" else "a C++ compiler (g++, or $CXX)"
            raise EngineError(
                f"torch.compile needs {needed}, which is not here: install it, or set compute.compile to "
                f"false"
            )


def _has_compiler(device: torch.device) -> bool:
    names = ("CC", "gcc", "clang", "cc") if device.type == "cuda" else ("CXX", "g++", "clang++", "c++")
    compilers = [os.environ.get(names[0]), *names[1:]]
    if device.type == "cuda" and importlib.util.find_spec("triton") is None:
        return False
    return any(name and shutil.which(name) for name in compilers)


def upload(array: np.ndarray, device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """The array in a floating type on a device; on the CPU it may share its memory.

    The copy that is on its way to a GPU lies in pinned memory: the array may change, and nothing has waited
    for what the GPU is still computing.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(array)).to(dtype)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor
