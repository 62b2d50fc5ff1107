"""One evaluation for training and for `eval.py`: what picks the best checkpoint is what is reported.

Pictures are read ahead by a thread, predicted one at a time per context, and counted in one confusion
matrix. No prediction is kept, so memory does not grow with the data set.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from typing import Any, Callable, Dict, Iterator, List, Optional

import numpy as np
from tqdm import tqdm

from mxnetseg.errors import CheckpointError, DatasetError
from mxnetseg.metrics import ConfusionMatrix
from mxnetseg.predict.predictor import Predictor

PROTOCOL_FIELDS = ("scales", "flip", "mode", "crop", "stride", "base", "batch", "pixel_budget", "threshold")


def make_predictor(net, dataset, contexts=None, settings=None) -> Predictor:
    """A Predictor with the data set's mean and std and the protocol in `settings`.

    `settings` is a mapping or an object (the recipe's `evaluation` group) with any of `PROTOCOL_FIELDS`;
    missing and None mean the Predictor's default, except for the window: the data set's own crop.
    """
    options = protocol_options(settings)
    if not options.get("crop"):
        options["crop"] = dataset.crop
    return Predictor(net, contexts, mean=dataset.mean, std=dataset.std, **options)


def protocol_options(settings) -> Dict[str, Any]:
    """The Predictor's keyword arguments that `settings` gives a value for."""
    if settings is None:
        return {}
    read = settings.get if isinstance(settings, dict) else lambda key: getattr(settings, key, None)
    values = {key: read(key) for key in PROTOCOL_FIELDS}
    return {key: value for key, value in values.items() if value is not None}


def evaluate(
    net,
    dataset,
    contexts=None,
    settings=None,
    progress: bool = True,
    predictor: Optional[Predictor] = None,
    on_image: Optional[Callable[[int, Any, np.ndarray], None]] = None,
    limit: Optional[int] = None,
) -> Dict[str, Any]:
    """Score a network on a labelled split.

    Parameters
    ----------
    net : Segmentor
    dataset : Dataset
        A split with labels.
    contexts : list of mx.Context
    settings : mapping or object
        The protocol, see `make_predictor`; ignored where a `predictor` is given, which saves building
        one for each validation.
    progress : bool
        A bar on stderr (one line every tenth of the way where stderr is no terminal).
    on_image : callable
        Called with (index, sample, prediction) in order, for pictures.
    limit : int
        Only the first so many samples.

    Returns the scores of `ConfusionMatrix.scores` and `dataset`, `split`, `classes`, `images`, `protocol`
    (in words), `seconds`, `images_per_second`: plain values, ready for JSON.
    Raises DatasetError for a sample that cannot be read or scored.
    """
    predictor = predictor or make_predictor(net, dataset, contexts, settings)
    matrix = ConfusionMatrix(len(class_names(dataset)), dataset.ignore_index)
    count = len(dataset) if limit is None else min(limit, len(dataset))
    started = time.perf_counter()
    samples = read_ahead(dataset, count, len(predictor.contexts) + 1)
    for index, (sample, prediction) in enumerate(
        track(predictor.stream(samples), count, "evaluate", progress)
    ):
        check_class_count(predictor, dataset)
        if sample.label is None:
            raise DatasetError(
                f"{sample.name}: no label: split {dataset.split!r} of {dataset.name!r} cannot be scored;"
                f" take another split, or predict with --mode test"
            )
        matrix.update(prediction, sample.label, sample.name)
        if on_image is not None:
            on_image(index, sample, prediction)
    return {**_facts(dataset, count, predictor, time.perf_counter() - started), **matrix.scores()}


def predict(
    net,
    dataset,
    contexts=None,
    settings=None,
    progress: bool = True,
    predictor: Optional[Predictor] = None,
    on_image: Optional[Callable[[int, Any, np.ndarray], None]] = None,
    limit: Optional[int] = None,
) -> Dict[str, Any]:
    """Predict a split without scoring it; arguments as for `evaluate`.

    Returns `dataset`, `split`, `classes`, `images`, `protocol`, `seconds`, `images_per_second`.
    """
    predictor = predictor or make_predictor(net, dataset, contexts, settings)
    count = len(dataset) if limit is None else min(limit, len(dataset))
    started = time.perf_counter()
    samples = read_ahead(dataset, count, len(predictor.contexts) + 1)
    for index, (sample, prediction) in enumerate(
        track(predictor.stream(samples), count, "predict", progress)
    ):
        check_class_count(predictor, dataset)
        if on_image is not None:
            on_image(index, sample, prediction)
    return _facts(dataset, count, predictor, time.perf_counter() - started)


def _facts(dataset, count: int, predictor: Predictor, seconds: float) -> Dict[str, Any]:
    return {
        "dataset": dataset.name,
        "split": dataset.split,
        "images": count,
        "protocol": predictor.describe(),
        "classes": class_names(dataset),
        "seconds": seconds,
        "images_per_second": count / seconds if seconds > 0 else None,
    }


def class_names(dataset) -> List[str]:
    """The scored classes: the data set's, with a background where it names only the foreground."""
    names = list(dataset.classes)
    return ["background"] + names if len(names) == 1 else names


def check_class_count(predictor: Predictor, dataset) -> None:
    """Raises CheckpointError when the network's outputs are not the data set's classes."""
    outputs, wanted = predictor.nclass, len(class_names(dataset))
    if outputs != wanted and not (outputs == 1 and wanted == 2):
        raise CheckpointError(
            f"the network has {outputs} classes but data set {dataset.name!r} has {wanted};"
            f" give the data set it was trained on with --data"
        )


def read_ahead(dataset, count: int, depth: int) -> Iterator[Any]:
    """The first `count` samples in order, read by a thread that is at most `depth` of them ahead."""
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
            for index in range(count):
                if stopped.is_set():
                    return
                put((dataset[index], None))
        except BaseException as error:  # handed to the caller, whatever it is
            put((None, error))

    thread = threading.Thread(target=read, name="read-ahead", daemon=True)
    thread.start()
    try:
        for _ in range(count):
            sample, error = ready.get()
            if error is not None:
                raise error
            yield sample
    finally:
        stopped.set()
        thread.join()


def track(items: Iterator, total: int, title: str, enabled: bool = True) -> Iterator:
    """Passes items on and shows progress on stderr: a bar on a terminal, else a line for every tenth."""
    if not enabled:
        yield from items
    elif sys.stderr.isatty():
        yield from tqdm(items, total=total, desc=title, unit="img", dynamic_ncols=True, leave=False)
    else:
        started, shown = time.perf_counter(), 0
        for done, item in enumerate(items, 1):
            yield item
            if done * 10 // max(total, 1) > shown or done == total:
                shown = done * 10 // max(total, 1)
                rate = done / max(time.perf_counter() - started, 1e-9)
                print(f"{title}: {done}/{total} images, {rate:.2f} images/s", file=sys.stderr, flush=True)
