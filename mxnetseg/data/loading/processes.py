"""Batches made by worker processes in memory that they share with this one."""

from __future__ import annotations

import mmap
import os
import pickle
import socket
import subprocess
import weakref
from collections import deque
from multiprocessing.connection import Connection, wait
from typing import Any, Deque, Dict, Iterator, List, Optional, Tuple

import numpy as np

from mxnetseg.compat import sigint_blocked
from mxnetseg.data.loading import worker as work
from mxnetseg.data.loading.threads import no_answer
from mxnetseg.errors import ConfigError, DatasetError

# Batches that the consumer may hold at once without their being copied: the one it works on and the
# one it is being handed.
_LEASES = 2


class _Process:
    """The parent's end of one worker."""

    def __init__(self, memory_fd: int):
        ours, theirs = socket.socketpair()
        with theirs:
            with sigint_blocked():  # it reaches the whole foreground group, and would meet it importing
                self.popen = subprocess.Popen(
                    work.command(theirs.fileno(), memory_fd),
                    pass_fds=(theirs.fileno(), memory_fd),
                    stdin=subprocess.DEVNULL,
                    env=work.environment(),
                )
        self.connection = Connection(ours.detach())
        self.waiting: List[work.Task] = []  # not answered yet

    def send(self, message: bytes) -> None:
        try:
            self.connection.send_bytes(message)
        except (BrokenPipeError, ConnectionResetError):
            raise self.death() from None

    def death(self) -> DatasetError:
        try:
            status: Any = self.popen.wait(timeout=30)
        except subprocess.TimeoutExpired:
            status = None
        how = f"exit status {status}"
        if status is not None and status < 0:
            how = f"killed by signal {-status}"
            if status == -9:
                how += ", as the kernel does when memory runs out"
        return DatasetError(
            f"loader worker process {self.popen.pid} died ({how}); training cannot go on: "
            f"resume with fewer workers, or with worker_mode 'none' to see what it fails on"
        )

    def no_answer(self, timeout: Optional[float], dataset: Any) -> DatasetError:
        state = ", which is stopped," if work.is_stopped(self.popen.pid) else ""
        # The first group of tasks that is not answered; the worker answers a group at once.
        group = [task.index for task in self.waiting if task.ticket == self.waiting[0].ticket]
        return no_answer(f"loader worker process {self.popen.pid}{state}", timeout, group, dataset)


class _InFlight:
    """A batch being made in one slot of the shared memory."""

    def __init__(self, slot: int, rows: int):
        self.slot = slot
        self.missing = rows
        self.made: List[Optional[work.Made]] = [None] * rows
        self.error: Optional[Exception] = None
        self.wanted = True


class _Lease:
    """Keeps a slot from being filled again for as long as an array on it lives."""

    def __init__(self, memory: mmap.mmap, start: int, size: int):
        view = np.frombuffer(memory, np.uint8, size, start)
        self.__array_interface__ = view.__array_interface__
        self.memory = memory


class Processes:
    """Mode `process`."""

    def __init__(self, job: work.Job, workers: int, prefetch: int, timeout: Optional[float]):
        self.prefetch = prefetch
        self.timeout = timeout
        slots = prefetch + _LEASES
        self.job = job._replace(slots=slots, cache=job.cache // workers)
        message = _pickled(self.job)
        self.slot_size = work.slot_bytes(job.batch_size, job.size, job.channels)
        self.free: Deque[int] = deque(range(slots))
        self.leased = 0
        self.in_flight: Dict[int, _InFlight] = {}
        self.ahead: Deque[_InFlight] = deque()
        self.tickets = 0
        self.workers: List[_Process] = []
        # Runs at close, when the loader is collected and when the interpreter ends.
        self._ending = weakref.finalize(self, _end_workers, self.workers, os.getpid())
        memory_fd = work.anonymous_file(slots * self.slot_size)
        try:
            self.memory = mmap.mmap(memory_fd, slots * self.slot_size)
            for _ in range(workers):
                self.workers.append(_Process(memory_fd))
        finally:
            os.close(memory_fd)
        # Only now, so that the workers import side by side whatever the size of the message.
        for process in self.workers:
            process.send(message)

    def run(self, plans: Iterator[List[work.Task]]) -> Iterator[Tuple]:
        if not self._ending.alive:
            raise RuntimeError("the loader is closed")
        self._abandon(self.ahead)
        ahead: Deque[_InFlight] = deque()
        self.ahead = ahead
        try:
            for _ in range(self.prefetch):
                self._dispatch_next(plans, ahead)
            while ahead:
                batch = ahead[0]
                while batch.missing:
                    self._collect()
                if batch.error is not None:
                    raise batch.error
                ahead.popleft()
                arrays = self._hand_out(batch.slot)
                # Before handing out, so that no worker idles while the consumer computes.
                self._dispatch_next(plans, ahead)
                yield (*arrays, batch.made)
                del arrays
        finally:
            self._abandon(ahead)

    def _abandon(self, ahead: Deque[_InFlight]) -> None:
        """Give up batches that an unfinished epoch asked for; their slots return when they are made."""
        while ahead:
            batch = ahead.popleft()
            batch.wanted = False
            if not batch.missing:
                self.free.append(batch.slot)

    def _dispatch_next(self, plans: Iterator[List[work.Task]], ahead: Deque[_InFlight]) -> None:
        tasks = next(plans, None)
        if tasks is None:
            return
        while not self.free:
            self._collect()
        batch = _InFlight(self.free.popleft(), len(tasks))
        ticket = self.tickets = self.tickets + 1
        self.in_flight[ticket] = batch
        ahead.append(batch)
        shares: Dict[_Process, List[work.Task]] = {}
        for task in tasks:
            process = self._for(task)
            task = task._replace(ticket=ticket, slot=batch.slot)
            process.waiting.append(task)
            shares.setdefault(process, []).append(task)
        for process, share in shares.items():
            process.send(_pickled(share))

    def _for(self, task: work.Task) -> _Process:
        """The worker with the least to do; with a cache, the one that would have the sample."""
        if self.job.cache:
            return self.workers[task.index % len(self.workers)]
        return min(self.workers, key=lambda candidate: len(candidate.waiting))

    def _collect(self) -> None:
        """Wait for answers and book them."""
        by_connection = {process.connection: process for process in self.workers}
        answering = wait(list(by_connection), self.timeout)
        if not answering:
            stuck = next(process for process in self.workers if process.waiting)
            raise stuck.no_answer(self.timeout, self.job.dataset)
        for connection in answering:
            process = by_connection[connection]
            try:
                answers = connection.recv()
            except (EOFError, ConnectionResetError):
                raise process.death() from None
            for answer in answers:
                if not isinstance(answer, work.Ready):
                    self._book(process, answer)

    def _book(self, process: _Process, answer: Any) -> None:
        if answer.ticket < 0:
            raise answer.error
        process.waiting = [
            task for task in process.waiting if (task.ticket, task.row) != (answer.ticket, answer.row)
        ]
        batch = self.in_flight[answer.ticket]
        batch.missing -= 1
        if isinstance(answer, work.Failed):
            batch.error = batch.error or answer.error
        else:
            batch.made[answer.row] = answer
        if not batch.missing:
            del self.in_flight[answer.ticket]
            if not batch.wanted:
                self.free.append(batch.slot)

    def _hand_out(self, slot: int) -> Tuple[np.ndarray, np.ndarray]:
        """Arrays on the slot's own memory, or a copy where the consumer keeps many batches."""
        if self.leased >= _LEASES:
            images, labels = work.slot_arrays(
                self.memory, slot, self.job.batch_size, self.job.size, self.job.channels
            )
            self.free.append(slot)
            return images.copy(), labels.copy()
        lease = _Lease(self.memory, slot * self.slot_size, self.slot_size)
        self.leased += 1
        weakref.finalize(lease, self._return, weakref.ref(self), slot).atexit = False
        buffer = np.asarray(lease)
        return work.slot_arrays(buffer, 0, self.job.batch_size, self.job.size, self.job.channels)

    @staticmethod
    def _return(owner: Any, slot: int) -> None:
        makers = owner()
        if makers is not None:
            makers.leased -= 1
            makers.free.append(slot)

    def close(self) -> None:
        self._ending()


def _pickled(message: Any) -> bytes:
    try:
        return pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"the data set, transform or sampler cannot be sent to a worker process ({error}); "
            f"define its functions at the top of a module, or use worker mode 'thread'"
        ) from error


def _end_workers(workers: List[_Process], owner: int) -> None:
    """Close the sockets, which ends the workers, and see that they are gone."""
    if os.getpid() != owner:  # a forked copy of the parent leaves the workers alone
        return
    for process in workers:
        process.connection.close()
    for process in workers:
        try:
            process.popen.wait(timeout=2)
        except subprocess.TimeoutExpired:
            process.popen.kill()
            process.popen.wait()
