"""Sides of a comparison: processes of their own that do one piece of work for each line they are given.

A side answers with a line of JSON: once when it is ready, and once for each piece of work.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@contextlib.contextmanager
def side(command, env=None):
    """The process of a side: `command` is its interpreter, script and arguments."""
    pipe = subprocess.PIPE
    worker = subprocess.Popen(
        command, cwd=ROOT, text=True, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=env
    )
    try:
        yield worker
    finally:
        with contextlib.suppress(BrokenPipeError):  # of a side that has ended: `answer` says so
            worker.stdin.close()
        worker.wait()


def ask(worker):
    """One piece of work, and what the side answers."""
    with contextlib.suppress(BrokenPipeError):
        worker.stdin.write("\n")
        worker.stdin.flush()
    return answer(worker)


def answer(worker):
    """The next line of a side; the end of the comparison where the side has ended."""
    line = worker.stdout.readline()
    if not line:
        sys.exit(f"a side ended, perhaps for want of memory: run `{' '.join(worker.args)}` to see why")
    return json.loads(line)
