"""ISANet as published by mmsegmentation."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import MMSEG_AUX, MMSEG_RESNET

reference(
    "mmseg_isanet_r50-d8",
    model="isanet",
    form="mmseg",
    rules=[
        *MMSEG_RESNET,
        *MMSEG_AUX,
        (r"^decode_head\.conv_seg\.", "head.classifier."),
        (r"^decode_head\.in_conv\.", "head.reduce."),
        (r"^decode_head\.out_conv\.", "head.join."),
        (r"^decode_head\.global_relation\.", "head.attention.between."),
        (r"^decode_head\.local_relation\.", "head.attention.inside."),
        (r"^(head\.attention\.\w+)\.(query|key|value)_project\.", r"\1.\2."),
        (r"^(head\.attention\.\w+)\.output_project\.", r"\1.out."),
    ],
    options=dict(backbone="resnet50_v1c"),
)
