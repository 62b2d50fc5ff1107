"""`python -m mxnetseg.launch`: starts the workers, the server and the scheduler of MXNet's key-value store.

MXNet's own launcher does not run on a Python of today, and leaves its processes behind when one fails.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Dict, List, NamedTuple, Optional, Tuple

from mxnetseg.cli.parsing import EXIT_USER_ERROR, Parser, run
from mxnetseg.compat import available_cores
from mxnetseg.errors import ConfigError

# What a scheduler and a server do: MXNet serves while it is imported.
_SERVE = [sys.executable, "-c", "import mxnetseg, mxnet"]
# Seconds that processes have to end by themselves, when one has failed or all workers are done.
GRACE = 60.0

EPILOG = """\
examples
  python -m mxnetseg.launch --workers 2 train.py --kvstore dist_sync --model sfnet --ctx cpu
      two workers on this machine
  python -m mxnetseg.launch --machines 4 --machine 0 --root 10.0.0.1:9091 train.py --kvstore dist_sync \\
      --model sfnet --ctx 0 1 2 3
      typed on each of four machines with its number, from 0; machine 0 has the address 10.0.0.1

data.batch_size is of all workers together. All machines see the same run folder, and the same files at the
same paths. Ctrl-C and SIGTERM go to the workers, which save before they end. All have to meet within 300
seconds, or $MXNETSEG_MEET_SECONDS.
"""


def parser() -> Parser:
    """Arguments of `python -m mxnetseg.launch`."""
    p = Parser(
        "python -m mxnetseg.launch",
        description="Run a training command in several processes that sum their gradients (MXNet engine). "
        "For the torch engine use torchrun.",
        epilog=EPILOG,
    )
    p.add_argument(
        "--workers", type=int, default=1, metavar="N", help="worker processes on this machine; default: 1"
    )
    p.add_argument("--machines", type=int, default=1, metavar="N", help="machines of the job; default: 1")
    p.add_argument("--machine", type=int, default=0, metavar="K", help="number of this one, from 0")
    p.add_argument(
        "--root",
        metavar="HOST:PORT",
        help="address of machine 0, as the others reach it, and a free port there; on one machine: chosen",
    )
    p.add_argument("command", nargs=argparse.REMAINDER, metavar="train.py ...", help="what a worker runs")
    return p


def main(argv: Optional[List[str]] = None) -> int:
    """Run `python -m mxnetseg.launch`; the exit status is that of the worker that failed first, else 0."""
    return run(_launch, argv)


def _launch(argv: Optional[List[str]]) -> int:
    options = parser().parse_args(argv)
    _check(options)
    # Bound, not listening: nobody else is given the port, and the scheduler may listen there all the same.
    with socket.socket() as held:
        host, port = _address(options, held)
        environment = _environment(options, host, port)
        with Job() as job:
            if options.machine == 0:
                job.start("scheduler", _SERVE, {**environment, "DMLC_ROLE": "scheduler"})
            job.start("server", _SERVE, {**environment, "DMLC_ROLE": "server"})
            for k in range(options.workers):
                own = {**environment, "DMLC_ROLE": "worker", "LOCAL_RANK": str(k)}
                job.start("worker", [sys.executable, *options.command], own)
            return job.wait()


def _check(options: argparse.Namespace) -> None:
    if not options.command:
        raise ConfigError("give the command that a worker runs, such as train.py --kvstore dist_sync ...")
    if options.workers < 1 or options.machines < 1:
        raise ConfigError("--workers and --machines must be at least 1")
    if not 0 <= options.machine < options.machines:
        raise ConfigError(f"--machine {options.machine}: expected a number from 0 to {options.machines - 1}")
    if options.machines > 1 and not options.root:
        raise ConfigError("several machines need --root HOST:PORT, the address of machine 0")
    if not os.path.isfile(options.command[0]):
        raise ConfigError(f"{options.command[0]}: no such file; give a Python program such as train.py")


def _address(options: argparse.Namespace, held: socket.socket) -> Tuple[str, int]:
    """Where the scheduler listens; on machine 0 the port is held by `held`."""
    host, port = "127.0.0.1", 0
    if options.root:
        host, _, digits = options.root.rpartition(":")
        if not host or not digits.isdigit() or not 0 < int(digits) < 65536:
            raise ConfigError(f"--root {options.root!r}: expected HOST:PORT, such as 10.0.0.1:9091")
        port = int(digits)
    if options.machine == 0:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind(("", port))
        except OSError as error:
            raise ConfigError(f"port {port} cannot be had ({error.strerror}): give --root another") from None
        port = held.getsockname()[1]
    return host, port


def _environment(options: argparse.Namespace, host: str, port: int) -> Dict[str, str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:  # nothing is sent
        try:
            probe.connect((host, port))
        except OSError as error:
            raise ConfigError(f"--root {options.root}: {host} is not reached ({error})") from None
        own = probe.getsockname()[0]
    environment = {
        **os.environ,
        "DMLC_PS_ROOT_URI": socket.gethostbyname(host),
        "DMLC_PS_ROOT_PORT": str(port),
        "DMLC_NUM_WORKER": str(options.workers * options.machines),
        "DMLC_NUM_SERVER": str(options.machines),
        "DMLC_NODE_HOST": own,
    }
    cores = available_cores()
    if cores:
        environment.setdefault("OMP_NUM_THREADS", str(max(1, cores // options.workers)))
    return environment


# PR_SET_PDEATHSIG of Linux, looked up before a process is forked that could not.
_prctl = getattr(ctypes.CDLL(None), "prctl", None) if sys.platform == "linux" else None


def _ask_to_end_with_parent() -> None:
    """This process gets SIGTERM when the one that started it is killed: nothing else would end it."""
    if _prctl:
        _prctl(1, signal.SIGTERM)


class _Ended(NamedTuple):
    role: str
    status: int


class Job:
    """Processes that start together and end together; leaving the `with` ends what is left of them."""

    def __init__(self):
        self.processes: List[subprocess.Popen] = []
        self._ended: queue.Queue[Optional[_Ended]] = queue.Queue()
        self._workers: List[subprocess.Popen] = []

    def start(self, role: str, command: List[str], environment: Dict[str, str]) -> None:
        # A session of its own: Ctrl-C comes here, and from here to the workers alone.
        process = subprocess.Popen(
            command, env=environment, start_new_session=True, preexec_fn=_ask_to_end_with_parent
        )
        self.processes.append(process)
        if role == "worker":
            self._workers.append(process)

        def wait() -> None:
            self._ended.put(_Ended(role, process.wait()))

        threading.Thread(target=wait, daemon=True).start()

    def wait(self) -> int:
        """Until all have ended; the status of the first that fails, or 0."""
        left, running, status, end = len(self._workers), len(self.processes), 0, None
        while running:
            try:
                ended = self._ended.get(timeout=None if end is None else max(0.0, end - time.monotonic()))
            except queue.Empty:
                break
            running -= 1
            left -= ended.role == "worker"
            # Servers are ended by the last worker, while it ends itself.
            if ended.status and not status and (left or ended.role == "worker"):
                status = _reported(ended)
            if status and not left:
                break  # nobody is left to end the servers
            if end is None and (status or not left):
                end = time.monotonic() + GRACE
        return status

    def _forward(self, signum: int, frame: object) -> None:
        for process in self._workers:
            if process.poll() is None:
                process.send_signal(signum)

    def __enter__(self) -> Job:
        self._before = {n: signal.signal(n, self._forward) for n in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        for signum, handler in self._before.items():
            signal.signal(signum, handler)


def _reported(ended: _Ended) -> int:
    """The status to end with, after a line for a process that cannot have said itself why it ended."""
    if ended.status > 0 and ended.role == "worker":
        return ended.status
    why = f"by {signal.Signals(-ended.status).name}" if ended.status < 0 else f"with status {ended.status}"
    print(f"error: a {ended.role} ended {why}, which ends the others", file=sys.stderr)
    return EXIT_USER_ERROR


if __name__ == "__main__":
    main()
