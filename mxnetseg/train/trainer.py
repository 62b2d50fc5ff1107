"""The training run: iterations, validations and checkpoints, to the end of the schedule.

The run is a function of the recipe. Batches depend on (seed, epoch, position), the learning rate and the
random streams of the devices (dropout) on the iteration; so the position and the engine's state are all that
a resumed run needs to go on as if nothing had happened. `mxnetseg.train.state` says what is written when.

Several workers (`mxnetseg.compute.workers`) each have a Trainer and stand at the same iteration. What only
one of them knows (a signal, a batch that cannot be read, the time to save) they share before every step; rank
0 alone writes.
"""

from __future__ import annotations

import contextlib
import math
import signal
import time
from collections import deque
from dataclasses import asdict
from pathlib import Path
from typing import Any, Deque, Dict, Iterator, Optional, Tuple

import numpy as np

from mxnetseg import run_files as files
from mxnetseg.compute.workers import OtherWorkerFailed
from mxnetseg.data.loading.loader import Batch
from mxnetseg.errors import MxnetsegError
from mxnetseg.report.page import write_report
from mxnetseg.report.tracking import Tracker
from mxnetseg.train import state
from mxnetseg.train.progress import ProgressBar, log
from mxnetseg.train.setup import Setup, describe
from mxnetseg.train.signals import Interrupted, StopRequest
from mxnetseg.train.validation import Validator

# Iterations that may be queued on the devices before the host waits for the oldest.
_AHEAD = 2


class NonFiniteLoss(MxnetsegError):
    """The loss, a parameter or a moment became NaN or infinite."""


class Trainer:
    """One run in one folder.

    setup    see `mxnetseg.train.setup.prepare`; whoever made it closes its loader.
    run_dir  where everything is written; it exists.
    resume   continue what `run_dir` holds; otherwise start anew in its place.
    wandb    name of a Weights & Biases project, or None.
    quiet    no progress on stderr.
    """

    def __init__(
        self,
        setup: Setup,
        run_dir: Any,
        resume: bool = False,
        wandb: Optional[str] = None,
        quiet: bool = False,
    ):
        self.setup = setup
        self.engine = setup.engine
        self.workers = setup.workers
        self.run_dir = Path(run_dir)
        self.quiet = quiet
        if resume:
            self.progress = state.load(self.run_dir, setup)
            self._saved = asdict(self.progress)  # what `last.state` holds
            self.progress.finished &= self.progress.iteration >= setup.iterations
        else:
            self.engine.broadcast()
            self.progress = state.Progress(setup.iterations, setup.steps_per_epoch, setup.device_count)
            self._saved = {}
        self.tracker: Optional[Tracker] = None
        self.workers.by_first(self._start_files, resume, wandb)
        self.stop = StopRequest(quiet)
        self.validator = Validator(setup, self.tracker, self.stop, quiet)
        self.last_loss: Optional[float] = None
        self._gradient_norm: Optional[float] = None
        self._pending: Deque[Tuple[int, Any]] = deque()
        self._saved_at = self._logged_at = time.monotonic()
        self._logged_iteration = self.progress.iteration

    def _start_files(self, resume: bool, wandb: Optional[str]) -> None:
        setup = self.setup
        if not resume:
            files.remove_run(self.run_dir)
        files.save_recipe(self.run_dir, setup.recipe)
        self.tracker = Tracker(
            str(self.run_dir),
            setup.recipe.model_dump(mode="json"),
            wandb,
            resume_after=(self.progress.iteration, self.progress.validated) if resume else None,
            classes=setup.train.scored_classes,
            palette=setup.train.scored_palette,
        )

    def fit(self) -> Dict[str, Any]:
        """Train to the end of the schedule; returns {"iteration", "epochs", "best", "loss", "run_dir",
        "rank"}.

        Raises Interrupted after saving (on rank 0 with a message), NonFiniteLoss, and the errors of data,
        devices and files; OtherWorkerFailed and WorkerLost where there are others.
        """
        if not self.quiet:
            for line in describe(self.setup, self.progress.iteration):
                log(line)
            log(f"writing to {self.run_dir}")
        try:
            with self.stop.listening():
                self._save()
                if self._at_end_of_epoch():  # where a kill may have left something undone
                    self._end_of_epoch()
                while self.progress.iteration < self.setup.iterations:
                    self._rest_of_epoch()
                    self._end_of_epoch()
                self._finish()
        except (Interrupted, OtherWorkerFailed) as stop:
            if stop.signum is None:
                raise
            message = (
                f"interrupted by {signal.Signals(stop.signum).name}; saved at iteration "
                f"{self._saved.get('iteration', 0)} of {self.setup.iterations}"
            )
            raise Interrupted(stop.signum, message if self.workers.first else "") from None
        finally:
            if self.tracker is not None:
                self.tracker.finish({"best_miou": self.progress.best_miou})
        return {
            "rank": self.workers.rank,
            "run_dir": str(self.run_dir),
            "iteration": self.progress.iteration,
            "epochs": self.progress.epoch,
            "best": {"miou": self.progress.best_miou, "iteration": self.progress.best_iteration},
            "loss": self.last_loss,
        }

    def _rest_of_epoch(self) -> None:
        setup = self.setup
        epoch, done = divmod(self.progress.iteration, setup.steps_per_epoch)
        steps = min(setup.steps_per_epoch, setup.iterations - epoch * setup.steps_per_epoch)
        epochs = math.ceil(setup.iterations / setup.steps_per_epoch)
        bar = ProgressBar(epoch, epochs, steps, done, setup.recipe.data.batch_size, self.quiet)
        with contextlib.closing(setup.loader.epoch(epoch, start=done)) as batches, bar:
            for _ in range(done, steps):
                batch = self._next(batches)
                self._train_on(batch.images, batch.labels)
                del batch  # its memory is the loader's
                bar.step(self.last_loss, setup.iterations - self.progress.iteration)
                if self.progress.iteration % setup.recipe.log_every == 0:
                    self._log()

    def _next(self, batches: Iterator[Batch]) -> Batch:
        """The next batch, when every worker has its rows of it and none has to stop."""
        batch, error = None, None
        try:
            batch = next(batches)
        except Interrupted:  # asked twice: at once
            raise
        except Exception as raised:
            error = raised
        self._heed(error)
        return batch

    def _heed(self, error: Optional[Exception] = None) -> None:
        """Save where that is due; save and leave where a worker got a signal or has an error."""
        signum = self.stop.signum
        asked = [self._save_is_due(), error is not None, signum == signal.SIGINT, signum == signal.SIGTERM]
        due, failed, interrupt, terminate = self.workers.sum(np.array(asked, np.int64))
        if due or failed or interrupt or terminate:
            self._save()
        if failed:
            self.workers.agree(error)
        if interrupt or terminate:
            raise Interrupted(signal.SIGINT if interrupt else signal.SIGTERM)

    def _save_is_due(self) -> bool:
        settings = self.setup.recipe.checkpoint
        minutes = (time.monotonic() - self._saved_at) / 60
        return bool(
            (settings.every_minutes and minutes >= settings.every_minutes)
            or (settings.every_iterations and self.progress.iteration % settings.every_iterations == 0)
        )

    def _at_end_of_epoch(self) -> bool:
        iteration = self.progress.iteration
        ended = iteration % self.setup.steps_per_epoch == 0 or iteration >= self.setup.iterations
        return iteration > 0 and ended

    def _end_of_epoch(self) -> None:
        self._heed()
        # Before validation, which may take long: a kill during it costs no training.
        self._save()
        if self.validator.due(self.progress):
            if self.validator.run(self.progress):
                self._save_weights(files.BEST)
            self._save()
            self._write_report()
            self._logged_at, self._logged_iteration = time.monotonic(), self.progress.iteration
        keep = self.setup.recipe.checkpoint.keep
        if keep:
            self._save_weights(f"epoch_{math.ceil(self.progress.epoch)}.params")
            if self.workers.first:
                for old in files.epoch_files(self.run_dir)[:-keep]:
                    old.unlink()
        self._heed()

    def _finish(self) -> None:
        if self.setup.val is None:
            self._save_weights(files.BEST)
        self._write_report()
        self.progress.finished = True
        self._save()

    # ----- one iteration

    def _train_on(self, images: Any, labels: Any) -> None:
        """One optimizer step on one global batch."""
        iteration = self.progress.iteration
        # Dropout becomes a function of the iteration: nothing random needs saving.
        seed = (self.setup.recipe.seed * 1000003 + iteration) % (2**31 - 1)
        handle = self.engine.step(images, labels, self.setup.rate(iteration), seed)
        self.progress.iteration = iteration + 1
        self._pending.append((iteration + 1, handle))
        if self._at_end_of_epoch():
            # Here, whatever is saved when: the state is a function of the iteration alone.
            self.engine.average_statistics()
        if len(self._pending) > _AHEAD:
            self._read_loss()

    def _read_loss(self) -> None:
        """Wait for the oldest queued iteration and book its loss; NonFiniteLoss if it is none."""
        iteration, handle = self._pending.popleft()
        result = self.engine.read(handle)
        if not math.isfinite(result.loss):
            self._stop_on(iteration, f"the loss is {result.loss}")
        self.last_loss = result.loss
        self.progress.losses.append(result.loss)
        self._gradient_norm = result.gradient_norm

    def _read_losses(self) -> None:
        while self._pending:
            self._read_loss()

    def _stop_on(self, iteration: int, what: str) -> None:
        rate = self.setup.rate(max(iteration - 1, 0))
        kept = f"the checkpoint of iteration {self._saved['iteration']}" if self._saved else "nothing"
        # All workers have the same numbers: all are here.
        self.workers.agree(
            NonFiniteLoss(
                f"{what} at iteration {iteration} (learning rate {rate:.3g}); {kept} is kept in "
                f"{self.run_dir}: resume with a lower optimizer.lr, with optimizer.clip_grad_norm, or a "
                f"longer warm-up"
            )
        )

    # ----- what is written

    def _log(self) -> None:
        self._read_losses()
        progress, now = self.progress, time.monotonic()
        images = (progress.iteration - self._logged_iteration) * self.setup.recipe.data.batch_size
        values = {
            "loss": sum(progress.losses) / len(progress.losses),
            "lr": self.setup.rate(progress.iteration - 1),
            "images_per_second": images / max(now - self._logged_at, 1e-9),
        }
        if self._gradient_norm is not None:
            values["grad_norm"] = self._gradient_norm
        progress.losses.clear()
        self._logged_at, self._logged_iteration = now, progress.iteration
        self.workers.by_first(
            lambda: self.tracker.log(progress.iteration, values, kind="train", epoch=progress.epoch)
        )

    def _save(self) -> None:
        """Write the checkpoint, unless it is written already."""
        self._read_losses()
        now = asdict(self.progress)
        if now == self._saved:
            return
        moved = now["iteration"] != self._saved.get("iteration")
        try:
            state.save(self.run_dir, self.progress, self.engine, moved, self.workers)
        except FloatingPointError as error:
            self._stop_on(now["iteration"], str(error))
        self._saved, self._saved_at = now, time.monotonic()

    def _save_weights(self, name: str) -> None:
        self.workers.by_first(files.save_params, self.run_dir / name, self.engine.network_arrays())

    def _write_report(self) -> None:
        numbers = self.run_dir / files.METRICS

        def write() -> None:
            # A run shorter than its logging interval has no numbers to show, and that is no error.
            if numbers.exists() and numbers.stat().st_size:
                write_report(str(self.run_dir))

        self.workers.by_first(write)
