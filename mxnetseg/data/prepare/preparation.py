"""How a data set is prepared: what to download, where the members of archives go, what is computed."""

from __future__ import annotations

from typing import Callable, NamedTuple, Optional, Tuple

from mxnetseg.data.prepare.archives import Route
from mxnetseg.data.prepare.tiles import Tiling
from mxnetseg.data.prepare.workspace import Workspace

# Any folders before what a route names.
_TOP = r"(?:.*/)?"


class Preparation(NamedTuple):
    """How one data set is prepared.

    archives  what to download, in words, as the publisher names the files.
    routes    where the members of the archives go; what none names is left out.
    convert   what is computed afterwards; None: nothing.
    tiling    how large pictures are cut, as published; None: they are not.
    nested    archives lie in folders that say which part they are.
    """

    archives: str
    routes: Tuple[Route, ...]
    convert: Optional[Callable[[Workspace], None]] = None
    tiling: Optional[Tiling] = None
    nested: bool = False


def route(member: str, target: str = r"\1", archive: str = "") -> Route:
    """A route for members in any folder."""
    return Route(_TOP + member, target, archive)
