"""Settings that MXNet reads from the environment when it is loaded. This module does not import it."""

from __future__ import annotations

import os

# More than a step of the largest network asks for; see `several_cpu_contexts`.
_TEMPORARY_SPACES = 4096

DETERMINISTIC = {
    "OMP_NUM_THREADS": "1",
    "MXNET_ENFORCE_DETERMINISM": "1",
    "MXNET_CUDNN_AUTOTUNE_DEFAULT": "0",
}


def several_cpu_contexts(count: int) -> None:
    """What synchronized batch norm needs on `count` contexts of one CPU, or it waits for ever.

    It blocks a worker of the engine until its twin on the other context runs, so each context needs a worker.
    And all CPU contexts draw their temporary memory from one ring of four: an operator that lands on the
    slot that a waiting twin holds is queued behind it. A ring longer than a step keeps them apart.
    """
    if count > 1:
        _at_least("MXNET_CPU_WORKER_NTHREADS", count)
        _at_least("MXNET_CPU_TEMP_COPY", _TEMPORARY_SPACES)


def _at_least(name: str, value: int) -> None:
    try:
        present = int(os.environ.get(name, 0))
    except ValueError:
        present = 0
    os.environ[name] = str(max(present, value))
