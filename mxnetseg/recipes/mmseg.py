"""From a row of mmsegmentation to a recipe.

A step there is gpus x images crops, each GPU averaging its own; the mean over the global batch is the same.
Its cross-entropy divides by all pixels, ignored ones included (`normalizer: all`). Crops that reach beyond
the image are filled after normalization, so with the mean colour; VOC's pipeline pads before, with black.
"""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from mxnetseg.recipes.losses import published_loss
from mxnetseg.recipes.rows import Row

Values = Dict[str, Any]

# Data set -> what a picture is fitted into, pixels: long and short side.
SCALES = {
    "cityscapes": [2048, 1024],
    "mapillary": [2048, 1024],
    **{name: [2048, 512] for name in ("ade20k", "voc_aug", "cocostuff", "cocostuff10k", "loveda")},
    "pascal_context": [520, 520],
    "pascal_context60": [520, 520],
    "potsdam": [512, 512],
    "vaihingen": [512, 512],
    "isaid": [896, 896],
    "drive": [584, 565],
    "stare": [700, 605],
    "chase_db1": [999, 960],
    "hrf": [3504, 2336],
}
# What the pictures of these are fitted into in testing, other than in training.
TEST_SCALES = {"loveda": [1024, 1024]}
# Crop -> step of the sliding window of that size, for the crops that are slid over the picture in testing.
STEPS = {769: 513, 768: 512, 480: 320, 64: 42, 128: 85, 256: 170}
# Height of the crop that the base file of a data set has.
_USUAL_CROPS = {
    **dict.fromkeys(("pascal_context", "pascal_context60"), 480),
    "isaid": 896,
    "drive": 64,
    "stare": 128,
    "chase_db1": 128,
    "hrf": 256,
}
_NAMES = {"SGD": "sgd", "Adam": "adam", "AdamW": "adamw"}


def base(row: Row) -> str:
    """The base file whose data set, crop and shape of the schedule the row has."""
    height = row.facts["crop"][0]
    return row.data if height == _USUAL_CROPS.get(row.data, 512) else f"{row.data}_{height}"


def values(row: Row) -> Tuple[Values, List[str]]:
    """(recipe values, what cannot be expressed) of a row."""
    facts = row.facts
    crop = list(facts["crop"])
    scale = list(facts.get("scale") or usual_scale(row.data, crop[0]))
    tested = list(facts.get("test_scale") or TEST_SCALES.get(row.data, scale))
    model: Values = {**row.model, "pretrained": facts.get("pretrained", True), "norm": "syncbn"}
    if "norm_momentum" in facts:  # PyTorch's: the share of the new statistics
        model["norm_momentum"] = 1 - facts["norm_momentum"]
    if facts.get("norm_frozen"):
        model["norm_frozen"] = True
    made: Values = {
        "model": model,
        "data": {"name": row.data, "batch_size": facts["gpus"] * facts["images"]},
        "augment": {
            "crop": crop[0] if crop[0] == crop[1] else crop,
            "resize": scale,
            "scale_min": 0.5,
            "scale_max": 2.0,
            "photometric_distortion": facts.get("photometric", True),
            "max_class_ratio": facts.get("cat_max_ratio", 0.75),
            **({"fill": 0} if row.data == "voc_aug" else {}),
        },
        "loss": published_loss(row),
        "optimizer": _optimizer(facts.get("optimizer", {})),
        "schedule": _schedule(facts),
        "evaluation": {"protocol": "mmseg", "resize": tested, **_windows(facts, crop[0])},
    }
    if "divisor" in facts:
        made["evaluation"]["divisor"] = facts["divisor"]
    if "mean" in facts:
        made["input"] = {"mean": facts["mean"], "std": facts["std"], "range": 255}
    missing = []
    if facts.get("precision") == "half":
        missing.append("trained in half precision there; here by train.py --engine torch --amp fp16")
    if "multiple" in facts:
        missing.append(
            f"pictures are stretched to sides that {facts['multiple']} divides in testing there, not here"
        )
    if "short_sides" in facts:
        missing.append("the short side is one of 16 lengths in training there, any between them here")
    return made, missing


def usual_scale(data: str, crop: int) -> List[int]:
    """Long and short side, pixels, that pictures of a data set are fitted into at scale 1."""
    return [2049, 1025] if crop in (768, 769) else SCALES[data]


def _windows(facts: Values, crop: int) -> Values:
    window, step = facts.get("window", crop), facts.get("step", STEPS.get(crop))
    return {"mode": "slide", "crop": window, "stride": step} if step else {"mode": "whole"}


def _optimizer(stated: Values) -> Values:
    name = _NAMES[stated.get("type", "SGD")]
    group: Values = {
        "name": name,
        "lr": stated.get("lr", 0.01),
        "weight_decay": stated.get("weight_decay", 5e-4),
    }
    if name == "sgd":
        group["momentum"] = 0.9
    if "head_lr_mult" in stated:
        group["head_lr_mult"] = stated["head_lr_mult"]
    if "backbone_lr_mult" in stated:  # here the rate is the backbone's
        group["lr"] = float(f"{group['lr'] * stated['backbone_lr_mult']:.6g}")
        group["head_lr_mult"] = float(f"{1 / stated['backbone_lr_mult']:.6g}")
    if "layer_decay" in stated:
        group["layer_decay"] = stated["layer_decay"]
        group["layer_decay_last"] = stated.get("layer_decay_last", 1)
        group["no_decay"] = ["norm", "bias", "embedding"]
    spared = [kind for kind in ("norm", "embedding") if stated.get(f"{kind}_decay_mult") == 0]
    if spared:
        group["no_decay"] = spared
    if "clip" in stated:
        group["clip_grad_norm"] = stated["clip"]
    return group


def _schedule(facts: Values) -> Values:
    stated = facts.get("schedule", {})
    group: Values = {"iterations": facts["iterations"]}
    if "milestones" in stated:
        group.update(name="step", step_iterations=stated["milestones"], end_lr=0.0)
    else:
        group.update(name="poly", power=stated.get("power", 0.9), end_lr=stated.get("eta_min", 1e-4))
    if "warmup" in stated:
        group.update(warmup_iterations=stated["warmup"], warmup_start=stated["warmup_factor"])
    return group
