"""Gradients summed over workers while the backward pass goes on."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

import torch
import torch.distributed as dist
from torch import Tensor

# Elements of a bucket (25 MiB of float32): enough to use a connection, few enough to leave early.
_SIZE = 25 * 2**18


class GradientBuckets:
    """The gradients of `parameters` as views of a few flat arrays, each of which is summed over all workers
    as soon as the backward pass has filled it.

    Not DistributedDataParallel: it takes the mean over workers, counts on one pass for each step, and wraps
    the module, where our losses are sums over the global batch, terms of the whole batch see the network
    first without a gradient, and a module's names are those of the saved weights.
    """

    def __init__(self, parameters: Sequence[Tensor], group: Any):
        self._group = group
        self._parameters = list(parameters)
        self._flat: List[Tensor] = []
        self._views: List[Tensor] = []
        self._bucket_of: Dict[int, int] = {}
        self._members: List[int] = []  # how many gradients a bucket holds
        self._fill()
        self._missing: List[int] = []
        self._pending: List[Any] = []
        self._last = False
        for parameter in self._parameters:
            parameter.register_post_accumulate_grad_hook(self._arrived)

    def _fill(self) -> None:
        # Backward reaches the last layers first.
        groups: List[List[Tensor]] = []
        held = 0
        for parameter in reversed(self._parameters):
            if not groups or held + parameter.numel() > _SIZE or parameter.dtype != groups[-1][0].dtype:
                groups.append([])
                held = 0
            groups[-1].append(parameter)
            held += parameter.numel()
        views = {}
        for number, group in enumerate(groups):
            flat = torch.zeros(sum(p.numel() for p in group), dtype=group[0].dtype, device=group[0].device)
            start = 0
            for parameter in group:
                # In the parameter's own memory format.
                views[id(parameter)] = flat.as_strided(parameter.shape, parameter.stride(), start)
                start += parameter.numel()
                self._bucket_of[id(parameter)] = number
            self._flat.append(flat)
            self._members.append(len(group))
        self._views = [views[id(parameter)] for parameter in self._parameters]

    def begin(self) -> None:
        """Set all gradients to zero; what backward passes find is added to them."""
        for flat in self._flat:
            flat.zero_()
        for parameter, view in zip(self._parameters, self._views):
            parameter.grad = view
        self._missing = list(self._members)
        self._pending = []
        self._last = False

    def last_pass(self) -> None:
        """The next backward pass is the last of this step: gradients that it finds are complete."""
        self._last = True

    def _arrived(self, parameter: Tensor) -> None:
        if self._last:
            self._missing[self._bucket_of[id(parameter)]] -= 1
            self._send(False)

    def _send(self, all_of_them: bool) -> None:
        # In one order on every worker, whatever the order in which they are filled.
        while len(self._pending) < len(self._flat):
            number = len(self._pending)
            if self._missing[number] and not all_of_them:
                return
            work = dist.all_reduce(self._flat[number], group=self._group, async_op=True)
            self._pending.append(work)

    def finish(self) -> None:
        """Collective: every gradient is its sum over all workers; on a GPU, to what is queued later."""
        self._send(True)  # some parameters may have no part in the loss
        for work in self._pending:
            work.wait()
        self._last = False
