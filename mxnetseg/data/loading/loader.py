"""Batches for training, made by worker processes, threads, or in line; the same in all three.

What is in a batch is a function of (seed, epoch, position in the epoch) alone, so the number of workers
and their timing change nothing, and an epoch can be entered at any batch.
"""

from __future__ import annotations

import logging
import mmap
import os
import pickle
import queue
import socket
import subprocess
import threading
import weakref
from collections import deque
from concurrent.futures import Future
from concurrent.futures import wait as done_within
from multiprocessing.connection import Connection, wait
from typing import Any, Callable, Deque, Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np

from mxnetseg.compat import sigint_blocked
from mxnetseg.data.loading import worker as work
from mxnetseg.data.samplers.base import Visit, default_sampler
from mxnetseg.errors import ConfigError, DatasetError

logger = logging.getLogger(__name__)

MODES = ("process", "thread", "none")

# Batches that the consumer may hold at once without their being copied: the one it works on and the
# one it is being handed.
_LEASES = 2


class Batch(NamedTuple):
    """float32 (N, channels, h, w) normalized images, int32 (N, h, w) train ids, and the samples' names."""

    images: np.ndarray
    labels: np.ndarray
    names: List[str]


class TrainLoader:
    """Epochs of batches from a data set and a transform (`TrainTransform` or one with its interface).

    batch_size  samples per batch of this process.
    seed        whole number >= 0; with the epoch and the position it decides everything random.
    workers     processes or threads; 0 means mode `none`.
    mode        `process` (default), `thread`, or `none` (in line, for debugging).
    sampler     function (epoch, seed) -> [(index, hint), ...]; default: the data set's own, else all
                samples, shuffled.
    prefetch    batches being made ahead of the one handed out.
    skip_bad_samples  put a neighbour in place of a sample that raises DatasetError instead of stopping;
                `bad_samples` maps the indices met so far to what was wrong with them.
    timeout     seconds to wait for the next answer of a worker before DatasetError says who keeps silent;
                None waits for ever. Mode `none` cannot be timed.
    shard       (rank, count): this process's part when several train together. Each batch of the whole has
                `count * batch_size` samples, of which this process makes its own.

    The last incomplete batch of an epoch is dropped. Memory for `prefetch + 2` batches is shared with the
    workers; arrays handed out may be kept for as long as wanted. Use as a context manager or call `close()`.
    """

    def __init__(
        self,
        dataset: Any,
        transform: Any,
        batch_size: int,
        seed: int = 0,
        workers: int = 2,
        mode: str = "process",
        sampler: Optional[Callable[[int, int], List[Visit]]] = None,
        prefetch: int = 2,
        skip_bad_samples: bool = False,
        timeout: Optional[float] = 300.0,
        shard: Tuple[int, int] = (0, 1),
    ):
        if mode not in MODES:
            raise ConfigError(f"worker mode {mode!r}: expected one of {', '.join(MODES)}")
        if batch_size < 1 or workers < 0 or prefetch < 1 or seed < 0:
            raise ConfigError(
                f"loader: batch_size ({batch_size}) and prefetch ({prefetch}) must be at least 1, "
                f"workers ({workers}) and seed ({seed}) at least 0"
            )
        if not 0 <= shard[0] < shard[1]:
            raise ConfigError(f"loader: shard {shard} must be (rank, count) with 0 <= rank < count")
        self.dataset = dataset
        self.batch_size = batch_size
        self.seed = seed
        self.sampler = sampler if sampler is not None else default_sampler(dataset)
        self.shard = shard
        self.bad_samples: Dict[int, str] = {}
        self._visits = len(self.sampler) if hasattr(self.sampler, "__len__") else None
        if len(self) == 0:
            raise DatasetError(
                f"data set {getattr(dataset, 'name', dataset)!r} gives {self._visits} samples per epoch, "
                f"fewer than one batch of {batch_size * shard[1]}; choose a smaller batch_size"
            )
        job = work.Job(
            dataset,
            transform,
            skip_bad_samples,
            batch_size,
            tuple(transform.output_size),
            dataset.channels,
            0,
        )
        mode = mode if workers else "none"
        if mode == "process":
            self._makers: Any = _Processes(job, workers, prefetch, timeout)
        elif mode == "thread":
            self._makers = _Threads(job, workers, prefetch, timeout)
        else:
            self._makers = _InLine(job)
        self._generation = 0

    def __len__(self) -> int:
        """Batches per epoch."""
        if self._visits is None:
            self._visits = len(self.sampler(0, self.seed))
        return self._visits // (self.batch_size * self.shard[1])

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch, from batch `start` on. Starting another epoch ends this one."""
        self._generation += 1
        generation = self._generation
        order = self.sampler(epoch, self.seed)
        rank, count = self.shard

        def plans() -> Iterator[List[work.Task]]:
            for batch in range(start, len(order) // (self.batch_size * count)):
                first = (batch * count + rank) * self.batch_size
                yield [
                    work.Task(0, 0, row, self.seed, epoch, first + row, *order[first + row])
                    for row in range(self.batch_size)
                ]

        for images, labels, made in self._makers.run(plans()):
            for answer in made:
                self._report(answer.skipped)
            yield Batch(images, labels, [answer.name for answer in made])
            if generation != self._generation:
                raise RuntimeError("this epoch ended when another was started on the same loader")

    def close(self) -> None:
        """End the workers and give the memory back; arrays handed out stay valid."""
        self._makers.close()

    def __enter__(self) -> TrainLoader:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _report(self, skipped: List[Tuple[int, str]]) -> None:
        for index, message in skipped:
            if index not in self.bad_samples:
                self.bad_samples[index] = message
                logger.warning("sample skipped (%d so far): %s", len(self.bad_samples), message)


def _empty_batch(job: work.Job) -> Tuple[np.ndarray, np.ndarray]:
    shape = (job.batch_size, *job.size)
    return np.empty((shape[0], job.channels, *job.size), np.float32), np.empty(shape, np.int32)


class _InLine:
    """Mode `none`."""

    def __init__(self, job: work.Job):
        self.job = job

    def run(self, plans: Iterator[List[work.Task]]) -> Iterator[Tuple]:
        for tasks in plans:
            images, labels = _empty_batch(self.job)
            yield images, labels, [work.make_sample(self.job, t, images, labels) for t in tasks]

    def close(self) -> None:
        pass


class _Threads:
    """Mode `thread`: OpenCV and NumPy release the interpreter lock for most of the work.

    Threads of our own and not a ThreadPoolExecutor, which waits for its threads when the interpreter ends:
    for ever, where one is stuck in a file.
    """

    def __init__(self, job: work.Job, workers: int, prefetch: int, timeout: Optional[float]):
        self.job = job
        self.prefetch = prefetch
        self.timeout = timeout
        self.asked: queue.SimpleQueue = queue.SimpleQueue()
        # Runs at close and when the loader is collected, to which the threads hold no reference.
        self._ending = weakref.finalize(self, _end_threads, self.asked, workers)
        work.limit_threads()
        for k in range(workers):
            name = f"mxnetseg-loader-{k}"
            threading.Thread(target=_make_samples, args=(self.asked, job), name=name, daemon=True).start()

    def run(self, plans: Iterator[List[work.Task]]) -> Iterator[Tuple]:
        ahead: Deque[Tuple] = deque()
        try:
            for tasks in plans:
                ahead.append(self._submit(tasks))
                if len(ahead) > self.prefetch:
                    yield self._finish(*ahead.popleft())
            while ahead:
                yield self._finish(*ahead.popleft())
        finally:
            for _, _, futures in ahead:
                for future, _ in futures:
                    future.cancel()

    def _submit(self, tasks: List[work.Task]) -> Tuple:
        images, labels = _empty_batch(self.job)
        futures = [(Future(), task) for task in tasks]
        for future, task in futures:
            self.asked.put((future, (task, images, labels)))
        return images, labels, futures

    def _finish(self, images: np.ndarray, labels: np.ndarray, futures: List[Tuple]) -> Tuple:
        made = []
        for future, task in futures:
            if not done_within([future], self.timeout).done:
                raise _silence("a loader thread", self.timeout, [task], self.job.dataset)
            made.append(future.result())
        return images, labels, made

    def close(self) -> None:
        self._ending()


def _make_samples(asked: queue.SimpleQueue, job: work.Job) -> None:
    """The life of a loader thread: pairs (future, arguments) until there is None."""
    for future, arguments in iter(asked.get, None):
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(work.make_sample(job, *arguments))
            except BaseException as error:  # handed to whoever waits
                future.set_exception(error)


def _end_threads(asked: queue.SimpleQueue, workers: int) -> None:
    for _ in range(workers):
        asked.put(None)


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
            status: Any = self.popen.wait(timeout=5)
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

    def silence(self, timeout: Optional[float], dataset: Any) -> DatasetError:
        state = ", which is stopped," if work.is_stopped(self.popen.pid) else ""
        return _silence(f"loader worker process {self.popen.pid}{state}", timeout, self.waiting, dataset)


def _silence(who: str, timeout: Optional[float], tasks: List[work.Task], dataset: Any) -> DatasetError:
    # The first group of tasks that is not answered; the worker answers a group at once.
    group = [task.index for task in tasks if task.ticket == tasks[0].ticket]
    items = getattr(dataset, "items", None)
    names = [f"{index} ({items[index].image})" if items else str(index) for index in group[:4]]
    more = f" or one of {len(group) - 4} more" if len(group) > 4 else ""
    return DatasetError(
        f"{who} has given no answer for {timeout:g} s; it is reading sample {' or '.join(names)}{more}: see "
        f"whether that can be read, then resume; data.timeout sets the limit"
    )


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


class _Processes:
    """Mode `process`."""

    def __init__(self, job: work.Job, workers: int, prefetch: int, timeout: Optional[float]):
        self.prefetch = prefetch
        self.timeout = timeout
        slots = prefetch + _LEASES
        self.job = job._replace(slots=slots)
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
            process = min(self.workers, key=lambda candidate: len(candidate.waiting))
            task = task._replace(ticket=ticket, slot=batch.slot)
            process.waiting.append(task)
            shares.setdefault(process, []).append(task)
        for process, share in shares.items():
            process.send(_pickled(share))

    def _collect(self) -> None:
        """Wait for answers and book them."""
        by_connection = {process.connection: process for process in self.workers}
        answering = wait(list(by_connection), self.timeout)
        if not answering:
            silent = next(process for process in self.workers if process.waiting)
            raise silent.silence(self.timeout, self.job.dataset)
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
