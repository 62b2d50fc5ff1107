"""What was published, row by row: the tables in `tables/`, in the terms of their publishers.

A table has groups of rows that share a network and its training; `every` holds what all rows of a group
state alike. Nothing here knows what a recipe is; `translate` does.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional

import yaml

from mxnetseg.errors import ConfigError, nearest

TABLES = Path(__file__).with_name("tables")
# Publisher -> its table, in the order that lists have.
SOURCES = ("mmseg", "mmsfnet", "sfsegnets", "mxnetseg", "ace")
_NETWORK = ("backbone", "output_stride", "aux", "options", "backbone_options")
_SCORES = ("miou", "miou_ms", "on", "other", "parameters", "idle", "note", "data")


@dataclass(frozen=True)
class Row:
    """A row of a published table.

    `model`: the network in the recipe's terms (name, form and what differs from the form). `data`: data set,
    as registered here. `facts`: training and test settings in the publisher's own terms. `miou`, `miou_ms`:
    percent, with one scale, and with several and flip, on the part `on` of the data; None if not published.
    `other`: published scores in words that are not mIoU.
    `parameters`: trainable ones, auxiliary heads included; `idle`: those of them that no output depends on.
    """

    name: str
    source: str
    group: str
    reference: Optional[str]
    model: Dict[str, Any]
    data: str
    facts: Dict[str, Any]
    miou: Optional[float] = None
    miou_ms: Optional[float] = None
    on: str = "val"
    other: Optional[str] = None
    parameters: Optional[int] = None
    idle: int = 0
    note: Optional[str] = None


@dataclass(frozen=True)
class Table:
    """All that one publisher states: its rows, and {name: facts} of rows that nothing here builds."""

    source: str
    title: str
    link: str
    rows: List[Row]
    absent: Dict[str, Dict[str, Any]] = field(default_factory=dict)


@functools.cache
def table(source: str) -> Table:
    """The table of a publisher; ConfigError with the nearest names for one that there is not."""
    if source not in SOURCES:
        close = nearest(source, SOURCES) or SOURCES
        raise ConfigError(f"no published table is named {source!r}; there are {', '.join(close)}")
    with open(TABLES / f"{source}.yaml", encoding="utf-8") as file:
        stated = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    rows = []
    for group in stated["groups"]:
        for name, facts in group["rows"].items():
            rows.append(_row(name, source, group, {**group.get("every", {}), **(facts or {})}))
    return Table(source, stated["source"], stated["link"], rows, stated.get("absent", {}))


def all_rows() -> List[Row]:
    """Every row of every table."""
    return [row for source in SOURCES for row in table(source).rows]


@functools.cache
def _by_name() -> Dict[str, Row]:
    return {row.name: row for row in all_rows()}


def find_row(name: str) -> Optional[Row]:
    """The row of that name; None where there is none."""
    return _by_name().get(name)


def _row(name: str, source: str, group: Dict[str, Any], facts: Dict[str, Any]) -> Row:
    facts = dict(facts)
    model = {**group["model"], **{key: facts.pop(key) for key in _NETWORK if key in facts}}
    stated = {key: facts.pop(key) for key in _SCORES if key in facts}
    reference = facts.pop("reference", group.get("reference"))
    return Row(name, source, group["group"], reference, model, facts=facts, **stated)
