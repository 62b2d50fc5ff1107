"""Batch norm over the batches of all workers of a job."""

from __future__ import annotations

from typing import Any, Optional, Tuple

import torch
import torch.distributed as dist
from torch import Tensor


def has_others() -> bool:
    """Whether this process is one of several workers."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


@torch.compiler.disable
def synchronized_norm(
    x: Tensor, gamma: Optional[Tensor], beta: Tensor, eps: float
) -> Tuple[Tensor, Tensor, Tensor]:
    """`x` `(N, C, ...)` normalized, and mean and variance `(C,)` (divided by the count) of all workers' x
    together, which have one shape. Collective, and so is its gradient; scale and shift get this worker's
    share of theirs."""
    gamma = torch.ones_like(beta) if gamma is None else gamma
    return _Synchronized.apply(x, gamma, beta, eps)


class _Synchronized(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gamma: Tensor, beta: Tensor, eps: float):
        axes = [axis for axis in range(x.dim()) if axis != 1]
        var, mean = torch.var_mean(x.to(gamma.dtype), axes, correction=0)
        mine = torch.stack([mean, var])
        found = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
        dist.all_gather(found, mine)
        means, variances = torch.stack(found).unbind(1)
        mean = means.mean(0)
        var = variances.mean(0) + (means - mean).square().mean(0)
        y = torch.batch_norm(x, gamma, beta, mean, var, False, 0.0, eps, False)
        ctx.save_for_backward(x, gamma, mean, var)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, var)
        return y, mean, var

    @staticmethod
    def backward(ctx: Any, slope: Tensor, *_: Any):
        x, gamma, mean, var = ctx.saved_tensors
        # As if mean and variance were constants: the sums that the rest follows from come with it.
        fixed, for_gamma, for_beta = torch.ops.aten.native_batch_norm_backward(
            slope, x, gamma, mean, var, None, None, False, ctx.eps, [True, True, True]
        )
        sums = torch.cat([for_gamma, for_beta])
        dist.all_reduce(sums)
        along, whole = (sums / (dist.get_world_size() * x.numel() // x.shape[1])).chunk(2)
        inverse = (var + ctx.eps).rsqrt()
        factor = gamma * inverse * inverse * along
        rest = gamma * inverse * whole - factor * mean
        shape = [1, -1] + [1] * (x.dim() - 2)
        for_x = fixed - factor.view(shape) * x - rest.view(shape)
        return for_x.to(x.dtype), for_gamma, for_beta, None
