"""Layers that PyTorch's own do not replace."""

from __future__ import annotations

from typing import Optional, Sequence

import torch
from torch import Tensor, nn

from mxnetseg.compute.torch.precision import in_float32_on_cpu
from mxnetseg.compute.torch.recompute import recomputing
from mxnetseg.compute.torch.synchronized import has_others, synchronized_norm


class BatchNorm(nn.Module):
    """MXNet's batch norm over axis 1 of `(N, C, ...)`, with its names; `momentum` is the share that stays.

    The running variance is that of the batch as it is, divided by the count, where PyTorch's own layer
    divides by one less. One value per channel is no error: it normalizes to the shift. gamma and beta are
    parameters of this module, or arguments of a call where the network computes them (`forward`).
    `synchronized`: batches of all workers of a job count as one.
    """

    def __init__(
        self,
        eps: float = 1e-3,
        momentum: float = 0.9,
        fix_gamma: bool = True,
        use_global_stats: bool = False,
        synchronized: bool = False,
    ):
        super().__init__()
        self.eps = eps
        self.momentum = momentum
        self.fix_gamma = fix_gamma
        self.use_global_stats = use_global_stats
        self.synchronized = synchronized

    def forward(
        self,
        x: Tensor,
        gamma: Optional[Tensor] = None,
        beta: Optional[Tensor] = None,
        running_mean: Optional[Tensor] = None,
        running_var: Optional[Tensor] = None,
        turn: int = 0,
        turns: int = 1,
    ) -> Tensor:
        """All of a call's parameters are given, or none and the module's own are taken. `turn`: which of the
        layer's `turns` calls in a pass this is."""
        if gamma is None:
            gamma, beta, running_mean, running_var = (
                self.gamma,
                self.beta,
                self.running_mean,
                self.running_var,
            )
        gamma = None if self.fix_gamma else gamma
        if not self.training or self.use_global_stats:
            return torch.batch_norm(x, gamma, beta, running_mean, running_var, False, 0.0, self.eps, False)
        count = x.numel() // x.shape[1]
        if self.synchronized and has_others():
            y, mean, var = synchronized_norm(x, gamma, beta, self.eps)
            biased = 1.0
        else:
            mean, var = torch.zeros_like(running_mean), torch.zeros_like(running_var)
            y = torch.batch_norm(x, gamma, beta, mean, var, True, 1.0, self.eps, True)
            biased = (count - 1) / count
        if recomputing():
            return y
        # MXNet moves the statistics in the backward pass, so that the first of several calls counts last.
        share = (1 - self.momentum) * self.momentum ** (2 * turn - turns + 1)
        running_mean.mul_(self.momentum).add_(mean, alpha=share)
        running_var.mul_(self.momentum)
        if biased:  # PyTorch's variance of one value is not a number
            running_var.add_(var, alpha=share * biased)
        return y

    def extra_repr(self) -> str:
        return f"eps={self.eps}, momentum={self.momentum}"


class WideConvolution(nn.Conv2d):
    """A convolution of those that `precision.must_be_wide` names."""

    def forward(self, x: Tensor) -> Tensor:
        return in_float32_on_cpu(super().forward, x)


class Dropout(nn.Module):
    """Sets a share `p` of the values to zero in training; one draw for all places along `axes`."""

    def __init__(self, p: float = 0.5, axes: Sequence[int] = ()):
        super().__init__()
        self.p = p
        self.axes = tuple(axes)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.p:
            return x
        shape = [1 if axis in self.axes else side for axis, side in enumerate(x.shape)]
        kept = torch.empty(shape, dtype=x.dtype, device=x.device).bernoulli_(1 - self.p)
        return x * (kept / (1 - self.p))

    def extra_repr(self) -> str:
        return f"p={self.p}, axes={self.axes}"
