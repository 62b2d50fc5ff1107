"""What every command shares: one line and status 2 for what a user did wrong, and common arguments."""

from __future__ import annotations

import os
import sys

from mxnetseg.errors import MxnetsegError

EXIT_USER_ERROR = 2


def run(command, argv=None):
    """Call `command(argv)` and end the process with its status unless that is 0 (or None).

    MxnetsegError becomes `error: <line>` on stderr and status 2; Ctrl-C status 130; a reader that closed
    the pipe (`| head`) status 141. Anything else is a bug and keeps its traceback.
    """
    try:
        status = command(argv)
    except MxnetsegError as error:
        print(f"error: {error}", file=sys.stderr)
        status = EXIT_USER_ERROR
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        status = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 141
    if status:
        sys.exit(status)
    return 0


def add_context_argument(parser):
    """`--ctx`, read by `mxnetseg.compute.devices.contexts`."""
    parser.add_argument(
        "--ctx",
        nargs="+",
        metavar="DEV",
        help="GPU numbers (0 1 2 3), or cpu; `cpu cpu` computes on two CPU contexts, which synchronized norm "
        "trains as one. "
        "Default: every GPU there is, else the CPU",
    )


def add_set_argument(parser):
    """`--set key=value`, for any field of the recipe."""
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        dest="settings",
        help="any field of the recipe, for example --set optimizer.lr=0.02 augment.crop='[256, 512]'",
    )
