"""Several processes that train or score one network together: rank, world size, local rank.

An engine brings its own way of adding small arrays up (`Workers.sum`); what else the trainer needs follows
from it here. Nothing in this module imports an array library other than NumPy.

What holds for every engine:

- The recipe is that of the whole job. `data.batch_size` is the global batch, of which each worker reads and
  computes its rows (`rows_of_batch`); a sample's place in the epoch's order decides its augmentation, whoever
  makes it. `data.workers` and `data.cache` are of a machine, shared out among its workers.
- A loss is that of the global batch: normalizers are summed, hard examples chosen over all workers. Gradients
  are summed, never averaged.
- Only the first worker (rank 0) writes files and reports. All see the same file system.
- Methods marked "collective" are called by every worker, in the same order.
- An error on one worker ends all of them, through `together`; where a worker is gone without a word, the next
  collective raises `WorkerLost` within the engine's time limit.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from typing import Any, Callable, Iterator, List, Mapping, Optional, Sequence

import numpy as np

from mxnetseg.errors import ConfigError, MxnetsegError

# What torchrun tells the processes that it starts.
_TORCHRUN = ("RANK", "WORLD_SIZE", "MASTER_ADDR")
# Set where one process of ours started the workers: it says which one was lost.
LAUNCHER = "MXNETSEG_LAUNCHER"


class WorkerLost(MxnetsegError):
    """Another worker of the job is gone, or does not answer."""


class OtherWorkerFailed(MxnetsegError):
    """The job ends by an error that another worker has, or reports: the message is empty on all but rank 0.

    signum  of the signal that was the error, or None.
    """

    def __init__(self, message: str = "", signum: Optional[int] = None):
        super().__init__(message)
        self.signum = signum


class Workers:
    """One process alone; the processes of an engine are a subclass that overrides `sum`, and what it can do
    better than by sums.

    rank, world_size              of this process, and of the job: 0 <= rank < world_size.
    local_rank, local_world_size  the same on this machine.
    """

    rank = 0
    world_size = 1
    local_rank = 0
    local_world_size = 1

    @property
    def first(self) -> bool:
        """Whether this worker writes and reports."""
        return self.rank == 0

    def sum(self, array: np.ndarray) -> np.ndarray:
        """Collective: the sum over all workers of arrays of one shape, float64 or int64; the same bits on
        every worker. Small ones: they go through the host. Raises WorkerLost."""
        return array

    def barrier(self) -> None:
        """Collective: returns when every worker is here."""
        self.sum(np.zeros(1, np.int64))

    def gather(self, array: np.ndarray) -> np.ndarray:
        """Collective: `(world_size, *shape)`, the array of each worker by rank; of one shape, float64 or
        int64."""
        found = np.zeros((self.world_size, *array.shape), array.dtype)
        found[self.rank] = array
        return self.sum(found)

    def gather_all(self, arrays: Sequence[np.ndarray]) -> List[np.ndarray]:
        """Collective, once for all: `(world_size, *shape)` of each of the floating arrays, of its type."""
        if not arrays:
            return []
        flat = np.concatenate([array.ravel() for array in arrays]).astype(np.float64)
        pieces = np.split(self.gather(flat), np.cumsum([array.size for array in arrays])[:-1], axis=1)
        return [x.reshape(-1, *array.shape).astype(array.dtype) for x, array in zip(pieces, arrays)]

    def agree(self, error: Optional[BaseException] = None) -> None:
        """Collective: raises on every worker where one has an error. Rank 0, which reports, raises its own or
        OtherWorkerFailed with the words of the lowest rank that has one; the others OtherWorkerFailed without
        words, and their own where that is a bug, whose traceback is wanted."""
        if self.world_size == 1:
            if error is not None:
                raise error
            return
        text = str(error).encode() if error is not None else b""
        signum = getattr(error, "signum", None) or 0
        facts = self.gather(np.array([error is not None, signum, len(text)], np.int64))
        if not facts[:, 0].any():
            return
        rank = int(np.flatnonzero(facts[:, 0])[0])
        padded = np.zeros(int(facts[:, 2].max()), np.int64)
        padded[: len(text)] = list(text)
        quoted = bytes(self.gather(padded)[rank, : facts[rank, 2]].astype(np.uint8)).decode(errors="replace")
        if error is not None and (self.first or not (signum or isinstance(error, MxnetsegError))):
            raise error
        raise OtherWorkerFailed(
            f"worker {rank}: {quoted}" if self.first else "", int(facts[rank, 1]) or None
        ) from error

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Collective: what raises inside, on any worker, raises on all of them at the end (`agree`). No
        collectives inside: those who fail would not come to them."""
        error = None
        try:
            yield
        except Exception as raised:
            error = raised
        self.agree(error)

    def by_first(self, work: Callable[..., None], *arguments: Any) -> None:
        """Collective: rank 0 calls `work(*arguments)`; what that raises raises on every worker (`agree`)."""
        with self.together():
            if self.first:
                work(*arguments)

    @contextlib.contextmanager
    def one_first(self) -> Iterator[None]:
        """Collective: as `together`, but one worker of each machine does it before the others, so that they
        find what it downloaded, counted or cached."""
        if self.local_rank:
            self.agree()
        with self.together():
            yield
        if not self.local_rank:
            self.agree()

    def check_equal(self, what: str, value: str) -> None:
        """Collective: ConfigError where the workers were not given the same."""
        found = self.gather(np.array([zlib.crc32(value.encode())], np.int64))
        other = np.flatnonzero(found != found[0])
        self.agree(
            ConfigError(f"worker {other[0]} was started with another {what} than worker 0: start all alike")
            if other.size
            else None
        )

    def close(self) -> None:
        """Leave the job; nothing is collective after it."""


ALONE = Workers()


def join_workers(engine: str, kvstore: Optional[str] = None) -> Workers:
    """Join the job that this process was started as a part of; `ALONE` where it is no part of any.

    kvstore  of MXNet, which its workers are told to use (`mxnetseg.compute.kvstore`); None: none.

    Collective, like everything after it. Raises ConfigError for an engine that cannot compute under what
    started it, WorkerLost where the other workers do not come.
    """
    check_engine(engine)
    if started_by_torchrun():
        from mxnetseg.compute.torch import require_torch

        require_torch()
        from mxnetseg.compute.torch.workers import TorchWorkers

        return TorchWorkers()
    if kvstore:
        if engine != "mxnet":
            raise ConfigError(f"kvstore {kvstore} is MXNet's: use engine mxnet, or start torch by torchrun")
        from mxnetseg.compute.mxnet_workers import KVStoreWorkers

        return KVStoreWorkers(kvstore)
    if os.environ.get("DMLC_ROLE"):
        raise ConfigError("DMLC_ROLE makes this process one of several: choose kvstore dist_sync")
    return ALONE


def check_engine(engine: str) -> None:
    """Raises ConfigError for an engine (or `auto`) that cannot compute under what started this process."""
    if started_by_torchrun() and engine not in ("torch", "auto"):
        raise ConfigError(f"the {engine} engine does not compute under torchrun: use engine torch")


def started_by_torchrun(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process is one of several that torchrun, or something like it, has started."""
    return all(name in environment for name in _TORCHRUN) and environment["WORLD_SIZE"] != "1"


def mean_of_copies(copies: np.ndarray) -> np.ndarray:
    """Over the first axis, summed in float64: of a statistic that devices keep each by itself."""
    return copies.mean(axis=0, dtype=np.float64).astype(copies.dtype)


def rows_of_batch(batch_size: int, parts: int, rank: int, world_size: int) -> List[int]:
    """The rows of a global batch that a worker computes, in order: of each of the `parts` that a batch is
    accumulated from, the worker's share. `batch_size` is a multiple of parts x world_size.

    So part k of all workers together is part k of a worker alone.
    """
    part, share = batch_size // parts, batch_size // parts // world_size
    return [k * part + rank * share + row for k in range(parts) for row in range(share)]


def share_of(total: int, workers: int) -> int:
    """What each of so many workers gets of a machine's `total`: rounded up, 0 of 0."""
    return -(-total // workers)
