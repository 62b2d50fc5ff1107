"""Preparing a data set: official archives in, the folder that its loader reads out.

`python -m mxnetseg.data prepare NAME --from ARCHIVES --to ROOT`, or `prepare(...)`. Interrupted at any
moment, the same command continues; two at once take turns.
"""

from __future__ import annotations

import os
from typing import Callable, Dict, List, Optional, Sequence

from mxnetseg.data.prepare import aerial, known, retina, street
from mxnetseg.data.prepare.archives import ARCHIVE_ENDS, is_archive, unpack
from mxnetseg.data.prepare.preparation import Preparation
from mxnetseg.data.prepare.tiles import Tiling, cut_scenes
from mxnetseg.data.prepare.workspace import Workspace
from mxnetseg.errors import ConfigError, DatasetError, RegistryError, nearest

# Files that are read where they lie.
_PLAIN_ENDS = (".mat", ".json", ".txt")
PREPARATIONS: Dict[str, Preparation] = {
    **known.PREPARATIONS,
    **street.PREPARATIONS,
    **aerial.PREPARATIONS,
    **retina.PREPARATIONS,
}
_UDS = "uds"
_READ = 8  # samples of each split that `verify` reads


def list_preparations() -> List[str]:
    """Names that `prepare` takes, sorted."""
    return sorted([*PREPARATIONS, _UDS])


def prepare(
    name: str,
    root: str,
    sources: Sequence[str] = (),
    workers: int = 1,
    log: Callable[[str], None] = print,
    tiling: Optional[Tiling] = None,
) -> None:
    """Unpack, convert and check the data set `name` in `root`.

    sources  archives and files, or folders that hold them; none: what lies in `root` is converted.
    workers  processes.
    tiling   how large pictures are cut; None: as published. ConfigError for data sets that have none.
    Raises DatasetError; what was done by then is whole and is not done again.
    """
    if tiling is not None and (name == _UDS or _preparation(name).tiling is None):
        cut = ", ".join(n for n, p in sorted(PREPARATIONS.items()) if p.tiling)
        raise ConfigError(f"data set {name!r} is not cut into tiles; those that are: {cut}")
    if name == _UDS:
        _prepare_uds(root, sources, workers, log)
        return
    preparation = _preparation(name)
    found = _collect(name, preparation, sources)
    if not found and not os.path.isdir(root):
        raise DatasetError(
            f"{root}: does not exist and no archives were given; download {preparation.archives} and "
            f"name the archives"
        )
    workspace = Workspace(root, found, workers, log)
    try:
        os.makedirs(workspace.root, exist_ok=True)
        with workspace.locked():
            for path in found:
                if is_archive(path):
                    _unpack_one(workspace, name, path, preparation)
            if preparation.convert is not None:
                preparation.convert(workspace)
            if preparation.tiling is not None:
                cut_scenes(workspace, tiling or preparation.tiling)
    except OSError as error:
        raise DatasetError(f"{error.filename or root}: {error.strerror or error}") from error
    verify(name, root, log)


def _unpack_one(workspace: Workspace, name: str, path: str, preparation: Preparation) -> None:
    if unpack(workspace, path, preparation.routes) == 0:
        raise DatasetError(
            f"{path}: holds nothing that data set {name!r} is made of; expected {preparation.archives}"
        )


def _preparation(name: str) -> Preparation:
    try:
        return PREPARATIONS[name]
    except KeyError:
        close = nearest(name, list_preparations()) or list_preparations()
        raise RegistryError(
            f"no data set named {name!r} has a preparation; nearest: {', '.join(close)}"
        ) from None


def _collect(name: str, preparation: Preparation, sources: Sequence[str]) -> List[str]:
    """Files to work from: those named, and those in the folders named."""
    found = []
    for source in sources:
        if os.path.isdir(source):
            inside = _files_in(source, preparation.nested)
            read = (*ARCHIVE_ENDS, *_PLAIN_ENDS)
            inside = [p for p in inside if p.lower().endswith(read) and os.path.isfile(p)]
            if not inside:
                raise DatasetError(
                    f"{source}: holds no archive; data set {name!r} is made of {preparation.archives}"
                )
            found += inside
        elif not os.path.isfile(source):
            raise DatasetError(
                f"{source}: is not there or no file; data set {name!r} is made of {preparation.archives}"
            )
        elif not source.lower().endswith((*ARCHIVE_ENDS, *_PLAIN_ENDS)):
            raise DatasetError(
                f"{source}: is no archive that can be read ({', '.join(ARCHIVE_ENDS)}); data set "
                f"{name!r} is made of {preparation.archives}"
            )
        else:
            found.append(source)
    return found


def _files_in(folder: str, nested: bool) -> List[str]:
    if not nested:
        return sorted(os.path.join(folder, name) for name in os.listdir(folder))
    return sorted(os.path.join(where, name) for where, _, names in os.walk(folder) for name in names)


def _prepare_uds(root: str, sources: Sequence[str], workers: int, log: Callable[[str], None]) -> None:
    """Each part in its folder, from the folder of the same name in the one given."""
    from mxnetseg.data.datasets.uds import PARTS

    if sources and (len(sources) > 1 or not os.path.isdir(sources[0])):
        raise DatasetError(
            f"{' '.join(sources)}: for 'uds' give one folder with the folders "
            f"{', '.join(PARTS)}, each with the archives of that data set"
        )
    for folder, kind in PARTS.items():
        archives = [os.path.join(sources[0], folder)] if sources else []
        log(f"--- {folder}")
        prepare(kind.name, os.path.join(root, folder), archives, workers, log)
    verify(_UDS, root, log)


def verify(name: str, root: str, log: Callable[[str], None] = print) -> None:
    """Open every split with its loader, compare its size with the publication, read a few samples of it.

    Splits that this copy does not hold are named and left; none at all is a DatasetError.
    """
    from mxnetseg.data import DATASETS, create_dataset

    kind = DATASETS.get(name)
    expected = getattr(kind, "sizes", {})
    opened, problems = 0, []
    for split in kind.splits:
        try:
            dataset = create_dataset(name, root, split)
        except DatasetError as error:
            problems.append(str(error))
            log(f"{split:>9}: not there ({error})")
            continue
        opened += 1
        for i in sorted({k * len(dataset) // _READ for k in range(_READ)} - {len(dataset)}):
            dataset[i]
        published = expected.get(split)
        remark = ""
        if published is not None and published != len(dataset):
            remark = f", published are {published}: incomplete or another edition"
        log(f"{split:>9}: {len(dataset)} samples{remark}")
    if not opened:
        raise DatasetError(problems[0])
