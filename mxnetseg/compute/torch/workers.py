"""Workers of the torch engine: processes that talk through `torch.distributed`.

What the host knows (flags, counts, states) travels over gloo whatever the devices are: nothing waits for what
a GPU has queued, and the death of a worker is noticed at once, since its sockets close. Gradients and the
statistics of norms travel over NCCL between GPUs, over gloo between CPUs.
"""

from __future__ import annotations

import contextlib
import os
from datetime import timedelta
from typing import Iterator, List, Mapping

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from mxnetseg.compute.workers import WorkerLost, Workers
from mxnetseg.errors import ConfigError, EngineError

# For a worker that lives and does not come: one that prepares data before the others may take long; within a
# step nobody does.
_HOST_LIMIT, _DEVICE_LIMIT = timedelta(hours=1), timedelta(minutes=10)
# Words of the errors of gloo and NCCL, most of which have no class of their own.
_LOST = ("gloo", "nccl", "connection closed", "connection reset", "timed out", "socket")


class TorchWorkers(Workers):
    """The workers of a job that torchrun, or `mxnetseg.compute.torch.launch`, has started.

    environment  as they set it: RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR and MASTER_PORT.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ):
        if not dist.is_available():
            raise EngineError("this PyTorch is built without torch.distributed: train on one device")
        try:
            self.rank, self.world_size = int(environment["RANK"]), int(environment["WORLD_SIZE"])
            self.local_rank = int(environment["LOCAL_RANK"])
            self.local_world_size = int(environment["LOCAL_WORLD_SIZE"])
        except (KeyError, ValueError) as error:
            raise ConfigError(
                f"RANK and WORLD_SIZE are set, but not all that torchrun sets ({error}): start with "
                f"torchrun, or unset them"
            ) from None
        on_gpus = torch.cuda.is_available() and dist.is_nccl_available()
        with self.talking():
            dist.init_process_group(
                "cpu:gloo,cuda:nccl" if on_gpus else "gloo",
                rank=self.rank,
                world_size=self.world_size,
                timeout=_DEVICE_LIMIT,
            )
            self._host = dist.new_group(backend="gloo", timeout=_HOST_LIMIT)
            # Buckets of gradients leave when they are full, between the collectives of norms.
            self.gradients = dist.new_group(timeout=_DEVICE_LIMIT)

    def sum(self, array: np.ndarray) -> np.ndarray:
        tensor = torch.from_numpy(np.array(array))
        with self.talking():
            dist.all_reduce(tensor, group=self._host)
        return tensor.numpy()

    def gather(self, array: np.ndarray) -> np.ndarray:
        tensor = torch.from_numpy(np.array(array))
        found = [torch.empty_like(tensor) for _ in range(self.world_size)]
        with self.talking():
            dist.all_gather(found, tensor, group=self._host)
        return np.stack([one.numpy() for one in found])

    def add(self, tensor: Tensor) -> None:
        """Collective: the sum over all workers in its place."""
        dist.all_reduce(tensor)

    def broadcast(self, tensors: List[Tensor]) -> None:
        """Collective: give them the values that they have on rank 0."""
        with self.talking():
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def rows_of_all(self, tensor: Tensor, parts: int) -> Tensor:
        """Collective: the rows of the global batch of `parts` parts, from this worker's (`rows_of_batch`)."""
        tensor = tensor.as_subclass(Tensor).contiguous()
        found = [torch.empty_like(tensor) for _ in range(self.world_size)]
        with self.talking():
            dist.all_gather(found, tensor)
        return torch.cat([piece for pieces in zip(*(one.chunk(parts) for one in found)) for piece in pieces])

    @contextlib.contextmanager
    def talking(self) -> Iterator[None]:
        """Inside, what PyTorch raises where another worker is gone becomes WorkerLost."""
        try:
            yield
        except RuntimeError as error:
            words = str(error).strip().split("\n")[0]
            if not isinstance(error, dist.DistError) and not any(w in words.lower() for w in _LOST):
                raise
            raise WorkerLost(
                f"worker {self.rank} of {self.world_size} has lost another one, and ends ({words})"
            ) from None

    def close(self) -> None:
        with contextlib.suppress(Exception):  # of the dead
            dist.destroy_process_group()
