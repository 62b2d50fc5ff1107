"""The loss of a published row: the reference's own terms, with the row's images per process."""

from __future__ import annotations

from typing import Any, Dict, Iterator

from mxnetseg.recipes.rows import Row
from mxnetseg.weights.recipes import recipe

Values = Dict[str, Any]


def published_loss(row: Row) -> Values:
    """The recipe's `loss` group of a row.

    Hard examples are counted in each process there, so `ohem_per` is the images that one sees.
    """
    group = recipe(row.reference)["loss"]
    for loss in _terms(group):
        if loss.get("weight") == 1.0:
            del loss["weight"]
        if "hardest" in row.facts and loss.get("label", "").startswith("decode"):
            loss.update(ohem_min_kept=row.facts["hardest"], ohem_per="image", ohem_rule="below")
        if isinstance(loss.get("ohem_min_kept"), int) and "ohem_per" not in loss:
            loss["ohem_per"] = row.facts["images"]
    if "dice" in row.facts:
        options = {"activation": "sigmoid", "count_ignored": True}
        overlap = {"name": "dice", "label": "decode.loss_dice", "weight": row.facts["dice"]}
        group["outputs"][0].append({**overlap, "options": options})
    return group


def _terms(group: Values) -> Iterator[Values]:
    for output in group["outputs"]:
        yield from output
