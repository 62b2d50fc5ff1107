"""The files of a run: their names, how they are written so that a kill leaves the old ones, the saved state.

    <run>/last.params   the network as it is       <run>/recipe.yaml   how it was made
    <run>/best.params   the best validation        <run>/last.state    everything a resumed run needs

Every file is written under a temporary name, forced to the disk and moved into place, so a kill or a full
disk leaves the old one. `last.state` is complete in itself, weights included: two files could be of two
moments.
`.params` files have MXNet's own format, names as in `net.save_parameters`. Nothing here imports MXNet.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import re
import zipfile
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

import numpy as np

from mxnetseg import params_file
from mxnetseg.errors import CheckpointError

LAST, BEST, STATE, RECIPE = "last.params", "best.params", "last.state", "recipe.yaml"
METRICS, REPORT, LOCK = "metrics.jsonl", "report.html", ".lock"
TEMPORARY = ".part"
_EPOCH = re.compile(r"epoch_(\d+)\.params")


@contextlib.contextmanager
def atomic_file(path, durable: bool = True) -> Iterator[io.BufferedWriter]:
    """A binary file that appears under `path` once all of it is written; CheckpointError if it cannot.

    `durable`: it is on the disk by then, power cut or not; pictures by the thousand need not be.
    """
    path = Path(path)
    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        # Moving a file into its place would take away /dev/null or a pipe that someone reads.
        raise CheckpointError(f"{path}: is no regular file and would be replaced: give the name of a file")
    temporary = path.with_name(path.name + TEMPORARY)
    try:
        with open(temporary, "wb") as handle:
            yield handle
            handle.flush()
            if durable:
                os.fsync(handle.fileno())
        os.replace(temporary, path)
        if durable:
            _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        before = "; what was there before is untouched" if os.path.exists(path) else ""
        raise CheckpointError(
            f"{path}: cannot be written ({error.strerror or error}){before}: "
            f"make room or give another output folder"
        ) from error
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _sync_folder(folder: Path) -> None:
    # The new name itself must survive a power cut; file systems that cannot do that raise OSError.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def save_params(path, arrays: Mapping[str, np.ndarray]) -> None:
    """Named arrays as a `.params` file that `mx.nd.load` and `net.load_parameters` read."""
    with atomic_file(path) as out:
        params_file.write(out, arrays)


def save_recipe(run_dir, recipe) -> None:
    """`<run_dir>/recipe.yaml`, every field of it."""
    with atomic_file(Path(run_dir) / RECIPE) as out:
        out.write(recipe.to_yaml().encode())


def make_folder(path) -> None:
    """The folder and those above it, writable, or CheckpointError."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(
            f"{path}: output folder cannot be made ({error.strerror}): give another"
        ) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise CheckpointError(f"{path}: output folder is not writable: give another")


def save_state(run_dir, meta: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """`last.state`: numbers in `meta` (JSON) and named arrays, with a checksum for each."""
    with atomic_file(Path(run_dir) / STATE) as out:
        text = np.frombuffer(json.dumps(meta).encode(), np.uint8)
        with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            for name, array in [("meta", text), *arrays.items()]:
                # A fixed date: the same state gives the same bytes.
                with archive.open(zipfile.ZipInfo(name + ".npy"), "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, np.ascontiguousarray(array), allow_pickle=False)


def load_state(run_dir) -> Tuple[Dict[str, Any], Dict[str, np.ndarray]]:
    """(meta, arrays) of a run folder or its `last.state`. CheckpointError for a missing or damaged file."""
    path = state_path(run_dir)
    if not path.is_file():
        raise CheckpointError(f"{path}: no training state to resume from; is it the folder of a run?")
    return _read_state(path)


def read_meta(run_dir) -> Optional[Dict[str, Any]]:
    """Only the numbers of the state; None where there is no state."""
    path = state_path(run_dir)
    return _read_state(path, ["meta"])[0] if path.is_file() else None


def _read_state(
    path: Path, names: Optional[List[str]] = None
) -> Tuple[Dict[str, Any], Dict[str, np.ndarray]]:
    """(meta, arrays) of the state, of its arrays only those named."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            entries = archive.zip.infolist()
            # As `save_state` wrote them, or a small file could hold any amount.
            stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
            if not stored or sum(entry.file_size for entry in entries) > path.stat().st_size:
                raise ValueError("its arrays are compressed or overlap")
            arrays = {name: archive[name] for name in names or archive.files}
        meta = json.loads(arrays.pop("meta").tobytes())
        if not isinstance(meta, dict):
            raise ValueError("it holds no numbers")
    except Exception as error:  # those of zipfile, zlib and NumPy's header reader are of many kinds
        raise CheckpointError(f"{path}: training state is damaged or not one ({error})") from error
    return meta, arrays


def state_path(run) -> Path:
    """The state file that a run folder, or any file in it, stands for."""
    run = Path(run)
    if run.is_dir():
        return run / STATE
    return run if run.suffix == ".state" else run.parent / STATE


@contextlib.contextmanager
def locked(run_dir) -> Iterator[None]:
    """Keep other processes from training in the folder; CheckpointError where one does already.

    The kernel holds the lock, on an open file: it ends with the process, however that ends. The file stays.
    """
    try:
        import fcntl
    except ImportError:  # no such locks on Windows
        yield
        return
    with contextlib.ExitStack() as stack:
        try:
            handle = stack.enter_context(open(Path(run_dir) / LOCK, "a+"))
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            handle.truncate(0)
            handle.write(str(os.getpid()))
            handle.flush()
        except BlockingIOError:
            handle.seek(0)
            raise CheckpointError(
                f"{run_dir}: another process ({handle.read() or 'unknown'}) is training in this folder: "
                f"end it, or train in another folder"
            ) from None
        except OSError as error:
            # Some network file systems have no locks: the run goes on without.
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                raise CheckpointError(f"{run_dir}: cannot be locked ({error.strerror})") from error
        yield


def remove_leftovers(run_dir) -> None:
    """Take away files that a kill left half written. For the process that holds the lock."""
    for path in Path(run_dir).glob("*" + TEMPORARY):
        name = path.name[: -len(TEMPORARY)]
        if name in (LAST, BEST, STATE, RECIPE) or _EPOCH.fullmatch(name):
            path.unlink()


def epoch_files(run_dir) -> List[Path]:
    """Weights that were kept of the ends of epochs, in order."""
    found = [(_EPOCH.fullmatch(path.name), path) for path in Path(run_dir).glob("epoch_*.params")]
    return [path for _, path in sorted((int(match[1]), path) for match, path in found if match)]


def remove_run(run_dir) -> None:
    """Take away what an earlier run left under the names that training writes: the state first, so that a
    kill leaves no run that seems whole."""
    run_dir = Path(run_dir)
    for path in (run_dir / STATE, run_dir / BEST, run_dir / LAST, *epoch_files(run_dir), run_dir / REPORT):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def remove_empty(run_dir) -> None:
    """Take away a folder that holds nothing but the lock. For the process that holds it."""
    with contextlib.suppress(OSError):
        if os.listdir(run_dir) == [LOCK]:
            (Path(run_dir) / LOCK).unlink()
            os.rmdir(run_dir)


def run_weights(folder: Path) -> Path:
    """The best weights of a run folder, else the last; CheckpointError where there is neither."""
    for name in (BEST, LAST):
        if (folder / name).is_file():
            return folder / name
    raise CheckpointError(f"{folder}: neither {BEST} nor {LAST} is in this folder")


def missing_checkpoint(path: Path) -> CheckpointError:
    """The error for a checkpoint that is not there, with what is."""
    names = sorted(p.name for p in path.parent.glob("*.params")) if path.parent.is_dir() else []
    there = f"; in that folder: {', '.join(names[:5])}" if names else ""
    return CheckpointError(f"{path}: checkpoint not found{there}")
