"""What an evaluation leaves: lines for people, scores in JSON, a report page."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Optional

from mxnetseg.metrics import format_summary, format_table
from mxnetseg.report.page import write_report
from mxnetseg.report.reading import SCORES
from mxnetseg.report.tracking import write_json


def title_of(result: Dict[str, Any]) -> str:
    """Network, data and score in one line. `result`: of `mxnetseg.predict.evaluation.run`, with `model`,
    `backbone` and `checkpoint`."""
    title = f"{result['model']} {result['backbone']} on {result['dataset']} {result['split']}".rstrip()
    return title if result.get("miou") is None else f"{title}: mIoU {100 * result['miou']:.2f} %"


def lines_of(result: Dict[str, Any], scored: bool) -> List[str]:
    """The result as text: what was evaluated, the table of classes where it was scored, protocol, speed."""
    lines = [
        f"{result['model']} {result['backbone']} from {result['checkpoint']}",
        f"{result['dataset']} {result['split']}: {result['images']} images".replace("  ", " "),
    ]
    if scored:
        lines += ["", format_table(result, result["classes"]), "", format_summary(result)]
        for part in result.get("parts", ()):
            of = f"{part['dataset']} {part['split']}, {part['images']} images"
            lines.append(f"  {of}: {format_summary(part)}")
    if result.get("trained_on"):
        seen = " and ".join(result["trained_on"])
        lines.append(f"note: this network was trained on {seen}: the score says nothing of other pictures")
    lines.append(f"protocol: {result['protocol']}")
    lines.append(f"speed: {result['images_per_second']:.2f} images/s ({result['seconds']:.1f} s)")
    return lines


def write_outcome(
    result: Dict[str, Any], folder: Optional[str], scored: bool, json: Optional[str] = None
) -> List[str]:
    """Write the numbers to the file `json` and into `folder`, there with a report where it was scored.
    Returns the paths written."""
    written = []
    if json:
        write_json(json, result)
        written.append(json)
    if folder:
        path = os.path.join(folder, SCORES)
        write_json(path, result)
        written.append(path)
        if scored:
            written.append(write_report(folder))
    return written
