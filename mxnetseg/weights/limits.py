"""What a weights file may state about itself. Every reader asks here before it allocates anything, so that a
small file cannot take the machine's memory or reach NumPy with a shape that NumPy does not check.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Sequence, Union

DIMENSIONS = 32  # NumPy's own limit, which `as_strided` does not check before it copies them
TENSORS = 1 << 20
_TIMES, _BESIDE, _MOST = 8, 256 << 20, 16 << 30


class Allowance:
    """Bytes that reading one file may take: 8 times its size and 256 MiB beside, 16 GiB at most.

    Half precision doubles, an archive may be compressed, tensors may be views that repeat a value: all of it
    is paid from here.
    """

    def __init__(self, file_size: int) -> None:
        self.left = min(_TIMES * file_size + _BESIDE, _MOST)

    @classmethod
    def of(cls, path: Union[str, Path]) -> Allowance:
        """That of the file at `path`."""
        return cls(os.path.getsize(path))

    def take(self, count: int, what: str) -> None:
        """Pay `count` bytes for `what`; ValueError where they are not left."""
        if count > self.left:
            raise ValueError(
                f"{what} would take {count / 2**20:.0f} MB of memory, which is out of proportion to the file"
            )
        self.left -= count


def elements(shape: Sequence[int]) -> int:
    """Number of values of a shape as a file states it; ValueError for one that no tensor can have."""
    if len(shape) > DIMENSIONS:
        raise ValueError(f"a tensor has {len(shape)} dimensions; {DIMENSIONS} are the most")
    if not all(isinstance(n, int) and 0 <= n < 1 << 48 for n in shape):
        raise ValueError("a tensor has an impossible shape")
    # An empty tensor's other dimensions count too: NumPy refuses them where their product overflows.
    if math.prod(n for n in shape if n) >= 1 << 48:
        raise ValueError("a tensor has an impossible shape")
    return math.prod(shape)
