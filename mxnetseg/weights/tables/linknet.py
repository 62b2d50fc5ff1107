"""LinkNet as published by segmentation_models.pytorch."""

from __future__ import annotations

from mxnetseg.weights.tables.encoders import smp, unit

smp(
    "linknet",
    "resnet34",
    "linknet",
    [
        *unit(r"decoder\.blocks\.(\d)\.block\.0", r"head.blocks.\1.squeeze"),
        *unit(r"decoder\.blocks\.(\d)\.block\.1", r"head.blocks.\1.up"),
        *unit(r"decoder\.blocks\.(\d)\.block\.2", r"head.blocks.\1.widen"),
    ],
)
