"""CCNet and disentangled non-local networks as published by mmsegmentation."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import mmseg_context_head

BLOCK = r"^head\.context\.block\."
for _depth in (50, 101):
    reference(
        f"mmseg_ccnet_r{_depth}-d8",
        model="ccnet",
        rules=mmseg_context_head(
            "cca",
            [
                (BLOCK + r"(query|key|value)_conv\.", r"head.context.block.\1."),
                (BLOCK + r"gamma\.scale$", "head.context.block.gamma"),
            ],
        ),
        options=dict(backbone=f"resnet{_depth}_v1c", align_corners=False),
    )
NON_LOCAL = [
    (BLOCK + r"(g|theta|phi)\.conv\.", r"head.context.block.\1."),
    (BLOCK + r"conv_out\.", "head.context.block.out."),
    (BLOCK + r"conv_mask\.", "head.context.block.unary."),
]
reference(
    "mmseg_dnl_r50-d8",
    model="dnlnet",
    rules=mmseg_context_head("dnl_block", NON_LOCAL),
    options=dict(backbone="resnet50_v1c", align_corners=False),
)
