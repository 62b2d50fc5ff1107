"""From a row of SFSegNets to a recipe.

Eight processes average their own crops, so a step is 8 x images crops. Hard examples are counted in each
process: 10,000 pixels of `images` crops by `ohem`, 100,000 by `dsn`, which supervises every output.
"""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from mxnetseg.data.datasets.cityscapes import CLASSES
from mxnetseg.recipes.losses import published_loss
from mxnetseg.recipes.rows import Row

Values = Dict[str, Any]

PROCESSES = 8
_KEPT = {"ohem": 10000, "dsn": 100000}
_BY_EPOCH = "the rate falls by epoch there, by iteration here"
_MISSING = {
    "mapillary": "validated on centre crops of 1536 pixels there, on whole pictures here",
    "uds": "validated on pictures stretched to 2048 x 1024 there, on their own sizes here",
}


def base(row: Row) -> str:
    """The base file of the row's data set."""
    plain = row.data == "cityscapes" and not row.facts["uniform"]
    return "concat" if "boost" in row.facts else f"{row.data}_shuffled" if plain else row.data


def values(row: Row) -> Tuple[Values, List[str]]:
    """(recipe values, what cannot be expressed) of a row."""
    facts = row.facts
    missing = [_BY_EPOCH, *([_MISSING[row.data]] if row.data in _MISSING else [])]
    epochs, share = facts["epochs"], facts["uniform"]
    if row.data == "bdd100k" and share:
        # No tile of 1024 fits its pictures of 1280 x 720, so what is left of an epoch is the random rest.
        epochs, share = round(epochs * (1 - share)), 0
        missing.append("an epoch there is a random half of the pictures, so half as many whole ones here")
    loss = published_loss(row)
    for term in (term for output in loss["outputs"] for term in output):
        term.update(ohem_min_kept=_KEPT[facts["loss"]], ohem_per=facts["images"])
    made: Values = {
        "model": {**row.model, "pretrained": True, "norm": "syncbn"},
        "data": {"name": row.data, "batch_size": PROCESSES * facts["images"], **_sampling(share)},
        "augment": {
            "crop": facts["crop"],
            "scale_min": 0.5,
            "scale_max": 2.0,
            "color_jitter": 0.25,
            "blur": 1.0,
            "blur_sigma": [0.15, 1.3],
            "fill": 0,
        },
        "loss": loss,
        "optimizer": {"name": "sgd", "lr": facts["lr"], "momentum": 0.9, "weight_decay": 1e-4},
        "schedule": {"name": "poly", "power": 1.0, "epochs": epochs},
        "evaluation": {"protocol": "sfsegnets", "mode": "whole"},
    }
    if "boost" in facts:
        missing += _boosted(made["data"], facts)
    if "start" in facts:
        made["init_from"] = "weights/runs/sfnet_resnet18_mapillary/best.params"
    return made, missing


def _sampling(share: float) -> Values:
    if not share:
        return {"sampler": "shuffled"}
    return {"sampler": "class_uniform", "sampler_options": {"percent": share, "tile": 1024}}


def _boosted(data: Values, facts: Values) -> List[str]:
    """Rare classes also from the coarse frames, which are not visited otherwise."""
    rare = [CLASSES[k] for k in sorted(facts["boost"])]
    data["sampler_options"].update(boost_from="cityscapes_coarse", boost_classes=rare)
    fine: Values = {"name": "cityscapes"}
    missing = []
    if facts.get("mode") == "trainval":
        fine["split"] = {"train": "train+val", "val": "val"}
        missing.append("validated there on the last of its own three divisions into cities, here on val")
    data["options"] = {"parts": [fine, {"name": "cityscapes_coarse", "split": {"train": "train"}}]}
    return missing
