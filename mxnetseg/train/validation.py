"""Validation while a run trains: the evaluator of `eval.py`, with a few predictions kept as pictures."""

from __future__ import annotations

from typing import Any, List, Optional

import numpy as np

from mxnetseg.predict.evaluation import make_predictor, run
from mxnetseg.report.tracking import Tracker
from mxnetseg.train.progress import duration, log
from mxnetseg.train.setup import Setup
from mxnetseg.train.signals import StopRequest
from mxnetseg.train.state import Progress

_PICTURES = 4


class Validator:
    """Scores the parameters of the engine, as they are when it is called, on the validation split.

    tracker  None on workers that write nothing.
    """

    def __init__(self, setup: Setup, tracker: Optional[Tracker], stop: StopRequest, quiet: bool):
        self.setup = setup
        self.tracker = tracker
        self.stop = stop
        self.quiet = quiet
        self._predictor: Any = None  # made at the first validation

    def due(self, progress: Progress) -> bool:
        """Whether this iteration is to be validated: every so many epochs and at the end, but once."""
        setup, iteration = self.setup, progress.iteration
        if setup.val is None or progress.validated == iteration:
            return False
        epoch, rest = divmod(iteration, setup.steps_per_epoch)
        every = setup.recipe.evaluation.every
        return iteration >= setup.iterations or (rest == 0 and epoch % every == 0)

    def run(self, progress: Progress) -> bool:
        """Validate, write numbers and pictures, book the score in `progress`; whether it is the best."""
        setup, settings = self.setup, self.setup.recipe.evaluation
        if self._predictor is None:
            self._predictor = make_predictor(
                setup.engine.inference(), setup.val, settings, setup.recipe.input
            )
        count = min(settings.limit or len(setup.val), len(setup.val))
        # Of those that the first worker predicts.
        step = setup.workers.world_size
        shown = {i * count // _PICTURES // step * step for i in range(_PICTURES)}
        pictures: List[tuple] = []

        def keep(index, sample, prediction):
            if index in shown:
                pictures.append((sample.name, sample.image, sample.label, np.array(prediction)))

        with self.setup.engine.averaged_weights(), self.stop.interruptible():
            scores = run(
                self._predictor,
                setup.val,
                on_image=keep,
                limit=settings.limit,
                progress=not self.quiet,
                timeout=setup.recipe.data.timeout,
                workers=setup.workers,
            )
        miou = scores["miou"]
        better = miou is not None and (progress.best_miou is None or miou > progress.best_miou)
        if better:
            progress.best_miou, progress.best_iteration = miou, progress.iteration
        progress.validated = progress.iteration

        def write() -> None:
            self.tracker.log_scores(progress.iteration, scores, kind="val", epoch=progress.epoch)
            self.tracker.log_images(progress.iteration, pictures, setup.val.ignore_index)

        setup.workers.by_first(write)
        if not self.quiet:
            best = "best so far" if better else f"best {_percent(progress.best_miou)}"
            log(
                f"validation after epoch {progress.epoch:g}: mIoU {_percent(miou)} ({best}), pixel accuracy "
                f"{_percent(scores['pixel_accuracy'])}, {scores['images']} images in "
                f"{duration(scores['seconds'])}"
            )
        return better


def _percent(share) -> str:
    return "undefined" if share is None else f"{100 * share:.2f}%"
