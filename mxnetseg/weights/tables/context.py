"""CCNet, GCNet, non-local and disentangled non-local networks as published by mmsegmentation."""

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
reference(
    "mmseg_gcnet_r50-d8",
    model="gcnet",
    rules=mmseg_context_head(
        "gc_block",
        [
            (BLOCK + r"conv_mask\.", "head.context.block.mask."),
            (BLOCK + r"channel_add_conv\.0\.", "head.context.block.squeeze."),
            (BLOCK + r"channel_add_conv\.1\.", "head.context.block.norm."),
            (BLOCK + r"channel_add_conv\.3\.", "head.context.block.expand."),
        ],
    ),
    options=dict(backbone="resnet50_v1c", align_corners=False),
)
NON_LOCAL = [
    (BLOCK + r"(g|theta|phi)\.conv\.", r"head.context.block.\1."),
    (BLOCK + r"conv_out\.", "head.context.block.out."),
    (BLOCK + r"conv_mask\.", "head.context.block.unary."),
]
for _id, _model, _block in (
    ("mmseg_nonlocal_r50-d8", "nonlocal", "nl_block"),
    ("mmseg_dnl_r50-d8", "dnlnet", "dnl_block"),
):
    reference(
        _id,
        model=_model,
        rules=mmseg_context_head(_block, NON_LOCAL),
        options=dict(backbone="resnet50_v1c", align_corners=False),
    )
