"""PointRend as published by mmsegmentation."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import MMSEG_RESNET

reference(
    "mmseg_point_rend_r50",
    model="pointrend",
    form="mmseg",
    rules=[
        *MMSEG_RESNET,
        (r"^neck\.lateral_convs\.(\d)\.conv\.", r"head.coarse.fpn.laterals.\1."),
        (r"^neck\.fpn_convs\.(\d)\.conv\.", r"head.coarse.fpn.outs.\1."),
        (r"^decode_head\.0\.conv_seg\.", "head.coarse.classifier."),
        # Between a level's units stand the enlargements, numbered too.
        (
            r"^decode_head\.0\.scale_heads\.(\d)\.(\d)\.",
            lambda m: f"head.coarse.branches.{m.group(1)}.{int(m.group(2)) // 2}.",
        ),
        (r"^decode_head\.1\.fcs\.(\d)\.conv\.", r"head.points.layers.\1."),
        (r"^decode_head\.1\.fc_seg\.", "head.points.classifier."),
    ],
)
