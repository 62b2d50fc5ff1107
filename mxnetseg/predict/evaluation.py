"""One evaluation for training and for `eval.py`: what picks the best checkpoint is what is reported.

Pictures are read ahead by a thread, predicted one at a time per device, and counted in one confusion
matrix. No prediction is kept, so memory does not grow with the data set.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from typing import Any, Callable, Dict, Iterator, Optional, Sequence

import numpy as np
from pydantic import ValidationError
from tqdm import tqdm

from mxnetseg.compute.inference import Inference
from mxnetseg.compute.workers import ALONE, Workers
from mxnetseg.data.datasets.base import Dataset
from mxnetseg.data.datasets.concat import ConcatDataset
from mxnetseg.data.loading.threads import no_answer
from mxnetseg.errors import CheckpointError, ConfigError, DatasetError
from mxnetseg.metrics import ConfusionMatrix
from mxnetseg.predict.predictor import Predictor
from mxnetseg.recipe.protocol import Protocol


def make_predictor(
    inference: Inference, dataset: Dataset, protocol: Optional[Protocol] = None, statistics: Any = None
) -> Predictor:
    """A Predictor for the pictures of a data set.

    protocol : None is the library's own; the window is the data set's where it states none
    statistics : the recipe's `input` group; the data set's mean and std where it states none
    """
    mean, std = (dataset.mean, dataset.std) if statistics is None else statistics.of(dataset)
    return Predictor(inference, (protocol or Protocol()).resolved(dataset.crop), mean, std)


def make_protocol(**fields: Any) -> Protocol:
    """A Protocol of these fields; ConfigError in one line for what is wrong with them."""
    try:
        return Protocol(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"][:1]) or "protocol"
        message = first["msg"].replace("Value error, ", "")
        raise ConfigError(f"evaluation.{name} {first['input']!r}: {message}") from None


def run(
    predictor: Predictor,
    dataset: Dataset,
    on_image: Optional[Callable[[int, Any, np.ndarray], None]] = None,
    limit: Optional[int] = None,
    score: bool = True,
    progress: bool = True,
    timeout: Optional[float] = None,
    workers: Workers = ALONE,
) -> Dict[str, Any]:
    """Predict a split, and score it.

    Parameters
    ----------
    on_image : callable
        Called with (index, sample, prediction) in order, for pictures.
    limit : int
        Only the first so many samples.
    score : bool
        Compare with labels, which the split must have.
    progress : bool
        A bar on stderr (one line every tenth of the way where stderr is no terminal).
    timeout : float
        Seconds to wait for a picture that is being read; None waits without limit.
    workers : Workers
        Each predicts every `world_size`-th picture from its rank on, and all return the scores of all. Of the
        others' pictures `on_image` sees none.

    Returns `dataset`, `split`, `classes`, `images`, `protocol` (in words), `seconds`, `images_per_second`
    and, where scored, the scores of `ConfusionMatrix.scores`: plain values, ready for JSON. Of a data set
    that joins others, `parts` are the `dataset`, `split`, `images` and scores of each.
    Raises DatasetError for a sample that cannot be read in time or scored, CheckpointError for a network of
    another number of classes.
    """
    parts = dataset.parts if isinstance(dataset, ConcatDataset) else [dataset]
    matrices = [ConfusionMatrix(len(dataset.scored_classes), dataset.ignore_index) for _ in parts]
    count = len(dataset) if limit is None else min(limit, len(dataset))
    started = time.perf_counter()
    mine = range(workers.rank, count, workers.world_size)
    samples = read_ahead(dataset, mine, len(predictor.inference.devices) + 1, timeout)
    title = "evaluate" if score else "predict"
    with workers.together():
        pictures = track(predictor.stream(samples), len(mine), title, progress)
        for (sample, prediction), index in zip(pictures, mine):
            if index == workers.rank:
                check_class_count(predictor, dataset)
            if score:
                if sample.label is None:
                    raise DatasetError(
                        f"{sample.name}: no label: split {dataset.split!r} of {dataset.name!r} cannot be "
                        f"scored; take another split, or predict it without scores"
                    )
                part = dataset.locate(index)[0] if len(parts) > 1 else 0
                matrices[part].update(prediction, sample.label, sample.name)
            if on_image is not None:
                on_image(index, sample, prediction)
    if score:
        for matrix in matrices:
            matrix.matrix = workers.sum(matrix.matrix)
    seconds = time.perf_counter() - started
    facts = {
        "dataset": dataset.name,
        "split": dataset.split,
        "images": count,
        "protocol": predictor.describe(),
        "classes": list(dataset.scored_classes),
        "seconds": seconds,
        "images_per_second": count / seconds if seconds > 0 else None,
    }
    return {**facts, **_scores(parts, matrices, count)} if score else facts


def _scores(parts: Sequence[Dataset], matrices: Sequence[ConfusionMatrix], count: int) -> Dict[str, Any]:
    """The scores of all samples together, and, where there are several parts, those of each."""
    if len(parts) == 1:
        return matrices[0].scores()
    everything = ConfusionMatrix(matrices[0].nclass, matrices[0].ignore_index)
    each, left = [], count
    for part, matrix in zip(parts, matrices):
        everything.merge(matrix)
        images = min(len(part), left)
        left -= images
        if images:
            each.append({"dataset": part.name, "split": part.split, "images": images, **matrix.scores()})
    return {**everything.scores(), "parts": each}


def check_class_count(predictor: Predictor, dataset: Dataset) -> None:
    """Raises CheckpointError when the network's outputs are not the data set's classes."""
    outputs, wanted = predictor.nclass, len(dataset.scored_classes)
    if outputs != wanted and not (outputs == 1 and wanted == 2):
        raise CheckpointError(
            f"the network has {outputs} classes but data set {dataset.name!r} has {wanted};"
            f" give the data set that it was trained on"
        )


def read_ahead(
    dataset: Dataset, indices: Sequence[int], depth: int, timeout: Optional[float] = None
) -> Iterator[Any]:
    """Samples in the order of `indices`, read by a thread that is at most `depth` of them ahead.

    Raises DatasetError where one takes more than `timeout` seconds, as on a file server that is gone.
    """
    ready: queue.Queue = queue.Queue(maxsize=depth)
    stopped = threading.Event()

    def put(item) -> None:
        while not stopped.is_set():
            try:
                return ready.put(item, timeout=0.1)
            except queue.Full:
                continue

    def read() -> None:
        try:
            for index in indices:
                if stopped.is_set():
                    return
                put((dataset[index], None))
        except BaseException as error:  # handed to the caller, whatever it is
            put((None, error))

    thread = threading.Thread(target=read, name="read-ahead", daemon=True)
    thread.start()
    try:
        for index in indices:
            try:
                sample, error = ready.get(timeout=timeout)
            except queue.Empty:
                raise no_answer("the reader of pictures", timeout, [index], dataset) from None
            if error is not None:
                raise error
            yield sample
    finally:
        stopped.set()
        thread.join(5.0)  # not without limit: it may be stuck in a file


def track(items: Iterator, total: int, title: str, enabled: bool = True) -> Iterator:
    """Passes items on and shows progress on stderr: a bar on a terminal, else a line for every tenth.

    `total` 0: nobody knows how many there are, and only the bar is shown.
    """
    if not enabled or not (total or sys.stderr.isatty()):
        yield from items
    elif sys.stderr.isatty():
        yield from tqdm(items, total=total or None, desc=title, unit="img", dynamic_ncols=True, leave=False)
    else:
        started, shown = time.perf_counter(), 0
        for done, item in enumerate(items, 1):
            yield item
            if done * 10 // total > shown or done == total:
                shown = done * 10 // total
                rate = done / max(time.perf_counter() - started, 1e-9)
                print(f"{title}: {done}/{total} images, {rate:.2f} images/s", file=sys.stderr, flush=True)
