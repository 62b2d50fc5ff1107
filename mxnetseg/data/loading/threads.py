"""Batches made in line or by threads of this process."""

from __future__ import annotations

import queue
import threading
import weakref
from collections import deque
from concurrent.futures import Future
from concurrent.futures import wait as done_within
from typing import Any, Deque, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from mxnetseg.data.loading import worker as work
from mxnetseg.data.loading.cache import cached
from mxnetseg.errors import DatasetError


def empty_batch(job: work.Job) -> Tuple[np.ndarray, np.ndarray]:
    shape = (job.batch_size, *job.size)
    return np.empty((shape[0], job.channels, *job.size), np.float32), np.empty(shape, np.int32)


def no_answer(who: str, timeout: Optional[float], indices: Sequence[int], dataset: Any) -> DatasetError:
    """What is said of a reader that hangs; `indices`: of the samples that it may be reading."""
    items = getattr(dataset, "items", None)
    names = [f"{index} ({items[index].image})" if items else str(index) for index in indices[:4]]
    more = f" or one of {len(indices) - 4} more" if len(indices) > 4 else ""
    return DatasetError(
        f"{who} has given no answer for {timeout:g} s; it is reading sample {' or '.join(names)}{more}: see "
        f"whether that can be read, and start again; data.timeout sets the limit"
    )


class InLine:
    """Mode `none`."""

    def __init__(self, job: work.Job):
        self.job = job._replace(dataset=cached(job.dataset, job.cache))

    def run(self, plans: Iterator[List[work.Task]]) -> Iterator[Tuple]:
        for tasks in plans:
            images, labels = empty_batch(self.job)
            yield images, labels, [work.make_sample(self.job, t, images, labels) for t in tasks]

    def close(self) -> None:
        pass


class Threads:
    """Mode `thread`: OpenCV and NumPy release the interpreter lock for most of the work.

    Threads of our own and not a ThreadPoolExecutor, which waits for its threads when the interpreter ends:
    for ever, where one is stuck in a file.
    """

    def __init__(self, job: work.Job, workers: int, prefetch: int, timeout: Optional[float]):
        job = self.job = job._replace(dataset=cached(job.dataset, job.cache))
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
        images, labels = empty_batch(self.job)
        futures = [(Future(), task) for task in tasks]
        for future, task in futures:
            self.asked.put((future, (task, images, labels)))
        return images, labels, futures

    def _finish(self, images: np.ndarray, labels: np.ndarray, futures: List[Tuple]) -> Tuple:
        made = []
        for future, task in futures:
            if not done_within([future], self.timeout).done:
                raise no_answer("a loader thread", self.timeout, [task.index], self.job.dataset)
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
