"""Attention to Scale as published by MXNetSeg."""

from __future__ import annotations

from mxnetseg.weights.rename import reference
from mxnetseg.weights.tables.common import mxseg_fcn_head

reference(
    "mxseg_att2scale_resnet50",
    model="att2scale",
    rules=[
        (r"^(conv1|bn1|layer[1-4])\.", r"backbone.\1."),
        (r"^head\.conv3x3\.", "head.attention.0."),
        (r"^head\.conv1x1\.", "head.attention.1."),
    ]
    + mxseg_fcn_head(r"head\.seg_head", "head.classifier")
    + mxseg_fcn_head(r"aux_head\.0", "aux_heads.0")
    + mxseg_fcn_head(r"aux_head\.1", "aux_heads.1"),
    form="mxnetseg",
    options=dict(backbone="resnet50_v1s"),
)
