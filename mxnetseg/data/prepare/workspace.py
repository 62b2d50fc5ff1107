"""What every preparation shares: the lock on a root, files that appear whole or not at all, parallel work."""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import cv2
import numpy as np

from mxnetseg.errors import DatasetError

# Everything that preparation keeps for itself lies in this folder of the root.
PRIVATE = ".prepare"
# Errors shown in full; of the others only the number.
_SHOWN_ERRORS = 3
# Seconds between a worker's looks at whether its parent still lives.
_PARENT_CHECK = 1.0


class Workspace:
    """A root being prepared: where sources are, where results go, how much at once.

    root      the folder being filled; created if need be.
    sources   archives and files that the user gave, by file name.
    workers   processes; 1 works in this one.
    log       function of one line of text for the user.
    """

    def __init__(
        self,
        root: str,
        sources: Sequence[str] = (),
        workers: int = 1,
        log: Callable[[str], None] = print,
    ):
        self.root = os.path.abspath(root)
        self.sources = {os.path.basename(path): path for path in sources}
        self.workers = max(1, workers)
        self.log = log
        self._state: Dict[str, Any] = {}

    def path(self, *parts: str) -> str:
        """A path under the root."""
        return os.path.join(self.root, *parts)

    def source(self, *names: str) -> Optional[str]:
        """The first of these files that the user gave or that lies in the root; None if there is none."""
        for name in names:
            if name in self.sources:
                return self.sources[name]
            if os.path.isfile(self.path(name)):
                return self.path(name)
        return None

    def need(self, names: Sequence[str], why: str) -> str:
        """As `source`, but an error where there is none."""
        found = self.source(*names)
        if found is None:
            raise DatasetError(
                f"{self.root}: {' or '.join(names)} is needed {why}; put it beside the other archives"
            )
        return found

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One preparation of a root at a time; a second one waits for the first and finds its work done."""
        os.makedirs(self.path(PRIVATE), exist_ok=True)
        with open(self.path(PRIVATE, "lock"), "a+b") as handle:
            if not _try_lock(handle):
                self.log(f"another preparation of {self.root} is running; waiting for it to end")
                while not _try_lock(handle):
                    time.sleep(0.2)
            # Whoever held the lock before left these; the kernel releases it with a killed process.
            shutil.rmtree(self.path(PRIVATE, "tmp"), ignore_errors=True)
            os.makedirs(self.path(PRIVATE, "tmp"))
            self._state = self._read_state()
            try:
                yield
            finally:
                shutil.rmtree(self.path(PRIVATE, "tmp"), ignore_errors=True)
                fcntl.flock(handle, fcntl.LOCK_UN)

    # --- what has been done -----------------------------------------------------------------------

    def done(self, step: str, mark: Any) -> bool:
        """Whether `step` was finished with the same `mark` (what it depends on)."""
        return self._state.get(step) == mark

    def finish(self, step: str, mark: Any) -> None:
        """Remember that `step` is finished."""
        self._state[step] = mark
        text = json.dumps(self._state, indent=1, sort_keys=True)
        self.write_bytes(self.path(PRIVATE, "state.json"), text.encode())

    def _read_state(self) -> Dict[str, Any]:
        try:
            with open(self.path(PRIVATE, "state.json"), encoding="utf-8") as handle:
                state = json.load(handle)
            return state if isinstance(state, dict) else {}
        except (OSError, ValueError):
            return {}  # nothing done, or unreadable: everything is looked at again

    # --- writing ----------------------------------------------------------------------------------

    def temporary(self) -> str:
        """A fresh file name on the root's file system."""
        return self.path(PRIVATE, "tmp", f"{os.getpid()}-{time.monotonic_ns()}")

    def write_bytes(self, path: str, data: bytes) -> None:
        """Write a file that appears whole or not at all."""
        temporary = self.temporary()
        with open(temporary, "wb") as handle:
            handle.write(data)
        self.move(temporary, path)

    def move(self, temporary: str, path: str) -> None:
        """Move a finished temporary file to its place, which must lie under the root.

        Names come out of archives, lists and annotations: whatever they say, nothing is written elsewhere.
        """
        top = os.path.realpath(self.root)
        if os.path.commonpath([top, os.path.realpath(path)]) != top:
            os.unlink(temporary)
            raise DatasetError(f"{path}: leads out of {self.root}; nothing is written there")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.replace(temporary, path)

    def write_ids(self, path: str, ids: np.ndarray) -> None:
        """Write a label map, uint8 (H, W), as a grey PNG."""
        if ids.dtype != np.uint8 or ids.ndim != 2:
            raise ValueError(f"{path}: label map {ids.dtype} {ids.shape}; expected uint8 (H, W)")
        self.write_picture(path, ids)

    def write_picture(self, path: str, image: np.ndarray) -> None:
        """Write uint8 (H, W) or (H, W, 3) RGB as PNG."""
        pixels = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        _, data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 4])
        self.write_bytes(path, data.tobytes())

    def write_list(self, path: str, lines: Sequence[str]) -> None:
        """Write a list file, one line each."""
        self.write_bytes(path, "".join(line + "\n" for line in lines).encode())

    def link_or_copy(self, source: str, path: str) -> None:
        """The same file under a second name, by a hard link where the file system has them."""
        temporary = self.temporary()
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
        self.move(temporary, path)

    # --- parallel work ----------------------------------------------------------------------------

    def convert(
        self,
        what: str,
        function: Callable[..., None],
        tasks: Sequence[Tuple[str, Tuple]],
    ) -> None:
        """Make each missing target: `function(self, target, *arguments)` for `(target, arguments)`.

        Targets that exist are left alone, for they were moved into place whole. Every task is tried;
        what failed is reported together at the end. `function` must be at the top of a module.
        """
        waiting = [task for task in tasks if not os.path.exists(task[0])]
        if len(waiting) < len(tasks):
            self.log(f"{what}: {len(tasks) - len(waiting)} of {len(tasks)} are there already")
        errors: List[str] = []
        started = time.monotonic()
        for error in self._run(what, function, waiting):
            if error is not None:
                errors.append(error)
        if errors:
            raise DatasetError(
                f"{what}: {len(errors)} of {len(waiting)} failed: {'; '.join(errors[:_SHOWN_ERRORS])}"
                + (f"; and {len(errors) - _SHOWN_ERRORS} more" if len(errors) > _SHOWN_ERRORS else "")
                + ". The others are done; running the same command again continues with these"
            )
        if waiting:
            self.log(f"{what}: {len(waiting)} done in {time.monotonic() - started:.1f} s")

    def _run(self, what: str, function: Callable, tasks: Sequence[Tuple[str, Tuple]]):
        bar = progress_bar(len(tasks), what)
        if self.workers == 1 or len(tasks) < 2:
            for task in tasks:
                yield _attempt(self._portable(), function, task)
                bar.update()
            bar.close()
            return
        with process_pool(self.workers) as pool:
            pending = set()
            todo = iter(tasks)
            try:
                while True:
                    # A few tasks ahead of the workers, not a queue of a hundred thousand.
                    while len(pending) < 4 * self.workers:
                        task = next(todo, None)
                        if task is None:
                            break
                        pending.add(pool.submit(_attempt, self._portable(), function, task))
                    if not pending:
                        break
                    finished, pending = wait(pending, return_when=FIRST_COMPLETED)
                    for future in finished:
                        yield future.result()
                        bar.update()
            finally:
                for future in pending:
                    future.cancel()
                bar.close()

    def _portable(self) -> Workspace:
        """A copy that can be sent to a worker: without the function that talks to the user."""
        copy = Workspace(self.root, list(self.sources.values()), 1, _silent)
        return copy


def process_pool(
    workers: int, start: Optional[Callable[..., None]] = None, arguments: Tuple = ()
) -> ProcessPoolExecutor:
    """Processes for file work, each beginning with `start(*arguments)`.

    Forked where that is safe: with MXNet loaded it is not.
    """
    can_fork = "fork" in multiprocessing.get_all_start_methods() and "mxnet" not in sys.modules
    context = multiprocessing.get_context("fork" if can_fork else "spawn")
    return ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start_worker, initargs=(start, arguments)
    )


def progress_bar(total: int, what: str) -> Any:
    """A bar on a terminal, nothing elsewhere."""
    from tqdm import tqdm

    return tqdm(total=total, desc=what, unit="file", disable=None, leave=False)


def _start_worker(start: Optional[Callable[..., None]], arguments: Tuple) -> None:
    # Ctrl-C reaches the whole foreground group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    cv2.setNumThreads(0)
    if start is not None:
        start(*arguments)


def _end_with(parent: int) -> None:
    """End this process when its parent has: an executor's workers would wait for tasks forever."""
    while os.getppid() == parent:
        time.sleep(_PARENT_CHECK)
    os._exit(1)


def _silent(_: str) -> None:
    pass


def _attempt(workspace: Workspace, function: Callable, task: Tuple[str, Tuple]) -> Optional[str]:
    """Run one task; the text of what went wrong, None if nothing did."""
    target, arguments = task
    try:
        function(workspace, target, *arguments)
        return None
    except DatasetError as error:
        return str(error)
    except (OSError, MemoryError) as error:
        return f"{target}: {error}"


def _try_lock(handle: Any) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:
        return False
