"""From a row of AceCoooool/segmentation to a recipe.

Scales refer to the short side there, so `resize` has a long side that never limits. Padding is raw 0 in the
label: background on VOC, ignored on Cityscapes.
"""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from mxnetseg.recipes.losses import published_loss
from mxnetseg.recipes.rows import Row

Values = Dict[str, Any]

WARMUP, WARMUP_FACTOR = 200, 0.01


def base(row: Row) -> str:
    """The base file of the row's data set."""
    return row.data


def values(row: Row) -> Tuple[Values, List[str]]:
    """(recipe values, what cannot be expressed) of a row."""
    facts = row.facts
    missing = []
    if not facts.get("stated", True):
        missing.append("batch size is not published for Cityscapes: that of VOC's script")
    augment: Values = {
        "crop": facts["crop"],
        "resize": [16 * facts["base"], facts["base"]],
        "scale_min": 0.5,
        "scale_max": 2.0,
        "blur": 0.5,
        "blur_sigma": [0.0, 1.0],
        "fill": 0,
    }
    if row.data == "voc_aug":
        augment["label_fill"] = 0
    return {
        "model": {**row.model, "pretrained": True, "norm": "syncbn"},
        "data": {"name": row.data, "batch_size": facts["gpus"] * facts["images"]},
        "augment": augment,
        "loss": published_loss(row),
        "optimizer": {
            "name": "sgd",
            "lr": facts["lr"],
            "momentum": 0.9,
            "weight_decay": 1e-4,
            "head_lr_mult": 10.0,
        },
        "schedule": {
            "name": "poly",
            "power": 0.9,
            "epochs": facts["epochs"],
            "warmup_iterations": WARMUP,
            "warmup_start": WARMUP_FACTOR,
        },
        "evaluation": {"protocol": "own", "mode": "whole"},
    }, missing
