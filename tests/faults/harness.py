"""Training runs that a fault strikes: in a child of this process, which has everything imported already.

A child runs the real command. The fault strikes at the k-th operation on a file of the run (a file opened for
writing, renamed or removed), which is counted in a run without faults first: so every step of every write is
met. What is written between two operations goes to a temporary name, so that no more moments differ.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional

import yaml
from mxnet.gluon import nn

from mxnetseg import run_files as files
from mxnetseg.cli.train import main
from mxnetseg.report.tracking import CONFUSION, EXAMPLES, read_metrics
from mxnetseg.run_files import METRICS, REPORT
from mxnetseg.train import setup, state
from tests.train.tiny import TinyNet, tiny

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_APPEND
_VOLATILE = ("time", "images_per_second")

RECIPE = {
    "model": {"name": "fcn", "backbone": "mobilenetv2_0.25"},  # a stand-in takes its place
    "data": {
        "name": "synthetic",
        "batch_size": 4,
        "workers": 0,
        "options": {"size": [32, 64], "length": 12},
    },
    "augment": {"crop": [32, 64]},
    "optimizer": {"lr": 0.05},
    "schedule": {"epochs": 2, "warmup_iterations": 2},
    "checkpoint": {"every_iterations": 1, "keep": 1},
    "log_every": 2,
}


class Case(NamedTuple):
    """A kind of run: changes to the recipe by dotted key, and its devices."""

    changes: Dict[str, object]
    devices: List[str]


CASES = {
    "one context": Case({}, ["cpu"]),
    "two contexts": Case({}, ["cpu", "cpu"]),
    "two contexts, group norm, adamw": Case({"model.norm": "gn", "optimizer.name": "adamw"}, ["cpu", "cpu"]),
    "two contexts, synchronized norm": Case({"model.norm": "syncbn"}, ["cpu", "cpu"]),
    "saved at the ends of epochs only": Case({"checkpoint.every_iterations": None}, ["cpu", "cpu"]),
    "no validation": Case({"data.val_split": None, "checkpoint.every_iterations": None}, ["cpu"]),
    "accumulated, clipped, averaged": Case(
        {"optimizer.accumulate": 2, "optimizer.clip_grad_norm": 0.5, "optimizer.ema": 0.9}, ["cpu"]
    ),
}


class _WithDropout(TinyNet):
    """Random streams belong to what has to go on as if nothing had happened."""

    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        self.backbone.add(nn.Dropout(0.2))


def _stand_in(recipe, devices, resuming, synchronized):
    group = recipe.model
    norm = "bn" if group.norm == "syncbn" and not synchronized else group.norm
    return tiny(group.nclass, seed=recipe.seed + 1, norm=norm, kind=_WithDropout)


class Outcome(NamedTuple):
    """How a child ended: its exit status, or minus the signal that killed it; and its last line on stderr."""

    status: int
    error: str


class Run:
    """One folder that a case is trained in."""

    def __init__(self, case: Case, folder: Path):
        self.case = case
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.run = self.folder / "run"
        self.recipe = self.folder / "recipe.yaml"
        values = json.loads(json.dumps(RECIPE))
        for key, value in case.changes.items():
            group, name = key.split(".")
            values[group][name] = value
        self.recipe.write_text(yaml.safe_dump(values))

    def train(self, fault: Callable[[Path], None] = lambda run: None, killed_after: Optional[float] = None):
        """Start or resume in a child and wait for it. `fault` is called in the child before it trains."""
        arguments = ["--resume", str(self.run)]
        if not (self.run / files.STATE).exists():
            arguments = ["--recipe", str(self.recipe), "--output", str(self.run), "--resume"]
        reading, writing = os.pipe()  # not a file, which could fall victim to the fault
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            _child([*arguments, "--ctx", *self.case.devices, "--quiet"], writing, lambda: fault(self.run))
        os.close(writing)
        if killed_after is not None:
            time.sleep(killed_after)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with open(reading, encoding="utf-8", errors="replace") as end:
            lines = end.read().strip().splitlines()
        _, status = os.waitpid(pid, 0)
        status = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        return Outcome(status, lines[-1] if lines else "")

    def finish(self) -> Optional[str]:
        """Resume to the end; None, or what went wrong."""
        finished = (files.read_meta(self.run) or {}).get("finished")
        outcome = self.train()
        if finished:
            return None if "this run is finished" in outcome.error else f"finished, but {outcome}"
        return None if outcome.status == 0 else f"resumed: {outcome}"

    # ----- what the files hold

    def contents(self) -> Dict[str, object]:
        """Everything that must be the same in every run of this case."""
        found: Dict[str, object] = {}
        for path in sorted(self.run.iterdir()):
            if path.suffix in (".params", ".state") or path.name in (CONFUSION, EXAMPLES):
                found[path.name] = _digest(path)
            elif path.name == METRICS:
                found[path.name] = [
                    {k: v for k, v in record.items() if k not in _VOLATILE}
                    for record in read_metrics(str(path))
                ]
            elif path.name == files.RECIPE:
                found[path.name] = {**yaml.safe_load(path.read_text()), "output_dir": None}
            else:
                found[path.name] = path.name
        report, numbers = self.run / REPORT, self.run / METRICS
        found["report is of the end"] = report.exists() and report.stat().st_mtime >= numbers.stat().st_mtime
        return found

    def tear_last_line(self) -> None:
        """Cut a line of numbers that no state knows of, as a kill in the middle of its write does."""
        path, meta = self.run / METRICS, files.read_meta(self.run)
        if meta is None or not path.exists() or not path.stat().st_size:
            return
        last = read_metrics(str(path))[-1]
        if last["iteration"] > meta["validated" if last["kind"] == "val" else "iteration"]:
            os.truncate(path, path.stat().st_size - 7)

    def stale(self, history: List[dict]) -> Optional[str]:
        """What in the folder is older than its state says; None if nothing."""
        meta = files.read_meta(self.run)
        if meta is None:
            return None
        for name, key, least in (
            (files.LAST, "last", meta["iteration"]),
            (files.BEST, "best", meta["best_iteration"]),
        ):
            fresh = {snapshot[key] for snapshot in history if least is not None and snapshot[name] >= least}
            if least is not None and _digest(self.run / name) not in fresh:
                return f"{name} is older than iteration {least}, which the state is of"
        return None


def history_of(run: Run) -> List[dict]:
    """Train without faults; digests of the weights at every save, with the iterations they are of."""
    log = run.folder / "history.jsonl"

    def record(folder: Path) -> None:
        real = state.save

        def save(run_dir, progress, *arguments):
            real(run_dir, progress, *arguments)
            snapshot = {
                files.LAST: progress.iteration,
                files.BEST: progress.best_iteration or -1,
                "last": _digest(run_dir / files.LAST),
                "best": _digest(run_dir / files.BEST),
            }
            with open(log, "a") as out:
                out.write(json.dumps(snapshot) + "\n")

        state.save = save

    outcome = run.train(record)
    assert outcome.status == 0, outcome
    return [json.loads(line) for line in log.read_text().splitlines()]


def operations_of(run: Run) -> int:
    """How many operations on files a run without faults has."""
    log = run.folder / "operations.txt"
    outcome = run.train(lambda folder: _at_operations(folder, lambda k, what: log.write_text(str(k))))
    assert outcome.status == 0, outcome
    return int(log.read_text())


def kill_at(number: int) -> Callable[[Path], None]:
    """kill -9 before the operation of that number."""

    def strike(k: int, what: str) -> None:
        if k == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return lambda folder: _at_operations(folder, strike)


def full_from(number: int) -> Callable[[Path], None]:
    """No file can be opened for writing or renamed from the operation of that number on."""

    def strike(k: int, what: str) -> None:
        if k >= number and what != "os.remove":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return lambda folder: _at_operations(folder, strike)


def signal_at(number: int, signum: int) -> Callable[[Path], None]:
    """A signal at the operation of that number."""

    def strike(k: int, what: str) -> None:
        if k == number:
            os.kill(os.getpid(), signum)

    return lambda folder: _at_operations(folder, strike)


def files_limited_to(size: int) -> Callable[[Path], None]:
    """Writes fail in the middle of any file that grows beyond `size` bytes."""

    def limit(folder: Path) -> None:
        # Python 3.11 would keep compiled modules that were cut at the limit, and fail to import them.
        sys.dont_write_bytecode = True
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def _at_operations(folder: Path, strike: Callable[[int, str], None]) -> None:
    count, inside = 0, str(folder) + os.sep

    def hook(event: str, arguments: tuple) -> None:
        nonlocal count
        if event not in ("open", "os.rename", "os.remove") or not arguments:
            return
        path = arguments[0]
        if not isinstance(path, (str, os.PathLike)) or not os.fspath(path).startswith(inside):
            return
        if event == "open" and not arguments[2] & _WRITING:
            return
        count += 1
        strike(count, event)

    sys.addaudithook(hook)


def _child(arguments: List[str], out: int, fault: Callable[[], None]) -> None:
    status = 70  # a defect of the harness
    try:
        for fd in (1, 2):
            os.dup2(out, fd)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        setup.build_network = _stand_in
        fault()
        try:
            status = main(arguments)
        except SystemExit as end:
            status = end.code
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status or 0)


def _digest(path: Path) -> Optional[str]:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None
