"""Which devices PyTorch computes on, by the names that `--ctx` takes."""

from __future__ import annotations

import re
from typing import List, Optional, Sequence

import torch

from mxnetseg.errors import DeviceError

_NAME = re.compile(r"(?:(cpu|gpu)[:(]?)?(\d+)?\)?")


def devices(names: Optional[Sequence] = None) -> List[torch.device]:
    """The devices that names such as `0`, `gpu1` and `cpu` mean; none: every GPU, else the CPU.

    Raises DeviceError for a GPU that is not there, a name that means nothing, or a device named twice.
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
        if device in chosen:
            raise DeviceError(f"devices {shown}: the torch engine takes each device once")
        chosen.append(device)
    if len({device.type for device in chosen}) > 1:
        raise DeviceError(f"devices {shown}: GPUs and the CPU cannot compute together")
    return chosen
