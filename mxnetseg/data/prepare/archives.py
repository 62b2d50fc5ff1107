"""Unpacking official archives: zip and tar of any compression, into the root and nowhere else.

No member is trusted. A name that is absolute, climbs with `..`, names a drive or holds control
characters stops the unpacking before anything of that archive is written; links, devices and pipes
are never created; a target whose folder is a link out of the root is refused. Where a member goes
is decided by the data set's routes, so that what no route names is left out.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from typing import IO, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from mxnetseg.data.prepare.workspace import Workspace, process_pool, progress_bar
from mxnetseg.errors import DatasetError

ARCHIVE_ENDS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_BLOCK = 1 << 20
# Members per task of a worker: enough to outweigh opening the archive's directory.
_MEMBERS_PER_TASK = 200

_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    EOFError,
    zlib.error,
    OSError,
    NotImplementedError,
    RuntimeError,  # an encrypted member of a zip
    ValueError,
)


class Route(NamedTuple):
    """Members matching `member` (a regular expression of the whole name) go to `target` under the root.

    `target` may refer to groups (`\\1`). `archive`: only from archives whose file name matches this, or
    whose path does where it names folders (has a slash).
    """

    member: str
    target: str
    archive: str = ""

    def apply(self, archive: str, member: str) -> Optional[str]:
        """The target of a member of the file `archive`, None where the route does not match."""
        place = archive.replace(os.sep, "/") if "/" in self.archive else os.path.basename(archive)
        if self.archive and not re.search(self.archive, place, re.IGNORECASE):
            return None
        match = re.fullmatch(self.member, member)
        return match.expand(self.target) if match else None


class Member(NamedTuple):
    """A regular file of an archive and where it goes, relative to the root."""

    name: str
    target: str
    size: int


def is_archive(path: str) -> bool:
    """By its name."""
    return path.lower().endswith(ARCHIVE_ENDS)


def unpack(workspace: Workspace, archive: str, routes: Sequence[Route]) -> int:
    """Unpack what the routes name; returns the number of files of the archive that belong to the root.

    Files that are there with the right size are not written again, and an archive finished before is
    not opened again. DatasetError for hostile or damaged archives and a full disk.
    """
    # Archives of one data set may share their names, in folders of their own.
    step = "unpack " + "/".join(os.path.abspath(archive).split(os.sep)[-3:])
    try:
        found = os.stat(archive)
    except OSError as error:
        raise DatasetError(f"{archive}: archive cannot be read: {error.strerror}") from error
    mark = [found.st_size, int(found.st_mtime), _fingerprint(routes)]
    previous = workspace._state.get(step)
    if previous and previous[:3] == mark:
        workspace.log(f"{os.path.basename(archive)}: unpacked before")
        return previous[3]
    try:
        if archive.lower().endswith(".zip"):
            count = _unpack_zip(workspace, archive, routes)
        else:
            count = _unpack_tar(workspace, archive, routes)
    except DatasetError:
        raise
    except _DAMAGED as error:
        raise _damaged(archive, error) from error
    workspace.finish(step, [*mark, count])
    return count


def safe_name(name: str, archive: str) -> str:
    """A member's name with plain slashes; DatasetError where it would leave the folder it is unpacked in."""
    plain = name.replace("\\", "/")
    parts = [part for part in plain.split("/") if part not in ("", ".")]
    if (
        plain.startswith("/")
        or ".." in parts
        or re.match(r"[A-Za-z]:", plain)
        or any(ord(c) < 32 for c in plain)
    ):
        raise DatasetError(
            f"{archive}: holds a file named {name!r}, which would be written outside the target; nothing "
            f"of this archive was unpacked: it is not the official one, download it again"
        )
    return "/".join(parts)


def inside(root: str, target: str, archive: str) -> str:
    """The path of `target` under `root`; DatasetError where links in the root lead out of it."""
    path = os.path.join(root, *target.split("/"))
    top = os.path.realpath(root)
    if os.path.commonpath([top, os.path.realpath(path)]) != top:
        raise DatasetError(
            f"{path}: leads out of {root} through a link; {archive} is not unpacked through links: "
            f"remove the link or choose another root"
        )
    return path


def _plan(
    workspace: Workspace,
    archive: str,
    routes: Sequence[Route],
    entries: Iterator[Tuple[str, int, bool]],
) -> Tuple[List[Member], int]:
    """The members to unpack, from (name, size, is a regular file), and how many are left out."""
    members: Dict[str, Member] = {}
    left_out = 0
    place = os.path.abspath(archive)
    for name, size, regular in entries:
        plain = safe_name(name, archive)
        target = None
        if regular and "__MACOSX" not in plain and not os.path.basename(plain).startswith("._"):
            target = next(filter(None, (route.apply(place, plain) for route in routes)), None)
        if target is None:
            left_out += 1
            continue
        # Routes are ours, but what their groups matched is not.
        inside(workspace.root, safe_name(target, archive), archive)
        members[target] = Member(name, target, size)
    needed = sum(m.size for m in members.values() if not _is_there(workspace, m))
    free = shutil.disk_usage(workspace.root).free
    if needed > free:
        raise DatasetError(
            f"{workspace.root}: {archive} needs {needed / 1e9:.1f} GB and the disk has {free / 1e9:.1f} GB "
            f"free; make room or choose another root"
        )
    return list(members.values()), left_out


def _is_there(workspace: Workspace, member: Member) -> bool:
    try:
        return os.path.getsize(workspace.path(*member.target.split("/"))) == member.size
    except OSError:
        return False


def _unpack_zip(workspace: Workspace, archive: str, routes: Sequence[Route]) -> int:
    with zipfile.ZipFile(archive) as opened:
        entries = (
            (info.filename, info.file_size, not info.is_dir() and _regular_in_zip(info))
            for info in opened.infolist()
        )
        members, left_out = _plan(workspace, archive, routes, entries)
    waiting = [member for member in members if not _is_there(workspace, member)]
    bar = progress_bar(len(waiting), os.path.basename(archive))
    if workspace.workers == 1 or len(waiting) < _MEMBERS_PER_TASK:
        _extract_from_zip(workspace, archive, waiting, bar.update)
    else:
        groups = [waiting[i : i + _MEMBERS_PER_TASK] for i in range(0, len(waiting), _MEMBERS_PER_TASK)]
        with process_pool(workspace.workers) as pool:
            jobs = [pool.submit(_extract_from_zip, workspace._portable(), archive, group) for group in groups]
            try:
                for job, group in zip(jobs, groups):
                    job.result()
                    bar.update(len(group))
            finally:
                for job in jobs:
                    job.cancel()
    bar.close()
    _report(workspace, archive, members, waiting, left_out)
    return len(members)


def _extract_from_zip(
    workspace: Workspace,
    archive: str,
    members: Sequence[Member],
    tick: Callable[[], object] = lambda: None,
) -> None:
    # Errors are worded here, for a worker's own kinds may not survive the way to the parent.
    try:
        with zipfile.ZipFile(archive) as opened:
            for member in members:
                with opened.open(member.name) as source:
                    _write(workspace, archive, member, source)
                tick()
    except DatasetError:
        raise
    except _DAMAGED as error:
        raise _damaged(archive, error) from error


def _regular_in_zip(info: zipfile.ZipInfo) -> bool:
    mode = info.external_attr >> 16
    # Zips made on Windows carry no mode.
    return stat.S_IFMT(mode) in (0, stat.S_IFREG)


def _unpack_tar(workspace: Workspace, archive: str, routes: Sequence[Route]) -> int:
    # Two passes: the first sees that every name is harmless before the second writes anything.
    with tarfile.open(archive) as opened:
        entries = ((info.name, info.size, info.isreg()) for info in opened)
        members, left_out = _plan(workspace, archive, routes, entries)
        if archive.lower().endswith(".tar"):
            # Compressed ones have a checksum at the end; this one only its block of zeros.
            opened.fileobj.seek(opened.offset)
            if len(opened.fileobj.read(tarfile.BLOCKSIZE)) < tarfile.BLOCKSIZE:
                raise tarfile.ReadError("it ends without the end marker of a tar")
        while opened.fileobj.read(_BLOCK):
            pass  # to the checksum of a compressed one
    wanted = {m.name: m for m in members if not _is_there(workspace, m)}
    count = len(wanted)
    bar = progress_bar(count, os.path.basename(archive))
    if wanted:
        with tarfile.open(archive) as opened:
            for info in opened:
                member = wanted.pop(info.name, None) if info.isreg() else None
                if member is None:
                    continue
                source = opened.extractfile(info)
                with source:
                    _write(workspace, archive, member, source)
                bar.update()
    bar.close()
    _report(workspace, archive, members, [None] * count, left_out)
    return len(members)


def _write(workspace: Workspace, archive: str, member: Member, source: IO[bytes]) -> None:
    path = inside(workspace.root, member.target, archive)
    temporary = workspace.temporary()
    written = 0
    with open(temporary, "wb") as out:
        while True:
            block = source.read(_BLOCK)
            if not block:
                break
            written += len(block)
            if written > member.size:
                break
            out.write(block)
    if written != member.size:
        os.unlink(temporary)
        raise DatasetError(
            f"{archive}: {member.name!r} should have {member.size} bytes and has "
            f"{'more' if written > member.size else written}; download the archive again"
        )
    workspace.move(temporary, path)


def _report(workspace, archive, members, written, left_out) -> None:
    parts = [f"{len(written)} files unpacked"]
    if len(members) > len(written):
        parts.append(f"{len(members) - len(written)} were there")
    if left_out:
        parts.append(f"{left_out} entries not needed")
    workspace.log(f"{os.path.basename(archive)}: {', '.join(parts)}")


def _damaged(archive: str, error: Exception) -> DatasetError:
    if isinstance(error, OSError) and not isinstance(error, (EOFError, tarfile.TarError)):
        if error.errno == 28:
            return DatasetError(f"{archive}: the disk is full; make room and run the command again")
        if error.filename is not None:
            return DatasetError(f"{error.filename}: {error.strerror or error}")
    reason = str(error) or type(error).__name__
    if "password" in reason or "encrypted" in reason:
        return DatasetError(f"{archive}: archive is encrypted; unpack it with its password first")
    return DatasetError(
        f"{archive}: archive is truncated or damaged ({reason}); download it again. What was unpacked "
        f"from it so far is whole and stays"
    )


def _fingerprint(routes: Sequence[Route]) -> int:
    """Changes when the routes do, so that a newer version unpacks again."""
    return zlib.crc32(repr(list(routes)).encode())
