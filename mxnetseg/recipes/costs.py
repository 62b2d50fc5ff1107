"""What the networks of published rows cost: multiply-adds of one crop, counted once and kept in a table."""

from __future__ import annotations

import functools
import json
from typing import Any, Callable, Dict, List, NamedTuple, Tuple

import yaml

from mxnetseg.recipes.rows import TABLES, Row, all_rows
from mxnetseg.recipes.translate import published

FILE = TABLES / "costs.yaml"
HEAD = (
    "# Multiply-adds (10^9) of one crop through the network of each published row, without auxiliary heads,\n"
    "# counted operator by operator: [count, height, width]. Written by `python -m mxnetseg.recipes count`.\n"
)


class Cost(NamedTuple):
    """10^9 multiply-adds of one crop of `height` x `width` pixels."""

    multiply_adds: float
    height: int
    width: int


@functools.cache
def costs() -> Dict[str, Cost]:
    """{row: cost} as the table has it; rows that were not counted are absent."""
    if not FILE.is_file():
        return {}
    with open(FILE, encoding="utf-8") as file:
        return {name: Cost(*counted) for name, counted in (yaml.safe_load(file) or {}).items()}


def network_of(row: Row) -> Dict[str, Any]:
    """`create_model` keywords of a row's network, `name` and `nclass` among them; needs no MXNet."""
    from mxnetseg.data import DATASETS

    group = dict(row.model)
    data = DATASETS.get("cityscapes" if row.data == "concat" else row.data)
    return {"nclass": len(data.classes), **group.pop("options", {}), **group}


def by_network(rows: List[Row]) -> Dict[str, List[Row]]:
    """Rows with one network at one crop together."""
    groups: Dict[str, List[Row]] = {}
    for row in rows:
        key = json.dumps([network_of(row), _crop(row)], sort_keys=True)
        groups.setdefault(key, []).append(row)
    return groups


def count(row: Row) -> Cost:
    """The cost of a row's network, counted in its traced graph."""
    from mxnetseg.complexity import complexity
    from mxnetseg.models import create_model

    height, width = _crop(row)
    found = complexity(create_model(init=False, **network_of(row)), (height, width))
    return Cost(float(f"{found.total / 1e9:.4g}"), height, width)


def write(log: Callable[[str], None]) -> int:
    """Count every network and write the table; the number of rows."""
    counted: Dict[str, Cost] = {}
    for rows in by_network(all_rows()).values():
        cost = count(rows[0])
        log(f"{rows[0].name}: {cost.multiply_adds:g}")
        counted.update({row.name: cost for row in rows})
    lines = [f"{row.name}: [{', '.join(f'{v:g}' for v in counted[row.name])}]\n" for row in all_rows()]
    FILE.write_text(HEAD + "".join(lines), encoding="utf-8")
    costs.cache_clear()
    return len(counted)


def _crop(row: Row) -> Tuple[int, int]:
    crop = published(row)[0]["augment"]["crop"]
    return (crop, crop) if isinstance(crop, int) else tuple(crop)
