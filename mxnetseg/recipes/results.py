"""RESULTS.md: every published score, its recipe, and what came out where that recipe was run here."""

from __future__ import annotations

from typing import Dict, List, Optional

from mxnetseg.recipes.ledger import Entry, entries, ran
from mxnetseg.recipes.rows import SOURCES, Row, Table, find_row, table

HEAD = """\
# Results

Written by `python -m mxnetseg.recipes results`; a test holds it up to date.

What others published, and what was run here. Scores are mIoU in percent; `ms` is with several scales and
flip, by each publisher's protocol. A row's recipe is `configs/<model>/<source>/<row>.yaml`, started by

```
python train.py --recipe ROW --ctx 0 1 2 3
```

and `python -m mxnetseg.recipes diff ROW` prints what differs from the published run. A dash is a number that
its publisher does not state. **No row was trained here unless its last column says so**: the networks are
held to the published ones by their parameter counts and by outputs for given weights, not by scores.
"""


def text() -> str:
    """The whole page."""
    rows = sum(len(table(source).rows) for source in SOURCES)
    scored = sum(_scored(row) for source in SOURCES for row in table(source).rows)
    tried = sum(bool(ran(row.name)) for source in SOURCES for row in table(source).rows)
    parts = [
        HEAD,
        f"\n{rows} published rows have a recipe, {scored} of them with a score; {tried} were trained here.\n",
        _runs(),
        *(_table(table(source)) for source in SOURCES),
        _absent(),
    ]
    return "".join(parts)


def _scored(row: Row) -> bool:
    return any((row.miou, row.miou_ms, row.other))


def _runs() -> str:
    lines = [
        "\n## Trained here\n\n",
        "| recipe | network and data | mIoU | published | on what | how long | remarks |\n",
        "|---|---|---:|---:|---|---|---|\n",
    ]
    for entry in entries():
        row = find_row(entry.recipe)
        published = _number(row.miou) if row else "-"
        remark = "; ".join(part for part in (entry.remark, entry.protocol, entry.date) if part)
        name = f"`{entry.recipe}`"
        cells = [name, entry.what, f"{entry.miou:g}", published, entry.machine, entry.length, remark]
        lines.append(f"| {' | '.join(cells)} |\n")
    return "".join(lines)


def _table(one: Table) -> str:
    lines = [f"\n## {one.title}\n\n<{one.link}>\n"]
    groups: Dict[str, List[Row]] = {}
    for row in one.rows:
        groups.setdefault(row.model["name"], []).append(row)
    for model, rows in groups.items():
        lines.append(f"\n### {model}\n\n| row | data | mIoU | ms | trained here |\n|---|---|---:|---:|---|\n")
        for row in rows:
            data = row.data if row.on == "val" else f"{row.data} {row.on}"
            cells = [
                f"`{row.name}`",
                data,
                row.other or _number(row.miou),
                _number(row.miou_ms),
                _ran(ran(row.name)),
            ]
            lines.append(f"| {' | '.join(cells)} |\n")
    return "".join(lines)


def _absent() -> str:
    lines = ["\n## Published rows without a recipe\n\n| row | data | mIoU | why |\n|---|---|---:|---|\n"]
    for source in SOURCES:
        for name, facts in table(source).absent.items():
            lines.append(f"| `{name}` | {facts['data']} | {_number(facts.get('miou'))} | {facts['why']} |\n")
    return "".join(lines)


def _number(value: Optional[float]) -> str:
    return "-" if value is None else f"{value:g}"


def _ran(runs: List[Entry]) -> str:
    return "; ".join(f"{run.miou:g}, {run.machine}, {run.length}" for run in runs) or "no"
