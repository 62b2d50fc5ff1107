"""Opening files whose names come out of folders, lists and command lines."""

from __future__ import annotations

import errno
import os
import stat


def only_files(path: str, flags: int) -> int:
    """For `open(path, opener=only_files)`: OSError for a pipe, which would be waited for, and for a device,
    which may never end."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    raise OSError(errno.EINVAL, "is a pipe or a device, not a file", path)
