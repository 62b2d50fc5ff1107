"""DMNet as published by mmsegmentation."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import MMSEG_ENDS

reference(
    "mmseg_dmnet_r50-d8",
    model="dmnet",
    rules=[
        *MMSEG_ENDS,
        (r"^decode_head\.dcm_modules\.", "head.filters."),
        (r"^(head\.filters\.\d)\.filter_gen_conv\.", r"\1.filter."),
        (r"^(head\.filters\.\d)\.input_redu_conv\.", r"\1.reduce."),
        (r"^decode_head\.bottleneck\.", "head.fuse."),
    ],
    form="mmseg",
    options=dict(backbone="resnet50_v1c"),
)
