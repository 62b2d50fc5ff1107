"""APCNet as published by mmsegmentation."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import MMSEG_ENDS

reference(
    "mmseg_apcnet_r50-d8",
    model="apcnet",
    rules=[
        *MMSEG_ENDS,
        (r"^decode_head\.acm_modules\.", "head.contexts."),
        (r"^(head\.contexts\.\d)\.pooled_redu_conv\.", r"\1.pooled."),
        (r"^(head\.contexts\.\d)\.input_redu_conv\.", r"\1.reduce."),
        (r"^(head\.contexts\.\d)\.global_info\.", r"\1.whole."),
        (r"^(head\.contexts\.\d)\.gla\.", r"\1.affinity."),
        (r"^(head\.contexts\.\d)\.residual_conv\.", r"\1.residual."),
        (r"^(head\.contexts\.\d)\.fusion_conv\.", r"\1.fuse."),
        (r"^decode_head\.bottleneck\.", "head.fuse."),
    ],
    form="mmseg",
    options=dict(backbone="resnet50_v1c"),
)
