"""`python -m mxnetseg.doctor`: exit status 0 when training on some device works, 2 otherwise."""

from __future__ import annotations

import json
from typing import List, Optional

from mxnetseg.cli.parsing import EXIT_USER_ERROR, Parser, run
from mxnetseg.doctor.sections import examine


def parser() -> Parser:
    """Arguments of `python -m mxnetseg.doctor`."""
    p = Parser(
        "python -m mxnetseg.doctor",
        description="Print versions, devices, what is missing and why. Exit status 0 when training "
        "works on some device, else 2.",
    )
    p.add_argument("--json", action="store_true", help="print the report as one JSON object")
    return p


def main(argv: Optional[List[str]] = None) -> int:
    """Print the report and exit: 0 when training works on some device, else 2."""
    return run(_doctor, argv)


def _doctor(argv: Optional[List[str]]) -> int:
    options = parser().parse_args(argv)
    report = examine()
    devices = report.data["training_devices"]
    if options.json:
        text = json.dumps(report.data, indent=2)
    elif devices:
        text = f"{report.text()}\nTraining works on: {', '.join(devices)}."
    else:
        text = f"{report.text()}\nTraining does not work here yet; the lines marked !! say why."
    print(text, flush=True)
    return 0 if devices else EXIT_USER_ERROR
