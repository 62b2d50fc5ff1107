"""`python -m mxnetseg.compare RUN RUN ...`: runs side by side, without a network or a dashboard."""

from __future__ import annotations

from typing import List, Optional

from mxnetseg.cli.common import Parser, run
from mxnetseg.report.compare import as_text, read_runs, write_comparison


def parser() -> Parser:
    """Arguments of `python -m mxnetseg.compare`."""
    p = Parser(
        "python -m mxnetseg.compare",
        description="Runs side by side: scores, where the recipes differ, IoU by class, speed and cost. "
        "The best of a row is marked with *.",
    )
    p.add_argument("runs", nargs="+", metavar="RUN", help="folder of a run or of an evaluation, two or more")
    p.add_argument("--html", metavar="FILE", help="write them with their curves into this page as well")
    return p


def main(argv: Optional[List[str]] = None) -> int:
    """Entry point; exits with status 2 and one line on bad input."""
    return run(_compare, argv)


def _compare(argv: Optional[List[str]]) -> None:
    options = parser().parse_args(argv)
    runs = read_runs(options.runs)
    print("\n".join(as_text(runs)))
    if options.html:
        write_comparison(runs, options.html)
        print(f"\npage: {options.html}")
