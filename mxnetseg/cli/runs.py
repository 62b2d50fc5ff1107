"""`python -m mxnetseg.runs list`: the runs there are, how far they got and how good they are."""

from __future__ import annotations

from typing import List, Optional

from mxnetseg.cli.common import Parser, run
from mxnetseg.errors import CheckpointError
from mxnetseg.runs import FOLDER, Run, list_runs


def parser() -> Parser:
    """Arguments of `python -m mxnetseg.runs`."""
    p = Parser("python -m mxnetseg.runs", description="What training has written.")
    commands = p.add_subparsers(dest="command", required=True, metavar="list")
    one = commands.add_parser("list", help="the runs below a folder: progress, best mIoU, folder")
    one.add_argument("folder", nargs="?", default=str(FOLDER), help=f"default: {FOLDER}")
    return p


def main(argv: Optional[List[str]] = None) -> int:
    """Entry point; exits with status 2 and one line on bad input."""
    return run(_runs, argv)


def _runs(argv: Optional[List[str]]) -> None:
    options = parser().parse_args(argv)
    runs = list_runs(options.folder)
    if not runs:
        raise CheckpointError(f"{options.folder}: no run is in this folder or below it")
    for one in runs:
        print(
            f"{_progress(one):<22} {_score(one):>8}  {one.folder}"
            + (f": {one.problem}" if one.problem else "")
        )


def _progress(one: Run) -> str:
    if one.problem:
        return "cannot be read"
    if one.state is None:
        return "weights only"
    how_far = f"{one.state.get('iteration')}/{one.state.get('total')}"
    return f"finished {how_far}" if one.state.get("finished") else f"unfinished {how_far}"


def _score(one: Run) -> str:
    return "" if one.best is None else f"{100 * one.best:.2f} %"
