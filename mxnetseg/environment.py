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


def several_cpu_contexts(names: Optional[Sequence[str]]) -> None:
    """For each CPU context among the arguments of `--ctx` a worker of the engine and a share of the cores. To
    be called before MXNet is imported."""
    count = cpu_contexts(names)
    if count > 1:
        _at_least("MXNET_CPU_WORKER_NTHREADS", count)
        cores = available_cores()
        if cores:
            os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // count)))


def cpu_contexts(names: Optional[Sequence[str]]) -> int:
    """How many of the arguments of `--ctx` name the CPU."""
    return sum(name.lower().startswith("cpu") for name in names or ())


def _at_least(name: str, value: int) -> None:
    try:
        present = int(os.environ.get(name, 0))
    except ValueError:
        present = 0
    os.environ[name] = str(max(present, value))
