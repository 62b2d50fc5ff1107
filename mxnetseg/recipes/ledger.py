"""What was run here: `tables/runs.yaml`, one entry a run, written from the run's own files.

The table is evidence: `record` takes numbers from what training wrote; people give machine and remark.
"""

from __future__ import annotations

import datetime
import functools
from pathlib import Path
from typing import Any, Dict, List, NamedTuple

import yaml

from mxnetseg.errors import CheckpointError
from mxnetseg.recipe import load_recipe
from mxnetseg.recipes.rows import TABLES
from mxnetseg.report.tracking import read_metrics
from mxnetseg.run_files import METRICS, RECIPE, read_meta

FILE = TABLES / "runs.yaml"


class Entry(NamedTuple):
    """A run: the row or file of its recipe, what it trained, where, how long, and the best validation mIoU in
    percent."""

    recipe: str
    what: str
    machine: str
    length: str
    miou: float
    protocol: str
    date: str = ""
    remark: str = ""


@functools.cache
def entries() -> List[Entry]:
    """Every run that was recorded."""
    with open(FILE, encoding="utf-8") as file:
        return [Entry(**one) for one in yaml.safe_load(file) or []]


def ran(name: str) -> List[Entry]:
    """The runs of a row's recipe."""
    return [entry for entry in entries() if entry.recipe == name]


def entry_of(folder: Path, recipe: str, machine: str, remark: str = "") -> Entry:
    """The entry of a finished run. CheckpointError for a folder that is no finished, validated run."""
    state, metrics = read_meta(folder), folder / METRICS
    if not state or not state.get("finished") or not metrics.is_file():
        raise CheckpointError(f"{folder}: no finished run is in this folder")
    records = read_metrics(str(metrics))
    scored = [one for one in records if one["kind"] == "val" and one.get("miou") is not None]
    if not scored:
        raise CheckpointError(f"{folder}: the run was never validated, so it has no score")
    best = max(scored, key=lambda one: one["miou"])
    group = load_recipe(folder / RECIPE)
    minutes = (records[-1]["time"] - records[0]["time"]) / 60
    date = datetime.datetime.fromtimestamp(records[-1]["time"], datetime.timezone.utc)
    return Entry(
        recipe=recipe,
        what=f"{group.model.name} {group.model.backbone or ''}".strip() + f" on {group.data.name}",
        machine=machine,
        date=date.strftime("%Y-%m-%d"),
        length=f"{records[-1]['iteration']} iterations in {minutes:.0f} minutes",
        miou=round(100 * best["miou"], 2),
        protocol=best["protocol"],
        remark=remark,
    )


def record(entry: Entry) -> None:
    """Add a run to the table."""
    text = FILE.read_text(encoding="utf-8")
    stated: Dict[str, Any] = {key: value for key, value in entry._asdict().items() if value != ""}
    added = yaml.safe_dump([stated], sort_keys=False, allow_unicode=True, width=110)
    FILE.write_text(text + added, encoding="utf-8")
    entries.cache_clear()
