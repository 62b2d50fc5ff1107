"""Non-local networks as published by mmsegmentation."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import mmseg_context_head

BLOCK = r"^head\.context\.block\."
reference(
    "mmseg_nonlocal_r50-d8",
    model="nonlocal",
    form="mmseg",
    rules=mmseg_context_head(
        "nl_block",
        [
            (BLOCK + r"(g|theta|phi)\.conv\.", r"head.context.block.\1."),
            (BLOCK + r"conv_out\.", "head.context.block.out."),
        ],
    ),
    options=dict(backbone="resnet50_v1c"),
)
