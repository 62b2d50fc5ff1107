"""From a row of MMSegmentation's SFNet to a recipe: mmsegmentation's pipeline, one process of two crops."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from mxnetseg.recipes.losses import published_loss
from mxnetseg.recipes.rows import Row

Values = Dict[str, Any]

_MISSING = [
    "the rate falls by epoch there, by iteration here",
    "trained in half precision there; here by train.py --engine torch --amp fp16",
]


def base(row: Row) -> str:
    """The base file: mmsegmentation's on Cityscapes."""
    return row.data


def values(row: Row) -> Tuple[Values, List[str]]:
    """(recipe values, what cannot be expressed) of a row."""
    return {
        "model": {**row.model, "pretrained": True, "norm": "syncbn"},
        "data": {"name": row.data, "batch_size": 2},
        "augment": {
            "crop": [512, 1024],
            "resize": [2048, 1024],
            "scale_min": 0.5,
            "scale_max": 2.0,
            "photometric_distortion": True,
            "max_class_ratio": 0.75,
        },
        "loss": published_loss(row),
        "optimizer": {"name": "sgd", "lr": 0.01, "momentum": 0.9, "weight_decay": 5e-4},
        "schedule": {"name": "poly", "power": 1.0, "epochs": 300, "end_lr": 1e-4},
        "evaluation": {"protocol": "mmseg", "mode": "whole", "resize": [2048, 1024]},
    }, list(_MISSING)
