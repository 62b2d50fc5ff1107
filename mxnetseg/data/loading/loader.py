"""Batches for training, made by worker processes, threads, or in line; the same in all three.

What is in a batch is a function of (seed, epoch, position in the epoch) alone, so the number of workers
and their timing change nothing, and an epoch can be entered at any batch.
"""

from __future__ import annotations

import logging
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from mxnetseg.data.loading import worker as work
from mxnetseg.data.loading.processes import Processes
from mxnetseg.data.loading.threads import InLine, Threads
from mxnetseg.data.samplers.base import Visit, default_sampler
from mxnetseg.errors import ConfigError, DatasetError

logger = logging.getLogger(__name__)

MODES = ("process", "thread", "none")


class Batch(NamedTuple):
    """float32 (N, channels, h, w) normalized images, int32 (N, h, w) train ids, and the samples' names."""

    images: np.ndarray
    labels: np.ndarray
    names: List[str]


class TrainLoader:
    """Epochs of batches from a data set and a transform (`TrainTransform` or one with its interface).

    batch_size  samples per batch.
    seed        whole number >= 0; with the epoch and the position it decides everything random.
    workers     processes or threads; 0 means mode `none`.
    mode        `process` (default), `thread`, or `none` (in line, for debugging).
    sampler     function (epoch, seed) -> [(index, hint), ...]; default: the data set's own, else all
                samples, shuffled.
    prefetch    batches being made ahead of the one handed out.
    skip_bad_samples  put a neighbour in place of a sample that raises DatasetError instead of stopping;
                `bad_samples` maps the indices met so far to what was wrong with them.
    timeout     seconds to wait for the next answer of a worker before a DatasetError names it;
                None waits without limit. Mode `none` cannot be timed.
    cache       bytes of decoded samples that all workers together keep; 0 keeps none.
    rows        which rows of every batch are made, in this order; None: all. What is in a row is the same.

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
        cache: int = 0,
        rows: Optional[Sequence[int]] = None,
    ):
        if mode not in MODES:
            raise ConfigError(f"worker mode {mode!r}: expected one of {', '.join(MODES)}")
        if batch_size < 1 or workers < 0 or prefetch < 1 or seed < 0:
            raise ConfigError(
                f"loader: batch_size ({batch_size}) and prefetch ({prefetch}) must be at least 1, "
                f"workers ({workers}) and seed ({seed}) at least 0"
            )
        self.dataset = dataset
        self.batch_size = batch_size
        self.rows = list(range(batch_size) if rows is None else rows)
        self.seed = seed
        self.sampler = sampler if sampler is not None else default_sampler(dataset)
        self.bad_samples: Dict[int, str] = {}
        self._visits = len(self.sampler) if hasattr(self.sampler, "__len__") else None
        if len(self) == 0:
            raise DatasetError(
                f"data set {getattr(dataset, 'name', dataset)!r} gives {self._visits} samples per epoch, "
                f"fewer than one batch of {batch_size}; choose a smaller batch_size"
            )
        job = work.Job(
            dataset,
            transform,
            skip_bad_samples,
            len(self.rows),
            tuple(transform.output_size),
            dataset.channels,
            0,
            cache,
        )
        mode = mode if workers else "none"
        if mode == "process":
            self._makers: Any = Processes(job, workers, prefetch, timeout)
        elif mode == "thread":
            self._makers = Threads(job, workers, prefetch, timeout)
        else:
            self._makers = InLine(job)
        self._generation = 0

    def __len__(self) -> int:
        """Batches per epoch."""
        if self._visits is None:
            self._visits = len(self.sampler(0, self.seed))
        return self._visits // self.batch_size

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch, from batch `start` on. Starting another epoch ends this one."""
        self._generation += 1
        generation = self._generation
        order = self.sampler(epoch, self.seed)

        def plans() -> Iterator[List[work.Task]]:
            for batch in range(start, len(order) // self.batch_size):
                first = batch * self.batch_size
                yield [
                    work.Task(0, 0, place, self.seed, epoch, first + row, *order[first + row])
                    for place, row in enumerate(self.rows)
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
