"""Errors meant for the person who typed the command.

The text of each is one line: what is wrong, where, what to do. The commands print it after
`error:` and exit with status 2; a traceback reaching a user is a bug.
"""

from __future__ import annotations

import difflib
from typing import Any, Iterable, List

_WORD = 4096  # characters shown of one word: as long as a path may be


class MxnetsegError(Exception):
    """Base of everything a user's input can cause."""

    def __init__(self, message: Any):
        words = (word if len(word) <= _WORD else word[:_WORD] + "..." for word in str(message).split())
        super().__init__(" ".join(words))


class ConfigError(MxnetsegError):
    """A recipe or an option: unknown key, wrong type, value out of its limits."""


class RegistryError(ConfigError):
    """A name that no model, backbone, data set or loss has."""


class DatasetError(MxnetsegError):
    """A file or folder of a data set that is missing, damaged or not what it should be."""


class CheckpointError(MxnetsegError):
    """A weights file that is missing, damaged, or of another network."""


class DeviceError(MxnetsegError):
    """A device that was asked for and is not there, or cannot run MXNet."""


class EngineError(MxnetsegError):
    """An engine that is not installed, or cannot do what is asked of it."""


class ExportError(MxnetsegError):
    """A network that cannot be exported, or an exported file that is damaged or of another program."""


def nearest(name: Any, known: Iterable[str]) -> List[str]:
    """The up to three `known` names closest to `name`, best first: what an error message offers instead."""
    lowered = {k.lower(): k for k in known}
    found = difflib.get_close_matches(str(name).lower(), lowered, n=3, cutoff=0.4)
    return [lowered[f] for f in found]
