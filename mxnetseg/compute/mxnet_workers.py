"""Workers of the MXNet engine: processes that sum their gradients on the servers of a key-value store.

A server adds float32 arrays in the order in which they come; two workers always get the same bits, more than
two the same as each other but other last bits in another run. Counts, losses and statistics are exact
whatever their number: each worker's bytes travel, as small whole numbers, in a row of their own.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import zlib
from typing import Dict, Iterator, Mapping, Sequence

import mxnet as mx
import numpy as np

from mxnetseg.compute import kvstore
from mxnetseg.compute.lifeline import Lifeline, end_process
from mxnetseg.compute.workers import Workers


class KVStoreWorkers(Workers):
    """The workers of a job as MXNet's launchers start it; see `mxnetseg.compute.kvstore`.

    Collective. EngineError where the scheduler is not reached; where the scheduler is and others do not come,
    the process ends with a line and status 2 (MXNet cannot be interrupted), and so it does when one is lost.
    """

    def __init__(self, kind: str, environment: Mapping[str, str] = os.environ):
        host = kvstore.reach_scheduler(environment)
        with _limited(environment):
            self._store = mx.kv.create(kind)
            self._keys: Dict[str, int] = {}
            self.rank, self.world_size = self._store.rank, self._store.num_workers
            machine = zlib.crc32(f"{socket.gethostname()} {host}".encode())
            machines = self.gather(np.array([machine], np.int64))[:, 0]
        self.local_rank = int((machines[: self.rank] == machine).sum())
        self.local_world_size = int((machines == machine).sum())
        self._lifeline = Lifeline(self.rank, self.world_size, host, self.gather)

    def sum(self, array: np.ndarray) -> np.ndarray:
        return self.gather(array).sum(axis=0, dtype=array.dtype)

    def gather(self, array: np.ndarray) -> np.ndarray:
        halves = np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint16)
        # Few different sizes: each is an array that stays on the servers.
        room = max(64, 1 << (len(halves) - 1).bit_length())
        rows = np.zeros((self.world_size, room), np.float32)
        rows[self.rank, : len(halves)] = halves
        value = mx.nd.array(rows)
        self.add(f"rows of {room}", [value])
        found = value.asnumpy()[:, : len(halves)].astype(np.uint16)
        return np.ascontiguousarray(found).view(array.dtype).reshape(self.world_size, *array.shape)

    def add(self, key: str, copies: Sequence[mx.nd.NDArray]) -> None:
        """Collective: put into each of the arrays, one of each device of this worker, the sum of those of all
        workers. Only queued: MXNet waits where they are read."""
        if key not in self._keys:
            self._keys[key] = len(self._keys)
            self._store.init(self._keys[key], mx.nd.zeros(copies[0].shape, dtype=copies[0].dtype))
        number = self._keys[key]
        self._store.push(number, list(copies), priority=-number)
        self._store.pull(number, list(copies), priority=-number)

    def broadcast(self, key: str, copies: Sequence[mx.nd.NDArray]) -> None:
        """Collective: put what rank 0 has in the first of the arrays into all of them, on every worker."""
        for copy in copies[int(self.rank == 0) :]:
            copy[:] = 0
        self.add(key, copies)

    def close(self) -> None:
        self._lifeline.leave()


@contextlib.contextmanager
def _limited(environment: Mapping[str, str]) -> Iterator[None]:
    """End the process in one line when what is inside takes longer than workers may take to meet."""
    seconds = kvstore.seconds_to_meet(environment)
    host, port = kvstore.scheduler_address(environment)
    message = (
        f"kvstore dist_sync: {environment['DMLC_NUM_WORKER']} workers and {environment['DMLC_NUM_SERVER']} "
        f"servers have not met at {host}:{port} within {seconds:g} s: are all started?"
    )
    timer = threading.Timer(seconds, end_process, [message])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
