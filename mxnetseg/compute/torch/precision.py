"""Automatic mixed precision: which devices have it, and the scaling of losses that half precision needs.

Parameters, their gradients, moments, running statistics and losses stay float32; PyTorch's autocast computes
convolutions and matrix products in the narrow type and keeps there what follows them, but for what
`operators` widens.
"""

from __future__ import annotations

import contextlib
from typing import Callable, ContextManager, List, Sequence

import numpy as np
import torch
from torch import Tensor

TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(amp: str, device: torch.device) -> ContextManager:
    """Inside, networks compute in `amp` ("none", "bf16" or "fp16")."""
    if amp == "none":
        return contextlib.nullcontext()
    return torch.autocast(device.type, TYPES[amp])


def has_amp(amp: str, device: torch.device) -> bool:
    """Whether the device computes in bf16 or fp16 by itself."""
    if device.type == "cuda":
        return amp == "fp16" or torch.cuda.get_device_capability(device) >= (8, 0)
    name = f"_is_mkldnn_{amp}_supported"
    return hasattr(torch.ops.mkldnn, name) and bool(getattr(torch.ops.mkldnn, name)())


def widened(x: Tensor) -> Tensor:
    """`x`, in float32 where it is narrower."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def must_be_wide(channels: int, dilation: Sequence[int]) -> bool:
    """Whether CPUs compute a convolution over so many channels (those of one group) in float32 always.

    PyTorch 2.13 (oneDNN) on CPUs with AVX-512, in bf16 and channels-last: the gradient of a dilated kernel
    over an odd number of channels (1 in a depthwise one) reads past its memory: noise, NaN or a crash.
    """
    return max(dilation) > 1 and channels % 2 == 1


def in_float32_on_cpu(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """`function(x)`; on a CPU under autocast in float32."""
    if x.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return function(x)
    with torch.autocast("cpu", enabled=False):
        return function(x.float())


class LossScaler:
    """Losses are multiplied by `scale` before the backward pass, so that small gradients survive in fp16.

    Where a gradient overflows, the step is left out and the scale halved; it doubles after 2000 good steps
    on end. At 1 nothing is left out: the gradients are not finite by themselves, which the run has to see.
    """

    _FIRST, _LARGEST, _PATIENCE = 2.0**16, 2.0**24, 2000

    def __init__(self) -> None:
        self.scale = self._FIRST
        self._good = 0

    def unscale(self, gradients: List[Tensor]) -> bool:
        """Divide by the scale, in place; whether the step is to be taken. Waits for the device."""
        torch._foreach_mul_(gradients, 1 / self.scale)
        finite = bool(torch.stack([g.abs().amax() for g in gradients]).isfinite().all())
        if finite:
            self._good += 1
            if self._good == self._PATIENCE:
                self.scale, self._good = min(2 * self.scale, self._LARGEST), 0
            return True
        self._good = 0
        if self.scale <= 1:
            return True
        self.scale /= 2
        return False

    def state(self) -> np.ndarray:
        """float64 (2,): the scale, and good steps since it was set."""
        return np.array([self.scale, self._good], np.float64)

    def load_state(self, state: np.ndarray) -> None:
        """Put back what `state` gave; ValueError for something else."""
        if state.shape != (2,):
            raise ValueError(f"loss scaling is {state.shape} in place of (2,)")
        self.scale, self._good = float(state[0]), int(state[1])
