"""UPerNet as published by mmsegmentation."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import MMSEG_AUX, MMSEG_RESNET

reference(
    "mmseg_upernet_r50",
    model="upernet",
    form="mmseg",
    rules=[
        *MMSEG_RESNET,
        *MMSEG_AUX,
        (r"^decode_head\.conv_seg\.", "head.classifier."),
        (r"^decode_head\.psp_modules\.(\d)\.1\.", r"head.ppm.stages.\1."),
        (r"^decode_head\.bottleneck\.", "head.ppm_fuse."),
        (r"^decode_head\.lateral_convs\.", "head.laterals."),
        (r"^decode_head\.fpn_convs\.", "head.smooths."),
        (r"^decode_head\.fpn_bottleneck\.", "head.fuse."),
    ],
    options=dict(backbone="resnet50_v1c"),
)
