"""What published files hold: names, shapes and order of their tensors, without values.

`layouts.txt.gz` beside this file lists them for every reference; `python -m tests.goldens.write_layouts`
makes it from reference data. Batch counters are left out, as PyTorch supplies them.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Dict, Iterable, Optional, Tuple

from mxnetseg.errors import CheckpointError

FILE = Path(__file__).with_name("layouts.txt.gz")


@dataclass(frozen=True)
class Layout:
    """`shapes`: name -> shape in the order of a file of `nclass` classes. `aliases`: name -> another of these
    names, whose tensor it is too."""

    shapes: Dict[str, Tuple[int, ...]]
    aliases: Dict[str, str]
    nclass: int


def layout(reference_id: str) -> Layout:
    """The layout of a reference; CheckpointError where it is not known."""
    try:
        return _all()[reference_id]
    except KeyError:
        raise CheckpointError(
            f"the names of all tensors of reference {reference_id!r} are not known: it can be imported only"
        ) from None


def known() -> Iterable[str]:
    """Ids of references whose layout is known."""
    return _all().keys()


def nearest(shapes: Dict[str, Tuple[int, ...]]) -> Optional[str]:
    """The reference whose tensors are most like these, names and shapes but for the number of classes; None
    where none shares nine tenths with them."""
    mine = {(name, tuple(shape[1:])) for name, shape in shapes.items()}
    best, share = None, 0.9
    for name, one in _all().items():
        theirs = {(tensor, shape[1:]) for tensor, shape in one.shapes.items()}
        alike = len(mine & theirs) / max(len(mine | theirs), 1)
        if alike >= share:
            best, share = name, alike
    return best


def write(layouts: Dict[str, Layout], path: Path = FILE) -> None:
    """Replace the file."""
    lines = []
    for name, one in sorted(layouts.items()):
        lines.append(f"# {name} {one.nclass}")
        lines += [f"{tensor} {' '.join(map(str, shape))}".rstrip() for tensor, shape in one.shapes.items()]
        lines += [f"{tensor} = {other}" for tensor, other in one.aliases.items()]
    with open(path, "wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write("\n".join([*lines, ""]).encode())


@cache
def _all() -> Dict[str, Layout]:
    found: Dict[str, Layout] = {}
    with gzip.open(FILE, "rt", encoding="utf-8") as file:
        for line in file:
            first, *rest = line.split()
            if first == "#":
                current = found[rest[0]] = Layout({}, {}, int(rest[1]))
            elif rest[:1] == ["="]:
                current.aliases[first] = rest[1]
            else:
                current.shapes[first] = tuple(map(int, rest))
    return found
