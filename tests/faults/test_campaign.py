"""The standing attack on training runs in its short form; `make test-faults` is the full one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY


@pytest.mark.slow
@pytest.mark.parametrize("case", ["two contexts", "no validation", "accumulated, clipped, averaged"])
def test_runs_that_faults_strike_end_as_if_nothing_had_happened(case):
    # A process of its own, since it forks: few threads, and nothing computed before.
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.campaign", "--points", "3", "--times", "1", "--case", case],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "killed at an operation on a file: 3 of 3 survived" in done.stdout
