"""From a published row to the values of a recipe: one module for each publisher."""

from __future__ import annotations

import copy
from types import ModuleType
from typing import Any, Dict, List, Tuple

from mxnetseg.recipes import ace, mmseg, mmsfnet, mxnetseg, sfsegnets
from mxnetseg.recipes.rows import Row

Values = Dict[str, Any]
_PUBLISHERS: Dict[str, ModuleType] = {
    "ace": ace,
    "mmseg": mmseg,
    "mmsfnet": mmsfnet,
    "mxnetseg": mxnetseg,
    "sfsegnets": sfsegnets,
}


def published(row: Row) -> Tuple[Values, List[str]]:
    """(values, departures): the recipe's groups as the row was published, and in words what a recipe cannot
    say or what the publication itself leaves open."""
    values, missing = _PUBLISHERS[row.source].values(row)
    return copy.deepcopy(values), [*missing, *([row.note] if row.note else [])]


def base_file(row: Row) -> str:
    """The file under configs/ that a row's recipe starts from: its publisher's run on that data."""
    return f"_base_/{row.source}/{_PUBLISHERS[row.source].base(row)}.yaml"
