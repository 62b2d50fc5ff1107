"""What a person watching a run sees: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Optional

from tqdm import tqdm

# Seconds between lines where stderr is a file or a pipe.
_LINE_EVERY = 15.0


def log(text: str) -> None:
    """One line to the person, above any bar."""
    tqdm.write(text, file=sys.stderr)
    sys.stderr.flush()


def duration(seconds: float) -> str:
    """`45 s`, `3 min 20 s` or `2 h 05 min`."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


class ProgressBar:
    """Loss, images per second and the time left, through one epoch.

    epoch, epochs  the number of this one, from 0, and of all.
    steps, done    iterations of this epoch, and how many a resumed run skips.
    batch_size     images per iteration.
    """

    def __init__(self, epoch: int, epochs: int, steps: int, done: int, batch_size: int, quiet: bool = False):
        self.title = f"epoch {epoch + 1}/{epochs}"
        self.steps, self.done, self.batch_size = steps, done, batch_size
        self.quiet = quiet
        self.bar: Optional[tqdm] = None
        self.started = self.shown = time.monotonic()
        self.counted = 0
        self.total_loss, self.losses = 0.0, 0

    def __enter__(self) -> ProgressBar:
        if not self.quiet and sys.stderr.isatty():
            self.bar = tqdm(
                total=self.steps,
                initial=self.done,
                desc=self.title,
                unit="it",
                dynamic_ncols=True,
                bar_format="{desc} {percentage:3.0f}%|{bar}| {n}/{total} {elapsed}{postfix}",
            )
        return self

    def step(self, loss: Optional[float], remaining: int) -> None:
        """One iteration done; `loss` is the latest known, `remaining` the iterations left in the run."""
        self.done += 1
        self.counted += 1
        if loss is not None:
            self.total_loss += loss
            self.losses += 1
        if self.quiet:
            return
        now = time.monotonic()
        if self.bar is not None:
            self.bar.set_postfix_str(self._numbers(now, loss, remaining), refresh=False)
            self.bar.update()
        elif now - self.shown >= _LINE_EVERY or self.done == self.steps:
            self.shown = now
            mean = self.total_loss / self.losses if self.losses else None
            log(f"{self.title}, {self.done}/{self.steps}: {self._numbers(now, mean, remaining)}")

    def _numbers(self, now: float, loss: Optional[float], remaining: int) -> str:
        seconds = max(now - self.started, 1e-9) / self.counted
        parts = [] if loss is None else [f"loss {loss:.4f}"]
        parts.append(f"{self.batch_size / seconds:.2f} images/s")
        parts.append(f"ETA {duration(seconds * remaining)}")
        return ", ".join(parts)

    def __exit__(self, *_) -> None:
        if self.bar is not None:
            self.bar.close()
