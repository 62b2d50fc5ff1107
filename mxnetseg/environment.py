"""Settings that MXNet reads from the environment when it is loaded. This module does not import it."""

from __future__ import annotations

import os
from typing import Optional, Sequence

from mxnetseg.compat import available_cores

DETERMINISTIC = {
    "OMP_NUM_THREADS": "1",
    "MXNET_ENFORCE_DETERMINISM": "1",
    "MXNET_CUDNN_AUTOTUNE_DEFAULT": "0",
}


def prepare(
    contexts: Optional[Sequence[str]] = None, joined: bool = False, deterministic: bool = False
) -> None:
    """Set what the devices and the recipe need. To be called before MXNet is imported.

    contexts       names of devices; each of several CPUs gets an engine worker and a share of the cores.
    joined         several CPU contexts train as one, with all cores (see `compute.training_devices`).
    deterministic  the same bits every time, on a CPU.
    """
    cpus = cpu_contexts(contexts)
    if cpus > 1:
        _at_least("MXNET_CPU_WORKER_NTHREADS", cpus)
        cores = available_cores()
        if cores and not joined:
            os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // cpus)))
    if deterministic:
        os.environ.update(DETERMINISTIC)


def cpu_contexts(names: Optional[Sequence[str]]) -> int:
    """How many of the names of devices name the CPU."""
    return sum(name.lower().startswith("cpu") for name in names or ())


def _at_least(name: str, value: int) -> None:
    try:
        present = int(os.environ.get(name, 0))
    except ValueError:
        present = 0
    os.environ[name] = str(max(present, value))
