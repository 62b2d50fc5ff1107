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
    for name in (
        " ".join(map(str, [names] if isinstance(names, (str, int)) else names)).replace(",", " ").split()
    ):
        match = _NAME.fullmatch(name.lower())
        if not match or not (match[1] or match[2]):
            raise DeviceError(f"--ctx {name}: not a device; give GPU numbers such as 0 1 2 3, or cpu")
        index = int(match[2] or 0)
        if match[1] == "cpu":
            device = torch.device("cpu")
        elif index < count:
            device = torch.device("cuda", index)
        else:
            have = f"it has {count} of them" if count else "it has none that PyTorch can use"
            raise DeviceError(f"--ctx {name}: this machine has no GPU {index}; {have}; or use --ctx cpu")
        if device in chosen:
            raise DeviceError(f"--ctx {' '.join(map(str, names))}: the torch engine takes each device once")
        chosen.append(device)
    if len({device.type for device in chosen}) > 1:
        raise DeviceError(f"--ctx {' '.join(map(str, names))}: GPUs and the CPU cannot compute together")
    return chosen
