"""One sample of one batch: what a loader does in every mode, and the process that does it.

A worker process is a fresh interpreter that imports NumPy, OpenCV and `mxnetseg.data`, never MXNet, and
is not forked from the process that trains: no engine threads, locks, CUDA contexts or random states are
inherited, so there is nothing to deadlock on. It answers tasks on one socket, writes pixels into memory
shared with its parent and ends when that socket closes, which the kernel does for a parent that dies.
"""

from __future__ import annotations

import json
import mmap
import os
import pickle
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from mxnetseg.data.loading.cache import cached
from mxnetseg.errors import DatasetError, MxnetsegError

# How many neighbours stand in for a damaged sample before the loader gives up.
_REPLACEMENTS = 20
# Seconds between looks at whether the parent is still the same process.
_ORPHAN_CHECK = 5.0


class Task(NamedTuple):
    """One sample to make: where it goes in the batch, and all that its content depends on."""

    ticket: int
    slot: int
    row: int
    seed: int
    epoch: int
    position: int
    index: int
    hint: Any


class Made(NamedTuple):
    """The answer to a task: the sample's name, and (index, message) of damaged ones skipped for it."""

    ticket: int
    row: int
    name: str
    skipped: List[Tuple[int, str]]


class Failed(NamedTuple):
    """The answer to a task that raised; ticket -1 where the worker could not even start."""

    ticket: int
    row: int
    error: Exception


class Ready(NamedTuple):
    """What a worker sends once it has its job."""

    pid: int


class Job(NamedTuple):
    """What a worker works on, sent once. `cache`: bytes of decoded samples that it keeps."""

    dataset: Any
    transform: Any
    skip_bad_samples: bool
    batch_size: int
    size: Tuple[int, int]
    channels: int
    slots: int
    cache: int = 0


def sample_generator(seed: int, epoch: int, position: int) -> np.random.Generator:
    """The random stream that augments the sample at `position` of an epoch."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, epoch, position])))


def make_sample(job: Job, task: Task, images: np.ndarray, labels: np.ndarray) -> Made:
    """Read, augment and write one sample into `images[row]`, `labels[row]` of its batch."""
    skipped: List[Tuple[int, str]] = []
    index = task.index
    while True:
        try:
            sample = job.dataset[index]
            if sample.label is None:
                raise DatasetError(
                    f"{sample.name}: sample has no label and cannot be trained on; choose a split "
                    f"with labels (this one is {job.dataset.split!r})"
                )
            break
        except DatasetError as error:
            if not job.skip_bad_samples or len(skipped) >= _REPLACEMENTS:
                raise
            skipped.append((index, str(error)))
            index = (index + 1) % len(job.dataset)
    rng = sample_generator(task.seed, task.epoch, task.position)
    hint = task.hint if index == task.index else None
    _, label = job.transform(sample, rng, hint=hint, out=images[task.row])
    labels[task.row] = label
    return Made(task.ticket, task.row, sample.name, skipped)


def slot_bytes(batch_size: int, size: Tuple[int, int], channels: int) -> int:
    """Bytes of one batch: float32 images and int32 labels, rounded up to whole pages."""
    data = batch_size * (channels + 1) * size[0] * size[1] * 4
    return -(-data // mmap.PAGESIZE) * mmap.PAGESIZE


def slot_arrays(
    buffer: Any, slot: int, batch_size: int, size: Tuple[int, int], channels: int
) -> Tuple[np.ndarray, np.ndarray]:
    """float32 (N, channels, h, w) and int32 (N, h, w) on the memory of one slot of `buffer`."""
    height, width = size
    start = slot * slot_bytes(batch_size, size, channels)
    images = np.frombuffer(buffer, np.float32, batch_size * channels * height * width, start)
    labels = np.frombuffer(buffer, np.int32, batch_size * height * width, start + images.nbytes)
    return (
        images.reshape(batch_size, channels, height, width),
        labels.reshape(batch_size, height, width),
    )


def limit_threads() -> None:
    """One thread per worker: as many workers as cores already use the machine."""
    import cv2

    cv2.setNumThreads(0)


def main(socket_fd: int, memory_fd: int) -> None:
    """The life of a worker process."""
    # Ctrl-C reaches the whole foreground group, and batch systems and `timeout` send SIGTERM to all of a job;
    # the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    connection = Connection(socket_fd)
    parent = os.getppid()
    try:
        limit_threads()
        job = _receive(connection, parent)
        if job is None:
            return
        job = job._replace(dataset=cached(job.dataset, job.cache))
        memory = mmap.mmap(memory_fd, job.slots * slot_bytes(job.batch_size, job.size, job.channels))
        os.close(memory_fd)
        slots = [slot_arrays(memory, s, job.batch_size, job.size, job.channels) for s in range(job.slots)]
        connection.send([Ready(os.getpid())])
        while True:
            tasks = _receive(connection, parent)
            if tasks is None:
                return
            # One answer per group of tasks: with as many messages one way as the other, neither
            # side can fill the socket while the other waits to write.
            connection.send([_answer(job, task, slots[task.slot]) for task in tasks])
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except Exception as error:
        connection.send([Failed(-1, -1, portable(error))])


def _answer(job: Job, task: Task, arrays: Tuple[np.ndarray, np.ndarray]) -> Any:
    try:
        return make_sample(job, task, *arrays)
    except Exception as error:
        return Failed(task.ticket, task.row, portable(error))


def _receive(connection: Connection, parent: int) -> Any:
    """The next message; None once the parent is gone."""
    while not connection.poll(_ORPHAN_CHECK):
        # Another child of the parent may hold the socket open after the parent's death.
        if os.getppid() != parent:
            return None
    return connection.recv()


def portable(error: Exception) -> Exception:
    """The error itself where it survives pickling and is the user's, else a RuntimeError that quotes it."""
    if isinstance(error, MxnetsegError):
        try:
            pickle.loads(pickle.dumps(error))
            return error
        except Exception:
            return DatasetError(str(error))
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return RuntimeError(f"a loader worker failed:\n{text}")


def is_stopped(pid: int) -> bool:
    """Whether a process is held by SIGSTOP or a debugger; False where the system does not say."""
    try:
        with open(f"/proc/{pid}/stat") as handle:
            return handle.read().rpartition(")")[2].split()[0] in "tT"
    except OSError:
        return False


def command(socket_fd: int, memory_fd: int) -> List[str]:
    """The command line that starts a worker with the import path of this process."""
    code = (
        "import sys, json; sys.path[:] = json.loads(sys.argv[1]); "
        "from mxnetseg.data.loading.worker import main; main(int(sys.argv[2]), int(sys.argv[3]))"
    )
    return [sys.executable, "-c", code, json.dumps(sys.path), str(socket_fd), str(memory_fd)]


def environment() -> Dict[str, str]:
    """This process's environment with one compute thread, and memory kept for the next picture.

    glibc gives arrays of a picture's size back to the system when they are freed; getting them again, page by
    page, took a third of the time of a sample of Cityscapes.
    """
    memory = {"MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "268435456"}
    return {**memory, **os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def anonymous_file(size: int) -> int:
    """A file descriptor of `size` bytes of memory that has no name, so that nothing can be left behind.

    The kernel frees it with the last process that holds it, after kill -9 too, and it does not count
    against the size of /dev/shm, which containers keep at 64 MB.
    """
    fd: Optional[int] = None
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("mxnetseg-batches", os.MFD_CLOEXEC)
    else:
        import tempfile

        with tempfile.TemporaryFile() as handle:
            fd = os.dup(handle.fileno())
    os.truncate(fd, size)
    return fd
