"""GCNet as published by mmsegmentation."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import mmseg_context_head

reference(
    "mmseg_gcnet_r50-d8",
    model="gcnet",
    rules=mmseg_context_head(
        "gc_block",
        [
            (r"conv_mask\.", "mask."),
            (r"channel_add_conv\.0\.", "squeeze."),
            (r"channel_add_conv\.1\.", "norm."),
            (r"channel_add_conv\.3\.", "expand."),
        ],
    ),
    form="mmseg",
    options=dict(backbone="resnet50_v1c"),
)
