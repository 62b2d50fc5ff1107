"""What every command does alike: parsing, and one line with status 2 for what a user did wrong.

Standard library only, so that `mxnetseg.doctor` runs where nothing is installed.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import threading
from typing import Any, Callable, List, Mapping, Optional

from mxnetseg.errors import ConfigError, MxnetsegError

EXIT_USER_ERROR = 2
# Messages of other rooms speak of recipe fields and plain things; where they advise the reader about one, the
# command puts its own flag behind it.
_ADVICE = (
    r"(\b(?:give|name|set|change|choose|take|use|store|let|with|by|or|and|put)\s+"
    r"(?:(?:the|its|an?|another|more|other|one|it|import in it|folder of)\s+)*)"
)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, like all others. `prog` is how the command is documented; where
    it was installed as a program it is that program's name."""

    def __init__(self, prog: str, **keywords: Any):
        started = os.path.basename(sys.argv[0])
        if started.startswith("mxnetseg-") and not prog.startswith(started):
            prog = started
        keywords.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(prog=prog, **keywords)

    def error(self, message: str) -> None:
        raise ConfigError(f"{message} (--help lists the options)")


def run(
    command: Callable[[Optional[List[str]]], Optional[int]],
    argv: Optional[List[str]] = None,
    flags: Optional[Mapping[str, str]] = None,
) -> int:
    """Call `command(argv)`; end the process with its status unless that is 0 (or None).

    MxnetsegError becomes `error: <line>` on stderr and status 2, and so does a path that the system refuses
    (a name too long, a folder that may not be entered) and memory that is not there; Ctrl-C status 130; a
    reader that closed the pipe (`| head`) status 141. Anything else is a bug and keeps its traceback.
    `flags`: words of messages, such as recipe fields -> the flag of this command that stands for them.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if in_main_thread and signal.getsignal(signal.SIGINT) == signal.SIG_DFL:
        # The program is imported (see train.py); from here on there may be files to tidy up.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        status = command(argv)
    except MxnetsegError as error:
        print(f"error: {with_flags(str(error), flags or {})}", file=sys.stderr)
        status = EXIT_USER_ERROR
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        status = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 141
    except MemoryError as error:
        print(f"error: not enough memory: {' '.join(str(error).split()) or 'for this'}", file=sys.stderr)
        status = EXIT_USER_ERROR
    except OSError as error:
        if error.filename is None:
            raise
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        status = EXIT_USER_ERROR
    if status:
        sys.exit(status)
    return 0


def with_flags(message: str, flags: Mapping[str, str]) -> str:
    """The message with the command's flag behind each field that it advises about."""
    for words, flag in flags.items():
        message = re.sub(rf"{_ADVICE}({re.escape(words)})(?![\w.=])", rf"\1\2 ({flag})", message, count=1)
    return message
