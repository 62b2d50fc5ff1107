"""A function over every sample of a data set, in several processes."""

from __future__ import annotations

from typing import Any, Callable, Iterator, List, Sequence, Tuple

from mxnetseg.data.prepare.workspace import process_pool
from mxnetseg.errors import DatasetError

_SAMPLES_PER_TASK = 8


def map_samples(dataset: Any, function: Callable[[Any, int], Any], workers: int = 1) -> Iterator[Any]:
    """`function(dataset, index)` for every sample, in order; a DatasetError comes as its text."""
    if workers <= 1 or len(dataset) < 2 * _SAMPLES_PER_TASK:
        for index in range(len(dataset)):
            yield _attempt(dataset, function, index)
        return
    with process_pool(workers, _hold, (dataset, function)) as pool:
        jobs: List[Any] = []
        starts = iter(range(0, len(dataset), _SAMPLES_PER_TASK))
        while True:
            while len(jobs) < 4 * workers:
                start = next(starts, None)
                if start is None:
                    break
                stop = min(start + _SAMPLES_PER_TASK, len(dataset))
                jobs.append(pool.submit(_work, start, stop))
            if not jobs:
                return
            yield from jobs.pop(0).result()


# What a worker process works on, set once when it starts.
_held: Tuple[Any, Any] = (None, None)


def _hold(dataset: Any, function: Callable) -> None:
    global _held
    _held = (dataset, function)


def _work(start: int, stop: int) -> Sequence[Any]:
    return [_attempt(*_held, index) for index in range(start, stop)]


def _attempt(dataset: Any, function: Callable, index: int) -> Any:
    try:
        return function(dataset, index)
    except DatasetError as error:
        return str(error)
