"""PSANet as published by mmsegmentation."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import MMSEG_AUX, MMSEG_RESNET

reference(
    "mmseg_psanet_r50-d8",
    model="psanet",
    form="mmseg",
    rules=[
        *MMSEG_RESNET,
        *MMSEG_AUX,
        (r"^decode_head\.conv_seg\.", "head.classifier."),
        (r"^decode_head\.reduce\.", "head.collect.reduce."),
        (r"^decode_head\.reduce_p\.", "head.distribute.reduce."),
        (r"^decode_head\.attention\.", "head.collect.attention."),
        (r"^decode_head\.attention_p\.", "head.distribute.attention."),
        (r"^decode_head\.proj\.", "head.project."),
        (r"^decode_head\.bottleneck\.", "head.fuse."),
    ],
    options=dict(backbone="resnet50_v1c"),
)
