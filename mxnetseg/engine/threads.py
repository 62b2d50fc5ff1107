"""Settings that MXNet reads from the environment when it is loaded. This module does not import it."""

from __future__ import annotations

import os

# More than a step of the largest network asks for; see `synchronized_cpu_contexts`.
_TEMPORARY_SPACES = 4096

DETERMINISTIC = {
    "OMP_NUM_THREADS": "1",
    "MXNET_ENFORCE_DETERMINISM": "1",
    "MXNET_CUDNN_AUTOTUNE_DEFAULT": "0",
}


def several_cpu_contexts(count: int) -> None:
    """A worker of the engine for each of `count` CPU contexts. To be called before MXNet is imported."""
    if count > 1:
        _at_least("MXNET_CPU_WORKER_NTHREADS", count)


def synchronized_cpu_contexts() -> dict:
    """What synchronized batch norm needs in the environment, when MXNet is imported, on several contexts
    of one CPU, or it waits for ever.

    A norm blocks a worker until its twin on the other context runs. All CPU contexts draw their temporary
    memory from one ring of four: an operator that lands on the slot that a waiting twin holds is queued
    behind it. A ring longer than a step keeps them apart. It costs memory: every slot grows to the
    largest request that it ever served, so this is not for processes that do without it.
    """
    return {"MXNET_CPU_TEMP_COPY": str(_TEMPORARY_SPACES)}


def _at_least(name: str, value: int) -> None:
    try:
        present = int(os.environ.get(name, 0))
    except ValueError:
        present = 0
    os.environ[name] = str(max(present, value))
