"""SIGINT and SIGTERM while a run trains: the first one lets the iteration end, the second does not wait."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import Iterator, Optional

from mxnetseg.train.progress import log


class Interrupted(Exception):
    """SIGINT or SIGTERM ended the run. `status`: of the process."""

    def __init__(self, signum: int, message: str = ""):
        super().__init__(message)
        self.signum = signum
        self.status = 128 + signum


class StopRequest:
    """Whether a signal has asked the run to end.

    signum  the signal, or None.
    """

    def __init__(self, quiet: bool):
        self.quiet = quiet
        self.signum: Optional[int] = None
        self._at_once = False

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Inside, signals come here. Only the main thread can; in others nothing changes."""
        before = {}
        try:
            if threading.current_thread() is threading.main_thread():
                for signum in (signal.SIGINT, signal.SIGTERM):
                    before[signum] = signal.signal(signum, self._receive)
            yield
        finally:
            for signum, handler in before.items():
                signal.signal(signum, handler)

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Inside, the first signal raises Interrupted: nothing would be lost."""
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def _receive(self, signum: int, frame: object) -> None:
        if self.signum is not None or self._at_once:
            raise Interrupted(signum)
        self.signum = signum
        if self.quiet:
            return
        with contextlib.suppress(RuntimeError):  # the signal came while a line was being written
            log(f"{signal.Signals(signum).name}: saving, then leaving (again: leave at once)")
