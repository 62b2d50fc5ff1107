"""A standing attack on training runs: `make test-faults`, or `python -m tests.faults.campaign`.

Every run is struck, resumed, and held byte for byte against one that nothing happened to: parameters,
best weights, state, kept epochs, numbers, confusion matrix, pictures. Prints a table and ends with status 1
if anything did not survive.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, Dict, List, Optional

# Before MXNet is imported. One compute thread gives the same bits every time; two contexts need two workers.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MXNET_CPU_WORKER_NTHREADS"] = "2"

import mxnetseg  # noqa: F401  the repairs of compat, before anything imports mxnet
from tests.faults import harness
from tests.faults.harness import CASES, Outcome, Run


class Attack:
    """One case: a run without faults to compare with, and what others came to."""

    def __init__(self, name: str, folder: Path):
        self.name = name
        self.folder = folder
        self.case = CASES[name]
        whole = Run(self.case, folder / "whole")
        self.history = harness.history_of(whole)
        self.expected = whole.contents()
        self.operations = harness.operations_of(Run(self.case, folder / "counted"))
        self.tried: Dict[str, int] = {}
        self.survived: Dict[str, int] = {}
        self.failures: List[str] = []

    def strike(
        self,
        kind: str,
        what: str,
        strikes: List[Callable],
        ends: Callable[[Outcome], bool],
        check_files: bool = True,
        after: Optional[Callable[[], None]] = None,
    ) -> None:
        """Let faults strike one after the other, each in the run resumed after the last, and then finish.

        strikes   functions run -> Outcome
        ends      whether an outcome is one that the fault may have
        """
        run = Run(self.case, self.folder / "struck")
        problem = None
        for strike in strikes:
            outcome = strike(run)
            if not ends(outcome):
                problem = f"ended with {outcome}"
            elif check_files:
                problem = run.stale(self.history)
            if problem:
                break
            if sum(self.tried.values()) % 2:  # a whole line may be wrong, too
                run.tear_last_line()
        if after:
            after()
        problem = problem or run.finish()
        if not problem:
            found = run.contents()
            wrong = [key for key in {**found, **self.expected} if found.get(key) != self.expected.get(key)]
            problem = f"another {', '.join(wrong)}" if wrong else None
        self.tried[kind] = self.tried.get(kind, 0) + 1
        self.survived[kind] = self.survived.get(kind, 0) + (problem is None)
        if problem:
            self.failures.append(f"{self.name}, {what}: {problem}")
        shutil.rmtree(run.folder)

    # ----- the kinds of faults

    def kills_at_operations(self, numbers: List[int]) -> None:
        for number in numbers:
            self.strike(
                "killed at an operation on a file",
                f"killed at operation {number} of {self.operations}",
                [lambda run, k=number: run.train(harness.kill_at(k))],
                lambda outcome: outcome.status == -signal.SIGKILL,
            )

    def repeated_kills(self, times: int, rng: random.Random) -> None:
        for _ in range(times):
            numbers = [rng.randint(1, self.operations) for _ in range(3)]
            self.strike(
                "killed three times",
                f"killed at operations {numbers}",
                [lambda run, k=number: run.train(harness.kill_at(k)) for number in numbers],
                # The second and third may come after the end.
                lambda outcome: outcome.status in (-signal.SIGKILL, 0, 2),
            )

    def random_kills(self, times: int, rng: random.Random) -> None:
        started = time.monotonic()
        Run(self.case, self.folder / "timed").train()
        seconds = time.monotonic() - started
        for _ in range(times):
            moment = rng.uniform(0.1, 1.0) * seconds
            self.strike(
                "killed at a random moment",
                f"killed after {moment:.2f} s",
                [lambda run, moment=moment: run.train(killed_after=moment)],
                lambda outcome: outcome.status in (-signal.SIGKILL, 0),
            )

    def full_disks(self, numbers: List[int]) -> None:
        for number in numbers:
            self.strike(
                "disk full",
                f"disk full from operation {number} of {self.operations}",
                [lambda run, k=number: run.train(harness.full_from(k))],
                _ended_in_one_line,
            )

    def limited_files(self, sizes: List[int]) -> None:
        for size in sizes:
            self.strike(
                "files of limited size",
                f"files up to {size} bytes",
                [lambda run, size=size: run.train(harness.files_limited_to(size))],
                _ended_in_one_line,
            )

    def signals(self, numbers: List[int]) -> None:
        for number in numbers:
            for signum in (signal.SIGINT, signal.SIGTERM):
                self.strike(
                    "Ctrl-C and SIGTERM",
                    f"{signum.name} at operation {number} of {self.operations}",
                    [lambda run, k=number, s=signum: run.train(harness.signal_at(k, s))],
                    # Before the first iteration SIGTERM has its usual effect; after the last one none.
                    lambda outcome, s=signum: (
                        outcome.status in (128 + s, -s, 0) and "Traceback" not in outcome.error
                    ),
                    check_files=False,  # it is saved at iterations at which the whole run was not
                )

    def small_file_system(self, sizes: List[int]) -> bool:
        """Runs on a tmpfs that is too small, which then grows; False where this process may not mount."""
        for size in sizes:
            place = self.folder / "struck"
            place.mkdir(exist_ok=True)
            mount = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(place)]
            if subprocess.run(mount, capture_output=True).returncode:
                shutil.rmtree(place)
                return False
            grow = ["mount", "-o", "remount,size=64m", str(place)]
            try:
                self.strike(
                    "file system too small",
                    f"{size} kB of room",
                    [lambda run: run.train()],
                    _ended_in_one_line,
                    after=lambda grow=grow: subprocess.run(grow, check=True),
                )
            except OSError as error:  # the mount point itself cannot be removed
                if place.is_mount():
                    subprocess.run(["umount", str(place)], check=True)
                    shutil.rmtree(place)
                else:
                    raise error
        return True


def _ended_in_one_line(outcome: Outcome) -> bool:
    return outcome.status == 2 and outcome.error.startswith("error: ")


def main(arguments: Optional[List[str]] = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.campaign", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--points", type=int, metavar="N", help="operations struck in each case (default all)"
    )
    parser.add_argument("--times", type=int, default=10, metavar="N", help="strikes of every other kind")
    parser.add_argument("--seed", type=int, default=0, help="of the random ones")
    parser.add_argument("--case", nargs="+", choices=CASES, default=list(CASES), metavar="NAME")
    options = parser.parse_args(arguments)
    rng = random.Random(options.seed)
    attacks, mountable = [], True
    with tempfile.TemporaryDirectory(prefix="mxnetseg-faults-") as folder:
        for name in options.case:
            attack = Attack(name, Path(folder) / name.replace(" ", "_"))
            attacks.append(attack)
            every = range(1, attack.operations + 1)
            points = rng.sample(every, min(options.points, len(every))) if options.points else list(every)
            attack.kills_at_operations(sorted(points))
            few = sorted(rng.sample(every, min(options.times, len(every))))
            attack.full_disks(few)
            attack.signals(few)
            attack.random_kills(options.times, rng)
            attack.repeated_kills(options.times, rng)
            if options.times >= 4:
                attack.limited_files([100, 1000, 4000, 10000])
                mountable &= attack.small_file_system([8, 24, 48])
            print(_line(attack), flush=True)
    if not mountable:
        print("file systems that are too small: not tried, mounting is not allowed here")
    failures = [failure for attack in attacks for failure in attack.failures]
    for kind in sorted({kind for attack in attacks for kind in attack.tried}):
        tried = sum(attack.tried.get(kind, 0) for attack in attacks)
        survived = sum(attack.survived.get(kind, 0) for attack in attacks)
        print(f"{kind}: {survived} of {tried} survived")
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


def _line(attack: Attack) -> str:
    parts = [f"{kind} {attack.survived[kind]}/{attack.tried[kind]}" for kind in sorted(attack.tried)]
    return f"{attack.name} ({attack.operations} operations): {', '.join(parts)}"


if __name__ == "__main__":
    sys.exit(main())
