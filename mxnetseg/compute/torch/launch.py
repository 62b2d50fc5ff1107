"""Starting the workers of one machine: what torchrun does, for who names several devices."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from typing import Any, Dict, Iterator, List, Optional, Sequence

import torch.distributed as dist

from mxnetseg.compute.torch.devices import worker_devices
from mxnetseg.compute.workers import LAUNCHER
from mxnetseg.errors import EngineError

# Seconds that workers have to end by themselves when one has ended badly, and again when they were asked to.
_GRACE = 15.0
_WORKER = """
import ctypes, json, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)  # while modules are imported
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # to save and end when the one that started it is killed
sys.path[:] = json.loads(sys.argv[1])
from mxnetseg.cli.train import main
main(json.loads(sys.argv[2]))
"""


def device_count(names: Optional[Sequence[str]]) -> int:
    """How many devices `names` are; none: every GPU, else the CPU. DeviceError for what is no device here."""
    words = " ".join(map(str, names or ())).split()
    return len(worker_devices(names, len(words))) if words else len(worker_devices())


def launch(count: int, arguments: Sequence[str]) -> int:
    """Run `train.py` with these arguments as `count` workers on this machine; the exit status of the job.

    SIGINT and SIGTERM reach every worker, once each. Raises EngineError where a worker was killed or crashed;
    the others end then, within half a minute.
    """
    if not dist.is_available():
        raise EngineError("this PyTorch is built without torch.distributed: train on one device")
    # Of this process, on a port that the kernel chooses: the workers find each other there.
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    command = [sys.executable, "-c", _WORKER, json.dumps(sys.path), json.dumps(list(arguments))]
    workers: List[subprocess.Popen] = []
    with _forwarding(workers):
        for rank in range(count):
            workers.append(
                # A session of its own: what the terminal sends comes through this process.
                subprocess.Popen(
                    command,
                    env=_environment(rank, count, store.port),
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                )
            )
        try:
            first = _wait(workers)
        finally:
            _end(workers)
    return _status(first, [worker.returncode for worker in workers])


def _environment(rank: int, count: int, port: int) -> Dict[str, str]:
    found = {
        **os.environ,
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        # The store is there already.
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "TORCHELASTIC_RESTART_COUNT": "0",
        LAUNCHER: "1",
    }
    if sys.platform == "linux":  # whatever the name of this machine resolves to
        found.setdefault("GLOO_SOCKET_IFNAME", "lo")
    return found


@contextlib.contextmanager
def _forwarding(workers: List[subprocess.Popen]) -> Iterator[None]:
    """Inside, SIGINT and SIGTERM go to the workers."""

    def forward(signum: int, frame: Any) -> None:
        for worker in workers:
            if worker.poll() is None:
                worker.send_signal(signum)

    before = {signum: signal.signal(signum, forward) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _wait(workers: List[subprocess.Popen]) -> Optional[int]:
    """Until all have ended, or for a while after the first one that ended badly, whose rank is returned."""
    first, since = None, 0.0
    while any(worker.poll() is None for worker in workers):
        for rank, worker in enumerate(workers):
            if worker.poll() and first is None:
                first, since = rank, time.monotonic()
        if first is not None and time.monotonic() - since > _GRACE:
            break
        time.sleep(0.05)
    if first is None:
        first = next((rank for rank, worker in enumerate(workers) if worker.returncode), None)
    return first


def _end(workers: List[subprocess.Popen]) -> None:
    for ask in (subprocess.Popen.terminate, subprocess.Popen.kill):
        left = [worker for worker in workers if worker.poll() is None]
        for worker in left:
            ask(worker)
        deadline = time.monotonic() + _GRACE
        for worker in left:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.wait(max(0.0, deadline - time.monotonic()))


def _status(first: Optional[int], statuses: List[int]) -> int:
    if first is None:
        return 0
    status = statuses[first]
    if status == 2 or status in (128 + signal.SIGINT, 128 + signal.SIGTERM):  # it said why
        return status
    how = f"ended with status {status}" if status > 0 else f"was killed by signal {-status}"
    if status == -signal.SIGKILL:
        how += ", as the kernel does when memory runs out"
    raise EngineError(
        f"worker {first} of {len(statuses)} {how}; the others have ended, and the run can be resumed"
    )
