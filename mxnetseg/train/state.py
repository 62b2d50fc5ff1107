"""What a run has to remember, and in which order its files are written.

`last.state` is the run: position, best score, parameters, statistics, moments. The files beside it follow
from it, and each is written before the state that takes it for granted: `last.params` before the state of its
iteration, `best.params` and the lines of a validation before the state that knows of the validation, the
report before the state that calls the run finished. So no file is older than the state says, and whatever
the moment of a kill, a resumed run does again what the state does not know of and ends with the same files.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import List, Optional

import numpy as np

from mxnetseg import run_files as files
from mxnetseg.compute.base import Engine
from mxnetseg.compute.workers import ALONE, Workers
from mxnetseg.errors import CheckpointError
from mxnetseg.train.progress import log
from mxnetseg.train.setup import Setup


@dataclass
class Progress:
    """Where a run stands.

    iteration       optimizer steps done.
    validated       iteration that the last validation was of; -1: none.
    best_miou       of the validations so far (None: none has one), and the iteration it was of.
    losses          of the iterations since the last logged line.
    finished        nothing is left to do, neither training nor validation, weights or report.
    total           optimizer steps of the whole run; with steps_per_epoch and devices, of the process that
                    saved it.
    """

    total: int
    steps_per_epoch: int
    devices: int
    iteration: int = 0
    validated: int = -1
    best_miou: Optional[float] = None
    best_iteration: Optional[int] = None
    losses: List[float] = field(default_factory=list)
    finished: bool = False

    @property
    def epoch(self) -> float:
        """Passes over the training split."""
        return self.iteration / self.steps_per_epoch


def save(
    run_dir: Path,
    progress: Progress,
    engine: Engine,
    with_weights: bool = True,
    workers: Workers = ALONE,
) -> None:
    """Write `last.params` (unless it is of this iteration already) and then `last.state`.

    Collective; rank 0 writes. Raises FloatingPointError, and writes nothing, where a parameter or a moment is
    not finite; CheckpointError where the disk takes no more.
    """
    arrays = engine.state_arrays()
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise FloatingPointError(f"{name.split(':', 2)[-1]} holds values that are not finite")
    weights = engine.network_arrays() if with_weights else None

    def write() -> None:
        if weights is not None:
            files.save_params(run_dir / files.LAST, weights)
        files.save_state(run_dir, asdict(progress), arrays)

    workers.by_first(write)


def load(run_dir: Path, setup: Setup) -> Progress:
    """Put the saved arrays into the engine and return where the run stood.

    Another number of workers may go on with a run: order and global batch are the same; so are the results,
    but for rounding, norms that are not synchronized, and dropout.

    Raises CheckpointError for a state that is damaged, of another network, or of another version.
    """
    path = files.state_path(run_dir)
    meta, arrays = files.load_state(run_dir)
    if set(meta) != {f.name for f in fields(Progress)}:
        raise CheckpointError(
            f"{path}: was written by another version of mxnetseg, whose runs this one cannot continue; "
            f"init_from takes the weights of a run"
        )
    try:
        setup.engine.load_state_arrays(arrays)
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{path}: is of another network or optimizer ({error})") from None
    progress = Progress(**meta)
    if progress.steps_per_epoch != setup.steps_per_epoch and setup.workers.first:
        log(
            f"note: an epoch has {setup.steps_per_epoch} iterations now, {progress.steps_per_epoch} when "
            f"this run was saved: the order of samples is not that of an uninterrupted run"
        )
    devices = setup.device_count
    if progress.devices != devices and setup.workers.first:
        log(f"note: {devices} devices now, {progress.devices} when this run was saved")
    progress.total = setup.iterations
    progress.steps_per_epoch, progress.devices = setup.steps_per_epoch, devices
    return progress
