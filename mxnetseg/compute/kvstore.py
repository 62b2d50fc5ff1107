"""MXNet's distributed key-value store as its launchers set it up: the environment, before MXNet is
imported.

MXNet looks at DMLC_ROLE while it is imported: a process whose role is `scheduler` or `server` serves there
and ends; a `worker` goes on. `python -m mxnetseg.launch` starts all three.
"""

from __future__ import annotations

import os
import socket
import time
from typing import Mapping, Tuple

from mxnetseg.errors import ConfigError, EngineError

KINDS = ("dist_sync",)
_ROLES = ("worker", "server", "scheduler")
_NUMBERS = ("DMLC_PS_ROOT_PORT", "DMLC_NUM_WORKER", "DMLC_NUM_SERVER")
_LAUNCH = "start it by python -m mxnetseg.launch"


def check_environment(environment: Mapping[str, str] = os.environ) -> None:
    """ConfigError unless a launcher has said what this process is and where the scheduler is."""
    missing = [name for name in ("DMLC_ROLE", "DMLC_PS_ROOT_URI", *_NUMBERS) if not environment.get(name)]
    if missing:
        raise ConfigError(f"kvstore dist_sync: {', '.join(missing)} not in the environment: {_LAUNCH}")
    if environment["DMLC_ROLE"] not in _ROLES:
        raise ConfigError(f"DMLC_ROLE is {environment['DMLC_ROLE']!r}: expected {', '.join(_ROLES)}")
    for name in _NUMBERS:
        value = environment[name]
        if not (value.isdigit() and 0 < int(value) < 65536):
            raise ConfigError(f"{name} is {value!r}: expected a whole number from 1 to 65535")


def seconds_to_meet(environment: Mapping[str, str] = os.environ) -> float:
    """How long a process waits for the others when it starts: MXNETSEG_MEET_SECONDS, 300 by default."""
    given = environment.get("MXNETSEG_MEET_SECONDS", "300")
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e6:
        raise ConfigError(f"MXNETSEG_MEET_SECONDS is {given!r}: expected a number of seconds")
    return seconds


def reach_scheduler(environment: Mapping[str, str] = os.environ) -> str:
    """Wait until the scheduler listens; returns the address of this machine that it is reached from.

    Raises EngineError where it does not within `seconds_to_meet`: MXNet itself would wait for ever.
    """
    host, port = environment["DMLC_PS_ROOT_URI"], int(environment["DMLC_PS_ROOT_PORT"])
    limit = seconds_to_meet(environment)
    end = time.monotonic() + limit
    while True:
        try:
            with socket.create_connection((host, port), min(limit, 10.0)) as reached:
                return reached.getsockname()[0]
        except OSError as error:
            if time.monotonic() >= end:
                raise EngineError(
                    f"the scheduler of kvstore dist_sync is not reached at {host}:{port} within "
                    f"{limit:g} s ({error}): is it started, and the address right?"
                ) from None
            time.sleep(min(0.2, limit / 10))


def scheduler_address(environment: Mapping[str, str] = os.environ) -> Tuple[str, int]:
    """Host and port of the scheduler."""
    return environment["DMLC_PS_ROOT_URI"], int(environment["DMLC_PS_ROOT_PORT"])
