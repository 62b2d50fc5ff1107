"""ANN as published by mmsegmentation."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import MMSEG_ENDS, without_twins

reference(
    "mmseg_ann_r50-d8",
    model="ann",
    rules=[
        *MMSEG_ENDS,
        (r"^decode_head\.(fusion|context)\.stages\.0\.(query|key|value|out)_project\.", r"head.\1.\2."),
        (r"^decode_head\.fusion\.bottleneck\.", "head.fuse."),
        (r"^decode_head\.bottleneck\.", "head.reduce."),
        (r"^decode_head\.context\.bottleneck\.", "head.join."),
    ],
    # The context block stores its one projection as key and as query.
    prepare=without_twins("context.stages.0.query_project", "context.stages.0.key_project"),
    form="mmseg",
    options=dict(backbone="resnet50_v1c"),
)
