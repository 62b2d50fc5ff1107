"""From a row of MXNetSeg to a recipe.

Its loss is a mean over each device's pixels and is divided by the images of a device, two here, once more:
half the rate and twice the decay are the same for a mean over the batch.
"""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from mxnetseg.recipes.rows import Row
from mxnetseg.weights.published import published_evaluation

Values = Dict[str, Any]

LR, WEIGHT_DECAY, BATCH, EPOCHS, IMAGES_PER_DEVICE = 0.01, 1e-4, 8, 240, 2


def base(row: Row) -> str:
    """The base file of the row's data set."""
    return row.data


def values(row: Row) -> Tuple[Values, List[str]]:
    """(recipe values, what cannot be expressed) of a row."""
    facts = row.facts
    missing = []
    if not facts.get("stated", True):
        missing.append("no training settings are published for this row: those of Cityscapes are taken")
    data: Values = {"name": row.data, "batch_size": BATCH}
    if "split" in facts:
        data.update(train_split=facts["split"])
    augment: Values = {
        "crop": facts["crop"],
        "base": facts["base"],
        "scale_min": 0.5,
        "scale_max": 2.0,
        "blur": 0.5,
        "blur_sigma": [0.0, 1.0],
        "fill": 0,
    }
    if row.data == "voc_aug":  # padding is raw 0 in the label, which is background there
        augment["label_fill"] = 0
    return {
        "model": {**row.model, "pretrained": True, "norm": "syncbn"},
        "data": data,
        "augment": augment,
        "loss": {"name": "cross_entropy"},
        "optimizer": {
            "name": "sgd",
            "lr": LR / IMAGES_PER_DEVICE,
            "momentum": 0.9,
            "weight_decay": WEIGHT_DECAY * IMAGES_PER_DEVICE,
        },
        "schedule": {"name": "poly", "power": 0.9, "epochs": EPOCHS},
        "evaluation": published_evaluation(row.reference, row.data),
    }, missing
