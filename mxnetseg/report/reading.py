"""What the files of a run or of an evaluation say: records of training and validation, scores."""

from __future__ import annotations

import json
import os
from typing import Any, Dict, List, Optional

from mxnetseg.errors import MxnetsegError
from mxnetseg.report.tracking import read_metrics
from mxnetseg.run_files import METRICS

SCORES = "scores.json"

Record = Dict[str, Any]


def records_of(folder) -> List[Record]:
    """The lines of `metrics.jsonl`; [] where there is none."""
    path = os.path.join(folder, METRICS)
    return read_metrics(path) if os.path.exists(path) else []


def json_of(folder, name: str) -> Optional[Record]:
    """A JSON file of the folder; None where there is none. MxnetsegError where it is damaged."""
    text = text_of(folder, name)
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        raise MxnetsegError(f"{os.path.join(folder, name)}: not JSON: {error}") from error


def text_of(folder, name: str) -> Optional[str]:
    """A text file of the folder; None where it cannot be read."""
    try:
        with open(os.path.join(folder, name), encoding="utf-8") as handle:
            return handle.read()
    except OSError:
        return None


def validations_of(records: List[Record]) -> List[Record]:
    """The records of validations that have a score."""
    return [r for r in records if r.get("kind") == "val" and r.get("miou") is not None]


def best_validation(records: List[Record]) -> Optional[Record]:
    """The one of the highest mIoU, the first of equal ones."""
    return max(validations_of(records), key=lambda r: r["miou"], default=None)


def training_rate(records: List[Record]) -> Optional[float]:
    """Images per second, the median."""
    rates = [
        r["images_per_second"] for r in records if r.get("kind") == "train" and r.get("images_per_second")
    ]
    return sorted(rates)[len(rates) // 2] if rates else None


def last(records: List[Record], key: str) -> Any:
    """The newest value of a key, None where no record has one."""
    return next((r[key] for r in reversed(records) if r.get(key) is not None), None)


def working_time(records: List[Record]) -> float:
    """Seconds between first and last line without the pauses before a resumed run went on."""
    times = [r["time"] for r in records if "time" in r]
    gaps = [b - a for a, b in zip(times, times[1:]) if b > a]
    if not gaps:
        return 0.0
    usual = sorted(gaps)[len(gaps) // 2]
    validation = max((r.get("seconds") or 0 for r in records), default=0)
    return sum(gap for gap in gaps if gap <= max(20 * usual, 2 * validation, 600))
