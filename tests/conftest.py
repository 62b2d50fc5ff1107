"""What every test shares: one compute thread, no network, and the reference data beside the repository.

`golden_dir` and `camvid_root` point into the folder `shared` next to the repository, or into
$MXNETSEG_SHARED. Where that folder is absent the tests that need it are skipped; the section
"left out" before pytest's last line says how many and why.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import random
import sys
from collections import Counter
from pathlib import Path

# Before anything imports NumPy or MXNet. One thread makes results repeatable bit for bit and lets the
# test processes share the cores; two engine workers are what SyncBatchNorm on two CPU contexts needs.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MXNET_CPU_WORKER_NTHREADS"] = "2"
os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_SILENT"] = "true"
os.environ.pop("MXNETSEG_DATA", None)

import numpy as np
import pytest

import mxnetseg  # noqa: F401  the repairs of compat, before anything imports mxnet

REPOSITORY = Path(__file__).resolve().parents[1]


def shared_folder():
    """The folder with reference outputs and CamVid; it need not exist."""
    return Path(os.environ.get("MXNETSEG_SHARED", REPOSITORY.parent / "shared"))


def _shared(name):
    folder = shared_folder() / name
    if not folder.is_dir():
        pytest.skip(f"no ../shared/{name} (or $MXNETSEG_SHARED/{name}) on this machine")
    return folder


@pytest.fixture(scope="session")
def repository():
    """Root of the repository, where train.py and eval.py are."""
    return REPOSITORY


@pytest.fixture(scope="session")
def golden_dir():
    """Folder of the published implementations' tensor names, shapes and outputs."""
    return _shared("golden")


@pytest.fixture(scope="session")
def camvid_root():
    """Folder of the CamVid data set."""
    return _shared("camvid")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Every test, and every fixture that it is the first to need, draws the same random numbers.

    Which tests ran before in this process, and so how far the streams had come, is a matter of speed where
    several processes share the tests out.
    """
    random.seed(0)
    np.random.seed(0)
    if "mxnet" in sys.modules:  # what imports it later starts there too
        sys.modules["mxnet"].random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(autouse=True)
def environment_goes_back():
    """Commands called in this process set what MXNet reads when it is loaded: not for the next test."""
    before = dict(os.environ)
    yield
    for name in {*os.environ, *before} - {"PYTEST_CURRENT_TEST"}:
        if name not in before:
            del os.environ[name]
        elif os.environ.get(name) != before[name]:
            os.environ[name] = before[name]


@pytest.fixture(autouse=True)
def memory_goes_back():
    """After a test that left much memory behind, give it back to the system.

    A network is a web of reference cycles with large arrays behind a few Python objects, so that Python's
    collector, which counts objects, would let dozens of them pile up; and glibc keeps what is freed in
    pieces. A network that was made and never run waits in the engine's queue, with all its memory, until its
    weights are drawn. Over the registry's tests it is the difference between one gigabyte and many.
    """
    yield
    global _resident_after_collection
    if _resident() > _resident_after_collection + 300 * 2**20:
        import mxnet as mx

        with contextlib.suppress(mx.MXNetError):  # an error that the test provoked in the engine is its own
            mx.nd.waitall()
        gc.collect()
        if hasattr(_LIBC, "malloc_trim"):
            _LIBC.malloc_trim(0)
        _resident_after_collection = _resident()


_resident_after_collection = 0
_LIBC = ctypes.CDLL(None)


def _resident():
    """Bytes of memory that this process holds; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm") as handle:
            return int(handle.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def pytest_terminal_summary(terminalreporter):
    """One line per reason for which tests were skipped."""
    reasons = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        if isinstance(report.longrepr, tuple):
            reasons[report.longrepr[2].removeprefix("Skipped: ")] += 1
    if reasons:
        terminalreporter.section("left out")
        for reason, count in sorted(reasons.items()):
            terminalreporter.write_line(f"{count:4d}  {reason}")
