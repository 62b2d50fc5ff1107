"""GCNet as published by mmsegmentation."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import mmseg_context_head

BLOCK = r"^head\.context\.block\."
reference(
    "mmseg_gcnet_r50-d8",
    model="gcnet",
    form="mmseg",
    rules=mmseg_context_head(
        "gc_block",
        [
            (BLOCK + r"conv_mask\.", "head.context.block.mask."),
            (BLOCK + r"channel_add_conv\.0\.", "head.context.block.squeeze."),
            (BLOCK + r"channel_add_conv\.1\.", "head.context.block.norm."),
            (BLOCK + r"channel_add_conv\.3\.", "head.context.block.expand."),
        ],
    ),
    options=dict(backbone="resnet50_v1c"),
)
