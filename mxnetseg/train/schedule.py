"""Learning rate as a function of the iteration (optimizer steps done), made of GluonCV's schedulers."""

from __future__ import annotations

from typing import Callable, List

from gluoncv.utils import LRScheduler


def make_schedule(settings, base_lr: float, steps_per_epoch: int) -> Callable[[int], float]:
    """`rate(i)`: the learning rate of iteration i (from 0).

    `settings`: the recipe's `schedule` group. Warm-up from `warmup_start * base_lr` comes first and is
    part of the run's length; the decay spans what remains. Rates depend on i alone, so a resumed run needs no
    state of its schedule.
    """
    total = total_iterations(settings, steps_per_epoch)
    warmup = settings.warmup_iterations or round(settings.warmup_epochs * steps_per_epoch)
    warmup = min(warmup, total - 1)
    remaining = total - warmup
    # The decay would reach its end at the last iteration, which would then do nothing: it ends one
    # later. Two iterations at least, since GluonCV divides by their number less one.
    decay = LRScheduler(
        settings.name,
        base_lr,
        settings.end_lr,
        niters=max(remaining + 1, 2),
        offset=warmup,
        power=settings.power,
        step_iter=[step - warmup for step in _steps(settings, steps_per_epoch)],
        step_factor=settings.step_factor,
    )
    if settings.warmup == "exponential":
        return lambda i: _exponential(i, warmup, settings, base_lr) if i < warmup else float(decay(i))
    # GluonCV reaches the target at the last iteration of a part; one more makes the decay go on from it.
    ramp = LRScheduler("linear", settings.warmup_start * base_lr, base_lr, niters=warmup + 1)
    return lambda i: float(ramp(i)) if i < warmup else float(decay(i))


def _exponential(i: int, warmup: int, settings, base_lr: float) -> float:
    return base_lr * settings.warmup_start ** (1 - i / warmup)


def _steps(settings, steps_per_epoch: int) -> List[int]:
    """Optimizer steps after which `step` decays."""
    return [epoch * steps_per_epoch for epoch in settings.step_epochs] or settings.step_iterations


def total_iterations(settings, steps_per_epoch: int) -> int:
    """Optimizer steps of the run."""
    return settings.iterations or settings.epochs * steps_per_epoch
